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
pub(super) fn owner(database: &Database, task: &TaskId) -> Result<Option<TaskOwner>, LedgerError> {
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

    use crate::store::sqlite::tests::file;

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
