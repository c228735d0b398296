//! Lookup of the job that owns a task, among the tasks of all submissions that were ever accepted.
//!
//! Tasks are indexed by a number derived from the task id.

use rusqlite::{Row, params};

use crate::model::job::JobId;
use crate::model::outcome::TaskId;
use crate::store::TaskOwner;
use crate::store::error::LedgerError;
use crate::store::sqlite::{SqliteStore, checksum};

/// Digits at the end of a task id that are enough to distinguish it.
const DIGITS_MIN: usize = 6;

/// Digits that always fit into a 64-bit integer.
const DIGITS_MAX: usize = 18;

/// Returns the number under which a task id is indexed. Several ids may share it, so the text decides.
///
/// Most providers count their tasks. The number at the end of such an id keeps neighbours together in the index. A commit then
/// writes few of its pages. A hash would scatter them over all of it.
pub fn key(task: &str) -> i64 {
    let n_digits = task.bytes().rev().take_while(u8::is_ascii_digit).count();
    if n_digits >= DIGITS_MIN {
        let digits = &task[task.len() - n_digits.min(DIGITS_MAX)..];
        if let Ok(number) = digits.parse() {
            return number;
        }
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(task.as_bytes()).as_bytes()[..8]);
    i64::from_le_bytes(bytes)
}

/// Finds the acceptances of all tasks with the same key, and their jobs.
const OWNER_SQL: &str = "SELECT seq, job, at, kind, detail, sum, id, position FROM tasks CROSS JOIN events ON seq = event \
                         CROSS JOIN jobs ON row = job WHERE key = ?1 ORDER BY event";

impl SqliteStore {
    /// Finds the job that owns this task; `None` if the ledger does not know the task. The task may be the job's last one or an
    /// earlier one. The job may have left the manifest.
    pub fn owner(&self, task: &TaskId) -> Result<Option<TaskOwner>, LedgerError> {
        let mut owner = None;
        self.each(OWNER_SQL, params![key(&task.0)], |row| {
            let (detail, id, index): (String, _, Option<u64>) = (row.get(4)?, row.get(6)?, row.get(7)?);
            if let Err(odd) = check_event(row) {
                return Ok(Err(self.damaged(odd)));
            }
            if owner.is_none() && detail == task.0 {
                owner = Some(TaskOwner { job: JobId::from_bytes(id), index });
            }
            Ok(Ok::<_, LedgerError>(()))
        })?;
        Ok(owner)
    }
}

/// Checks a row that begins with `seq, job, at, kind, detail, sum` of `events` against its checksum. The error names the event.
pub(super) fn check_event(row: &Row<'_>) -> Result<(), String> {
    let is_whole = || {
        let values = [row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?, row.get_ref(3)?, row.get_ref(4)?];
        Ok::<_, rusqlite::Error>(row.get::<_, i64>(5)? == checksum::of_row("event", values))
    };
    if is_whole().unwrap_or(false) {
        return Ok(());
    }
    let number = |column| row.get::<_, i64>(column).unwrap_or(0);
    Err(format!("event {} (of the job in row {}) does not match its checksum", number(0), number(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    use crate::model::event::{EventKind, Stage};
    use crate::model::outcome::{Fault, FaultKind};
    use crate::store::sqlite::journal::EventWriter;
    use crate::store::sqlite::tests::{event, file};

    #[test]
    fn ids_that_are_counted_keep_their_order_and_others_are_spread() {
        let numbers = ["5075521", "5075522", "task-5075523", "a/5075524"].map(key);
        assert_eq!(numbers, [5_075_521, 5_075_522, 5_075_523, 5_075_524]);
        for id in ["", "12345", "abc", "猫", "0f8fad5b-d9cb-469f-a165-70867728950e", "x-1"] {
            assert!(!(0..1_000_000).contains(&key(id)), "{id}");
            assert_eq!(key(id), key(id));
        }
        assert_eq!(key("99999999999999999999000000000000000042"), 42, "the last digits, as many as fit");
        assert_ne!(key("abc"), key("abd"));
    }

    /// Goal: an id is found whatever happened to its task and its job. Method: a job that loses a task and gets another, a job
    /// that leaves the manifest, ids with one number.
    #[test]
    fn every_task_that_was_ever_accepted_has_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = EventWriter::new(file(folder.path(), &["cat", "dog"])).unwrap();
        let jobs = journal.load(10).unwrap().jobs;
        let task = |id: &str| EventKind::Accepted(TaskId(id.into()));
        let lost = EventKind::Setback(Stage::Task, Fault::new(FaultKind::TaskLost, "gone"));
        let life = [EventKind::SubmitStarted, task("a-1000001"), lost, EventKind::SubmitStarted, task("odd id")];
        let events: Vec<_> = (1..).zip(life).map(|(at, kind)| event(&jobs[0], at, kind)).collect();
        journal.commit(&events).unwrap();
        journal.commit(&[event(&jobs[1], 9, EventKind::SubmitStarted), event(&jobs[1], 9, task("b-1000001"))]).unwrap();
        let mut file = journal.into_file();
        let owner = |file: &SqliteStore, id: &str| file.owner(&TaskId(id.into())).unwrap();
        let of = |n: usize| Some(TaskOwner { job: jobs[n].job.id, index: Some(jobs[n].job.index) });
        for (id, expected) in [
            ("a-1000001", of(0)),
            ("odd id", of(0)),
            ("b-1000001", of(1)),
            ("c-1000001", None),
            ("1000001", None),
            ("1000002", None),
            ("odd ID", None),
            ("", None),
        ] {
            assert_eq!(owner(&file, id), expected, "{id:?}");
        }
        file.import("2", &[], std::iter::once(Ok::<_, LedgerError>(crate::store::sqlite::tests::draft("dog"))))
            .unwrap();
        assert_eq!(owner(&file, "odd id"), Some(TaskOwner { job: jobs[0].job.id, index: None }), "its job has left");
        assert_eq!(owner(&file, "b-1000001").unwrap().index, Some(1), "its job has moved");
    }

    /// Goal: a query whose parameter changes costs no compilation. Method: `SQLite`'s own count of repeated compilations.
    #[test]
    fn the_query_for_the_owner_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["cat"]);
        for id in ["a-1000001", "a-1000002", "another", "a-2000003"] {
            assert_eq!(file.owner(&TaskId(id.into())).unwrap(), None);
        }
        let statement = file.connection.prepare_cached(OWNER_SQL).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 4, "it is the one that was used");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
