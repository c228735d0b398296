//! Totals that every commit maintains, so that `status` counts a million jobs without reading each.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::model::counts::{RunStats, StatusCounts};
use crate::store::error::LedgerError;
use crate::store::sqlite::checksum;
use crate::store::sqlite::database::{Database, expect_one};
use crate::store::sqlite::schema::INSERT_RECOUNTED;
use crate::store::totals::{TOTAL_NAMES, Totals};

/// Adds this change to the totals of a ledger.
pub(super) fn write(change: Totals, connection: &Connection) -> rusqlite::Result<()> {
    // Total that does not match its checksum is not updated, so the commit fails.
    let sql = "UPDATE totals SET n = n + ?2, sum = row_sum('total', name, n + ?2) \
               WHERE name = ?1 AND sum IS row_sum('total', name, n)";
    let mut update = connection.prepare_cached(sql)?;
    for (name, n) in TOTAL_NAMES.iter().zip(change.0).filter(|(_, n)| *n != 0) {
        expect_one(update.execute(params![name, n])?)?;
    }
    Ok(())
}

/// Recounts the totals and stores them.
pub(super) fn recount(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("DELETE FROM totals; {INSERT_RECOUNTED}"))
}

/// Returns the number of jobs of the present manifest by status.
pub(super) fn counts(database: &Database) -> Result<StatusCounts, LedgerError> {
    Ok(stored(database)?.counts())
}

/// Returns the incidents of all runs of this ledger. Dropped jobs are included, because they were paid for too.
pub(super) fn incidents(database: &Database) -> Result<RunStats, LedgerError> {
    Ok(stored(database)?.incidents())
}

fn stored(database: &Database) -> Result<Totals, LedgerError> {
    let mut totals = [None; TOTAL_NAMES.len()];
    database.each("SELECT name, n, sum FROM totals", (), |row| {
        if row.get_ref(2)? != ValueRef::Integer(checksum::of_row("total", [row.get_ref(0)?, row.get_ref(1)?])) {
            let name = row.get_ref(0)?.as_str().unwrap_or("?");
            return Ok(Err(database.damaged(format!("its total of {name} does not match its checksum"))));
        }
        let (name, n): (String, u64) = (row.get(0)?, row.get(1)?);
        if let Some(i) = TOTAL_NAMES.iter().position(|known| *known == name) {
            totals[i] = Some(n.cast_signed());
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    let mut whole = Totals::default();
    for ((total, name), n) in whole.0.iter_mut().zip(TOTAL_NAMES).zip(totals) {
        *total = n.ok_or_else(|| database.damaged(format!("its total of {name} is missing")))?;
    }
    Ok(whole)
}
