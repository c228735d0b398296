//! Temporary files of an export, which are renamed into place when they are complete and durable.

use std::fs;
use std::io::{BufWriter, IntoInnerError};
use std::path::Path;

use crate::fsio::temp_file::{self, TempFile};
use crate::images::local::folders::sync_folder;
use crate::run::export::error::{ExportError, at};

/// Folder of the temporary files, below the dataset's folder.
pub(super) const FOLDER: &str = ".partial";

/// Bytes that are written to a file at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Creates a temporary file of this name.
pub(super) fn create(dir: &Path, name: &str) -> Result<BufWriter<TempFile>, ExportError> {
    let path = dir.join(FOLDER).join(name);
    let file = TempFile::create_anew(path.clone()).map_err(at(&path))?;
    Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
}

/// Writes the rest of the content to the system, and returns the file, to be synced.
pub(super) fn written(out: BufWriter<TempFile>) -> Result<TempFile, ExportError> {
    let path = out.get_ref().path().to_owned();
    out.into_inner().map_err(IntoInnerError::into_error).map_err(at(&path))
}

/// Makes the content durable, and returns the file, to be renamed.
pub(super) fn synced(out: BufWriter<TempFile>) -> Result<TempFile, ExportError> {
    let file = written(out)?;
    file.sync().map_err(at(file.path()))?;
    Ok(file)
}

/// Renames a file to `path`, replacing any existing file, once its content is durable. The caller syncs the folder.
pub(super) fn settle(mut file: TempFile, path: &Path) -> Result<(), ExportError> {
    file.rename_over(path).map_err(at(path))
}

/// Creates the folder for temporary files, with nothing in it.
pub(super) fn make_ready(dir: &Path) -> Result<(), ExportError> {
    clear(dir)?;
    let partial = dir.join(FOLDER);
    fs::create_dir(&partial).map_err(at(&partial))
}

/// Removes the folder, with anything that a killed process left in it.
pub(super) fn clear(dir: &Path) -> Result<(), ExportError> {
    let partial = dir.join(FOLDER);
    match fs::symlink_metadata(&partial) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&partial).map_err(at(&partial)),
        _ => remove(&partial),
    }
}

/// Removes a file, if there is one. Of a link, only the link is removed.
pub(super) fn remove(path: &Path) -> Result<(), ExportError> {
    temp_file::remove(path).map_err(at(path))
}

/// Makes the names in a folder durable.
pub(super) fn sync_names(folder: &Path) -> Result<(), ExportError> {
    Ok(sync_folder(folder)?)
}
