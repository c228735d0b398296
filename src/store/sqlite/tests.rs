//! Tests of the ledger on a real file: committed events are there, and only one process writes.

mod account;
mod flips;
mod imports;
mod names;
mod older;
mod reopen;
mod rollback;
mod totals;

use std::path::Path;
use std::time::Duration;

use std::sync::Arc;

use super::*;
use crate::model::event::{Event, Stage};
use crate::model::job::JobSpec;
use crate::model::outcome::{Fault, FaultKind, ImageFormat, Outcome, TaskId, Url};
use crate::model::phase::{JobState, Phase};
use crate::model::request::Request;
use crate::store::settings::WriteSettings;
use crate::store::sqlite::event_writer::EventWriter;
use crate::store::typed::Typed;
use crate::store::{Loaded, record};

pub fn draft(prompt: &str) -> JobSpec {
    let request = Request { prompt: prompt.into(), model: "a/b".into(), ..Request::default() };
    JobSpec { label: None, request, extras: vec![("note".into(), format!("about {prompt}"))] }
}

fn import(file: &mut SqliteStore, prompts: &[&str]) -> Imported {
    let drafts = prompts.iter().map(|prompt| Ok::<_, LedgerError>(draft(prompt)));
    file.import(&prompts.join("|"), &["note".into()], drafts).unwrap()
}

fn counted(n_new: u64, n_kept: u64, n_dropped: u64) -> Imported {
    Imported { n_new, n_kept, n_dropped }
}

pub fn file(out: &Path, prompts: &[&str]) -> SqliteStore {
    let mut file = SqliteStore::open(out, "simulator").unwrap();
    import(&mut file, prompts);
    file
}

pub fn writer(file: SqliteStore) -> Result<EventWriter, LedgerError> {
    EventWriter::new(file.database, JobScope::Unfinished)
}

pub fn store(writer: EventWriter) -> SqliteStore {
    SqliteStore { database: writer.into_database() }
}

pub fn ledger(file: SqliteStore) -> Box<dyn LedgerSession> {
    Box::new(file).start(JobScope::Unfinished).unwrap()
}

pub fn all(file: &dyn RunReader) -> Vec<JobRecord> {
    let mut all = vec![];
    let keep = |known| {
        all.push(known);
        Ok::<_, LedgerError>(())
    };
    file.for_each_job(JobSet::InManifest, keep).unwrap();
    all
}

/// Returns the index and the prompt of every job, in manifest order.
fn prompts(file: &SqliteStore) -> Vec<(u64, String)> {
    all(file).iter().map(|known| (known.job.index, known.job.request.prompt.clone())).collect()
}

pub fn event(known: &JobRecord, millis: i64, kind: EventKind) -> Event {
    Event { job: known.job.id, index: known.job.index, at: Timestamp::from_millis(millis), kind }
}

fn artifact(name: &str) -> Artifact {
    let file_name = format!("images/{name}.png");
    Artifact { file_name, sha256: [7; 32], bytes: 12_345, width: 64, height: 32, format: ImageFormat::Png }
}

/// Returns events of every kind, in an order that a job's life could have.
fn life() -> Vec<EventKind> {
    let fault = |kind| Fault::new(kind, "what happened: \"quoted\"\n二");
    vec![
        EventKind::SubmitStarted,
        EventKind::Setback(Stage::Submit, fault(FaultKind::Throttled { retry_after: Some(Duration::from_secs(3)) })),
        EventKind::SubmitStarted,
        EventKind::Setback(Stage::Submit, fault(FaultKind::InDoubt)),
        EventKind::SubmitStarted,
        EventKind::Accepted(TaskId("5075521".into())),
        EventKind::Setback(Stage::Poll, fault(FaultKind::Transient)),
        EventKind::Setback(Stage::Task, fault(FaultKind::TaskLost)),
        EventKind::SubmitStarted,
        EventKind::Accepted(TaskId("5075522".into())),
        EventKind::Ready(vec![Url("https://x/1".into()), Url("https://x/2".into())]),
        EventKind::Setback(Stage::Download, fault(FaultKind::BadOutput)),
        EventKind::Ready(vec![Url("https://x/3".into())]),
        EventKind::Finished(Outcome::Succeeded(vec![artifact("a"), artifact("b")])),
    ]
}

/// Goal: the columns of a job are the fold of its events, whatever has happened. Method: after every event, compare the stored
/// state with the fold, through a new reader.
#[test]
fn the_stored_state_is_the_fold_of_the_events() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["cat", "dog"])).unwrap();
    let loaded = journal.load(10).unwrap();
    let mut state = JobState::default();
    for (millis, kind) in (1000..).zip(life()) {
        journal.commit(&[event(&loaded.jobs[0], millis, kind.clone())]).unwrap();
        state.apply(Timestamp::from_millis(millis), &kind);
        let stored = all(&SqliteStore::open_for_reading(folder.path()).unwrap());
        assert_eq!(stored[0].state, state, "after {kind:?}");
        assert_eq!(stored[1].state, JobState::default(), "after {kind:?}");
    }
    let told: Vec<_> =
        store(journal).events(loaded.jobs[0].job.id).unwrap().into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(told[..13], life()[..13]);
}

#[test]
fn a_failed_job_keeps_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["cat", "dog", "cow"])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let moderated = Outcome::Failed(Fault::new(FaultKind::Moderated, "no"));
    let failed = Outcome::Failed(Fault::new(FaultKind::InvalidRequest, "bad size"));
    journal
        .commit(&[
            event(&jobs[0], 1, EventKind::Finished(moderated.clone())),
            event(&jobs[2], 1, EventKind::Finished(failed.clone())),
        ])
        .unwrap();
    let file = store(journal);
    let failures: Vec<_> = file.failures(10).unwrap().into_iter().map(|known| known.state.phase).collect();
    assert_eq!(failures, [Phase::Finished(moderated), Phase::Finished(failed)]);
    assert_eq!(
        file.counts().unwrap(),
        StatusCounts { n_pending: 1, n_moderated: 1, n_failed: 1, ..StatusCounts::default() }
    );
}

#[test]
fn counts_and_incidents_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["a", "b", "c", "d"])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let events: Vec<_> = (0..).zip(life()).map(|(millis, kind)| event(&jobs[0], millis, kind)).collect();
    journal.commit(&events).unwrap();
    journal.commit(&[event(&jobs[1], 1, EventKind::SubmitStarted)]).unwrap();
    let running = [EventKind::SubmitStarted, EventKind::Accepted(TaskId("t".into()))];
    journal.commit(&running.map(|kind| event(&jobs[2], 1, kind))).unwrap();
    let file = store(journal);
    let expected =
        StatusCounts { n_pending: 1, n_in_doubt: 1, n_running: 1, n_succeeded: 1, ..StatusCounts::default() };
    assert_eq!((file.counts().unwrap(), expected.n_jobs(), expected.n_unfinished()), (expected, 4, 3));
    assert_eq!(file.incidents().unwrap(), RunStats { n_submits: 6, n_in_doubt: 1, n_lost: 1, ..<_>::default() });
}

#[test]
fn unfinished_jobs_are_handed_out_first_and_each_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["a", "b", "c", "d", "e"])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let task = || EventKind::Accepted(TaskId("t".into()));
    journal.commit(&[event(&jobs[4], 1, EventKind::SubmitStarted), event(&jobs[4], 2, task())]).unwrap();
    journal.commit(&[event(&jobs[2], 3, EventKind::SubmitStarted)]).unwrap();
    let mut journal = writer(store(journal)).unwrap();
    let mut order = vec![];
    loop {
        let Loaded { jobs, more } = journal.load(2).unwrap();
        assert!(jobs.len() <= 2);
        order.extend(jobs.iter().map(|known| known.job.request.prompt.clone()));
        if !more {
            break;
        }
    }
    assert_eq!(order, ["c", "e", "a", "b", "d"]);
}

#[test]
fn a_job_that_moves_on_while_others_are_loaded_is_not_handed_out_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["a", "b"])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    journal.commit(&jobs.iter().map(|known| event(known, 1, EventKind::SubmitStarted)).collect::<Vec<_>>()).unwrap();
    let mut journal = writer(store(journal)).unwrap();
    let first = journal.load(1).unwrap().jobs;
    journal.commit(&[event(&first[0], 2, EventKind::Accepted(TaskId("t".into())))]).unwrap();
    let rest = journal.load(10).unwrap();
    assert_eq!(rest.jobs.len(), 1);
    assert_ne!(rest.jobs[0].job.id, first[0].job.id);
}

#[test]
fn an_event_of_a_job_that_is_not_under_way_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["a", "b"])).unwrap();
    let jobs = journal.load(1).unwrap().jobs;
    let stranger = Event { job: JobId::from_bytes([9; 10]), ..event(&jobs[0], 1, EventKind::SubmitStarted) };
    assert!(journal.commit(&[event(&jobs[0], 1, EventKind::SubmitStarted), stranger]).is_err());
    assert_eq!(store(journal).counts().unwrap().n_pending, 2);
}

#[test]
fn a_second_writer_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(folder.path(), "simulator").unwrap();
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains(&format!("process {} ", std::process::id())), "{words}");
    assert!(SqliteStore::open_for_reading(folder.path()).is_ok(), "readers are welcome");
    drop(first);
    assert!(SqliteStore::open(folder.path(), "simulator").is_ok());
}

#[test]
fn the_lock_of_a_dead_process_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run.lock"), "1").unwrap();
    assert!(SqliteStore::open(folder.path(), "simulator").is_ok());
}

#[test]
fn a_run_stays_with_its_provider() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path(), "simulator").unwrap());
    let words = SqliteStore::open(folder.path(), "modelscope https://x").unwrap_err().to_string();
    assert!(words.contains("simulator") && words.contains("modelscope https://x") && words.contains("-o"), "{words}");
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

#[tokio::test]
async fn the_thread_records_loads_and_gives_the_file_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = ledger(file(folder.path(), &["cat"]));
    let loaded = ledger.load(5).await.unwrap();
    let events: Arc<[Event]> = [event(&loaded.jobs[0], 1, EventKind::SubmitStarted)].into();
    let then = record(&mut *ledger, &events, "sent").await.unwrap();
    assert_eq!(then.into_inner(), "sent");
    assert_eq!(ledger.close().unwrap().counts().unwrap().n_in_doubt, 1);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = ledger(file(folder.path(), &["cat"]));
    let loaded = ledger.load(5).await.unwrap();
    let stranger = Event { job: JobId::from_bytes([9; 10]), ..event(&loaded.jobs[0], 1, EventKind::SubmitStarted) };
    assert!(record(&mut *ledger, &[stranger].into(), "sent").await.is_err());
}
