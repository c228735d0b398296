//! Rows of the table `events`: their checksums, and the last of them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::store::error::LedgerError;
use crate::store::sqlite::checksum;
use crate::store::sqlite::database::Database;

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

/// Returns the number of the last event, 0 for none.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT seq FROM events ORDER BY seq DESC LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Returns number and checksum of the last event; zeros if there is none.
pub(super) fn last_event(database: &Database) -> Result<(i64, i64), LedgerError> {
    let last = last_seq(&database.connection).map_err(|error| database.error(error))?;
    Ok((last, event_sum(database, last)?.unwrap_or(0)))
}

/// Returns the checksum of the event with this number; `None` if there is no such event.
pub(super) fn event_sum(database: &Database, seq: i64) -> Result<Option<i64>, LedgerError> {
    let mut sum = None;
    let sql = "SELECT seq, job, at, kind, detail, sum FROM events WHERE seq = ?1";
    database.each(sql, params![seq], |row| {
        sum = Some(row.get(5)?);
        Ok(check_event(row).map_err(|odd| database.damaged(odd)))
    })?;
    Ok(sum)
}
