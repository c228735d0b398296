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
pub fn history(database: &Database) -> Result<History, LedgerError> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::event::{EventKind, Stage};
    use crate::model::outcome::{Fault, FaultKind, TaskId, Url};
    use crate::model::phase::JobRecord;
    use crate::store::sqlite::tests::{all, event, file, ledger};
    use crate::store::{Ledger, RunReader};

    async fn record(ledger: &mut dyn Ledger, known: &JobRecord, life: Vec<(i64, EventKind)>) {
        let events: Vec<_> = life.into_iter().map(|(millis, kind)| event(known, millis, kind)).collect();
        ledger.record(events.into()).await.unwrap();
    }

    /// Goal: each duration is that of one task, whatever happened to its job before and after. Method: one job that loses a
    /// task and has to request links twice, and one that is still under way.
    #[tokio::test]
    async fn the_end_of_a_ledger_tells_how_long_tasks_took() {
        let folder = tempfile::tempdir().unwrap();
        let file = file(folder.path(), &["one", "two"]);
        assert_eq!(file.history().unwrap(), History::default());
        let jobs = all(&file);
        let mut ledger = ledger(file);
        ledger.load(10).await.unwrap();
        let task = |n: u8| EventKind::Accepted(TaskId(n.to_string()));
        let fault = |kind| Fault::new(kind, "");
        let links = || EventKind::Ready(vec![Url("https://x/1".into())]);
        let life = vec![
            (1000, EventKind::SubmitStarted),
            (1100, task(1)),
            (9000, EventKind::Setback(Stage::Task, fault(FaultKind::TaskLost))),
            (10_000, EventKind::SubmitStarted),
            (10_100, task(2)),
            (25_100, links()),
            (26_000, EventKind::Setback(Stage::Download, fault(FaultKind::Transient))),
            (28_000, links()),
        ];
        record(&mut *ledger, &jobs[0], life).await;
        record(&mut *ledger, &jobs[1], vec![(30_000, EventKind::SubmitStarted), (30_100, task(3))]).await;
        let kind = TaskKind { model: "a/b".into(), size: None };
        let history = History {
            tasks: vec![PastTask { kind, took: Duration::from_secs(15) }],
            submitted_at: [1000, 10_000, 30_000].map(Timestamp::from_millis).to_vec(),
        };
        assert_eq!(ledger.close().unwrap().history().unwrap(), history);
    }
}
