//! Power loss test: the program's own writes, interrupted at every point, on a disk that drops unsynced data.
//!
//! A child process does two short runs under strace. Its trace is replayed on a model of a disk, and the power fails
//! after every single operation. The remaining state, in the worst case and in many intermediate ones, must open. It
//! must contain every acknowledged event, and every image that an event names. The run must be able to continue.

mod check;
mod disk;
mod session;
mod trace;

use std::collections::HashSet;
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use promptbatch::internals::store::SqliteStore;
use tempfile::TempDir;

use crate::check::Acked;
use crate::disk::{Disk, Fate, Image};
use crate::trace::Op;

/// Environment variable with the folder of the child. Unset in every other process.
const ROOT: &str = "PROMPTBATCH_TEST_CRASHFS_ROOT";

/// Environment variable that makes strace mandatory, as in CI.
const REQUIRED: &str = "PROMPTBATCH_TEST_STRACE_REQUIRED";

/// Number of random disk images after each operation, in addition to the two extremes.
const DRAWS: u64 = 6;

/// Environment variable with the session that the child performs.
const SESSION: &str = "PROMPTBATCH_TEST_CRASHFS_SESSION";

#[test]
#[ignore = "the process that the other tests trace"]
fn session() {
    let (Some(root), Ok(session)) = (env::var_os(ROOT), env::var(SESSION)) else { return };
    let root = Path::new(&root);
    match session.as_str() {
        "runs" => runtime().block_on(session::run(root)),
        "together" => runtime().block_on(session::save_together(root)),
        "present" => drop(SqliteStore::open_existing(&root.join(session::OUT)).unwrap()),
        other => panic!("no session is called {other}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Returns the operations of a session on a disk that held `held` at its start. `None` if processes cannot be traced.
fn traced(session: &str, held: &Image) -> Option<Vec<Op>> {
    let folder = scratch();
    let (root, log) = (folder.path().join("root"), folder.path().join("log"));
    std::fs::create_dir(&root).unwrap();
    check::write(held, &root);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-xx", "-s", "1000000", "-e", "signal=none", "-e"]);
    strace.arg(format!("trace={}", trace::CALLS)).arg("-o").arg(&log).arg(env::current_exe().unwrap());
    strace.args(["--exact", "session", "--ignored", "--test-threads=1"]).env(ROOT, &root).env(SESSION, session);
    match strace.stdout(Stdio::null()).status() {
        Ok(status) if status.success() => (),
        failed if env::var_os(REQUIRED).is_some() => panic!("strace is required here: {failed:?}"),
        failed => {
            eprintln!("SKIPPED: no process can be traced here, install strace to test power losses: {failed:?}");
            return None;
        }
    }
    Some(trace::read(&std::fs::read_to_string(&log).unwrap(), &root))
}

/// Returns the operations of the two runs on an empty disk.
fn runs() -> Option<Vec<Op>> {
    let ops = traced("runs", &Image::new())?;
    assert!(ops.len() > 200, "only {} operations were traced", ops.len());
    Some(ops)
}

/// Creates a folder in memory, if the system has one: these tests write thousands of small files.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Extent of a test: operations, disk images after them, and distinct images.
#[derive(Debug, Default)]
struct Tally {
    points: usize,
    images: usize,
    different: usize,
}

/// Replays the operations of the two runs, without the skipped syncs, and checks the state after each.
fn lose_power_everywhere(ops: &[Op], draws: u64, is_skipped: impl Fn(&Path, Acked) -> bool) -> Result<Tally, String> {
    lose_power(Disk::default(), ops, draws, is_skipped, check::check)
}

/// Replays these operations on a disk, without the skipped syncs. Loses power after each operation, and checks the
/// state.
fn lose_power(
    mut disk: Disk,
    ops: &[Op],
    draws: u64,
    is_skipped: impl Fn(&Path, Acked) -> bool,
    check: impl Fn(&Path, Acked) -> Result<(), String>,
) -> Result<Tally, String> {
    let (mut acked, mut tally) = (Acked::default(), Tally::default());
    let mut seen = HashSet::new();
    for (n, op) in ops.iter().enumerate() {
        match op {
            Op::Write { path, bytes, .. } if path == Path::new(session::ACKS) => {
                acked.add(std::str::from_utf8(bytes).unwrap());
            }
            Op::Create(path) | Op::Truncate(path, _) if path == Path::new(session::ACKS) => continue,
            Op::Sync(path) if is_skipped(path, acked) => continue,
            op => disk.apply(op),
        }
        tally.points += 1;
        let draws = if disk.is_settled() { 0 } else { draws };
        let seeds = (0..draws).map(|draw| Fate::Drawn(n as u64 * 1000 + draw));
        for fate in [Fate::Lost, Fate::Kept].into_iter().chain(seeds) {
            let image = disk.crash(fate);
            tally.images += 1;
            if seen.insert(fingerprint(&image, acked)) {
                tally.different += 1;
                let folder = scratch();
                check::write(&image, folder.path());
                check(folder.path(), acked).map_err(|words| {
                    format!("power lost after operation {n} ({}), {fate:?}, {acked:?}: {words}", name(op))
                })?;
            }
        }
    }
    Ok(tally)
}

fn fingerprint(image: &Image, acked: Acked) -> u64 {
    let mut hasher = DefaultHasher::new();
    (image, format!("{acked:?}")).hash(&mut hasher);
    hasher.finish()
}

fn name(op: &Op) -> String {
    match op {
        Op::Write { path, at, bytes } => format!("write of {} bytes at {at} to {}", bytes.len(), path.display()),
        op => format!("{op:?}"),
    }
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_power_loss_at_any_point_loses_nothing_that_was_acknowledged() {
    let Some(ops) = runs() else { return };
    let began = Instant::now();
    let tally = lose_power_everywhere(&ops, DRAWS, |_, _| false).unwrap();
    println!("{tally:?} in {:.1} s", began.elapsed().as_secs_f64());
    assert!(tally.points > 200 && tally.different > 500, "{tally:?}");
}

#[test]
#[ignore = "minutes; for changes of the ledger, of the images or of SQLite"]
fn a_power_loss_at_any_point_loses_nothing_however_often_it_is_tried() {
    let Some(ops) = runs() else { return };
    println!("{:?}", lose_power_everywhere(&ops, DRAWS * 30, |_, _| false).unwrap());
}

/// Goal: the tests above can fail, and each sync of the program is needed.
///
/// Method: a disk that ignores the syncs of one file or folder. Ignoring those of the log after the import is what
/// `synchronous=normal` does.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn without_any_one_of_its_syncs_something_is_lost() {
    let Some(ops) = runs() else { return };
    let out = PathBuf::from(session::OUT);
    let in_out = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let names = ["run.db-wal", "run.db", "images", "images/00001", ".partial/*", ".results.csv.*"].map(in_out);
    for name in names.into_iter().chain(["", "out", session::OUT].map(str::to_owned)) {
        let is_skipped = |synced: &Path, acked: Acked| {
            let synced = synced.to_str().unwrap();
            let is_it = name.strip_suffix('*').map_or(synced == name, |begin| synced.starts_with(begin));
            is_it && (!name.ends_with("run.db-wal") || acked.imports > 0)
        };
        let lost = lose_power_everywhere(&ops, 2, is_skipped).expect_err(&name);
        println!("without the syncs of {name:?}: {lost}");
        let is_log = name.ends_with("run.db-wal");
        // The watermark may be on the disk already. It then reveals what is missing.
        let is_told = lost.ends_with("0 events are there, and 1 were said to be")
            || lost.contains("it ends with event 0, and 1 had been recorded");
        assert!(!is_log || is_told, "{lost}");
    }
}

/// Goal: images that share a sync are as safe as those with one sync each. Method: save many images at once, and lose
/// power after each operation. Then repeat on a disk that ignores the shared syncs, which must do harm.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_power_loss_while_images_share_a_sync_loses_none_that_was_saved() {
    let Some(ops) = traced("together", &Image::new()) else { return };
    let without: Vec<Op> = ops.iter().filter(|op| **op != Op::SyncAll).cloned().collect();
    assert!(without.len() < ops.len(), "no sync was shared");
    let tally = lose_power(Disk::default(), &ops, DRAWS, |_, _| false, check::check_saved).unwrap();
    println!("{tally:?}");
    assert!(tally.different > 100, "{tally:?}");
    for (words, ops, skipped) in [("of everything", &without, "none"), ("of the folder", &ops, "out/prompts/images")] {
        let is_skipped = |synced: &Path, _| synced == Path::new(skipped);
        let lost = lose_power(Disk::default(), ops, DRAWS, is_skipped, check::check_saved).expect_err(words);
        println!("without the syncs {words}: {lost}");
    }
}

/// Goal: the migration of an older ledger is atomic. Method: a stored ledger, and a power loss after each operation.
/// Then repeat on a disk that ignores the syncs of the file itself, which must do harm.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_power_loss_while_an_older_ledger_is_made_present_does_no_harm() {
    for name in ["v1.db", "v2.db"] {
        let older = std::fs::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ledgers")).join(name)).unwrap();
        let path = Path::new(session::OUT).join("run.db");
        let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        let mut held: Image = folders.map(|folder| (folder.to_owned(), None)).collect();
        held.insert(path.clone(), Some(older));

        let folder = scratch();
        check::write(&held, folder.path());
        let jobs = check::all(&SqliteStore::open_existing(&folder.path().join(session::OUT)).unwrap()).unwrap();
        assert!(!jobs.is_empty());

        let Some(ops) = traced("present", &held) else { return };
        let check = |root: &Path, _| check::check_made_present(root, &jobs);
        let tally = lose_power(Disk::holding(&held), &ops, DRAWS * 5, |_, _| false, check).unwrap();
        println!("{name}: {tally:?}");
        assert!(tally.different > 50, "{tally:?}");
        let lost = lose_power(Disk::holding(&held), &ops, DRAWS * 5, |synced, _| synced == path, check);
        println!("without the syncs of the file: {}", lost.unwrap_err());
    }
}
