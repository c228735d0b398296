//! Benchmark of the ledger: acknowledged durable transitions per second, and bytes per finished job.
//!
//! `cargo bench --bench ledger [-- JOBS [ROUNDS]]`. A fixed number of tasks is in flight. Each makes its next
//! transition as soon as the last one is acknowledged. Every commit contains the transitions that have gathered, as the
//! driver's commits do. Goals: 100,000 transitions per second with 2,000 tasks in flight, and 600 bytes per finished
//! job without its own text.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Instant;

use promptbatch::internals::store::SqliteStore;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::job::JobSpec;
use promptbatch::model::outcome::{Artifact, ImageFormat, Outcome, TaskId, Url};
use promptbatch::model::phase::JobRecord;
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::store::error::LedgerError;
use promptbatch::store::import::ManifestFacts;
use promptbatch::store::typed::Typed;
use promptbatch::store::{JobScope, RunWriter};

const RATE_MIN: f64 = 100_000.0;
const BYTES_MAX: f64 = 600.0;

/// Numbers of tasks in flight. The goal is for 2,000.
const IN_FLIGHT: [usize; 4] = [1, 64, 512, 2000];

/// Number of events from a job's submission to its image.
const LIFE: usize = 4;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let (n_jobs, n_rounds) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    println!("{n_jobs} jobs, {LIFE} transitions each, synchronous=FULL; medians of {n_rounds} rounds");
    println!(
        "{:>9} {:>14} {:>10} {:>12} {:>16}",
        "in flight", "transitions/s", "commits", "ms a commit", "bytes a job more"
    );
    let mut is_missed = false;
    for n_in_flight in IN_FLIGHT {
        // One task at a time means one sync per transition, of which a few are enough.
        let n_jobs = n_jobs.min(n_in_flight * 500);
        let mut rounds: Vec<Round> = (0..n_rounds).map(|_| runtime.block_on(measure(n_jobs, n_in_flight))).collect();
        rounds.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let Round { seconds, n_commits, bytes } = rounds[n_rounds / 2];
        let (rate, bytes) = (share(n_jobs * LIFE, 1) / seconds, share(bytes, n_jobs));
        let each = 1000.0 * seconds / share(n_commits, 1);
        println!("{n_in_flight:>9} {rate:>14.0} {n_commits:>10} {each:>12.2} {bytes:>16.0}");
        is_missed |= n_in_flight == 2000 && (rate < RATE_MIN || bytes > BYTES_MAX);
    }
    if is_missed {
        println!(
            "MISSED: at least {RATE_MIN} transitions a second, at most {BYTES_MAX} bytes a job, with 2,000 in flight"
        );
        std::process::exit(1);
    }
}

struct Round {
    seconds: f64,
    n_commits: usize,
    /// Size of the file, without the text of the jobs themselves.
    bytes: usize,
}

async fn measure(n_jobs: usize, n_in_flight: usize) -> Round {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = SqliteStore::open(folder.path(), "simulator").expect("a new ledger");
    let drafts = (0..n_jobs).map(|n| Ok::<_, LedgerError>(draft(n)));
    file.import(&ManifestFacts::default(), drafts).expect("the jobs are taken in");
    let mut ledger = Box::new(file).start(JobScope::Unfinished).expect("a thread");
    let mut waiting = VecDeque::new();
    let mut under_way: Vec<(JobRecord, usize)> = vec![];
    let mut n_commits = 0;
    let began = Instant::now();
    loop {
        while under_way.len() < n_in_flight {
            if waiting.is_empty() {
                waiting.extend(ledger.load(n_in_flight).await.expect("a page of jobs").jobs);
            }
            let Some(known) = waiting.pop_front() else { break };
            under_way.push((known, 0));
        }
        if under_way.is_empty() {
            break;
        }
        let events: Vec<Event> = under_way.iter().map(|(known, step)| event(known, *step)).collect();
        ledger.record(events.into()).await.expect("recorded");
        n_commits += 1;
        for (_, step) in &mut under_way {
            *step += 1;
        }
        under_way.retain(|(_, step)| *step < LIFE);
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(ledger.close().expect("the file comes back"));
    let text: usize = (0..n_jobs).map(|n| draft(n).request.prompt.len() + draft(n).request.model.len()).sum();
    Round { seconds, n_commits, bytes: bytes_of(&folder.path().join("run.db")) - text }
}

fn draft(n: usize) -> JobSpec {
    let prompt = format!("a golden cat on a red sofa by the window, watercolour on rough paper, number {n}");
    let request = Request { prompt, model: "Tongyi-MAI/Z-Image-Turbo".into(), ..Request::default() };
    JobSpec::from(request)
}

/// Returns the event of a job at this step, with names and links as long as the API's.
fn event(known: &JobRecord, step: usize) -> Event {
    let index = known.job.index;
    let kind = match step {
        0 => EventKind::SubmitStarted,
        1 => EventKind::Accepted(TaskId((5_075_521 + index).to_string())),
        2 => EventKind::Ready(vec![Url(format!("https://muse-ai.oss-cn-hangzhou.aliyuncs.com/img/{index:032x}.png"))]),
        _ => EventKind::Finished(Outcome::Succeeded(vec![artifact(known)])),
    };
    let at = i64::try_from(index).expect("a small number") * 10 + i64::try_from(step).expect("a smaller one") * 5000;
    Event { job: known.job.id, index, at: Timestamp::from_millis(1_790_000_000_000 + at), kind }
}

fn artifact(known: &JobRecord) -> Artifact {
    let file_name = format!("images/{:06}-a-golden-cat-on-a-red-sofa-by-the-window.png", known.job.index);
    let sha256 = std::array::from_fn(|n| known.job.id.bytes()[n % 10]);
    Artifact { file_name, sha256, bytes: 1_234_567, width: 1024, height: 1024, format: ImageFormat::Png }
}

fn bytes_of(path: &Path) -> usize {
    usize::try_from(fs::metadata(path).expect("the ledger is there").len()).expect("a file of some megabytes")
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn share(n: usize, of: usize) -> f64 {
    n as f64 / of as f64
}
