//! Invariants of every disk state that a power loss leaves.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use promptbatch::images::validate::inspect;
use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::internals::images::LocalStore;
use promptbatch::internals::store::SqliteStore;
use promptbatch::model::outcome::Outcome;
use promptbatch::model::phase::{JobRecord, JobState, Phase};
use promptbatch::store::error::LedgerError;
use promptbatch::store::typed::Typed;
use promptbatch::store::{JobSet, RunReader};

use crate::disk::Image;
use crate::session::{JOBS, LIFE, OUT, PROVIDER, import};

/// Numbers of operations that were acknowledged before the power loss.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acked {
    pub imports: usize,
    pub commits: usize,
    pub results: usize,
    pub saved: usize,
}

impl Acked {
    pub fn add(&mut self, text: &str) {
        match text.trim_end() {
            "open" => (),
            "import" => self.imports += 1,
            "commit" => self.commits += 1,
            "results" => self.results += 1,
            "saved" => self.saved += 1,
            other => panic!("nobody said {other:?}"),
        }
    }
}

/// Writes a disk image into a folder.
pub fn write(image: &Image, root: &Path) {
    for (path, bytes) in image {
        let path = root.join(path);
        match bytes {
            None => fs::create_dir(path).unwrap(),
            // The file is memory shared between processes, and a disk guarantees nothing for it.
            Some(_) if path.ends_with("run.db-shm") => fs::write(path, vec![0xA5; 32_768]).unwrap(),
            Some(bytes) => fs::write(path, bytes).unwrap(),
        }
    }
}

/// Opens the remaining files, and returns what is wrong with them.
pub fn check(root: &Path, acked: Acked) -> Result<(), String> {
    let out = root.join(OUT);
    let has_results = out.join("results.csv").exists();
    let mut file = SqliteStore::open(&out, PROVIDER).map_err(|error| format!("not opened: {error}"))?;
    let n_jobs = file.counts().map_err(text)?.n_jobs();
    expect(n_jobs == JOBS || (n_jobs == 0 && acked.imports == 0), || format!("{n_jobs} jobs"))?;

    let raw = Connection::open_with_flags(out.join("run.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(text)?;
    let verdict: String = raw.query_row("PRAGMA integrity_check", (), |row| row.get(0)).map_err(text)?;
    expect(verdict == "ok", || verdict.clone())?;
    let n_events = events(&raw).map_err(text)??;
    let n_acked = acked.commits;
    let is_right = n_events == n_acked || n_events == n_acked + 1;
    expect(is_right, || format!("{n_events} events are there, and {n_acked} were said to be"))?;

    let mut n_images = 0;
    for known in all(&file).map_err(text)? {
        let told = file.events(known.job.id).map_err(text)?;
        let mut state = JobState::default();
        for (at, kind) in &told {
            state.apply(*at, kind);
        }
        n_images += images(&out, &known)?;
        // The images of a success are stored with the job, not in its events.
        if let (Phase::Finished(Outcome::Succeeded(_)), folded) = (&known.state.phase, &mut state.phase) {
            *folded = known.state.phase.clone();
        }
        expect(state == known.state, || format!("{state:?} is not {:?}", known.state))?;
    }
    expect(n_images == n_events / LIFE.len(), || format!("{n_images} images for {n_events} events"))?;

    all_whole(&out.join("images"))?;
    LocalStore::open(&out, CheckLimits::default()).map_err(text)?;
    expect(!out.join(".partial").exists(), || "half an image is left".to_owned())?;

    expect(has_results || acked.results == 0, || "no results".to_owned())?;
    if has_results {
        results(&out)?;
    }
    let n_new = import(&mut file).map_err(text)?;
    expect(n_new + n_jobs == JOBS, || format!("{n_new} new jobs beside {n_jobs}"))
}

/// Checks images that were being saved at once, without a ledger. Saved images exist, and no image exists in part.
pub fn check_saved(root: &Path, acked: Acked) -> Result<(), String> {
    let images = root.join(OUT).join("images");
    all_whole(&images)?;
    let n_images = fs::read_dir(images).map_or(0, Iterator::count);
    expect(n_images >= acked.saved, || format!("{n_images} images are there, and {} were said to be", acked.saved))
}

/// Checks a ledger of an earlier version that was being migrated: at no moment is any part of it lost.
pub fn check_made_present(root: &Path, jobs: &[JobRecord]) -> Result<(), String> {
    let out = root.join(OUT);
    let file = SqliteStore::open_existing(&out).map_err(|error| format!("not opened: {error}"))?;
    let raw = Connection::open_with_flags(out.join("run.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(text)?;
    let verdict: String = raw.query_row("PRAGMA integrity_check", (), |row| row.get(0)).map_err(text)?;
    expect(verdict == "ok", || verdict.clone())?;
    expect(all(&file).map_err(text)? == jobs, || "the jobs are others".to_owned())
}

/// Returns the number of events. They must be the first events that the process recorded, in order.
fn events(raw: &Connection) -> rusqlite::Result<Result<usize, String>> {
    let sql = "SELECT position, kind FROM events JOIN jobs ON job = row ORDER BY seq";
    let mut statement = raw.prepare(sql)?;
    let told: Vec<(usize, String)> =
        statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (n, (position, kind)) in told.iter().enumerate() {
        if (*position, kind.as_str()) != (n / LIFE.len() + 1, LIFE[n % LIFE.len()]) {
            return Ok(Err(format!("event {n} is {kind} of job {position}")));
        }
    }
    Ok(Ok(told.len()))
}

/// Returns every job.
pub fn all(file: &SqliteStore) -> Result<Vec<JobRecord>, LedgerError> {
    let mut all = vec![];
    file.for_each_job(JobSet::InManifest, |known| {
        all.push(known);
        Ok::<_, LedgerError>(())
    })?;
    Ok(all)
}

/// Returns the number of images of a job. Each image must exist and be complete.
fn images(out: &Path, known: &JobRecord) -> Result<usize, String> {
    let Phase::Finished(Outcome::Succeeded(artifacts)) = &known.state.phase else { return Ok(0) };
    for artifact in artifacts {
        let bytes =
            fs::read(out.join(&artifact.file_name)).map_err(|error| format!("{}: {error}", artifact.file_name))?;
        let is_whole = bytes.len() as u64 == artifact.bytes && Sha256::digest(&bytes)[..] == artifact.sha256;
        expect(is_whole, || format!("{} is not whole", artifact.file_name))?;
    }
    Ok(artifacts.len())
}

/// Checks that every file with the name of an image is a complete image, even before an event mentions it.
fn all_whole(folder: &Path) -> Result<(), String> {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.map_err(text)?.path();
        if path.is_dir() {
            all_whole(&path)?;
        } else {
            let found = inspect(fs::read(&path).map_err(text)?.as_slice(), &CheckLimits::default()).map_err(text)?;
            expect(found.is_ok(), || format!("{} is not whole", path.display()))?;
        }
    }
    Ok(())
}

/// Checks that the results exist as a whole or not at all.
fn results(out: &Path) -> Result<(), String> {
    let bytes = fs::read(out.join("results.csv")).map_err(text)?;
    expect(bytes.ends_with(b"\n"), || "the results are cut".to_owned())?;
    let n_rows = csv::Reader::from_reader(bytes.as_slice()).records().try_fold(0, |n, row| row.map(|_| n + 1));
    let n_rows: u64 = n_rows.map_err(text)?;
    expect(n_rows == JOBS, || format!("the results have {n_rows} rows"))
}

fn expect(is_true: bool, words: impl FnOnce() -> String) -> Result<(), String> {
    if is_true { Ok(()) } else { Err(words()) }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn text(error: impl ToString) -> String {
    error.to_string()
}
