//! Creation of OUT and its parent folders, durable across a power loss.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::fsio;
use crate::fsio::folder::of as above;
use crate::store::error::LedgerError;

/// Creates a folder and its missing parents. Each is synced into its parent before it receives any content.
///
/// The lowest existing folder may come from a process that was killed before its sync. Its parent is therefore synced too. The
/// folders above were synced before that folder was created.
pub(super) fn make(path: &Path) -> Result<(), LedgerError> {
    let mut missing = vec![];
    let mut found = path;
    while !found.exists() && found != above(found) {
        missing.push(found);
        found = above(found);
    }
    sync(above(found))?;
    for folder in missing.into_iter().rev() {
        match fs::create_dir(folder) {
            // Folder created by another process, or a path that goes down and up again (`x/../y`).
            Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => (),
            made => made.map_err(|source| LedgerError::Io { path: folder.to_owned(), source })?,
        }
        sync(above(folder))?;
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync(path: &Path) -> Result<(), LedgerError> {
    match fsio::folder::sync(path) {
        // Folders above OUT may deny access to this process, and then cannot be synced.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(|source| LedgerError::Io { path: path.to_owned(), source }),
    }
}
