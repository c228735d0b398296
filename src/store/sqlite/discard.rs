//! Removal of a ledger that is to begin anew.

use std::io;
use std::path::Path;

use rusqlite::OpenFlags;

use crate::fsio::temp_file;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::lock::lock;
use crate::store::sqlite::{create, folder, guard, open};

/// Removes the ledger in the folder `out`, if `is_unwanted` says so while no other process can write to it. Returns whether it said so.
///
/// The mark goes first: without it, a ledger is taken as it is. The log is merged into the ledger before, and goes with its last connection: a
/// log without its ledger would be refused.
pub(super) fn discard(
    out: &Path,
    is_unwanted: impl FnOnce(Database) -> Result<bool, LedgerError>,
) -> Result<bool, LedgerError> {
    guard::reject_symlinks(out)?;
    let path = out.join("run.db");
    let _lock = lock(&out.join("run.lock"), &path)?;
    if !is_unwanted(open::open_for_reading(out)?)? {
        return Ok(false);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Database::connect(path.clone(), None, flags)?;
    let merged = database.connection.pragma_update(None, "journal_mode", "delete");
    merged.map_err(|error| database.error(error))?;
    drop(database);
    let io = |source: io::Error| LedgerError::Io { path: path.clone(), source };
    temp_file::remove(&out.join("run.mark")).map_err(io)?;
    create::remove_beside(out, "run.db").map_err(io)?;
    temp_file::remove(&path).map_err(io)?;
    folder::sync(out)?;
    Ok(true)
}
