//! Integrity check of a whole ledger: `SQLite`'s structure, the checksum of every row, and consistency between tables.
//!
//! Every row is compared with its checksum whenever it is read. This check also finds rows that no query reads, missing rows,
//! and indexes that lead to wrong rows. It reads everything. A run and `status` check a ledger of a few megabytes at each
//! opening; only `verify` checks a larger one.

use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::schema::{RECOUNTED, SCHEMA_SUM, VERSION};

/// Largest ledger that is checked at each opening, in bytes.
const SMALL_BYTES_MAX: i64 = 4 << 20;

/// Findings reported, at most.
const FOUND_MAX: usize = 10;

/// Queries for damaged rows; each row of the answer describes one of them.
const ODD_ROWS: [&str; 9] = [
    "SELECT coalesce('job ' || position, 'a job that has left the manifest') || ' (row ' || row || '): its request, or its position' \
     FROM jobs WHERE job_sum IS NOT row_sum('job', row, id, position, label, request, extras)",
    "SELECT coalesce('job ' || position, 'a job that has left the manifest') || ' (row ' || row || '): its state' FROM jobs WHERE \
     state_sum IS NOT row_sum('state', row, phase, task, n_submits, n_setbacks, n_lost, n_in_doubt, submitted_at, finished_at, fault, \
     n_forgiven, n_reopened)",
    "SELECT 'the links of the job in row ' || job FROM links WHERE sum IS NOT row_sum('links', job, urls)",
    "SELECT 'image ' || n || ' of the job in row ' || job FROM artifacts \
     WHERE sum IS NOT row_sum('artifact', job, n, file_name, sha256, bytes, width, height, format)",
    "SELECT 'event ' || seq || ' of the job in row ' || job FROM events WHERE sum IS NOT row_sum('event', seq, job, at, kind, detail)",
    "SELECT 'the entry ' || quote(key) || ' of the table meta' FROM meta WHERE sum IS NOT row_sum('meta', key, value)",
    "SELECT 'the total of ' || quote(name) FROM totals WHERE sum IS NOT row_sum('total', name, n)",
    "SELECT 'the task of event ' || seq FROM events WHERE kind = 'accepted' \
     AND NOT EXISTS (SELECT 1 FROM tasks WHERE key = task_key(detail) AND event = seq)",
    "SELECT 'the links of the job in row ' || row FROM jobs WHERE phase = 3 AND NOT EXISTS (SELECT 1 FROM links WHERE job = row)",
];

/// Checks the whole ledger. The error names the first rows that are not what was recorded.
pub(super) fn check_whole(database: &Database) -> Result<(), LedgerError> {
    let mut found = vec![];
    database.each(&format!("PRAGMA integrity_check({FOUND_MAX})"), (), |row| {
        let words: String = row.get(0)?;
        if words != "ok" {
            found.push(words);
        }
        Ok(Ok::<_, LedgerError>(()))
    })?;
    if database.version == VERSION && found.is_empty() {
        find_odd_rows(database, &mut found)?;
    }
    if found.is_empty() {
        return Ok(());
    }
    let n_more = found.len().saturating_sub(FOUND_MAX);
    found.truncate(FOUND_MAX);
    let more = if n_more > 0 { ", and more" } else { "" };
    Err(database.damaged(format!("its contents differ from what was recorded: {}{more}", found.join("; "))))
}

/// Checks the whole ledger if it has only a few megabytes. Returns whether it has.
pub(super) fn check_if_small(database: &Database) -> Result<bool, LedgerError> {
    let pragma = |name| database.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let bytes = pragma("page_count").and_then(|pages| Ok(pages * pragma("page_size")?));
    let is_small = bytes.map_err(|error| database.error(error))? <= SMALL_BYTES_MAX;
    if is_small {
        check_whole(database)?;
    }
    Ok(is_small)
}

fn find_odd_rows(database: &Database, found: &mut Vec<String>) -> Result<(), LedgerError> {
    let limit = FOUND_MAX + 1;
    let totals = format!(
        "SELECT 'the total of ' || counted.name FROM ({RECOUNTED}) AS counted LEFT JOIN totals USING (name) WHERE totals.n IS NOT counted.n"
    );
    let schema = format!(
        "SELECT 'the definition of its tables' FROM ({SCHEMA_SUM}) \
         WHERE sum IS NOT (SELECT value FROM meta WHERE key = 'schema')"
    );
    for sql in ODD_ROWS.into_iter().chain([totals.as_str(), schema.as_str()]) {
        database.each(&format!("{sql} LIMIT {limit}"), (), |row| {
            found.push(row.get(0)?);
            Ok(Ok::<_, LedgerError>(()))
        })?;
    }
    Ok(())
}
