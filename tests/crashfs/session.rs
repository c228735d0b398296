//! Work of the traced process: two short runs of a few jobs, each step acknowledged once it is done.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{StreamExt, stream};

use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::images::{ImageStore, IncomingImage};
use promptbatch::internals::images::LocalStore;
use promptbatch::internals::run::Projection;
use promptbatch::internals::store::SqliteStore;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::job::{Job, JobId, JobSpec, ManifestRow};
use promptbatch::model::name::ImageName;
use promptbatch::model::outcome::{Artifact, Outcome, TaskId, Url};
use promptbatch::model::progress::NoProgress;
use promptbatch::model::provenance::Provenance;
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::store::error::LedgerError;
use promptbatch::store::import::ManifestFacts;
use promptbatch::store::typed::Typed;
use promptbatch::store::{JobScope, RunWriter, record};

/// Number of jobs in the manifest.
pub const JOBS: u64 = 6;

/// Number of jobs that each of the two runs finishes.
const JOBS_PER_RUN: u64 = 3;

/// Number of images saved at once: far more than share a sync, however many the first shared sync covers.
const IMAGES_AT_ONCE: u32 = 30;

/// File in which the process acknowledges steps. The disk model does not contain it.
pub const ACKS: &str = "acks";

/// Output folder, with two new levels.
pub const OUT: &str = "out/prompts";

/// Names of the ledger's events for one job.
pub const LIFE: [&str; 4] = ["submit", "accepted", "ready", "succeeded"];

pub const PROVIDER: &str = "simulator";

/// Imports the manifest, as every run does.
pub fn import(file: &mut SqliteStore) -> Result<u64, LedgerError> {
    let draft = |n| {
        let request = Request { prompt: format!("a cat, number {n}"), model: "a/b".into(), ..Request::default() };
        Ok::<_, LedgerError>(JobSpec::from(request))
    };
    Ok(file.import(&ManifestFacts::default(), (1..=JOBS).map(draft))?.n_new)
}

/// Performs both runs below `root`.
pub async fn run(root: &Path) {
    let mut acks = File::create(root.join(ACKS)).unwrap();
    let mut done = |what: &str| acks.write_all(format!("{what}\n").as_bytes()).unwrap();
    let out = root.join(OUT);
    for part in 0..JOBS / JOBS_PER_RUN {
        let mut file = SqliteStore::open(&out, PROVIDER).unwrap();
        done("open");
        import(&mut file).unwrap();
        done("import");
        let store = LocalStore::open(&out, CheckLimits::default()).unwrap();
        let mut ledger = Box::new(file).start(JobScope::Unfinished).unwrap();
        let jobs = ledger.load(usize::try_from(JOBS_PER_RUN).unwrap()).await.unwrap().jobs;
        for (n, known) in (1..).zip(&jobs) {
            if n == JOBS_PER_RUN {
                merge(&out);
            }
            for step in 0..LIFE.len() {
                let kind = match step {
                    0 => EventKind::SubmitStarted,
                    1 => EventKind::Accepted(TaskId(format!("task-{part}-{n}"))),
                    2 => EventKind::Ready(vec![Url(format!("https://x/{part}/{n}.png"))]),
                    _ => EventKind::Finished(Outcome::Succeeded(vec![save(&store, &known.job, part, n).await])),
                };
                let at = Timestamp::from_millis(1000);
                let event = Event { job: known.job.id, index: known.job.index, at, kind };
                record(&mut *ledger, &Arc::from([event]), ()).await.unwrap();
                done("commit");
            }
        }
        let mut file = ledger.close().unwrap();
        Projection::new(&out).refresh(&mut *file, &mut NoProgress).unwrap();
        done("results");
    }
}

/// Saves many images at once, so that they share syncs.
pub async fn save_together(root: &Path) {
    let mut acks = File::create(root.join(ACKS)).unwrap();
    let out = root.join(OUT);
    drop(SqliteStore::open(&out, PROVIDER).unwrap());
    let store = LocalStore::open(&out, CheckLimits::default()).unwrap();
    let request = Request { prompt: "a cat".into(), model: "a/b".into(), ..Request::default() };
    let save = async |n| {
        let id = JobId::new(&request.content(), n);
        let job = Job {
            id,
            index: n.into(),
            label: None,
            request: request.clone(),
            extras: vec![],
            row: ManifestRow::default(),
        };
        let body = stream::iter([Ok(Bytes::from(png(n.into())))]).boxed();
        store
            .save(ImageName::new(Provenance::of_job(job.clone()), 1), IncomingImage::whole(body))
            .await
            .unwrap()
            .unwrap();
    };
    let mut saves: FuturesUnordered<_> = (1..=IMAGES_AT_ONCE).map(save).collect();
    while saves.next().await.is_some() {
        acks.write_all(b"saved\n").unwrap();
    }
}

/// Saves an image. The last image of each run goes to a separate folder.
async fn save(store: &LocalStore, job: &Job, part: u64, n: u64) -> Artifact {
    let mut job = job.clone();
    if n == JOBS_PER_RUN {
        job.index += 10_000;
    }
    let image = png(part * JOBS_PER_RUN + n);
    let body = stream::iter([Ok(Bytes::from(image))]).boxed();
    store.save(ImageName::new(Provenance::of_job(job.clone()), 1), IncomingImage::whole(body)).await.unwrap().unwrap()
}

/// Simulates another program that checkpoints the log into the ledger. From then on, the log is written from its
/// beginning again.
fn merge(out: &Path) {
    let other = rusqlite::Connection::open(out.join("run.db")).unwrap();
    let (busy, in_log, merged): (i64, i64, i64) =
        other.query_row("PRAGMA wal_checkpoint(FULL)", (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert!(busy == 0 && in_log == merged && in_log > 0, "{busy} {in_log} {merged}");
}

/// Draws a small picture of noise, so that compression does not reduce its few sectors to one.
fn png(seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let pixels: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(24 * 24 * 3).collect();
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, 24, 24);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}
