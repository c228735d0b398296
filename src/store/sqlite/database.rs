//! Open database of a ledger, with what every query and every write needs.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Row};

use crate::store::error::{DatabaseFailure, LedgerError};
use crate::store::sqlite::checksum;
use crate::store::sqlite::guard::{self, FileGuard};
use crate::store::sqlite::schema::VERSION;
use crate::store::sqlite::watermark::WatermarkFile;

/// Page cache of `SQLite` for a ledger in KiB: normally, and while a manifest is compared.
const CACHE_KIB: i64 = 2 * 1024;
const CACHE_KIB_LARGE: i64 = 8 * 1024;

/// Number of compiled statements that are kept: more than the ledger has.
const STATEMENTS_MAX: usize = 128;

/// Open database of a ledger.
#[derive(Debug)]
pub(super) struct Database {
    pub connection: Connection,
    path: PathBuf,
    is_reader: bool,
    /// Guard that checks that written files are in place; `None` for a reader, which writes nothing.
    pub guard: Option<FileGuard>,
    /// Watermark file, which records how far the ledger has come; kept by the process that writes.
    pub mark: Option<WatermarkFile>,
    /// Schema version of the file; 0 for a new file.
    pub version: i64,
    /// Lock file, held while this process may write; `None` for a reader. The system frees the lock when the process dies, for
    /// any reason. Dropped last.
    pub lock: Option<File>,
}

impl Database {
    /// Opens a connection. `uri` is what `SQLite` opens, a path with options; `None` opens the plain path. Messages name `path`.
    pub(super) fn connect(path: PathBuf, uri: Option<&str>, flags: OpenFlags) -> Result<Self, LedgerError> {
        let opened = match uri {
            None => Connection::open_with_flags(&path, flags),
            Some(uri) => Connection::open_with_flags(uri, flags),
        };
        match opened {
            Ok(connection) => {
                let is_reader = flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY);
                let database = Self { connection, path, is_reader, guard: None, mark: None, version: 0, lock: None };
                database.checkpoint_on_close(false);
                database.keep_statements();
                checksum::add_functions(&database.connection).map_err(|error| database.error(error))?;
                Ok(database)
            }
            Err(source) => Err(sqlite_error(path, source)),
        }
    }

    /// Returns the path of `run.db`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `SQLite` compile each statement once. By default it looks for a better plan for every new value of a parameter, and compiles a
    /// query by an index again at each call.
    fn keep_statements(&self) {
        // It fails for no connection that is open.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        self.connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    }

    /// Sets whether `SQLite`, on closing, merges the log into the file and deletes the log by its name. Merging is off until
    /// the file is known to be a ledger, and after another file has replaced it.
    pub(super) fn checkpoint_on_close(&self, is_wanted: bool) {
        // Succeeds for every open connection.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted);
    }

    /// Checks that the written files are where the next run will look for them.
    pub(super) fn check_in_place(&self) -> Result<(), LedgerError> {
        let checked = self.guard.as_ref().map_or(Ok(()), FileGuard::check);
        if checked.is_err() {
            self.checkpoint_on_close(false);
        }
        checked
    }

    /// Converts the result of a write. A write counts only if the files are still in place.
    pub(super) fn written<T>(&self, result: rusqlite::Result<T>) -> Result<T, LedgerError> {
        self.check_in_place()?;
        result.map_err(|error| self.error(error))
    }

    /// Enlarges the page cache while a manifest is compared with the ledger, because the rows may be in any order. The cache
    /// then keeps the inner index pages that every search reads. The system caches the other pages equally well.
    pub(super) fn with_large_cache(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "cache_size", -CACHE_KIB_LARGE)
    }

    /// Shrinks the page cache, because a run reads few jobs at a time. Sorting takes the same amount again.
    pub(super) fn with_small_cache(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "cache_size", -CACHE_KIB)
    }

    /// Runs a query and passes each row to `show`; the inner error comes from `show`.
    pub(super) fn each<E: From<LedgerError>>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        mut show: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<(), E>>,
    ) -> Result<(), E> {
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if let Err(error) = show(row)? {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(()))
        };
        read().map_err(|error| E::from(self.error(error)))?
    }

    /// Returns an entry of the table `meta`; `None` if it is missing.
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        let mut value = None;
        // Ledgers of an earlier version have no checksums until they are migrated.
        let sum = if self.version == VERSION || self.is_reader { "sum" } else { "row_sum('meta', key, value)" };
        self.each(&format!("SELECT key, value, {sum} FROM meta WHERE key = ?1"), [key], |row| {
            if row.get_ref(2)? != ValueRef::Integer(checksum::of_row("meta", [row.get_ref(0)?, row.get_ref(1)?])) {
                return Ok(Err(self.damaged(format!("its meta entry {key:?} does not match its checksum"))));
            }
            value = row.get(1)?;
            Ok(Ok(()))
        })?;
        Ok(value)
    }

    /// Stores an entry of the table `meta`.
    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        let sql = "INSERT OR REPLACE INTO meta VALUES (?1, ?2, row_sum('meta', ?1, ?2))";
        let written = self.connection.execute(sql, [key, value]);
        self.written(written.map(drop))
    }

    /// Advances the watermark after a commit: to its last event, and by the submissions that it started.
    pub(super) fn advance(&mut self, seq: i64, sum: i64, n_submits: u64) -> Result<(), LedgerError> {
        self.mark.as_mut().map_or(Ok(()), |mark| mark.advance(seq, sum, n_submits))
    }

    /// Records durably in the watermark that pending jobs up to this position are handed out.
    pub(super) fn reserve(&mut self, position: u64) -> Result<(), LedgerError> {
        self.mark.as_mut().map_or(Ok(()), |mark| mark.reserve(position))
    }

    /// Converts an error of `SQLite` into an error with a remedy, if one exists.
    pub(super) fn error(&self, source: Error) -> LedgerError {
        let error = sqlite_error(self.path.clone(), source);
        if let LedgerError::Damaged { .. } = error {
            self.checkpoint_on_close(false);
        }
        error
    }

    /// Returns the error for content that is not what was recorded.
    pub(super) fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), what: what.into() }
    }
}

/// Converts an error of `SQLite`. Probes the disk too, because `SQLite` does not always report a full or write-protected disk.
fn sqlite_error(path: PathBuf, source: Error) -> LedgerError {
    // Value of a type or size that this program never writes.
    let is_odd = matches!(
        source,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..)
            | Error::StatementChangedRows(_)
    );
    match source.sqlite_error_code() {
        _ if is_odd => LedgerError::Damaged { path, what: source.to_string() },
        Some(ErrorCode::NotADatabase) => LedgerError::Foreign { path },
        Some(ErrorCode::DiskFull) => LedgerError::Full { path },
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path, what: source.to_string() },
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            match path.parent().map_or(Ok(()), guard::probe) {
                Ok(()) => database_error(path, source),
                Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                    LedgerError::Full { path }
                }
                Err(source) => LedgerError::Io { path, source },
            }
        }
        _ => database_error(path, source),
    }
}

fn database_error(path: PathBuf, source: Error) -> LedgerError {
    let failure = match source.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => DatabaseFailure::Denied,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => DatabaseFailure::Busy,
        _ => DatabaseFailure::Other,
    };
    LedgerError::Database { path, failure, source: source.into() }
}

/// Fails unless exactly one row was changed. Any other number means that an index or a key is damaged.
pub(super) fn expect_one(n_changed: usize) -> rusqlite::Result<()> {
    if n_changed == 1 { Ok(()) } else { Err(Error::StatementChangedRows(n_changed)) }
}
