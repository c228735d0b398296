//! Files that are written aside and put in their place when they are whole and will last.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::driver::images::folders::sync_folder;
use crate::run::export::error::{ExportError, at};

/// Where files are while they are written, below the dataset's folder.
pub const FOLDER: &str = ".partial";

/// A file on its way. Dropped before it is in its place, it is gone.
pub struct Aside {
    partial: PathBuf,
    out: Option<BufWriter<File>>,
}

impl Aside {
    /// A file that is called so while it is written.
    pub fn new(dir: &Path, name: &str) -> Result<(Self, BufWriter<File>), ExportError> {
        let partial = dir.join(FOLDER).join(name);
        // Left by a process that was killed. If it is a link, only the link goes.
        remove(&partial)?;
        let file = File::options().write(true).create_new(true).open(&partial).map_err(at(&partial))?;
        Ok((Self { partial, out: None }, BufWriter::with_capacity(1 << 16, file)))
    }

    /// Takes back what was written to.
    pub fn written(&mut self, out: BufWriter<File>) {
        self.out = Some(out);
    }

    /// Passes everything on to the system, and shows the file to be synced.
    pub fn flush(&mut self) -> Result<Option<&File>, ExportError> {
        if let Some(out) = &mut self.out {
            out.flush().map_err(at(&self.partial))?;
        }
        Ok(self.out.as_ref().map(BufWriter::get_ref))
    }

    /// Makes it last where it is.
    pub fn sync(&mut self) -> Result<(), ExportError> {
        let partial = self.partial.clone();
        self.flush()?.map_or(Ok(()), |file| file.sync_all().map_err(at(&partial)))
    }

    /// Gives it its name, in the place of whatever has it, once it [lasts](Self::sync). The folder is for the caller to sync.
    pub fn settle(self, path: &Path) -> Result<(), ExportError> {
        fs::rename(&self.partial, path).map_err(at(path))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = fs::remove_file(&self.partial);
    }
}

/// Makes the folder ready, with nothing in it.
pub fn make_ready(dir: &Path) -> Result<(), ExportError> {
    clear(dir)?;
    let partial = dir.join(FOLDER);
    fs::create_dir(&partial).map_err(at(&partial))
}

/// Removes the folder and what a killed process left in it.
pub fn clear(dir: &Path) -> Result<(), ExportError> {
    let partial = dir.join(FOLDER);
    match fs::symlink_metadata(&partial) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&partial).map_err(at(&partial)),
        _ => remove(&partial),
    }
}

/// Removes a file, or a link and not what it leads to, if there is one.
pub fn remove(path: &Path) -> Result<(), ExportError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(at(path)),
    }
}

/// Makes the names in a folder last.
pub fn sync_names(folder: &Path) -> Result<(), ExportError> {
    Ok(sync_folder(folder)?)
}

/// A hard link to a file, in the place of whatever has its name.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(to)?;
            fs::hard_link(from, to)
        }
        linked => linked,
    }
}
