//! Creation of `run.db`: written under another name, and renamed once it is whole and on the disk.
//!
//! Whoever looks at the folder sees no ledger or a whole one. So does the next process after a kill or a power loss.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rusqlite::OpenFlags;

use crate::fsio::temp_file::{self, TempFile};
use crate::model::provider_identity::ProviderIdentity;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::{folder, immutable, schema};

/// Name of the file until it is whole. The lock of the folder belongs to one process, so one name is enough.
const TEMPORARY: &str = ".run.db.new";

/// What `SQLite` appends to the name of a file for the files beside it.
const BESIDE: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Creates the ledger in the folder `out`, unless it has one. The caller holds the lock of the folder.
pub(super) fn create_if_missing(out: &Path, provider: &str) -> Result<(), LedgerError> {
    let path = out.join("run.db");
    if is_begun(&path) {
        return Ok(());
    }
    let io = |source: io::Error| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => LedgerError::Full { path: path.clone() },
        _ => LedgerError::Io { path: path.clone(), source },
    };
    // A killed process may have left the temporary file and files beside it.
    remove_beside(out, TEMPORARY).map_err(io)?;
    let mut temp = TempFile::create_anew(out.join(TEMPORARY)).map_err(io)?;
    // Messages name the ledger, whatever file `SQLite` opens.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let database = Database::connect(path.clone(), Some(&immutable::uri(temp.path(), "mode=rw")), flags)?;
    fill(&database, provider)?;
    database.checkpoint_on_close(true);
    drop(database);
    temp.sync().map_err(io)?;
    // `SQLite` would apply what is left beside a lost or empty ledger to the new one.
    remove_beside(out, "run.db").map_err(io)?;
    temp_file::remove(&path).map_err(io)?;
    temp.rename_new(&path).map_err(io)?;
    // A log without its ledger is refused, so the name must be on the disk before the log is.
    folder::sync(out)
}

/// Records the provider of the run's tasks. A ledger without it is not begun.
pub(super) fn record_provider(database: &Database, provider: &str) -> Result<(), LedgerError> {
    database.set_meta("provider_name", &ProviderIdentity::parse(provider).name)?;
    database.set_meta("provider", provider)
}

/// Returns whether the file holds anything. Earlier versions left an empty file if they were killed at their start.
pub(super) fn is_begun(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

fn fill(database: &Database, provider: &str) -> Result<(), LedgerError> {
    let run = |sql: &str| database.connection.execute_batch(sql).map_err(|error| database.error(error));
    let set = |name, value| database.connection.pragma_update(None, name, value).map_err(|error| database.error(error));
    // The file is synced as a whole, and removed if this fails: it needs neither syncs nor a journal.
    set("synchronous", "off")?;
    set("journal_mode", "off")?;
    run(&format!("BEGIN; {}", schema::definitions()))?;
    record_provider(database, provider)?;
    run("COMMIT")?;
    set("journal_mode", "wal")
}

pub(super) fn remove_beside(out: &Path, name: &str) -> io::Result<()> {
    BESIDE.iter().try_for_each(|end| temp_file::remove(&out.join(format!("{name}{end}"))))
}
