//! Fuzz target for ledgers with changed, missing or foreign bytes: read or refused with a message, foreign files unchanged.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use promptbatch::internals::store::SqliteStore;
use promptbatch::model::event::{Event, EventKind, Stage};
use promptbatch::model::job::JobSpec;
use promptbatch::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, Outcome, TaskId, Url};
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::store::error::LedgerError;
use promptbatch::store::import::ManifestFacts;
use promptbatch::store::settings::{ReadSettings, WriteSettings};
use promptbatch::store::typed::Typed;
use promptbatch::store::{JobScope, JobSet, RunReader, RunWriter, record};

use crate::{Target, outline};

pub const TARGET: Target = Target {
    name: "ledgers",
    seeds: || (0..12_u8).map(|i| vec![i, i * 20, i * 3, i.wrapping_mul(50), 1, 255]).collect(),
    words: &[
        "\0\0\x3c\x01",
        "\0\0\x44\x02",
        "\x01\0\0\x04",
        "\x02\x08\0\x08",
        "\x04\0\x18\0\x20",
        "\x06\0\x28\x55",
        "\x07\x10\0\x03",
    ],
    mend: |_, _| (),
    check,
};

/// Two files of a run: the ledger, and the log that SQLite would merge into it next.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    db: Vec<u8>,
    wal: Vec<u8>,
}

impl Files {
    fn read(out: &Path) -> Self {
        let read = |name| fs::read(out.join(name)).unwrap_or_default();
        Self { db: read("run.db"), wal: read("run.db-wal") }
    }

    fn write(&self, out: &Path) {
        fs::write(out.join("run.db"), &self.db).unwrap();
        if !self.wal.is_empty() {
            fs::write(out.join("run.db-wal"), &self.wal).unwrap();
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn event(known: &promptbatch::model::phase::JobRecord, kind: EventKind) -> Event {
    Event { job: known.job.id, index: known.job.index, at: Timestamp::from_millis(1_800_000_000_000), kind }
}

fn draft(n: usize) -> JobSpec {
    let request = Request { prompt: format!("a cat, number {n}"), model: "a/b".into(), ..Request::default() };
    JobSpec { label: Some(format!("l{n}")), request, extras: vec![("note".into(), "x".into())], ..JobSpec::default() }
}

/// Returns a small run with jobs in every phase: once completely in the file, once with the last part still in the log.
fn whole() -> &'static [Files; 2] {
    static WHOLE: OnceLock<[Files; 2]> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let mut file = SqliteStore::open(out, "simulator").unwrap();
        file.import(
            &ManifestFacts { columns: &["note".to_owned()], ..ManifestFacts::default() },
            (0..40).map(|n| Ok::<_, LedgerError>(draft(n))),
        )
        .unwrap();
        drop(file);
        let in_file = Files::read(out);
        let mut ledger = Box::new(SqliteStore::open(out, "simulator").unwrap()).start(JobScope::Unfinished).unwrap();
        let jobs = block_on(ledger.load(40)).unwrap().jobs;
        let fault = || Fault::new(FaultKind::Transient, "no route to host");
        let artifact = Artifact {
            file_name: "images/000001-a-cat.png".into(),
            sha256: [7; 32],
            bytes: 12_345,
            width: 64,
            height: 32,
            format: ImageFormat::Png,
        };
        let lives = [
            EventKind::SubmitStarted,
            EventKind::Accepted(TaskId("5075521".into())),
            EventKind::Ready(vec![Url("https://x/1.png".into())]),
            EventKind::Setback(Stage::Download, fault()),
            EventKind::Finished(Outcome::Succeeded(vec![artifact])),
        ];
        for n in 1..=lives.len() {
            let events: Vec<_> = lives[..n].iter().map(|kind| event(&jobs[n], kind.clone())).collect();
            block_on(record(&mut *ledger, &events.into(), ())).unwrap();
        }
        let failed = EventKind::Finished(Outcome::Failed(fault()));
        block_on(record(&mut *ledger, &Arc::from([event(&jobs[9], failed)]), ())).unwrap();
        let in_log = Files::read(out);
        assert!(!in_log.wal.is_empty());
        [in_file, in_log]
    })
}

/// Applies the damages of an input. The first byte selects the files. Each four further bytes are one damage: its kind,
/// its position (two bytes), and a byte.
fn damaged(input: &[u8]) -> Files {
    let (which, damages) = input.split_at(input.len().min(1));
    let mut files = whole()[usize::from(which.first().is_some_and(|byte| byte % 2 == 1))].clone();
    for damage in damages.chunks(4) {
        let [what, high, low, byte] = std::array::from_fn(|i| damage.get(i).copied().unwrap_or(0));
        let bytes = if what & 0x80 != 0 && !files.wal.is_empty() { &mut files.wal } else { &mut files.db };
        let at = match what & 0x40 {
            // The header and the first page determine how the rest is interpreted.
            0 => usize::from(u16::from_be_bytes([high, low])) * bytes.len().max(1) / 65536,
            _ => usize::from(u16::from_be_bytes([high, low]) % 512),
        };
        let end = (at + 1 + usize::from(low) * 16).min(bytes.len());
        match what % 8 {
            0..=2 => bytes.get_mut(at).map_or((), |place| *place = byte),
            3 => bytes.get_mut(at).map_or((), |place| *place ^= 1 << (byte % 8)),
            4 => bytes.truncate(at),
            5 => bytes.get_mut(at..end).map_or((), |places| places.fill(byte)),
            6 => bytes.extend(std::iter::repeat_n(byte, usize::from(low) * 16)),
            _ if at < end => {
                let to = usize::from(byte) * (bytes.len() - (end - at)) / 256;
                bytes.copy_within(at..end, to);
            }
            _ => {}
        }
    }
    files
}

fn check(input: &[u8]) -> String {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let out = folder.path();
    let files = damaged(input);
    files.write(out);
    let looked = SqliteStore::open_for_reading(out).and_then(|file| read_all(&file));
    assert!(Files::read(out) == files, "reading has changed the ledger");
    let opened = SqliteStore::open(out, "simulator");
    if let Err(LedgerError::Foreign { .. } | LedgerError::Newer { .. }) = &opened {
        assert!(Files::read(out) == files, "what is not ours was changed");
    }
    let worked = opened.and_then(work);
    [looked, worked].map(|result| result.map_or_else(|error| words(&error), |()| "well".to_owned())).join("; ")
}

/// Reads everything that is ever read from a ledger.
fn read_all(file: &dyn RunReader) -> Result<(), LedgerError> {
    file.provider()?;
    file.columns()?;
    file.revision()?;
    file.results_revision()?;
    file.counts()?;
    file.incidents()?;
    file.failures(20)?;
    let mut jobs = vec![];
    file.for_each_job(JobSet::InManifest, |known| {
        jobs.push(known.job.id);
        Ok::<_, LedgerError>(())
    })?;
    jobs.into_iter().try_for_each(|job| file.events(job).map(drop))
}

/// Performs the operations of a run on a ledger.
fn work(mut file: SqliteStore) -> Result<(), LedgerError> {
    read_all(&file)?;
    file.import(
        &ManifestFacts { columns: &["note".to_owned()], ..ManifestFacts::default() },
        (0..50).map(|n| Ok::<_, LedgerError>(draft(n))),
    )?;
    let mut ledger = Box::new(file).start(JobScope::Unfinished)?;
    let jobs = block_on(ledger.load(100))?.jobs;
    let events: Arc<[Event]> = jobs.iter().map(|known| event(known, EventKind::SubmitStarted)).collect();
    block_on(record(&mut *ledger, &events, ()))?;
    let mut file = ledger.close()?;
    read_all(&*file)?;
    file.set_results_revision("m")
}

/// Formats an error. A damaged file must never end our own thread.
fn words(error: &LedgerError) -> String {
    assert!(!matches!(error, LedgerError::WriterStopped), "the ledger's thread has panicked");
    outline(&error.to_string()).split_once(": ").map_or_else(String::new, |(_, words)| words.to_owned())
}
