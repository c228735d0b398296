//! Opening `run.db`: by one writing process at a time, never anything that is not a ledger, never a newer one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::guard::{self, Guard};
use crate::ledger::sqlite::migrate::{self, VERSION};
use crate::ledger::sqlite::totals::INSERT_RECOUNTED;
use crate::ledger::sqlite::watermark::{self, Found, Mark, MarkFile, UNBOUNDED};
use crate::ledger::sqlite::{folder, still, sum};
use crate::model::time::Timestamp;

/// Marks the file as ours, in `PRAGMA application_id`: "pbat".
const APPLICATION_ID: i64 = 0x7062_6174;

/// What `SQLite` keeps of a ledger in memory, in KiB.
const CACHE_KIB: i64 = 2 * 1024;
const CACHE_KIB_LARGE: i64 = 8 * 1024;

/// How often, and how far apart, a lock is tried that is taken.
const LOCK_TRIES: usize = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The longest process id that is read from a lock file, which may be anybody's.
const PID_BYTES_MAX: u64 = 20;

pub(super) const SCHEMA: &str = include_str!("schema.sql");

pub(super) const INDEXES: &str = include_str!("indexes.sql");

/// A run's ledger, open.
#[derive(Debug)]
pub struct RunFile {
    pub(super) connection: Connection,
    path: PathBuf,
    /// Held while this process may write; the system frees it when the process dies, however it dies.
    lock: Option<File>,
    /// What is written must be in its place. A reader writes nothing.
    guard: Option<Guard>,
    /// How far the ledger has come, kept beside it by the process that writes.
    pub(super) mark: Option<MarkFile>,
    /// The version of the schema that the file has; 0 for a new one.
    pub(super) version: i64,
}

/// Compiled statements that are kept: more than there are.
const STATEMENTS_MAX: usize = 128;

impl RunFile {
    /// Opens the ledger in the folder `out` for writing, and makes both if they are not there.
    ///
    /// `provider` says where the run's tasks are. A run never changes its provider: task ids mean nothing elsewhere.
    ///
    /// One that is older than the mark beside it is refused.
    pub fn open(out: &Path, provider: &str) -> Result<Self, LedgerError> {
        Self::open_as(out, provider, None)
    }

    /// The same, but goes on with a ledger that is older than the mark beside it: jobs that may have been submitted since are recorded
    /// as in doubt, at this time.
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
        // A ledger that is missing would be made anew before it could be refused.
        if let (Found::Mark(Mark { seq: n @ 1.., .. }, _), false, None) = (found, path.exists(), accepts_older) {
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
                let bound = if let Found::Mark(mark, _) = found { mark.handed_out } else { UNBOUNDED };
                file.doubt(at, bound)?;
            }
        }
        file.open_mark(out, found)?;
        folder::sync(out)?;
        file.guard = file.lock.as_ref().map(|lock| Guard::new(out, lock)).transpose()?;
        file.merge_when_closed(true);
        Ok(file)
    }

    /// Brings the file to the present version, and settles where its tasks are.
    fn settle(&mut self, provider: &str) -> Result<(), LedgerError> {
        self.prepare().map_err(|error| self.error(error))??;
        self.version = VERSION;
        self.settle_provider(provider)
    }

    /// Opens the ledger that is in the folder `out` for writing, wherever its tasks are.
    pub fn open_existing(out: &Path) -> Result<Self, LedgerError> {
        let provider = Self::open_for_reading(out)?.provider()?;
        Self::open(out, &provider)
    }

    /// The same, but [goes on with an older one](Self::open_accepting_older).
    pub fn open_existing_accepting_older(out: &Path, at: Timestamp) -> Result<Self, LedgerError> {
        let provider = Self::open_for_reading(out)?.provider()?;
        Self::open_accepting_older(out, &provider, at)
    }

    /// Opens the ledger in the folder `out` for reading, also beside a process that writes.
    pub fn open_for_reading(out: &Path) -> Result<Self, LedgerError> {
        guard::refuse_strangers(out)?;
        guard::refuse_a_lost_ledger(out)?;
        let path = out.join("run.db");
        if !path.exists() {
            return Err(LedgerError::Missing { path: out.to_owned() });
        }
        match Self::connect_for_reading(out, path.clone(), None) {
            Err(error) if still::may_be_read(&path, &error) => {
                Self::connect_for_reading(out, path.clone(), Some(&still::uri(&path, "immutable=1")))
            }
            read => read,
        }
    }

    /// The process that writes to the ledger in the folder `out` at this moment, if one does.
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

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `uri` is the same path with options of `SQLite`'s.
    pub(super) fn connect_for_reading(out: &Path, path: PathBuf, uri: Option<&str>) -> Result<Self, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let mut file = Self::connect(path, uri, flags, None)?;
        file.version = file.check().map_err(|error| file.error(error))??;
        let is_begun = file.version > 0 && {
            migrate::read_as_present(&file.connection, file.version).map_err(|error| file.error(error))?;
            file.meta("provider")?.is_some()
        };
        // A run that has not said yet where its tasks are has not begun.
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
                sum::add_functions(&file.connection).map_err(|error| file.error(error))?;
                Ok(file)
            }
            Err(source) => Err(sqlite_error(path, source)),
        }
    }

    /// Compiles each statement once. Otherwise `SQLite`, which looks for a better plan for every new value of a parameter, compiles a query by
    /// an index again at each call: that was a quarter of the ledger's CPU.
    fn keep_statements(&self) {
        // It fails for no connection that is open.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        self.connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
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

    /// Lets `SQLite` keep more of the ledger in memory, while a manifest is compared with it whose rows may be in any order: those inner
    /// pages of its indexes through which every search goes. The rest the system keeps as well as we would.
    pub(super) fn with_large_cache(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "cache_size", -CACHE_KIB_LARGE)
    }

    /// Keeps little of it, as a run looks at few jobs at a time. To sort takes as much again.
    pub(super) fn with_small_cache(&self) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "cache_size", -CACHE_KIB)
    }

    /// The version of the schema, 0 for an empty file.
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

    /// Refuses the ledger of another provider before anything is done to it.
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
        // A ledger of an earlier version that is not settled yet has no checksums.
        let sum = if self.version == VERSION || is_reader { "sum" } else { "row_sum('meta', key, value)" };
        self.each(&format!("SELECT key, value, {sum} FROM meta WHERE key = ?1"), [key], |row| {
            if row.get_ref(2)? != ValueRef::Integer(sum::of_row("meta", [row.get_ref(0)?, row.get_ref(1)?])) {
                return Ok(Err(self.damaged(format!("the entry {key:?} of its table meta is not what was recorded"))));
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

    /// Takes note of a commit in the mark: its last event, and the submissions that it started.
    pub(super) fn advance(&mut self, seq: i64, sum: i64, n_submits: u64) -> Result<(), LedgerError> {
        self.mark.as_mut().map_or(Ok(()), |mark| mark.advance(seq, sum, n_submits))
    }

    /// Takes note in the mark, so that it lasts, that pending jobs up to this position are handed out.
    pub(super) fn reserve(&mut self, position: u64) -> Result<(), LedgerError> {
        self.mark.as_mut().map_or(Ok(()), |mark| mark.reserve(position))
    }

    /// An error of `SQLite`'s in words that say what to do, where there is something.
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

/// Takes the lock, also if someone who only looks whether it is taken has it at this moment.
fn take(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            taken => return taken,
        }
    }
    file.try_lock()
}

/// `SQLite` does not always say that a disk is full or closed; the disk itself does.
fn sqlite_error(path: PathBuf, source: Error) -> LedgerError {
    // A value of another kind or size than we ever write.
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

/// Takes the lock file, or says who has it. A dead process holds nothing, whatever its file says.
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
