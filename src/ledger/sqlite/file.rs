//! Opening `run.db`: by one writing process at a time, never anything that is not a ledger, never a newer one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use crate::ledger::error::LedgerError;

/// The version of the schema, in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// Marks the file as ours, in `PRAGMA application_id`: "pbat".
const APPLICATION_ID: i64 = 0x7062_6174;

/// The shortest file that is one of `SQLite`'s.
const PAGE_BYTES_MIN: u64 = 512;

/// The longest process id that is read from a lock file, which may be anybody's.
const PID_BYTES_MAX: u64 = 20;

const SCHEMA: &str = include_str!("schema.sql");

/// A run's ledger, open.
#[derive(Debug)]
pub struct RunFile {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Held while this process may write; the system frees it when the process dies, however it dies.
    _lock: Option<File>,
}

impl RunFile {
    /// Opens the ledger in the folder `out` for writing, and makes both if they are not there.
    ///
    /// `provider` says where the run's tasks are. A run never changes its provider: task ids mean nothing elsewhere.
    pub fn open(out: &Path, provider: &str) -> Result<Self, LedgerError> {
        let io = |source| LedgerError::Io { path: out.to_owned(), source };
        fs::create_dir_all(out).map_err(io)?;
        let path = out.join("run.db");
        let lock = lock(&out.join("run.lock"), &path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Self::connect(path, flags, Some(lock))?;
        file.prepare().map_err(|error| file.error(error))??;
        file.settle_provider(provider)?;
        File::open(out).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(file)
    }

    /// Opens the ledger in the folder `out` for reading, also beside a process that writes.
    pub fn open_for_reading(out: &Path) -> Result<Self, LedgerError> {
        let path = out.join("run.db");
        if !path.exists() {
            return Err(LedgerError::Missing { path: out.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Self::connect(path, flags, None)?;
        let version = file.check().map_err(|error| file.error(error))??;
        if version == 0 {
            return Err(LedgerError::Missing { path: out.to_owned() });
        }
        Ok(file)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn connect(path: PathBuf, flags: OpenFlags, lock: Option<File>) -> Result<Self, LedgerError> {
        let n_bytes = |name: &str| fs::metadata(path.with_file_name(name)).map_or(0, |file| file.len());
        if n_bytes("run.db") < PAGE_BYTES_MIN && n_bytes("run.db-wal") > 0 {
            // SQLite would throw the log away, and with it the record of what is paid for.
            return Err(LedgerError::Damaged { path, what: "it is lost, and its log run.db-wal is not".to_owned() });
        }
        match Connection::open_with_flags(&path, flags) {
            Ok(connection) => Ok(Self { connection, path, _lock: lock }),
            Err(source) => Err(LedgerError::Sqlite { path, source }),
        }
    }

    fn prepare(&self) -> rusqlite::Result<Result<(), LedgerError>> {
        // Closing a file writes its log into it, which must not happen to one that is not ours.
        let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
        self.connection.set_db_config(no_checkpoint, true)?;
        let version = match self.check()? {
            Ok(version) => version,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.connection.set_db_config(no_checkpoint, false)?;
        self.connection.pragma_update(None, "journal_mode", "wal")?;
        self.connection.pragma_update(None, "synchronous", "full")?;
        if version == 0 {
            self.connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
            ))?;
        }
        Ok(Ok(()))
    }

    /// The version of the schema, 0 for an empty file.
    fn check(&self) -> rusqlite::Result<Result<i64, LedgerError>> {
        self.connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (id, version) = (pragma("application_id")?, pragma("user_version")?);
        let n_tables: i64 = self.connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        let path = self.path.clone();
        Ok(match (id, version, n_tables) {
            (0, 0, 0) => Ok(0),
            (APPLICATION_ID, VERSION, _) => Ok(VERSION),
            (APPLICATION_ID, found, _) if found > VERSION => Err(LedgerError::Newer { path, found, known: VERSION }),
            _ => Err(LedgerError::Foreign { path }),
        })
    }

    fn settle_provider(&self, provider: &str) -> Result<(), LedgerError> {
        match self.meta("provider")? {
            Some(found) if found != provider => {
                Err(LedgerError::OtherProvider { path: self.path.clone(), found, wanted: provider.to_owned() })
            }
            Some(_) => Ok(()),
            None => self.set_meta("provider", provider),
        }
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        let read = || {
            let mut statement = self.connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
            statement.query_map([key], |row| row.get(0))?.next().transpose()
        };
        read().map_err(|error| self.error(error))
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        let written = self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", [key, value]);
        written.map(drop).map_err(|error| self.error(error))
    }

    /// An error of `SQLite`'s in words that say what to do, where there is something.
    pub(super) fn error(&self, source: Error) -> LedgerError {
        let path = self.path.clone();
        // A value of another kind or size than we ever write.
        let is_odd = matches!(
            source,
            Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..) | Error::InvalidColumnType(..)
        );
        match source.sqlite_error_code() {
            _ if is_odd => LedgerError::Damaged { path, what: source.to_string() },
            Some(ErrorCode::NotADatabase) => LedgerError::Foreign { path },
            Some(ErrorCode::DiskFull) => LedgerError::Full { path },
            Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path, what: source.to_string() },
            _ => LedgerError::Sqlite { path, source },
        }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), what: what.into() }
    }
}

/// Takes the lock file, or says who has it. A dead process holds nothing, whatever its file says.
fn lock(path: &Path, ledger: &Path) -> Result<File, LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
    match file.try_lock() {
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
