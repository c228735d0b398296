//! Tests of refusals: foreign files, lost and damaged ledgers, links, and files swapped during a live run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::tests::{self, event, file, store, writer};
use super::*;
use crate::model::event::EventKind;
use crate::model::outcome::TaskId;
use crate::store::import::ManifestFacts;
use crate::store::typed::Typed;

/// Returns every file in a folder, except what reading a ledger leaves there: the lock, an index, an empty log.
fn files(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let files = entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()));
    let is_left = |name: &str, bytes: &[u8]| match name {
        "run.lock" | "run.db-shm" => true,
        "run.db-wal" => bytes.is_empty(),
        _ => false,
    };
    files.filter(|(name, bytes)| !is_left(name, bytes)).collect()
}

/// Opens a ledger that must be refused, for writing and for reading, and checks that this changes nothing.
#[track_caller]
fn refused(out: &Path) -> LedgerError {
    let before = files(out);
    let error = SqliteStore::open(out, "simulator").unwrap_err();
    let _ = SqliteStore::open_for_reading(out);
    let _ = SqliteStore::open(out, "simulator").unwrap_err();
    assert!(files(out) == before, "a refused file was changed: {error}");
    error
}

/// Creates a ledger of a few jobs, properly closed.
fn closed(prompts: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    drop(file(folder.path(), prompts));
    folder
}

/// Creates a ledger as a killed process leaves it: a part of it is still in the log.
fn killed(prompts: &[&str]) -> TempDir {
    let (live, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = file(live.path(), prompts);
    for name in ["run.db", "run.db-wal", "run.lock"] {
        fs::copy(live.path().join(name), folder.path().join(name)).unwrap();
    }
    drop(file);
    assert!(fs::metadata(folder.path().join("run.db-wal")).unwrap().len() > 0);
    folder
}

fn set_version(out: &Path, version: i64) {
    let raw = rusqlite::Connection::open(out.join("run.db")).unwrap();
    raw.pragma_update(None, "user_version", version).unwrap();
}

#[test]
fn what_is_no_ledger_is_refused_untouched() {
    let garbage: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut header = fs::read(closed(&["cat"]).path().join("run.db")).unwrap();
    header[..64].copy_from_slice(&garbage[..64]);
    for bytes in [garbage, header, b"SQLite format 3\0".repeat(100), b"x".to_vec(), vec![0; 8192]] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.db"), bytes).unwrap();
        let words = refused(folder.path()).to_string();
        assert!(words.contains("not a promptbatch ledger") || words.contains("damaged"), "{words}");
        assert!(words.contains("another output folder (-o)"), "{words}");
    }
}

#[test]
fn another_programs_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    raw.execute_batch("CREATE TABLE precious (x); INSERT INTO precious VALUES (1)").unwrap();
    drop(raw);
    assert!(matches!(refused(folder.path()), LedgerError::Foreign { .. }));
}

/// Goal: a newer program's ledger stays unchanged, even if its last records are still in the log.
#[test]
fn a_newer_ledger_is_refused_untouched() {
    for folder in [closed(&["cat"]), killed(&["cat"])] {
        set_version(folder.path(), 99);
        let error = refused(folder.path());
        assert!(matches!(error, LedgerError::Newer { found: 99, .. }), "{error}");
        assert!(error.to_string().contains("use a newer promptbatch"), "{error}");
    }
}

#[test]
fn a_newer_ledger_of_a_killed_process_keeps_what_is_beside_it() {
    let (live, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = file(live.path(), &["cat"]);
    file.database.connection.pragma_update(None, "user_version", 99).unwrap();
    for name in ["run.db", "run.db-wal"] {
        fs::copy(live.path().join(name), folder.path().join(name)).unwrap();
    }
    assert!(matches!(refused(folder.path()), LedgerError::Newer { .. }));
    assert!(fs::metadata(folder.path().join("run.db-wal")).unwrap().len() > 0);
}

#[test]
fn a_truncated_ledger_is_refused_untouched() {
    let whole = fs::read(closed(&["cat", "dog"]).path().join("run.db")).unwrap();
    for n in [1, 50, 99, 100, 512, 4095, 4096, 4097, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.db"), &whole[..n]).unwrap();
        let words = refused(folder.path()).to_string();
        assert!(words.contains("damaged") || words.contains("not a promptbatch ledger"), "{n} bytes: {words}");
    }
}

/// Goal: a damaged page is reported when it is read, and never hides jobs. Method: damage each page in turn.
#[test]
fn a_spoiled_page_is_told_when_it_is_met() {
    let many: Vec<String> = (0..300).map(|n| format!("a cat, number {n}, that sits on a mat")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let whole = fs::read(closed(&many).path().join("run.db")).unwrap();
    let mut n_told = 0;
    for page in 1..whole.len() / 4096 {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(folder.path().join("run.db"), &bytes).unwrap();
        let go = || {
            let mut journal = writer(SqliteStore::open(folder.path(), "simulator")?).unwrap();
            let n = journal.load(1000)?.jobs.len();
            let mut file = store(journal);
            let drafts = many.iter().map(|prompt| Ok::<_, LedgerError>(tests::draft(prompt)));
            Ok::<_, LedgerError>((
                n,
                file.import(&ManifestFacts { fingerprint: "again", ..ManifestFacts::default() }, drafts)?,
            ))
        };
        match go() {
            Ok((n, imported)) => assert_eq!((n, imported.n_new), (many.len(), 0), "page {page}"),
            Err(error) => {
                assert!(error.to_string().contains("damaged"), "page {page}: {error}");
                n_told += 1;
                assert_eq!(fs::read(folder.path().join("run.db")).unwrap(), bytes, "page {page}");
            }
        }
    }
    assert!(n_told > 20, "only {n_told} spoiled pages were met");
}

/// Goal: no job is paid for again because a ledger was lost in a copy or a repair.
#[test]
fn an_empty_ledger_beside_images_is_refused_and_a_fresh_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.db"), "").unwrap();
    drop(file(folder.path(), &["cat"]));
    fs::create_dir(folder.path().join("images")).unwrap();
    drop(file(folder.path(), &["cat"]));
    fs::write(folder.path().join("run.db"), "").unwrap();
    let words = refused(folder.path()).to_string();
    assert!(words.contains("it is empty, and there are images beside it"), "{words}");
}

/// `SQLite` would discard the log of a missing ledger.
#[test]
fn the_records_of_a_ledger_that_was_moved_away_are_kept() {
    let folder = killed(&["cat"]);
    fs::remove_file(folder.path().join("run.db")).unwrap();
    let words = refused(folder.path()).to_string();
    assert!(words.contains("it is missing, and some of what it recorded"), "{words}");
    fs::write(folder.path().join("run.db"), "").unwrap();
    let words = refused(folder.path()).to_string();
    assert!(words.contains("it is empty, and some of what it recorded"), "{words}");
}

#[test]
fn what_is_no_file_is_refused() {
    for name in ["run.db", "run.lock", "run.db-wal"] {
        let folder = closed(&["cat"]);
        let _ = fs::remove_file(folder.path().join(name));
        fs::create_dir(folder.path().join(name)).unwrap();
        let error = refused(folder.path());
        assert!(matches!(error, LedgerError::Foreign { .. }), "{name}: {error}");
    }
}

#[test]
fn links_are_refused_and_not_followed() {
    for name in ["run.db", "run.lock", "run.db-wal", "run.db-shm", "run.db-journal"] {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path().join("target"), folder.path().join(name)).unwrap();
        let error = refused(folder.path());
        assert!(matches!(&error, LedgerError::Link { path } if path.ends_with(name)), "{name}: {error}");
        assert!(error.to_string().contains("make the whole output folder the link"), "{error}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{name} was followed");
    }
}

#[test]
fn the_output_folder_itself_may_be_a_link() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink("real", folder.path().join("out")).unwrap();
    drop(file(&folder.path().join("out"), &["cat"]));
    assert!(folder.path().join("real/run.db").exists());
}

#[test]
fn a_path_that_cannot_be_a_folder_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    for out in ["file", "file/out", "file/deep/out", "dangling"] {
        let words = SqliteStore::open(&folder.path().join(out), "simulator").unwrap_err().to_string();
        assert!(
            words.starts_with("could not use ") && words.contains("move away the file or folder that is in the way"),
            "{out}: {words}"
        );
    }
}

#[test]
fn every_missing_folder_above_is_made() {
    let folder = tempfile::tempdir().unwrap();
    for out in ["a", "a/b/c/d", "x/../y", "a/b/"] {
        drop(file(&folder.path().join(out), &["cat"]));
        assert!(folder.path().join(out).join("run.db").exists(), "{out}");
    }
}

/// Goal: the living process holds the lock, not the file. Method: lock files of dead processes, of none and of other programs.
#[test]
fn a_stale_lock_is_no_obstacle() {
    for text in ["999999", "1", "", "not a number", "-1\n"] {
        let folder = closed(&["cat"]);
        fs::write(folder.path().join("run.lock"), text).unwrap();
        drop(SqliteStore::open(folder.path(), "simulator").unwrap());
    }
}

#[test]
fn a_live_process_is_named_and_its_lock_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let _live = file(folder.path(), &["cat"]);
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains(&format!("process {} is running this batch", std::process::id())), "{words}");
    assert_eq!(fs::read_to_string(folder.path().join("run.lock")).unwrap(), std::process::id().to_string());
}

/// Goal: only records that the next run will find count as recorded. Method: remove or replace each file in the middle of a
/// run.
#[test]
fn a_file_that_goes_in_the_middle_of_a_run_ends_it() {
    for name in ["", "run.db", "run.db-wal", "run.lock"] {
        for is_replaced in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (out, aside) = (folder.path().join("out"), folder.path().join("aside"));
            let mut journal = writer(file(&out, &["cat"])).unwrap();
            let jobs = journal.load(1).unwrap().jobs;
            journal.commit(&[event(&jobs[0], 1, EventKind::SubmitStarted)]).unwrap();
            let path = out.join(name);
            fs::rename(&path, &aside).unwrap();
            if is_replaced {
                if name.is_empty() { drop(file(&path, &["dog"])) } else { fs::copy(&aside, &path).map(drop).unwrap() }
            }
            let accepted = [event(&jobs[0], 2, EventKind::Accepted(TaskId("t".into())))];
            let error = journal.commit(&accepted).unwrap_err();
            assert!(matches!(error, LedgerError::Moved { .. }), "{name} {is_replaced}: {error}");
            assert!(error.to_string().contains("put it back, and run the same command again"), "{error}");
            let there = is_replaced.then(|| files(if name.is_empty() { &path } else { &out }));
            drop(journal);
            if let Some(there) = there {
                assert!(files(&out) == there, "{name}: what took its place was changed at the end");
            }
        }
    }
}
