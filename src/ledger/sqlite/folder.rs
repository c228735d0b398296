//! Makes OUT and the folders above it so that they are still there after a power loss.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::ledger::error::LedgerError;

/// Makes a folder and what is missing above it, each synced into the one above before anything is put into it.
///
/// The lowest one that is there already may have been made by a process that was killed before its sync. Those above it were
/// synced before it was made.
pub fn make(path: &Path) -> Result<(), LedgerError> {
    let mut missing = vec![];
    let mut found = path;
    while !found.exists() && found != above(found) {
        missing.push(found);
        found = above(found);
    }
    sync(above(found))?;
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            // Another process, or a path that goes down and up again.
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => (),
            made => made.map_err(|source| LedgerError::Io { path: folder.to_owned(), source })?,
        }
        sync(above(folder))?;
    }
    Ok(())
}

/// Makes the names in a folder last. Elsewhere than on Unix folders cannot be synced, nor need they be.
pub fn sync(path: &Path) -> Result<(), LedgerError> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(path).and_then(|folder| folder.sync_all()) {
        // A folder above OUT may be closed to us, and then there is no way to sync it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(|source: io::Error| LedgerError::Io { path: path.to_owned(), source }),
    }
}

/// The folder that a path's last name is in.
fn above(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
