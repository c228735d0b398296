//! Adoption of events that another ledger recorded, for jobs that have none here.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;

use crate::model::event::Event;
use crate::model::job::JobId;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::record::{self, CommitResult, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS};

/// Records the events of the jobs that are in the ledger and have no events, in one transaction. Returns the number of such jobs.
pub(super) fn adopt(database: &mut Database, events: &[Event]) -> Result<u64, LedgerError> {
    let mut open = BTreeMap::new();
    for event in events {
        if !open.contains_key(&event.job)
            && let Some(job) = without_events(database, event.job)?
        {
            open.insert(event.job, job);
        }
    }
    let written = record::write(&mut database.connection, &open, events);
    let CommitResult { last, n_submits, states: _ } = database.written(written)?;
    if let Some((seq, sum)) = last {
        database.advance(seq, sum, n_submits)?;
    }
    Ok(open.len() as u64)
}

/// Finds a job without events; `None` if it is not in the ledger, or has some.
fn without_events(database: &Database, id: JobId) -> Result<Option<OpenJob>, LedgerError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE id = ?1 AND phase = 0 AND NOT EXISTS (SELECT 1 FROM events WHERE job = jobs.row)"
    );
    let read = || database.connection.prepare_cached(&sql)?.query_row([id.bytes()], row::known).optional();
    match read().map_err(|error| database.error(error))? {
        None => Ok(None),
        Some(Err(odd)) => Err(database.damaged(odd)),
        Some(Ok((row, known))) => Ok(Some(OpenJob { row, state: known.state })),
    }
}
