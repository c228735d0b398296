//! The folders below OUT: made to last, never links, and still the ones that they were.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::driver::images::disk::{StoreError, at};

/// The folders of one run. OUT itself may be a link: that is its owner's choice.
#[derive(Debug)]
pub struct Folders {
    out: PathBuf,
    identity: Identity,
    /// Those whose names are there to stay.
    ready: Mutex<BTreeMap<String, Identity>>,
}

impl Folders {
    /// The folders below `out`, which must be there.
    pub fn open(out: &Path) -> Result<Self, StoreError> {
        let found = fs::metadata(out).map_err(at("use", out))?;
        Ok(Self { out: out.to_owned(), identity: Identity::of(&found), ready: Mutex::default() })
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
            let known = ready.get(name).copied();
            let identity = step(&path, known)?;
            if known.is_none() {
                sync_folder(&above)?;
                ready.insert(name.to_owned(), identity);
            }
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
            Ok(found) if Identity::of(&found) == self.identity => Ok(()),
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(at("use", &self.out)(cause)),
            _ => Err(StoreError::Moved { path: self.out.clone() }),
        }
    }
}

/// Makes one folder, or makes sure that the one there is no link and, if it is known, is the same.
fn step(path: &Path, known: Option<Identity>) -> Result<Identity, StoreError> {
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
    let identity = Identity::of(&found);
    match known {
        _ if found.is_symlink() => Err(StoreError::Link { path: path.to_owned() }),
        _ if !found.is_dir() => Err(at("write to", path)(ErrorKind::NotADirectory.into())),
        Some(known) if known != identity => Err(StoreError::Moved { path: path.to_owned() }),
        _ => Ok(identity),
    }
}

/// Makes the names in a folder last. Elsewhere than on Unix folders cannot be synced, nor need they be.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(at("sync", path))?;
    }
    Ok(())
}

/// Which folder it is, whatever its name. Nobody keeps it open, so its number may be given away again; the moment of its making
/// tells then, where the file system keeps that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64, Option<SystemTime>);

impl Identity {
    fn of(found: &Metadata) -> Self {
        let (device, number) = number(found);
        Self(device, number, found.created().ok())
    }
}

#[cfg(unix)]
fn number(found: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
fn number(_found: &Metadata) -> (u64, u64) {
    (0, 0)
}
