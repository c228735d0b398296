//! Tests of a full disk as `SQLite` reports it: explained, waited for, and without loss of recorded events.

use std::thread;
use std::time::Duration;

use super::tests::{all, event, file, store, writer};
use super::*;
use crate::model::event::EventKind;
use crate::model::outcome::TaskId;
use crate::model::phase::Phase;

/// Goal: a disk that is full for a moment costs nothing. Method: the file may not grow until another thread allows it. The
/// stored state must still be the fold of the events.
#[test]
fn a_disk_that_is_full_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["cat"])).unwrap();
    let jobs = journal.load(1).unwrap().jobs;
    let file = store(journal);
    // Rows that another connection deletes free space within the limit.
    file.database
        .connection
        .execute_batch("CREATE TABLE ballast (x); INSERT INTO ballast VALUES (zeroblob(400000))")
        .unwrap();
    let n_pages = file.database.connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap();
    file.database.connection.pragma_update(None, "max_page_count", n_pages).unwrap();
    let mut journal = writer(file).unwrap();
    assert_eq!(journal.load(1).unwrap().jobs, jobs);
    let other = rusqlite::Connection::open(folder.path().join("run.db")).unwrap();
    let freed = thread::spawn(move || {
        thread::sleep(Duration::from_millis(250));
        other.busy_timeout(Duration::from_secs(5)).unwrap();
        other.execute_batch("DELETE FROM ballast").unwrap();
    });
    let task = TaskId("t".repeat(100_000));
    journal
        .commit(&[event(&jobs[0], 1, EventKind::SubmitStarted), event(&jobs[0], 2, EventKind::Accepted(task.clone()))])
        .unwrap();
    freed.join().unwrap();
    let state = all(&store(journal))[0].state.clone();
    assert_eq!((state.phase, state.n_submits), (Phase::Running(task), 1));
}

/// Simulation of a full disk as `SQLite` reports it: the file may not grow any further.
#[test]
fn a_full_disk_is_told_in_words_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["cat"])).unwrap();
    let jobs = journal.load(1).unwrap().jobs;
    journal.commit(&[event(&jobs[0], 1, EventKind::SubmitStarted)]).unwrap();
    let file = store(journal);
    let n_pages = file.database.connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0)).unwrap();
    file.database.connection.pragma_update(None, "max_page_count", n_pages).unwrap();
    let mut journal = writer(file).unwrap();
    let jobs = journal.load(1).unwrap().jobs;
    let task = TaskId("t".repeat(100_000));
    let error = journal.commit(&[event(&jobs[0], 2, EventKind::Accepted(task))]).unwrap_err();
    assert!(matches!(error, LedgerError::Full { .. }) && error.to_string().contains("free some space"), "{error}");
    drop(journal);
    assert_eq!(all(&SqliteStore::open_for_reading(folder.path()).unwrap())[0].state.phase, Phase::Submitting);
}
