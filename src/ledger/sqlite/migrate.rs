//! Ledgers of earlier versions: made present when a run goes on with them, and read as they are by those that only look.

use rusqlite::Connection;

/// The present version of the schema, in `PRAGMA user_version`.
pub const VERSION: i64 = 2;

/// What each version added to the one before it: the columns of `jobs`, which are all 0 in an older ledger.
const COLUMNS_SINCE_1: [&str; 2] = ["n_forgiven", "n_reopened"];

/// Brings an older ledger to the present version, all or nothing.
pub fn to_present(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    let columns = missing(version).iter().fold(String::new(), |sql, column| {
        sql + &format!("ALTER TABLE jobs ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0; ")
    });
    connection.execute_batch(&format!("BEGIN IMMEDIATE; {columns} PRAGMA user_version = {VERSION}; COMMIT;"))
}

/// Lets a reader see an older ledger as one of the present version, without a change to the file: what it lacks is put before it
/// by a view that only this connection has.
pub fn read_as_present(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    let columns: Vec<String> = missing(version).iter().map(|column| format!("0 AS {column}")).collect();
    if columns.is_empty() {
        return Ok(());
    }
    connection.execute_batch(&format!("CREATE TEMP VIEW jobs AS SELECT *, {} FROM main.jobs", columns.join(", ")))
}

fn missing(version: i64) -> &'static [&'static str] {
    if version < 2 { &COLUMNS_SINCE_1 } else { &[] }
}
