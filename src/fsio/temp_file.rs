//! Temporary file, removed when it is dropped, unless it was renamed to its final name.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::fsio::descriptors::patiently;
use crate::fsio::filesystem;

/// Lock held from the check for a free name until the rename, if the file system cannot do both atomically.
static NAMING: Mutex<()> = Mutex::new(());

/// Temporary file, open for reading and writing.
#[derive(Debug)]
pub(crate) struct TempFile {
    path: PathBuf,
    file: File,
    /// Whether the file has its final name, or was left to somebody else. It is then not removed.
    is_left: bool,
}

impl TempFile {
    /// Creates an empty file. Fails if the name exists.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        let file = patiently(|| File::options().read(true).write(true).create_new(true).open(&path))?;
        Ok(Self::adopt(path, file))
    }

    /// Creates an empty file in place of a file that a killed process left. Of a link, only the link is removed.
    pub(crate) fn create_anew(path: PathBuf) -> io::Result<Self> {
        remove(&path)?;
        Self::create(path)
    }

    /// Takes over a temporary file that exists.
    pub(crate) const fn adopt(path: PathBuf, file: File) -> Self {
        Self { path, file, is_left: false }
    }

    /// Returns the temporary path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the open file.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Makes the bytes durable. A rename before that may leave a final name without them.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Renames the file to `to`, in place of any file there. The name is durable once its folder is synced.
    pub(crate) fn rename_over(&mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.is_left = true;
        Ok(())
    }

    /// Renames the file to `to`. Returns `false`, and renames nothing, if that name exists.
    pub(crate) fn rename_new(&mut self, to: &Path) -> io::Result<bool> {
        let result = filesystem::rename_new(&self.path, to);
        self.is_left = result.is_ok();
        match result.or_else(|error| if is_taken(&error) { Err(error) } else { fs::hard_link(&self.path, to) }) {
            Ok(()) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            // Some file systems have neither operation, and their errors differ. If the disk is at fault, the rename reports it.
            Err(_) => self.look_and_rename(to),
        }
    }

    fn look_and_rename(&mut self, to: &Path) -> io::Result<bool> {
        let _alone = NAMING.lock().unwrap_or_else(PoisonError::into_inner);
        if fs::symlink_metadata(to).is_ok() {
            return Ok(false);
        }
        self.rename_over(to)?;
        Ok(true)
    }

    /// Returns whether the file is not removed when it is dropped.
    pub(crate) const fn is_left(&self) -> bool {
        self.is_left
    }

    /// Leaves the file under its temporary path, which is returned.
    pub(crate) fn leave(&mut self) -> PathBuf {
        self.is_left = true;
        self.path.clone()
    }
}

impl Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.is_left {
            // A file that cannot be removed here is removed later, by the next process that finds it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a file, if there is one. Of a link, only the link is removed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temp(folder: &Path, text: &str) -> TempFile {
        let mut file = TempFile::create(folder.join(text)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    /// Goal: no name is given twice. Method: both ways to a new name. The second is for file systems without hard links, so
    /// the test calls it directly.
    #[test]
    fn a_rename_to_a_new_name_replaces_nothing() {
        type Rename = fn(&mut TempFile, &Path) -> io::Result<bool>;
        for rename in [TempFile::rename_new as Rename, TempFile::look_and_rename] {
            let folder = tempfile::tempdir().unwrap();
            let name = folder.path().join("name");
            let (mut one, mut two) = (temp(folder.path(), "one"), temp(folder.path(), "two"));
            assert!(rename(&mut one, &name).unwrap());
            assert!(!rename(&mut two, &name).unwrap());
            assert_eq!(fs::read_to_string(&name).unwrap(), "one");
            assert!(rename(&mut one, &folder.path().join("other")).is_err(), "there is nothing to rename any more");
            drop((one, two));
            assert!(name.exists() && !folder.path().join("two").exists(), "what was not named is gone");
        }
    }

    #[test]
    fn what_is_not_renamed_is_removed_unless_it_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let (mut over, mut left) = (temp(folder.path(), "over"), temp(folder.path(), "left"));
        over.rename_over(&folder.path().join("name")).unwrap();
        let path = left.leave();
        drop((over, left, temp(folder.path(), "dropped")));
        let names: std::collections::BTreeSet<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(names, [folder.path().join("name"), path].into());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_where_the_file_should_be_is_removed_and_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (precious, link) = (folder.path().join("precious"), folder.path().join("link"));
        fs::write(&precious, "kept").unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        assert_eq!(TempFile::create(link.clone()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        TempFile::create_anew(link).unwrap().write_all(b"other").unwrap();
        assert_eq!(fs::read_to_string(precious).unwrap(), "kept");
    }
}
