//! Recent history from the end of a ledger: when submissions left, and how long tasks took.

use std::collections::HashMap;

use rusqlite::{Row, params};

use crate::model::history::{History, PastTask, TaskKind};
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::format;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::events::check_event;

/// Events read, from the last one back: some thousands of tasks, read in a moment.
const EVENTS_MAX: usize = 20_000;

/// Tasks returned, at most.
const TASKS_MAX: usize = 1000;

/// Returns the recent past of the run.
pub(super) fn history(database: &Database) -> Result<History, LedgerError> {
    let mut history = History::default();
    // Reading backwards meets the end of a task before its beginning.
    let mut ready_at: HashMap<i64, Timestamp> = HashMap::new();
    let mut took = vec![];
    let sql = format!("SELECT seq, job, at, kind, detail, sum FROM events ORDER BY seq DESC LIMIT {EVENTS_MAX}");
    database.each(&sql, (), |row| {
        if let Err(odd) = check_event(row) {
            return Ok(Err(database.damaged(odd)));
        }
        let (job, at) = (row.get(1)?, Timestamp::from_millis(row.get(2)?));
        match row.get_ref(3)?.as_str()? {
            "submit" => history.submitted_at.push(at),
            "ready" if took.len() < TASKS_MAX => drop(ready_at.insert(job, at)),
            "accepted" => took.extend(ready_at.remove(&job).map(|ready_at| (job, ready_at.since(at)))),
            _ => (),
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    took.truncate(TASKS_MAX);
    for (job, took) in took {
        history.tasks.extend(kind_of(database, job)?.map(|kind| PastTask { kind, took }));
    }
    history.submitted_at.reverse();
    history.tasks.reverse();
    Ok(history)
}

fn kind_of(database: &Database, job: i64) -> Result<Option<TaskKind>, LedgerError> {
    let mut kind = None;
    database.each("SELECT request FROM jobs WHERE row = ?1", params![job], |row: &Row<'_>| {
        kind = format::request_from(row.get_ref(0)?.as_str()?).map(|request| TaskKind::of(&request));
        Ok(Ok::<_, LedgerError>(()))
    })?;
    Ok(kind)
}
