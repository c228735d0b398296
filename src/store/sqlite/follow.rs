//! Further events of jobs that another ledger had in the meantime.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::store::error::LedgerError;
use crate::store::setting::Setting;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::read;
use crate::store::sqlite::record::{self, OpenJob};
use crate::store::sqlite::row::{self, COLUMNS};
use crate::store::sqlite::watermark::UNBOUNDED;

/// Last event of a part, and the submissions of all parts.
#[derive(Default)]
struct Followed {
    last: Option<(i64, i64)>,
    n_submits: u64,
}

/// Records events of jobs in any phase, and a setting, in one transaction.
pub(super) fn follow(database: &mut Database, events: &[Event], mark: (Setting, &str)) -> Result<(), LedgerError> {
    // Another ledger handed out the jobs in an order of its own.
    database.reserve(UNBOUNDED)?;
    database.connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| database.error(error))?;
    let followed = follow_parts(database, events).and_then(|followed| {
        database.set_meta(mark.0.key(), mark.1)?;
        Ok(followed)
    });
    match followed {
        Ok(Followed { last, n_submits }) => {
            database.written(database.connection.execute_batch("COMMIT"))?;
            last.map_or(Ok(()), |(seq, sum)| database.advance(seq, sum, n_submits))
        }
        Err(error) => {
            let _ = database.connection.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// Records the events in parts. What a reopening does to the images of a job depends on the state just before it.
fn follow_parts(database: &Database, events: &[Event]) -> Result<Followed, LedgerError> {
    let is_turn = |event: &Event| matches!(event.kind, EventKind::Reopened(_) | EventKind::Redone(_));
    let mut followed = Followed::default();
    for part in events.chunk_by(|one, next| !is_turn(one) && !is_turn(next)) {
        let mut open = BTreeMap::new();
        for event in part {
            if let Entry::Vacant(place) = open.entry(event.job) {
                place.insert(known(database, event.job)?);
            }
        }
        let written = record::write_in(&database.connection, &open, part).map_err(|error| database.error(error))?;
        followed.last = written.last.or(followed.last);
        followed.n_submits += written.n_submits;
    }
    Ok(followed)
}

fn known(database: &Database, id: JobId) -> Result<OpenJob, LedgerError> {
    let mut found = None;
    database.each(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"), [id.bytes()], |row| {
        Ok(row::known(row)?.map(|known| found = Some(known)).map_err(|odd| database.damaged(odd)))
    })?;
    let (row, mut known) = found.ok_or_else(|| database.damaged(format!("it has no job {id}")))?;
    if known.state.n_reopened > 0 {
        known.state.kept = read::artifacts(database, id)?;
    }
    Ok(OpenJob { row, state: known.state })
}
