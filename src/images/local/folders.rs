//! Folders below the output folder: synced to disk, never symbolic links, and never replaced unnoticed.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::fsio;
use crate::images::error::{StoreError, at};

/// Maximum number of folders kept open. A run works on few folders at a time, and a system allows a process about a
/// thousand open files.
const OPEN_MAX: usize = 64;

/// Folders of one run. The output folder itself may be a symbolic link: that is the owner's choice.
#[derive(Debug)]
pub(crate) struct Folders {
    out: PathBuf,
    held: FolderHandle,
    /// Folders whose names are durable, by path below the output folder.
    ready: Mutex<BTreeMap<String, FolderHandle>>,
}

/// Identity of a folder, whatever its name. The folder stays open, so that its inode number cannot pass to another
/// folder and cannot change. Some file systems give a new number to a folder that was unused for long.
#[derive(Debug)]
struct FolderHandle {
    identity: (u64, u64),
    _open: Option<File>,
}

impl FolderHandle {
    fn new(path: &Path, found: &Metadata) -> Self {
        Self { identity: identity(found), _open: File::open(path).ok() }
    }
}

impl Folders {
    /// Opens the folders below `out`, which must exist.
    pub(crate) fn open(out: &Path) -> Result<Self, StoreError> {
        let found = fs::metadata(out).map_err(at("use", out))?;
        Ok(Self { out: out.to_owned(), held: FolderHandle::new(out, &found), ready: Mutex::default() })
    }

    /// Creates a folder below the output folder and its parents, makes their names durable, and returns the path.
    /// Existing folders are synced too: a crash may have come before their first sync.
    pub(crate) fn make_ready(&self, folder: &str) -> Result<PathBuf, StoreError> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_out()?;
        let mut path = self.out.clone();
        for (end, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
            let (name, above) = (&folder[..end], path);
            path = self.out.join(name);
            let known = ready.get(name).map(|held| held.identity);
            let found = step(&path, known)?;
            if known.is_none() {
                sync_folder(&above)?;
                ready.insert(name.to_owned(), FolderHandle::new(&path, &found));
            }
        }
        // A forgotten folder is checked again when it is needed. The first entry is the parent of all others.
        while ready.len() > OPEN_MAX
            && let Some(name) = ready.keys().nth(1).cloned()
        {
            ready.remove(&name);
        }
        Ok(path)
    }

    /// Creates a folder directly below the output folder, without a sync. A loss of this folder loses no data.
    pub(crate) fn make(&self, folder: &str) -> Result<PathBuf, StoreError> {
        self.check_out()?;
        let path = self.out.join(folder);
        step(&path, None)?;
        Ok(path)
    }

    fn check_out(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.out) {
            Ok(found) if identity(&found) == self.held.identity => Ok(()),
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(at("use", &self.out)(cause)),
            _ => Err(StoreError::Moved { path: self.out.clone() }),
        }
    }
}

/// Creates one folder, or checks an existing folder: not a symbolic link, and still the `known` folder, if given.
fn step(path: &Path, known: Option<(u64, u64)>) -> Result<Metadata, StoreError> {
    let find = || fs::symlink_metadata(path);
    let found = match (find(), known) {
        (Err(error), None) if error.kind() == ErrorKind::NotFound => {
            match fs::create_dir(path) {
                // Another image created the folder first.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
                made => made.map_err(at("create", path))?,
            }
            find()
        }
        (Err(error), Some(_)) if error.kind() == ErrorKind::NotFound => {
            return Err(StoreError::Moved { path: path.to_owned() });
        }
        (found, _) => found,
    };
    let found = found.map_err(at("use", path))?;
    match known {
        _ if found.is_symlink() => Err(StoreError::Link { path: path.to_owned() }),
        _ if !found.is_dir() => Err(at("write to", path)(ErrorKind::NotADirectory.into())),
        Some(known) if known != identity(&found) => Err(StoreError::Moved { path: path.to_owned() }),
        _ => Ok(found),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    fsio::folder::sync(path).map_err(at("sync", path))
}

/// Returns the device and the inode number of a folder. Outside Unix, the existence of a folder is enough.
#[cfg(unix)]
fn identity(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
const fn identity(_found: &Metadata) -> (u64, u64) {
    (0, 0)
}
