//! Lookup of the job that owns a task, among the tasks of all submissions that were ever accepted.

use rusqlite::params;

use crate::model::job::JobId;
use crate::model::outcome::TaskId;
use crate::store::TaskOwner;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::events::check_event;
use crate::store::sqlite::task_key::task_key;

/// Finds the acceptances of all tasks with the same key, and their jobs.
const OWNER_SQL: &str = "SELECT seq, job, at, kind, detail, sum, id, position FROM tasks CROSS JOIN events ON seq = event \
                         CROSS JOIN jobs ON row = job WHERE key = ?1 ORDER BY event";

/// Finds the job that owns this task; `None` if the ledger does not know the task. The task may be the job's last one or an
/// earlier one. The job may have left the manifest.
pub fn owner(database: &Database, task: &TaskId) -> Result<Option<TaskOwner>, LedgerError> {
    let mut owner = None;
    database.each(OWNER_SQL, params![task_key(&task.0)], |row| {
        let (detail, id, index): (String, _, Option<u64>) = (row.get(4)?, row.get(6)?, row.get(7)?);
        if let Err(odd) = check_event(row) {
            return Ok(Err(database.damaged(odd)));
        }
        if owner.is_none() && detail == task.0 {
            owner = Some(TaskOwner { job: JobId::from_bytes(id), index });
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    use crate::model::event::{EventKind, Stage};
    use crate::model::outcome::{Fault, FaultKind};
    use crate::store::sqlite::SqliteStore;
    use crate::store::sqlite::tests::{event, file, store, writer};
    use crate::store::typed::Typed;

    /// Goal: an id is found whatever happened to its task and its job. Method: a job that loses a task and gets another, a job
    /// that leaves the manifest, ids with one number.
    #[test]
    fn every_task_that_was_ever_accepted_has_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = writer(file(folder.path(), &["cat", "dog"])).unwrap();
        let jobs = journal.load(10).unwrap().jobs;
        let task = |id: &str| EventKind::Accepted(TaskId(id.into()));
        let lost = EventKind::Setback(Stage::Task, Fault::new(FaultKind::TaskLost, "gone"));
        let life = [EventKind::SubmitStarted, task("a-1000001"), lost, EventKind::SubmitStarted, task("odd id")];
        let events: Vec<_> = (1..).zip(life).map(|(at, kind)| event(&jobs[0], at, kind)).collect();
        journal.commit(&events).unwrap();
        journal.commit(&[event(&jobs[1], 9, EventKind::SubmitStarted), event(&jobs[1], 9, task("b-1000001"))]).unwrap();
        let mut file = store(journal);
        let found = |file: &SqliteStore, id: &str| owner(&file.database, &TaskId(id.into())).unwrap();
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
            assert_eq!(found(&file, id), expected, "{id:?}");
        }
        file.import("2", &[], std::iter::once(Ok::<_, LedgerError>(crate::store::sqlite::tests::draft("dog"))))
            .unwrap();
        assert_eq!(found(&file, "odd id"), Some(TaskOwner { job: jobs[0].job.id, index: None }), "its job has left");
        assert_eq!(found(&file, "b-1000001").unwrap().index, Some(1), "its job has moved");
    }

    /// Goal: a query whose parameter changes costs no compilation. Method: `SQLite`'s own count of repeated compilations.
    #[test]
    fn the_query_for_the_owner_is_compiled_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["cat"]);
        for id in ["a-1000001", "a-1000002", "another", "a-2000003"] {
            assert_eq!(owner(&file.database, &TaskId(id.into())).unwrap(), None);
        }
        let statement = file.database.connection.prepare_cached(OWNER_SQL).unwrap();
        assert_eq!(statement.get_status(StatementStatus::Run), 4, "it is the one that was used");
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
