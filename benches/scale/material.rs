//! Input data of the benchmark: manifests of any length, and the ledger of a nearly finished run.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use promptbatch::internals::store::SqliteStore;
use promptbatch::manifest;
use promptbatch::manifest::source::Source;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::outcome::{Artifact, ImageFormat, Outcome, TaskId, Url};
use promptbatch::model::phase::JobRecord;
use promptbatch::model::progress::NoProgress;
use promptbatch::model::time::Timestamp;
use promptbatch::plan;
use promptbatch::provider::config::ProviderConfig;
use promptbatch::store::error::LedgerError;
use promptbatch::store::{JobScope, Ledger, RunWriter};

/// Number of jobs that the run still has to do.
pub const PENDING: u64 = 10;

/// Number of jobs whose events are recorded in one commit, as many as in a turn of a fast run.
const BATCH: usize = 4000;

/// Length of a block in the edited manifest. In each block one prompt is changed, and the first `TURNED` rows are
/// reversed.
const EDIT_EVERY: u64 = 1000;
const TURNED: u64 = 10;

/// Writes a manifest of `n_rows` rows: a table with ids, prompts, sizes, seeds, and a column that is carried through.
pub fn manifest(path: &Path, n_rows: u64) -> io::Result<()> {
    write(path, 0..n_rows, |_| "")
}

/// Writes an edited version of the manifest. It has one more row at the top, and the second row is removed. Some
/// prompts are changed, and some rows are in another order.
pub fn edited(path: &Path, n_rows: u64) -> io::Result<()> {
    let turned = |n: u64| {
        let (block, place) = (n / EDIT_EVERY, n % EDIT_EVERY);
        if place < TURNED { block * EDIT_EVERY + TURNED - 1 - place } else { n }
    };
    let rows = (0..n_rows).map(turned).filter(|n| *n != 1 && *n < n_rows);
    let again = |n: u64| if n % EDIT_EVERY == EDIT_EVERY / 2 { ", at night" } else { "" };
    write(path, std::iter::once(n_rows).chain(rows), again)
}

fn write(path: &Path, rows: impl Iterator<Item = u64>, again: impl Fn(u64) -> &'static str) -> io::Result<()> {
    const PLACES: [&str; 4] =
        ["on a quiet street", "under a red umbrella", "in an old library", "by the sea, far away"];
    const SIZES: [&str; 2] = ["1024x1024", "1328x1328"];
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "id,prompt,size,seed,shelf")?;
    for n in rows {
        let kind = usize::try_from(n % 4).expect("less than 4");
        let (place, again) = (PLACES[kind], again(n));
        writeln!(out, "cat-{n},\"a cat {place}{again}, number {n}\",{},{n},{}", SIZES[kind % 2], n / 100)?;
    }
    out.into_inner()?.sync_all()
}

/// Returns the source of the benchmark's manifests, as the program reads them.
fn source(path: &Path, provider: &ProviderConfig) -> Source {
    Source {
        path: path.to_owned(),
        default_model: Some(provider.spec().default_model.into()),
        limits: Some(&provider.spec().limits),
        ..Source::default()
    }
}

/// Creates the ledger of a run of this manifest, in which all jobs but [`PENDING`] have their image. No image is on
/// disk.
pub fn ledger(manifest: &Path, out: &Path, base_url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let provider = ProviderConfig::default().with(|settings| settings.base_url = Some(base_url.to_owned()));
    let manifest = manifest::open(source(manifest, &provider))?;
    let mut file = SqliteStore::open(out, &provider.identity()?.to_string())?;
    plan::import(&manifest, out, &mut file, false, &mut NoProgress)?;
    let n_done = manifest.n_jobs().saturating_sub(PENDING);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut ledger = Box::new(file).start(JobScope::Unfinished)?;
    runtime.block_on(fill(&mut *ledger, n_done))?;
    ledger.close()?;
    Ok(())
}

async fn fill(ledger: &mut dyn Ledger, n_done: u64) -> Result<(), LedgerError> {
    let mut n_left = usize::try_from(n_done).expect("as many as memory has addresses");
    let mut at = 1_800_000_000_000;
    while n_left > 0 {
        let jobs = ledger.load(BATCH.min(n_left)).await?.jobs;
        n_left -= jobs.len();
        ledger.record(lives(&jobs, at).into()).await?;
        at += 2_000;
    }
    Ok(())
}

/// Returns all events of a batch from submission to image, ordered as in a run: all submitted, all accepted, all done.
fn lives(jobs: &[JobRecord], at: i64) -> Vec<Event> {
    let kinds: [fn(u64) -> EventKind; 4] = [
        |_| EventKind::SubmitStarted,
        |n| EventKind::Accepted(TaskId(format!("{}", 5_000_000 + n))),
        |n| EventKind::Ready(vec![Url(format!("https://images.example/results/{n:012}.png?expires=1800003600"))]),
        |n| EventKind::Finished(Outcome::Succeeded(vec![artifact(n)])),
    ];
    let events = (0..).zip(kinds).flat_map(|(stage, kind)| {
        jobs.iter().map(move |JobRecord { job, .. }| {
            let at = Timestamp::from_millis(at + 500 * stage);
            Event { job: job.id, index: job.index, at, kind: kind(job.index) }
        })
    });
    events.collect()
}

fn artifact(n: u64) -> Artifact {
    let file_name = format!("images/{n:06}-a-cat-by-the-sea.png");
    let mut sha256 = [0xab; 32];
    sha256[..8].copy_from_slice(&n.to_le_bytes());
    Artifact { file_name, sha256, bytes: 1_400_000, width: 1024, height: 1024, format: ImageFormat::Png }
}
