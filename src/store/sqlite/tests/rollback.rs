//! Tests of ledgers that went back in time: detected, refused with a message, and resumed on request.
//!
//! After such a resume, everything that may have been paid for is in doubt.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::store::setting::Setting;
use crate::store::sqlite::watermark::{StoredWatermark, UNBOUNDED, find};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const PROMPTS: [&str; 4] = ["a", "b", "c", "d"];

/// Files of the ledger itself, without its lock and its watermark.
const FILES: [&str; 2] = ["run.db", "run.db-wal"];

fn accepting_older(out: &Path) -> Result<SqliteStore, LedgerError> {
    SqliteStore::open_with(out, OpenOptions { provider: Some("simulator"), accepts_older: Some(NOW) })
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        drop(fs::remove_file(to.join(name)));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

fn task(n: u64) -> EventKind {
    EventKind::Accepted(TaskId((5_000_000 + n).to_string()))
}

/// Runs a session that hands out all jobs and submits the first `n` pending ones, which are accepted.
fn session(out: &Path, n: usize) -> SqliteStore {
    let mut journal = writer(SqliteStore::open(out, "simulator").unwrap()).unwrap();
    let jobs = journal.load(100).unwrap().jobs;
    for known in jobs.iter().filter(|known| known.state.phase == Phase::Pending).take(n) {
        journal.commit(&[event(known, 1, EventKind::SubmitStarted)]).unwrap();
        journal.commit(&[event(known, 2, task(known.job.index))]).unwrap();
    }
    store(journal)
}

/// Creates a folder with two submitted jobs, and a copy of its ledger from the time when one was submitted.
fn two_and_a_copy_of_one() -> (TempDir, TempDir) {
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(file(folder.path(), &PROMPTS));
    drop(session(folder.path(), 1));
    copy(folder.path(), older.path(), &FILES);
    drop(session(folder.path(), 1));
    (folder, older)
}

fn statuses(file: &SqliteStore) -> Vec<&'static str> {
    all(file).iter().map(|known| known.state.status()).collect()
}

/// Opens the ledger in every way that writes, and returns the message of the refusal. Checks that nothing is changed.
#[track_caller]
fn refused(out: &Path) -> String {
    let bytes = |name| fs::read(out.join(name)).ok().filter(|bytes| !bytes.is_empty());
    let before = ["run.db", "run.mark"].map(bytes);
    let errors = [SqliteStore::open(out, "simulator"), SqliteStore::open_existing(out)].map(Result::unwrap_err);
    assert!(matches!(errors[0], LedgerError::Older { .. }), "{}", errors[0]);
    assert_eq!(["run.db", "run.mark"].map(bytes), before, "a refusal changes nothing");
    errors[0].to_string()
}

#[test]
fn an_older_copy_is_refused_and_accepted_on_request() {
    let (folder, older) = two_and_a_copy_of_one();
    copy(older.path(), folder.path(), &FILES);
    let words = refused(folder.path());
    assert!(words.contains("it ends with event 2, and 4 had been recorded"), "{words}");
    assert!(words.contains("--accept-older-ledger"), "{words}");
    let told = open::find_rollback(folder.path()).unwrap().map(|error| error.to_string());
    assert_eq!(told, Some(words), "those that only look are told the same");
    let file = accepting_older(folder.path()).unwrap();
    // Second job was paid for, and the others may have been: all had been handed out.
    assert_eq!(statuses(&file), ["running", "in_doubt", "in_doubt", "in_doubt"]);
    let known = &all(&file)[1];
    assert_eq!((known.state.n_submits, known.state.n_in_doubt, known.state.is_doubt_counted()), (1, 1, true));
    let RunStats { n_submits, n_in_doubt, .. } = file.incidents().unwrap();
    assert_eq!((n_submits, n_in_doubt), (4, 3), "a submission that may have happened counts as one");
    let cost = file.total_cost(&"2 USD".parse().unwrap()).unwrap().unwrap();
    let expected = Cost { sure: Amount::new(2.0), in_doubt: Amount::new(6.0), n_in_doubt: 3 };
    assert_eq!(cost, expected, "and may be paid for");
    file.check_whole().unwrap();
    drop(file);
    // Accepted ledger is from now on the ledger of this folder.
    assert!(open::find_rollback(folder.path()).unwrap().is_none());
    let file = SqliteStore::open(folder.path(), "simulator").unwrap();
    assert_eq!(statuses(&file), ["running", "in_doubt", "in_doubt", "in_doubt"]);
    drop(file);
    let file = accepting_older(folder.path()).unwrap();
    assert_eq!(file.incidents().unwrap().n_in_doubt, 3, "what is not older is not doubted");
}

/// Goal: a ledger with another history does not count as a newer one. Method: accept an older ledger and resume it. Then
/// restore the first one, which has fewer events by then. Then restore one with more events.
#[test]
fn a_ledger_that_went_another_way_is_refused() {
    let (folder, older) = two_and_a_copy_of_one();
    let first = tempfile::tempdir().unwrap();
    copy(folder.path(), first.path(), &FILES);
    copy(older.path(), folder.path(), &FILES);
    drop(accepting_older(folder.path()).unwrap());
    copy(first.path(), folder.path(), &FILES);
    let words = refused(folder.path());
    assert!(words.contains("it ends with event 4, and 8 had been recorded"), "{words}");
    // Ledger with as many events as the accepted one, but with different ones.
    drop(fs::remove_file(first.path().join("run.mark")));
    drop(session(first.path(), 2));
    copy(first.path(), folder.path(), &FILES);
    let words = refused(folder.path());
    assert!(words.contains("its event 8 differs from the one that had been recorded"), "{words}");
}

/// Goal: the log is a part of the ledger. Method: the files of a killed process without the log, and with the log cut at every
/// frame.
#[test]
fn a_log_that_is_lost_or_cut_is_noticed() {
    let live = tempfile::tempdir().unwrap();
    drop(file(live.path(), &PROMPTS));
    let held = session(live.path(), 2);
    let (killed, names) = (tempfile::tempdir().unwrap(), ["run.db", "run.db-wal", "run.mark"]);
    copy(live.path(), killed.path(), &names);
    drop(held);
    let log = fs::read(killed.path().join("run.db-wal")).unwrap();
    let mut n_refused = 0;
    for n in (0..log.len()).step_by(2048).chain([log.len()]) {
        let folder = tempfile::tempdir().unwrap();
        copy(killed.path(), folder.path(), &names);
        fs::write(folder.path().join("run.db-wal"), &log[..n]).unwrap();
        match SqliteStore::open(folder.path(), "simulator") {
            Ok(file) => assert_eq!(statuses(&file), ["running", "running", "pending", "pending"], "{n} bytes"),
            Err(error) => {
                assert!(matches!(error, LedgerError::Older { .. }), "{n} bytes: {error}");
                n_refused += 1;
            }
        }
    }
    assert!(n_refused > 3, "{n_refused}");
    let folder = tempfile::tempdir().unwrap();
    copy(killed.path(), folder.path(), &["run.db", "run.mark"]);
    refused(folder.path());
}

#[test]
fn a_ledger_that_is_missing_and_the_ledger_of_another_run_are_refused() {
    let (folder, _) = two_and_a_copy_of_one();
    let other = tempfile::tempdir().unwrap();
    drop(file(other.path(), &PROMPTS));
    drop(session(other.path(), 4));
    copy(other.path(), folder.path(), &FILES);
    let words = refused(folder.path());
    assert!(words.contains("it is the ledger of another run"), "{words}");
    fs::remove_file(folder.path().join("run.db")).unwrap();
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains("it is missing, and 4 events had been recorded"), "{words}");
    assert!(!folder.path().join("run.db").exists(), "none is made in its place");
    fs::write(folder.path().join("run.db"), "").unwrap();
    let words = SqliteStore::open(folder.path(), "simulator").unwrap_err().to_string();
    assert!(words.contains("it is missing, and 4 events had been recorded"), "{words}");
}

/// Goal: jobs that the older ledger does not know are in doubt too. Method: a ledger that is lost completely, and a manifest
/// after it. Then an edited manifest, whose additional jobs were never submitted.
#[test]
fn jobs_that_are_new_to_an_older_ledger_are_in_doubt_once() {
    let (folder, _) = two_and_a_copy_of_one();
    for name in FILES {
        drop(fs::remove_file(folder.path().join(name)));
    }
    let mut file = accepting_older(folder.path()).unwrap();
    import(&mut file, &PROMPTS);
    assert_eq!(statuses(&file), ["in_doubt"; 4]);
    assert_eq!(file.incidents().unwrap().n_submits, 4);
    let StoredWatermark::Mark(mark, _) = find(folder.path()).unwrap() else { panic!("there is one") };
    assert_eq!(mark.n_submits, 4);
    import(&mut file, &["a", "b", "c", "d", "e"]);
    assert_eq!(statuses(&file), ["in_doubt", "in_doubt", "in_doubt", "in_doubt", "pending"]);
    file.check_whole().unwrap();
    drop(file);
    assert!(SqliteStore::open(folder.path(), "simulator").is_ok());
}

/// Goal: jobs that were never handed out are not in doubt. Method: more jobs than one reservation, of which a few are handed
/// out.
#[test]
fn jobs_far_behind_those_that_were_handed_out_are_not_in_doubt() {
    let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let prompts: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    drop(file(folder.path(), &prompts));
    copy(folder.path(), older.path(), &FILES);
    drop(session(folder.path(), 1));
    copy(older.path(), folder.path(), &FILES);
    let file = accepting_older(folder.path()).unwrap();
    let StatusCounts { n_pending, n_in_doubt, .. } = file.counts().unwrap();
    assert_eq!(
        (n_in_doubt, n_pending),
        (4196, 804),
        "the hundred that were handed out, and what is reserved behind them"
    );
}

/// Positions bound nothing if jobs were handed out in another order.
#[test]
fn without_an_order_every_pending_job_is_in_doubt() {
    for is_shuffled in [false, true] {
        let (folder, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        drop(file(folder.path(), &PROMPTS));
        copy(folder.path(), older.path(), &FILES);
        let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
        if is_shuffled {
            file.set_setting(Setting::ShuffleSeed, "1").unwrap();
        } else {
            import(&mut file, &["d", "a", "b", "c"]);
        }
        drop(file);
        drop(session(folder.path(), 1));
        let StoredWatermark::Mark(mark, _) = find(folder.path()).unwrap() else { panic!("there is one") };
        assert_eq!(mark.handed_out, UNBOUNDED);
        copy(older.path(), folder.path(), &FILES);
        let file = accepting_older(folder.path()).unwrap();
        assert_eq!(statuses(&file), ["in_doubt"; 4]);
    }
}

#[test]
fn a_folder_that_is_copied_or_moved_as_a_whole_is_gone_on_with() {
    let (folder, _) = two_and_a_copy_of_one();
    let elsewhere = tempfile::tempdir().unwrap();
    copy(folder.path(), elsewhere.path(), &["run.db", "run.db-wal", "run.lock", "run.mark"]);
    drop(session(elsewhere.path(), 1));
    fs::rename(elsewhere.path(), folder.path().join("moved")).unwrap();
    drop(session(&folder.path().join("moved"), 1));
    drop(session(folder.path(), 1));
}

/// Runs of an earlier version have no watermark, and a watermark may be deleted. The ledger is trusted and gets one.
#[test]
fn without_a_mark_a_ledger_is_believed_and_gets_one() {
    let (folder, older) = two_and_a_copy_of_one();
    copy(older.path(), folder.path(), &FILES);
    fs::remove_file(folder.path().join("run.mark")).unwrap();
    drop(SqliteStore::open(folder.path(), "simulator").unwrap());
    let StoredWatermark::Mark(mark, _) = find(folder.path()).unwrap() else { panic!("there is one") };
    assert_eq!((mark.seq, mark.n_submits, mark.handed_out), (2, 1, UNBOUNDED));
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ledgers/v3.db");
    let older = tempfile::tempdir().unwrap();
    fs::copy(kept, older.path().join("run.db")).unwrap();
    drop(SqliteStore::open_existing(older.path()).unwrap());
    fs::copy(kept, older.path().join("run.db")).unwrap();
    let words = SqliteStore::open_existing(older.path()).unwrap_err().to_string();
    assert!(words.contains("it is version 3, and a later version had already continued it"), "{words}");
}

/// Goal: a process that dies at any moment leaves a ledger that can be resumed. Method: copies of the files before and after
/// each commit. They cover every combination that a death between commit and watermark can leave: an older watermark with a
/// newer ledger.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_death_between_commit_and_mark_is_no_step_back() {
    let folder = tempfile::tempdir().unwrap();
    drop(file(folder.path(), &PROMPTS));
    let mut journal = writer(SqliteStore::open(folder.path(), "simulator").unwrap()).unwrap();
    let jobs = journal.load(100).unwrap().jobs;
    let mut marks = vec![fs::read(folder.path().join("run.mark")).unwrap()];
    let dead = tempfile::tempdir().unwrap();
    for (n, kind) in life().into_iter().enumerate() {
        journal.commit(&[event(&jobs[0], 1, kind)]).unwrap();
        for mark in &marks {
            copy(folder.path(), dead.path(), &FILES);
            fs::write(dead.path().join("run.mark"), mark).unwrap();
            drop(
                SqliteStore::open(dead.path(), "simulator").unwrap_or_else(|error| panic!("after event {n}: {error}")),
            );
        }
        marks.push(fs::read(folder.path().join("run.mark")).unwrap());
    }
}
