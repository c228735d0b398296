//! Records that finished jobs are made again, before anything is submitted for them, and that they return to their images.

use std::collections::BTreeMap;

use crate::model::event::{Event, Redo, Restored};
use crate::model::job::JobId;
use crate::model::phase::JobRecord;
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::selection::{redoing, restoring};
use crate::store::sqlite::database::Database;
use crate::store::sqlite::record::{self, CommitResult, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS};

/// Records that these jobs are made again, in one transaction, and returns the number of those that can be.
pub(super) fn redo(database: &mut Database, at: Timestamp, jobs: &[(JobId, Redo)]) -> Result<u64, LedgerError> {
    write(database, jobs, |record, redo| redoing(at, record, redo))
}

/// Records that these jobs return to their images, in one transaction, and returns the number of those that can.
pub(super) fn restore(database: &mut Database, at: Timestamp, jobs: &[(JobId, Restored)]) -> Result<u64, LedgerError> {
    write(database, jobs, |record, restored| restoring(at, record, restored))
}

/// Records the event that `event` makes of each job, if it makes one.
fn write<T>(
    database: &mut Database,
    jobs: &[(JobId, T)],
    event: impl Fn(&JobRecord, &T) -> Option<Event>,
) -> Result<u64, LedgerError> {
    let mut open: BTreeMap<JobId, OpenJob> = BTreeMap::new();
    let mut events: Vec<Event> = Vec::new();
    for (id, data) in jobs {
        if open.contains_key(id) {
            continue;
        }
        let Some((row, record)) = known(database, *id)? else { continue };
        let Some(event) = event(&record, data) else { continue };
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
