//! Temporary files that are renamed into place when they are complete and durable.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::images::local::folders::sync_folder;
use crate::run::export::error::{ExportError, at};

/// Folder of the temporary files, below the dataset's folder.
pub const FOLDER: &str = ".partial";

/// Temporary file; deleted if it is dropped before its rename.
pub struct ExportTempFile {
    partial: PathBuf,
    out: Option<BufWriter<File>>,
}

impl ExportTempFile {
    /// Creates a temporary file of this name.
    pub fn new(dir: &Path, name: &str) -> Result<(Self, BufWriter<File>), ExportError> {
        let partial = dir.join(FOLDER).join(name);
        // Removes a file left from a process that was killed. If that file is a link, only the link is removed.
        remove(&partial)?;
        let file = File::options().write(true).create_new(true).open(&partial).map_err(at(&partial))?;
        Ok((Self { partial, out: None }, BufWriter::with_capacity(1 << 16, file)))
    }

    /// Takes back the writer after the content is written.
    pub fn written(&mut self, out: BufWriter<File>) {
        self.out = Some(out);
    }

    /// Flushes all content to the system, and returns the file to be synced; `None` before the writer is back.
    pub fn flush(&mut self) -> Result<Option<&File>, ExportError> {
        if let Some(out) = &mut self.out {
            out.flush().map_err(at(&self.partial))?;
        }
        Ok(self.out.as_ref().map(BufWriter::get_ref))
    }

    /// Makes the content durable in the temporary file.
    pub fn sync(&mut self) -> Result<(), ExportError> {
        let partial = self.partial.clone();
        self.flush()?.map_or(Ok(()), |file| file.sync_all().map_err(at(&partial)))
    }

    /// Renames the file to `path`, replacing any existing file, once its content is [durable](Self::sync). The caller syncs the
    /// folder.
    pub fn settle(self, path: &Path) -> Result<(), ExportError> {
        fs::rename(&self.partial, path).map_err(at(path))
    }
}

impl Drop for ExportTempFile {
    fn drop(&mut self) {
        // Removes nothing after the rename.
        let _ = fs::remove_file(&self.partial);
    }
}

/// Creates the folder for temporary files, with nothing in it.
pub fn make_ready(dir: &Path) -> Result<(), ExportError> {
    clear(dir)?;
    let partial = dir.join(FOLDER);
    fs::create_dir(&partial).map_err(at(&partial))
}

/// Removes the folder, with anything that a killed process left in it.
pub fn clear(dir: &Path) -> Result<(), ExportError> {
    let partial = dir.join(FOLDER);
    match fs::symlink_metadata(&partial) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&partial).map_err(at(&partial)),
        _ => remove(&partial),
    }
}

/// Removes a file, if there is one. Of a link, only the link is removed.
pub fn remove(path: &Path) -> Result<(), ExportError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(at(path)),
    }
}

/// Makes the names in a folder durable.
pub fn sync_names(folder: &Path) -> Result<(), ExportError> {
    Ok(sync_folder(folder)?)
}

/// Creates a hard link to a file, replacing any existing file of that name.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(to)?;
            fs::hard_link(from, to)
        }
        linked => linked,
    }
}
