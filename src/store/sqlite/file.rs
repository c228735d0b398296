//! Opening of `run.db`: allows one writing process at a time, and refuses foreign and newer files.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::sqlite::guard::{self, FileGuard};
use crate::store::sqlite::migrate::{self, VERSION};
use crate::store::sqlite::totals::INSERT_RECOUNTED;
use crate::store::sqlite::watermark::{self, StoredWatermark, UNBOUNDED, Watermark, WatermarkFile};
use crate::store::sqlite::{checksum, folder, immutable};

/// Marks the file as a promptbatch ledger, in `PRAGMA application_id`: "pbat".
const APPLICATION_ID: i64 = 0x7062_6174;

/// Page cache of `SQLite` for a ledger in KiB: normally, and while a manifest is compared.
const CACHE_KIB: i64 = 2 * 1024;
const CACHE_KIB_LARGE: i64 = 8 * 1024;

/// Number of compiled statements that are kept: more than the ledger has.
const STATEMENTS_MAX: usize = 128;

/// Attempts to take a lock that is held, and the pause between them.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Longest process id that is read from a lock file, in bytes. Any program may have written that file.
const PID_BYTES_MAX: u64 = 20;

pub(super) const SCHEMA: &str = include_str!("schema.sql");

pub(super) const INDEXES: &str = include_str!("indexes.sql");

/// Open ledger of a run.
#[derive(Debug)]
pub struct SqliteStore {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Lock file, held while this process may write; `None` for a reader. The system frees the lock when the process dies, for
    /// any reason.
    lock: Option<File>,
    /// Guard that checks that written files are in place; `None` for a reader, which writes nothing.
    guard: Option<FileGuard>,
    /// Watermark file, which records how far the ledger has come; kept by the process that writes.
    pub(super) mark: Option<WatermarkFile>,
    /// Schema version of the file; 0 for a new file.
    pub(super) version: i64,
}

impl SqliteStore {
    /// Opens the ledger in the folder `out` for writing, and creates the folder and the ledger if they are missing.
    ///
    /// `provider` identifies the provider of the run's tasks. A run never changes its provider: task ids mean nothing
    /// elsewhere.
    ///
    /// A ledger that is older than its watermark is refused.
    pub fn open(out: &Path, provider: &str) -> Result<Self, LedgerError> {
        Self::open_as(out, provider, None)
    }

    /// Opens the ledger for writing even if it is older than its watermark. Jobs that may have been submitted since are
    /// recorded as in doubt, at the time `at`.
    pub fn open_accepting_older(out: &Path, provider: &str, at: Timestamp) -> Result<Self, LedgerError> {
        Self::open_as(out, provider, Some(at))
    }

    fn open_as(out: &Path, provider: &str, accepts_older: Option<Timestamp>) -> Result<Self, LedgerError> {
        folder::make(out)?;
        guard::refuse_strangers(out)?;
        let path = out.join("run.db");
        let lock = lock(&out.join("run.lock"), &path)?;
        guard::refuse_a_lost_ledger(out)?;
        let found = watermark::find(out)?;
        // Refuses a missing ledger here, because opening would create a new one.
        if let (StoredWatermark::Mark(Watermark { seq: n @ 1.., .. }, _), false, None) =
            (found, path.exists(), accepts_older)
        {
            return Err(LedgerError::Older { path, what: format!("it is missing, and {n} events had been recorded") });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut file = Self::connect(path, None, flags, Some(lock))?;
        file.refuse_another(provider)?;
        if file.version > 0 {
            file.check_if_small()?;
        }
        let lacks = file.lacks(&found)?;
        match (lacks, accepts_older) {
            (Some(what), None) => return Err(file.is_older(what)),
            (None, _) => file.settle(provider)?,
            (Some(_), Some(at)) => {
                file.settle(provider)?;
                let bound = if let StoredWatermark::Mark(mark, _) = found { mark.handed_out } else { UNBOUNDED };
                file.doubt(at, bound)?;
            }
        }
        file.open_mark(out, found)?;
        folder::sync(out)?;
        file.guard = file.lock.as_ref().map(|lock| FileGuard::new(out, lock)).transpose()?;
        file.merge_when_closed(true);
        Ok(file)
    }

    /// Migrates the file to the current schema version, and records the provider of its tasks.
    fn settle(&mut self, provider: &str) -> Result<(), LedgerError> {
        self.prepare().map_err(|error| self.error(error))??;
        self.version = VERSION;
        self.settle_provider(provider)
    }

    /// Opens the existing ledger in the folder `out` for writing, with the provider that it names.
    pub fn open_existing(out: &Path) -> Result<Self, LedgerError> {
        let provider = Self::open_for_reading(out)?.provider()?;
        Self::open(out, &provider)
    }

    /// Opens the existing ledger in the folder `out` for writing, and [accepts an older one](Self::open_accepting_older).
    pub fn open_existing_accepting_older(out: &Path, at: Timestamp) -> Result<Self, LedgerError> {
        let provider = Self::open_for_reading(out)?.provider()?;
        Self::open_accepting_older(out, &provider, at)
    }

    /// Opens the ledger in the folder `out` for reading, also while another process writes.
    pub fn open_for_reading(out: &Path) -> Result<Self, LedgerError> {
        guard::refuse_strangers(out)?;
        guard::refuse_a_lost_ledger(out)?;
        let path = out.join("run.db");
        if !path.exists() {
            return Err(LedgerError::Missing { path: out.to_owned() });
        }
        match Self::connect_for_reading(out, path.clone(), None) {
            Err(error) if immutable::may_be_read(&path, &error) => {
                Self::connect_for_reading(out, path.clone(), Some(&immutable::uri(&path, "immutable=1")))
            }
            read => read,
        }
    }

    /// Returns the id of the process that writes to the ledger in the folder `out`; `None` if no process does.
    pub fn holder(out: &Path) -> Option<String> {
        let file = File::open(out.join("run.lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.take(PID_BYTES_MAX).read_to_string(&mut pid).ok()?;
                Some(pid.trim().to_owned())
            }
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    /// Returns the path of `run.db`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a connection for reading. `uri` is the same path with options of `SQLite`; `None` opens the plain path.
    pub(super) fn connect_for_reading(out: &Path, path: PathBuf, uri: Option<&str>) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let mut file = Self::connect(path, uri, flags, None)?;
        file.version = file.check().map_err(|error| file.error(error))??;
        let is_begun = file.version > 0 && {
            migrate::read_as_present(&file.connection, file.version).map_err(|error| file.error(error))?;
            file.meta("provider")?.is_some()
        };
        // Treats a run without a recorded provider as not begun.
        if is_begun { Ok(file) } else { Err(LedgerError::Missing { path: out.to_owned() }) }
    }

    fn connect(path: PathBuf, uri: Option<&str>, flags: OpenFlags, lock: Option<File>) -> Result<Self, LedgerError> {
        let opened = match uri {
            None => Connection::open_with_flags(&path, flags),
            Some(uri) => Connection::open_with_flags(uri, flags),
        };
        match opened {
            Ok(connection) => {
                let file = Self { connection, path, lock, guard: None, mark: None, version: 0 };
                file.merge_when_closed(false);
                file.keep_statements();
                checksum::add_functions(&file.connection).map_err(|error| file.error(error))?;
                Ok(file)
            }
            Err(source) => Err(sqlite_error(path, source)),
        }
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
    fn merge_when_closed(&self, is_wanted: bool) {
        // Succeeds for every open connection.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted);
    }

    /// Checks that the written files are where the next run will look for them.
    pub fn check_in_place(&self) -> Result<(), LedgerError> {
        let checked = self.guard.as_ref().map_or(Ok(()), FileGuard::check);
        if checked.is_err() {
            self.merge_when_closed(false);
        }
        checked
    }

    /// Converts the result of a write. A write counts only if the files are still in place.
    pub(super) fn written<T>(&self, result: rusqlite::Result<T>) -> Result<T, LedgerError> {
        self.check_in_place()?;
        result.map_err(|error| self.error(error))
    }

    fn prepare(&self) -> rusqlite::Result<Result<(), LedgerError>> {
        let version = match self.check()? {
            Ok(version) => version,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.connection.pragma_update(None, "synchronous", "full")?;
        self.connection.pragma_update(None, "journal_mode", "wal")?;
        if version > 0 && version < VERSION {
            migrate::to_present(&self.connection, version)?;
        }
        if version == 0 {
            self.connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {SCHEMA} {INDEXES} {INSERT_RECOUNTED} {} \
                 PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;",
                migrate::keep_schema()
            ))?;
        }
        Ok(Ok(()))
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

    /// Returns the schema version, 0 for an empty file. The inner error is a refusal of the file.
    fn check(&self) -> rusqlite::Result<Result<i64, LedgerError>> {
        self.connection.busy_timeout(Duration::from_secs(10))?;
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (id, version) = (pragma("application_id")?, pragma("user_version")?);
        let n_tables: i64 = self.connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        if self.path.parent().is_some_and(guard::is_cut) {
            return Ok(Err(self.damaged("its end is missing")));
        }
        let path = self.path.clone();
        Ok(match (id, version, n_tables) {
            (0, 0, 0) => Ok(0),
            (APPLICATION_ID, found @ 1..=VERSION, _) => Ok(found),
            (APPLICATION_ID, found, _) if found > VERSION => Err(LedgerError::Newer { path, found, known: VERSION }),
            _ => Err(LedgerError::Foreign { path }),
        })
    }

    /// Refuses a ledger of another provider before anything in it changes.
    fn refuse_another(&mut self, provider: &str) -> Result<(), LedgerError> {
        self.version = self.check().map_err(|error| self.error(error))??;
        match self.version {
            0 => Ok(()),
            _ => match self.meta("provider")? {
                Some(found) if found != provider => {
                    Err(LedgerError::OtherProvider { path: self.path.clone(), found, wanted: provider.to_owned() })
                }
                Some(_) | None => Ok(()),
            },
        }
    }

    fn settle_provider(&self, provider: &str) -> Result<(), LedgerError> {
        if self.meta("provider")?.is_some() { Ok(()) } else { self.set_meta("provider", provider) }
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        let (mut value, is_reader) = (None, self.lock.is_none());
        // Ledgers of an earlier version have no checksums until they are migrated.
        let sum = if self.version == VERSION || is_reader { "sum" } else { "row_sum('meta', key, value)" };
        self.each(&format!("SELECT key, value, {sum} FROM meta WHERE key = ?1"), [key], |row| {
            if row.get_ref(2)? != ValueRef::Integer(checksum::of_row("meta", [row.get_ref(0)?, row.get_ref(1)?])) {
                return Ok(Err(self.damaged(format!("its meta entry {key:?} does not match its checksum"))));
            }
            value = row.get(1)?;
            Ok(Ok(()))
        })?;
        Ok(value)
    }

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
            self.merge_when_closed(false);
        }
        error
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), what: what.into() }
    }
}

/// Takes the lock. Retries, because a process that only tests the lock may hold it at this moment.
fn take(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            taken => return taken,
        }
    }
    file.try_lock()
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
                Ok(()) => LedgerError::Sqlite { path, source },
                Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
                    LedgerError::Full { path }
                }
                Err(source) => LedgerError::Io { path, source },
            }
        }
        _ => LedgerError::Sqlite { path, source },
    }
}

/// Takes the lock file, or reports the process that holds it. A dead process holds no lock, whatever the file says.
fn lock(path: &Path, ledger: &Path) -> Result<File, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
    match take(&file) {
        Ok(()) => {
            file.set_len(0).map_err(io)?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            write!(file, "{}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let is_read = file.take(PID_BYTES_MAX).read_to_string(&mut pid).is_ok();
            let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            let pid = if is_read && is_number { pid } else { "(unknown)".to_owned() };
            Err(LedgerError::Held { path: ledger.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
