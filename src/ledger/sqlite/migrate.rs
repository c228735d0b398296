//! Ledgers of earlier versions: made present when a run goes on with them, and read as they are by those that only look.

use rusqlite::Connection;

use crate::ledger::sqlite::file::{INDEXES, SCHEMA};
use crate::ledger::sqlite::totals::RECOUNTED;

/// The present version of the schema, in `PRAGMA user_version`.
pub const VERSION: i64 = 3;

/// What version 2 added to the columns of `jobs`; all are 0 in an older ledger.
const COLUMNS_SINCE_2: [&str; 2] = ["n_forgiven", "n_reopened"];

/// Brings an older ledger to the present version, all or nothing.
pub fn to_present(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    // The jobs of old are put aside, and the present tables made and filled from them; those that have not changed stay.
    let zeros = missing_columns(version).iter().fold(String::new(), |sql, column| sql + ", 0 AS " + column);
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; DROP VIEW overview; ALTER TABLE jobs RENAME TO old_jobs; {SCHEMA} \
         INSERT INTO links SELECT row, urls FROM old_jobs WHERE urls IS NOT NULL; \
         INSERT INTO jobs SELECT row, id, position, label, request, extras, phase, task, n_submits, n_setbacks, n_lost, n_in_doubt, \
         submitted_at, finished_at, fault, n_forgiven, n_reopened FROM (SELECT *{zeros} FROM old_jobs); \
         DROP TABLE old_jobs; {INDEXES} INSERT INTO totals (name, n) {RECOUNTED}; \
         PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

/// Lets a reader see an older ledger as one of the present version, without a change to the file: what it lacks is put before it
/// by views that only this connection has.
pub fn read_as_present(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let zeros = missing_columns(version).iter().fold(String::new(), |sql, column| sql + ", 0 AS " + column);
    connection.execute_batch(&format!(
        "CREATE TEMP VIEW jobs AS SELECT *{zeros} FROM main.jobs; \
         CREATE TEMP VIEW links AS SELECT row AS job, urls FROM main.jobs WHERE urls IS NOT NULL; \
         CREATE TEMP VIEW totals AS {RECOUNTED}"
    ))
}

fn missing_columns(version: i64) -> &'static [&'static str] {
    if version < 2 { &COLUMNS_SINCE_2 } else { &[] }
}
