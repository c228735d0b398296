//! Opening `run.db`: by one writing process at a time, never anything that is not a ledger, never a newer one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::guard::{self, Guard};
use crate::ledger::sqlite::{folder, still};

/// The version of the schema, in `PRAGMA user_version`.
const VERSION: i64 = 1;

/// Marks the file as ours, in `PRAGMA application_id`: "pbat".
const APPLICATION_ID: i64 = 0x7062_6174;

const SCHEMA: &str = include_str!("schema.sql");

/// A run's ledger, open.
#[derive(Debug)]
pub struct RunFile {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Held while this process may write; the system frees it when the process dies, however it dies.
    lock: Option<File>,
    /// What is written must be in its place. A reader writes nothing.
    guard: Option<Guard>,
}

impl RunFile {
    /// Opens the ledger in the folder `out` for writing, and makes both if they are not there.
    ///
    /// `provider` says where the run's tasks are. A run never changes its provider: task ids mean nothing elsewhere.
    pub fn open(out: &Path, provider: &str) -> Result<Self, LedgerError> {
        folder::make(out)?;
        guard::refuse_strangers(out)?;
        let path = out.join("run.db");
        let lock = lock(&out.join("run.lock"), &path)?;
        guard::refuse_a_lost_ledger(out)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut file = Self::connect(path, flags, Some(lock))?;
        file.prepare().map_err(|error| file.error(error))??;
        file.settle_provider(provider)?;
        folder::sync(out)?;
        file.guard = file.lock.as_ref().map(|lock| Guard::new(out, lock)).transpose()?;
        file.merge_when_closed(true);
        Ok(file)
    }

    /// Opens the ledger in the folder `out` for reading, also beside a process that writes.
    pub fn open_for_reading(out: &Path) -> Result<Self, LedgerError> {
        guard::refuse_strangers(out)?;
        guard::refuse_a_lost_ledger(out)?;
        let path = out.join("run.db");
        if !path.exists() {
            return Err(LedgerError::Missing { path: out.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut file = Self::connect(path, flags, None)?;
        let mut version = file.check();
        if version.as_ref().is_err_and(|error| still::may_be_read(&file.path, error)) {
            file.connection = still::connect(&file.path).map_err(|error| file.error(error))?;
            version = file.check();
        }
        let version = version.map_err(|error| file.error(error))??;
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
        match Connection::open_with_flags(&path, flags) {
            Ok(connection) => {
                let file = Self { connection, path, lock, guard: None };
                file.merge_when_closed(false);
                Ok(file)
            }
            Err(source) => Err(sqlite_error(path, source)),
        }
    }

    /// Whether `SQLite` merges what it keeps beside the file into it when it closes, and deletes that by its name. Not before
    /// the file is known to be a ledger, and not after another has taken its place.
    fn merge_when_closed(&self, is_wanted: bool) {
        // It fails for no connection that is open.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted);
    }

    /// Makes sure that what was written is where the next run will look for it.
    pub fn check_in_place(&self) -> Result<(), LedgerError> {
        let checked = self.guard.as_ref().map_or(Ok(()), Guard::check);
        if checked.is_err() {
            self.merge_when_closed(false);
        }
        checked
    }

    /// What came of writing. Nothing is called written that is not in its place.
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
        if self.path.parent().is_some_and(guard::is_cut) {
            return Ok(Err(self.damaged("its end is missing")));
        }
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
        self.written(written.map(drop))
    }

    /// An error of `SQLite`'s in words that say what to do, where there is something.
    pub(super) fn error(&self, source: rusqlite::Error) -> LedgerError {
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

/// `SQLite` does not always say that a disk is full or closed; the disk itself does.
fn sqlite_error(path: PathBuf, source: rusqlite::Error) -> LedgerError {
    match source.sqlite_error_code() {
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
            let is_known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
            let pid = if is_known { pid.trim().to_owned() } else { "(unknown)".to_owned() };
            Err(LedgerError::Held { path: ledger.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
