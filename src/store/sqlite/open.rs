//! Opening of `run.db`: migrates older files, and refuses foreign, newer and rolled back ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::OpenFlags;

use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::guard::{self, FileGuard};
use crate::store::sqlite::lock::lock;
use crate::store::sqlite::schema::{self, APPLICATION_ID, VERSION};
use crate::store::sqlite::watermark::{self, StoredWatermark, UNBOUNDED, Watermark};
use crate::store::sqlite::{create, folder, immutable, integrity, migrate, older_ledger};

/// Opens the ledger in the folder `out` for writing, and creates the folder and the ledger if they are missing.
///
/// `accepts_older` is the time of the doubts that an older ledger causes; `None` refuses such a ledger.
pub(super) fn open(out: &Path, provider: &str, accepts_older: Option<Timestamp>) -> Result<Database, LedgerError> {
    folder::make(out)?;
    guard::reject_symlinks(out)?;
    let path = out.join("run.db");
    let lock = lock(&out.join("run.lock"), &path)?;
    guard::reject_truncated(out)?;
    let found = watermark::find(out)?;
    // Refuses a missing ledger here, before a new one is created.
    if let (StoredWatermark::Mark(Watermark { seq: n @ 1.., .. }, _), false, None) =
        (found, create::is_begun(&path), accepts_older)
    {
        return Err(LedgerError::Older { path, what: format!("it is missing, and {n} events had been recorded") });
    }
    create::create_if_missing(out, provider)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Database::connect(path, None, flags)?;
    refuse_another(&mut database, provider)?;
    if database.version > 0 {
        integrity::check_if_small(&database)?;
    }
    match (older_ledger::find_missing(&database, &found)?, accepts_older) {
        (Some(what), None) => return Err(older_ledger::error(&database, what)),
        (None, _) => settle(&mut database, provider)?,
        (Some(_), Some(at)) => {
            settle(&mut database, provider)?;
            let bound = if let StoredWatermark::Mark(mark, _) = found { mark.handed_out } else { UNBOUNDED };
            older_ledger::doubt(&mut database, at, bound)?;
        }
    }
    older_ledger::open_mark(&mut database, out, found)?;
    folder::sync(out)?;
    database.guard = Some(FileGuard::new(out, &lock)?);
    database.lock = Some(lock);
    database.checkpoint_on_close(true);
    Ok(database)
}

/// Opens the ledger in the folder `out` for reading, also while another process writes.
pub(super) fn open_for_reading(out: &Path) -> Result<Database, LedgerError> {
    guard::reject_symlinks(out)?;
    guard::reject_truncated(out)?;
    let path = out.join("run.db");
    if !path.exists() {
        return Err(LedgerError::Missing { path: out.to_owned() });
    }
    match connect_for_reading(out, path.clone(), None) {
        Err(error) if immutable::may_be_read(&path, &error) => {
            connect_for_reading(out, path.clone(), Some(&immutable::uri(&path, "immutable=1")))
        }
        read => read,
    }
}

/// Opens a connection for reading. `uri` is the same path with options of `SQLite`; `None` opens the plain path.
pub(super) fn connect_for_reading(out: &Path, path: PathBuf, uri: Option<&str>) -> Result<Database, LedgerError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut database = Database::connect(path, uri, flags)?;
    database.version = check(&database).map_err(|error| database.error(error))??;
    let is_begun = database.version > 0 && {
        migrate::read_as_present(&database.connection, database.version).map_err(|error| database.error(error))?;
        database.meta("provider")?.is_some()
    };
    // Treats a run without a recorded provider as not begun.
    if is_begun { Ok(database) } else { Err(LedgerError::Missing { path: out.to_owned() }) }
}

/// Returns the reason why the ledger in the folder `out` is older than its watermark; `None` if it is not.
pub(super) fn find_rollback(out: &Path) -> Result<Option<LedgerError>, LedgerError> {
    // Reads the watermark first: later records only make the ledger newer.
    let found = watermark::find(out)?;
    let database = open_for_reading(out)?;
    Ok(older_ledger::find_missing(&database, &found)?.map(|what| older_ledger::error(&database, what)))
}

/// Migrates the file to the current schema version, and records the provider of its tasks.
fn settle(database: &mut Database, provider: &str) -> Result<(), LedgerError> {
    prepare(database).map_err(|error| database.error(error))??;
    database.version = VERSION;
    if database.meta("provider")?.is_some() {
        return Ok(());
    }
    create::record_provider(database, provider)
}

fn prepare(database: &Database) -> rusqlite::Result<Result<(), LedgerError>> {
    let version = match check(database)? {
        Ok(version) => version,
        Err(refusal) => return Ok(Err(refusal)),
    };
    database.connection.pragma_update(None, "synchronous", "full")?;
    database.connection.pragma_update(None, "journal_mode", "wal")?;
    if version > 0 && version < VERSION {
        migrate::to_present(&database.connection, version)?;
    }
    if version == 0 {
        // An earlier version was killed before its first commit, or the file is an empty database.
        database.connection.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", schema::definitions()))?;
    }
    Ok(Ok(()))
}

/// Returns the schema version, 0 for an empty file. The inner error is a refusal of the file.
fn check(database: &Database) -> rusqlite::Result<Result<i64, LedgerError>> {
    database.connection.busy_timeout(Duration::from_secs(10))?;
    // One state of the file: another process may be making the ledger.
    let state = database.connection.unchecked_transaction()?;
    let n_tables: i64 = state.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    let pragma = |name| state.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (id, version) = (pragma("application_id")?, pragma("user_version")?);
    state.finish()?;
    if database.path().parent().is_some_and(guard::is_cut) {
        return Ok(Err(database.damaged("its end is missing")));
    }
    let path = database.path().to_owned();
    Ok(match (id, version, n_tables) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found @ 1..=VERSION, _) => Ok(found),
        (APPLICATION_ID, found, _) if found > VERSION => Err(LedgerError::Newer { path, found, known: VERSION }),
        _ => Err(LedgerError::Foreign { path }),
    })
}

/// Refuses a ledger of another provider before anything in it changes.
fn refuse_another(database: &mut Database, provider: &str) -> Result<(), LedgerError> {
    database.version = check(database).map_err(|error| database.error(error))??;
    match database.version {
        0 => Ok(()),
        _ => match database.meta("provider")? {
            Some(found) if found != provider => {
                Err(LedgerError::OtherProvider { path: database.path().to_owned(), found, wanted: provider.to_owned() })
            }
            Some(_) | None => Ok(()),
        },
    }
}
