//! Migration of ledgers of earlier versions.
//!
//! A run that resumes an older ledger migrates it; a reader reads it unchanged.

use rusqlite::Connection;

use crate::store::sqlite::schema::{INDEXES, INSERT_RECOUNTED, RECOUNTED, SCHEMA, VERSION, store_schema_sum};

/// Columns that version 2 added to `jobs`; all are 0 in an older ledger.
const COLUMNS_SINCE_2: [&str; 2] = ["n_forgiven", "n_reopened"];

/// Columns of `jobs`, with their checksums in the current version.
const JOBS: &str = "row, id, position, label, request, extras, phase, task, n_submits, n_setbacks, n_lost, n_in_doubt, submitted_at, \
                    finished_at, fault, n_forgiven, n_reopened, row_sum('job', row, id, position, label, request, extras) AS job_sum, \
                    row_sum('state', row, phase, task, n_submits, n_setbacks, n_lost, n_in_doubt, submitted_at, finished_at, fault, \
                    n_forgiven, n_reopened) AS state_sum";

/// Columns of the other tables, with their checksums.
const META: &str = "key, value, row_sum('meta', key, value) AS sum";
const LINKS: &str = "job, urls, row_sum('links', job, urls) AS sum";
const ARTIFACTS: &str = "job, n, file_name, sha256, bytes, width, height, format, \
                         row_sum('artifact', job, n, file_name, sha256, bytes, width, height, format) AS sum";
const EVENTS: &str = "seq, job, at, kind, detail, row_sum('event', seq, job, at, kind, detail) AS sum";

/// Migrates an older ledger to the current version, all or nothing.
pub(super) fn to_present(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    // Old tables are renamed; the current tables are created and filled from them.
    let jobs = jobs_of(version, "old_jobs");
    let (links, had) = if version < 3 {
        ("(SELECT row AS job, urls FROM old_jobs WHERE urls IS NOT NULL)", "")
    } else {
        ("old_links", "ALTER TABLE links RENAME TO old_links; DROP TABLE totals;")
    };
    let gone = if version < 3 { "" } else { "DROP TABLE old_links;" };
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; DROP VIEW overview; {had} ALTER TABLE jobs RENAME TO old_jobs; ALTER TABLE events RENAME TO old_events; \
         ALTER TABLE artifacts RENAME TO old_artifacts; ALTER TABLE meta RENAME TO old_meta; {SCHEMA} \
         INSERT INTO meta SELECT {META} FROM old_meta; \
         INSERT INTO links SELECT {LINKS} FROM {links}; \
         INSERT INTO jobs SELECT {JOBS} FROM {jobs}; \
         INSERT INTO artifacts SELECT {ARTIFACTS} FROM old_artifacts; \
         INSERT INTO events SELECT {EVENTS} FROM old_events; \
         INSERT INTO tasks SELECT task_key(detail), seq FROM events WHERE kind = 'accepted' ORDER BY 1, 2; \
         DROP TABLE old_jobs; DROP TABLE old_events; DROP TABLE old_artifacts; DROP TABLE old_meta; {gone} {INDEXES} {INSERT_RECOUNTED} \
         {schema} PRAGMA user_version = {VERSION}; COMMIT;",
        schema = store_schema_sum(),
    ))
}

/// Presents an older ledger to a reader as one of the current version, without changing the file. Views that only this
/// connection has supply the missing columns and tables.
pub(super) fn read_as_present(connection: &Connection, version: i64) -> rusqlite::Result<()> {
    if version == VERSION {
        return Ok(());
    }
    let jobs = jobs_of(version, "main.jobs");
    let links =
        if version < 3 { "(SELECT row AS job, urls FROM main.jobs WHERE urls IS NOT NULL)" } else { "main.links" };
    connection.execute_batch(&format!(
        "CREATE TEMP VIEW meta AS SELECT {META} FROM main.meta; \
         CREATE TEMP VIEW jobs AS SELECT {JOBS} FROM {jobs}; \
         CREATE TEMP VIEW links AS SELECT {LINKS} FROM {links}; \
         CREATE TEMP VIEW artifacts AS SELECT {ARTIFACTS} FROM main.artifacts; \
         CREATE TEMP VIEW events AS SELECT {EVENTS} FROM main.events; \
         CREATE TEMP VIEW totals AS SELECT name, n, row_sum('total', name, n) AS sum FROM ({RECOUNTED})"
    ))
}

/// Returns the jobs of a table of this version, with zeros for the columns that it lacks.
fn jobs_of(version: i64, table: &str) -> String {
    let missing: &[&str] = if version < 2 { &COLUMNS_SINCE_2 } else { &[] };
    let zeros = missing.iter().fold(String::new(), |sql, column| sql + ", 0 AS " + column);
    format!("(SELECT *{zeros} FROM {table})")
}
