//! Tests of what only a ledger in a file can promise; the conformance suite has the rest.

mod flips;
mod older;
mod rollback;
mod totals;

use super::*;
use crate::model::event::Stage;
use crate::model::outcome::{Fault, FaultKind, Outcome, TaskId, Url};
use crate::model::phase::Phase;
use crate::store::conformance::life;
pub(in crate::store) use crate::store::conformance::{all, artifact, draft, event};
use crate::store::import::ManifestFacts;
use crate::store::sqlite::event_writer::EventWriter;
use crate::store::typed::Typed;

fn import(file: &mut SqliteStore, prompts: &[&str]) -> Imported {
    let drafts = prompts.iter().map(|prompt| Ok::<_, LedgerError>(draft(prompt)));
    file.import(
        &ManifestFacts { fingerprint: &prompts.join("|"), columns: &["note".into()], ..ManifestFacts::default() },
        drafts,
    )
    .unwrap()
}

pub(super) fn file(out: &Path, prompts: &[&str]) -> SqliteStore {
    let mut file = SqliteStore::open(out, "simulator").unwrap();
    import(&mut file, prompts);
    file
}

pub(super) fn writer(file: SqliteStore) -> Result<EventWriter, LedgerError> {
    EventWriter::new(file.database, JobScope::Unfinished)
}

pub(super) fn store(writer: EventWriter) -> SqliteStore {
    SqliteStore { database: writer.into_database() }
}

#[test]
fn the_lock_of_a_dead_process_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.lock"), "1").unwrap();
    assert!(SqliteStore::open(folder.path(), "simulator").is_ok());
}

#[test]
fn the_name_of_the_provider_is_in_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteStore::open(folder.path(), "modelscope https://x").unwrap();
    let recorded = file.database.meta("provider_name").unwrap();
    assert_eq!((recorded, file.provider_name().unwrap()), (Some("modelscope".to_owned()), "modelscope".to_owned()));
}

#[test]
fn what_is_not_a_ledger_is_left_alone() {
    for content in
        [&b"hello, this is some text that is long enough to be looked at as a header ........"[..], &[0; 4096]]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        std::fs::write(&path, content).unwrap();
        assert!(SqliteStore::open(folder.path(), "simulator").is_err());
        assert!(SqliteStore::open_for_reading(folder.path()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), content, "not a byte is changed");
    }
}

#[test]
fn the_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let other = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(other);
    assert!(matches!(SqliteStore::open(folder.path(), "simulator"), Err(LedgerError::Foreign { .. })));
}

/// Goal: a log is a part of its file. Method: the files of a run and of another program, as a killed process leaves them.
#[test]
fn a_log_that_is_not_ours_or_alone_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (db, wal) = (folder.path().join("run.db"), folder.path().join("run.db-wal"));
    let their_file = folder.path().join("theirs");
    let theirs = rusqlite::Connection::open(&their_file).unwrap();
    theirs.pragma_update(None, "journal_mode", "wal").unwrap();
    theirs.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    let whole = std::fs::read(&their_file).unwrap();
    let log = std::fs::read(folder.path().join("theirs-wal")).unwrap();
    for (content, is_foreign) in [(&whole[..], true), (b"", false), (b"SQLite", false)] {
        std::fs::write(&db, content).unwrap();
        std::fs::write(&wal, &log).unwrap();
        for refused in [SqliteStore::open(folder.path(), "simulator"), SqliteStore::open_for_reading(folder.path())] {
            let error = refused.unwrap_err();
            assert_eq!(matches!(error, LedgerError::Foreign { .. }), is_foreign, "{error}");
            assert!(is_foreign || matches!(error, LedgerError::Damaged { .. }), "{error}");
            assert!(std::fs::read(&db).unwrap() == content && std::fs::read(&wal).unwrap() == log, "{error}");
        }
    }
}

#[test]
fn a_lock_file_is_believed_in_nothing_but_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let _held = file(folder.path(), &["cat"]);
    std::fs::write(folder.path().join("run.lock"), "\x1b[2J".repeat(1 << 20)).unwrap();
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains("process (unknown) is running") && words.len() < 500, "{words}");
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(file(folder.path(), &["cat"]));
    let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains("version 99") && words.contains("newer promptbatch"), "{words}");
}

#[test]
fn a_damaged_row_is_told_and_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    drop(file(folder.path(), &["cat"]));
    let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    raw.execute("UPDATE jobs SET request = '{}'", ()).unwrap();
    drop(raw);
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains("job 1 (row 1): its request, or its position"), "{words}");
    let mut n_known = 0;
    let read = SqliteStore::open_for_reading(folder.path()).unwrap().for_each_job(JobSet::InManifest, |_| {
        n_known += 1;
        Ok::<_, LedgerError>(())
    });
    let words = read.unwrap_err().to_string();
    assert!(n_known == 0 && words.contains("job 1 (row 1): its request (id"), "{words}");
}

#[test]
fn a_folder_without_a_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let words = SqliteStore::open_for_reading(folder.path()).unwrap_err().to_string();
    assert!(words.contains("no run.db"), "{words}");
    assert!(!folder.path().join("run.db").exists(), "looking creates nothing");
}

#[test]
fn every_commit_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), &["cat"]);
    let pragma = |name| {
        file.database.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
    };
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2), "2 is FULL");
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
}

#[test]
fn the_overview_reads_with_any_tool() {
    let folder = tempfile::tempdir().unwrap();
    drop(file(folder.path(), &["cat"]));
    let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    let row: (i64, String, String) = raw
        .query_row("SELECT position, status, prompt FROM overview", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(row, (1, "pending".into(), "cat".into()));
}

/// Goal: whoever looks at a run in its first moment sees no file, or the run. Method: a thread looks all the time while ledgers
/// are made.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_ledger_is_never_seen_half_made() {
    for _ in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let is_made = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_made.load(std::sync::atomic::Ordering::Acquire) {
                    let is_there = folder.path().join("run.db").exists();
                    if let Err(error) = SqliteStore::open_for_reading(folder.path()) {
                        assert!(matches!(error, LedgerError::Missing { .. }) && !is_there, "{error}");
                    }
                }
            });
            drop(SqliteStore::open(folder.path(), "simulator").unwrap());
            is_made.store(true, std::sync::atomic::Ordering::Release);
        });
    }
}

/// Goal: the files of a process that was killed while it created its ledger are discarded.
/// Method: each such file, from this version and from earlier ones, with content that would spoil a ledger.
#[test]
fn what_is_left_of_a_ledger_that_was_never_whole_is_discarded() {
    let spoiled = tempfile::tempdir().unwrap();
    drop(file(spoiled.path(), &["cat"]));
    let other = std::fs::read(spoiled.path().join("run.db")).unwrap();
    let left: [&[&str]; 6] = [
        &[".run.db.new"],
        &[".run.db.new", ".run.db.new-journal", ".run.db.new-wal", ".run.db.new-shm"],
        &["run.db-journal"],
        &["run.db-shm"],
        &["run.db-journal", "run.db-shm", ".run.db.new"],
        &[],
    ];
    for (left, is_empty) in left.into_iter().flat_map(|left| [(left, false), (left, true)]) {
        let folder = tempfile::tempdir().unwrap();
        for name in left {
            std::fs::write(folder.path().join(name), &other).unwrap();
        }
        if is_empty {
            std::fs::write(folder.path().join("run.db"), "").unwrap();
        }
        let store = SqliteStore::open(folder.path(), "simulator").unwrap();
        assert_eq!(
            (store.provider().unwrap().as_str(), store.counts().unwrap()),
            ("simulator", StatusCounts::default()),
            "{left:?}"
        );
        store.check_whole().unwrap();
        drop(store);
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let names: std::collections::BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        assert_eq!(names, ["run.db", "run.lock", "run.mark"].map(str::to_owned).into(), "{left:?}");
    }
}

/// Goal: a ledger that an earlier version began, and an empty database, are completed. Method: a database without tables.
#[test]
fn an_empty_database_becomes_a_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let raw = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    raw.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(raw);
    assert!(matches!(SqliteStore::open_for_reading(folder.path()), Err(LedgerError::Missing { .. })));
    let store = SqliteStore::open(folder.path(), "simulator").unwrap();
    assert_eq!(store.provider().unwrap(), "simulator");
    store.check_whole().unwrap();
}
