//! Record that finished jobs are made again, before anything is submitted for them.

use std::collections::BTreeMap;

use crate::model::event::{Event, Redo};
use crate::model::job::JobId;
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::selection::redoing;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::record::{self, CommitResult, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS};

/// Records that these jobs are made again, in one transaction, and returns the number of those that can be.
pub(super) fn redo(database: &mut Database, at: Timestamp, jobs: &[(JobId, Redo)]) -> Result<u64, LedgerError> {
    let mut open: BTreeMap<JobId, OpenJob> = BTreeMap::new();
    let mut events: Vec<Event> = Vec::new();
    for (id, redo) in jobs {
        if open.contains_key(id) {
            continue;
        }
        let Some((row, record)) = known(database, *id)? else { continue };
        let Some(event) = redoing(at, &record, redo) else { continue };
        events.push(event);
        open.insert(*id, OpenJob { row, state: record.state });
    }
    let written = record::write(&mut database.connection, &open, &events);
    let CommitResult { last, n_submits, states: _ } = database.written(written)?;
    if let Some((seq, sum)) = last {
        database.advance(seq, sum, n_submits)?;
    }
    Ok(events.len() as u64)
}

/// Returns the job with this id, and its row; `None` if there is no such job.
fn known(database: &Database, id: JobId) -> Result<Option<(i64, JobRecord)>, LedgerError> {
    let mut found = None;
    database.each(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"), [id.bytes()], |job| {
        Ok(row::known(job)?.map(|known| found = Some(known)).map_err(|odd| database.damaged(odd)))
    })?;
    Ok(found)
}
