//! The folders below OUT: made to last, never links, and still the ones that they were.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::driver::images::descriptors::patiently;
use crate::driver::images::error::{StoreError, at};

/// Folders that are kept open. A run works on few at a time, and a system gives a process a thousand files or so.
const OPEN_MAX: usize = 64;

/// The folders of one run. OUT itself may be a link: that is its owner's choice.
#[derive(Debug)]
pub struct Folders {
    out: PathBuf,
    held: Held,
    /// Those whose names are there to stay.
    ready: Mutex<BTreeMap<String, Held>>,
}

/// Which folder it is, whatever its name. It is kept open, so that its number is nobody else's and stays its own: some file systems
/// give a new number to what was long out of use.
#[derive(Debug)]
struct Held {
    identity: (u64, u64),
    _open: Option<File>,
}

impl Held {
    fn new(path: &Path, found: &Metadata) -> Self {
        Self { identity: identity(found), _open: File::open(path).ok() }
    }
}

impl Folders {
    /// The folders below `out`, which must be there.
    pub fn open(out: &Path) -> Result<Self, StoreError> {
        let found = fs::metadata(out).map_err(at("use", out))?;
        Ok(Self { out: out.to_owned(), held: Held::new(out, &found), ready: Mutex::default() })
    }

    /// Makes sure that a folder below OUT and those between are there to stay, and returns its path. One found there may be new
    /// too, if a crash came before its sync.
    pub fn make_ready(&self, folder: &str) -> Result<PathBuf, StoreError> {
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
                ready.insert(name.to_owned(), Held::new(&path, &found));
            }
        }
        // What is forgotten is looked at anew if it is needed again. The first is the one above them all.
        while ready.len() > OPEN_MAX
            && let Some(name) = ready.keys().nth(1).cloned()
        {
            ready.remove(&name);
        }
        Ok(path)
    }

    /// Makes sure that a folder right below OUT is there for now. Nothing is lost if it goes.
    pub fn make(&self, folder: &str) -> Result<PathBuf, StoreError> {
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

/// Makes one folder, or makes sure that the one there is no link and, if it is known, is the same.
fn step(path: &Path, known: Option<(u64, u64)>) -> Result<Metadata, StoreError> {
    let find = || fs::symlink_metadata(path);
    let found = match (find(), known) {
        (Err(error), None) if error.kind() == ErrorKind::NotFound => {
            match fs::create_dir(path) {
                // Another image was quicker.
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

/// Makes the names in a folder last. Elsewhere than on Unix folders cannot be synced, nor need they be.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if cfg!(unix) {
        patiently(|| File::open(path)).and_then(|folder| folder.sync_all()).map_err(at("sync", path))?;
    }
    Ok(())
}

/// A folder's device and its number there. Elsewhere than on Unix it is enough that one is there.
#[cfg(unix)]
fn identity(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
const fn identity(_found: &Metadata) -> (u64, u64) {
    (0, 0)
}
