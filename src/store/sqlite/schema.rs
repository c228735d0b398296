//! Schema of the current version: definitions of tables, indexes and totals, and the checksum over all of them.

/// Marks the file as a promptbatch ledger, in `PRAGMA application_id`: "pbat".
pub(super) const APPLICATION_ID: i64 = 0x7062_6174;

/// Current schema version, in `PRAGMA user_version`.
///
/// Version 2 added two columns to `jobs`. Version 3 added the tables `links` and `totals`. Version 4 added the checksums and
/// the table `tasks`.
pub(super) const VERSION: i64 = 4;

pub(super) const SCHEMA: &str = include_str!("schema.sql");

pub(super) const INDEXES: &str = include_str!("indexes.sql");

/// Query that recounts the totals from every job.
pub(super) const RECOUNTED: &str = include_str!("totals.sql");

/// Statement that stores the recounted totals in an empty table.
pub(super) const INSERT_RECOUNTED: &str = concat!(
    "INSERT INTO totals (name, n, sum) SELECT name, n, row_sum('total', name, n) FROM (",
    include_str!("totals.sql"),
    ");"
);

/// Checksum of all definitions, in SQL. Excludes the index of a shuffled order, which comes and goes.
pub(super) const SCHEMA_SUM: &str = "SELECT CAST(sum(row_sum('schema', type, name, tbl_name, sql)) AS TEXT) AS sum FROM main.sqlite_schema \
                              WHERE name NOT LIKE 'sqlite_%' AND name <> 'jobs_pending_by_id'";

/// Returns the SQL that makes an empty database a ledger without jobs. The caller has begun a transaction.
pub(super) fn definitions() -> String {
    format!(
        "{SCHEMA} {INDEXES} {INSERT_RECOUNTED} {} \
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};",
        store_schema_sum()
    )
}

/// Returns the SQL that stores the checksum of all definitions.
pub(super) fn store_schema_sum() -> String {
    format!("INSERT OR REPLACE INTO meta SELECT 'schema', sum, row_sum('meta', 'schema', sum) FROM ({SCHEMA_SUM});")
}
