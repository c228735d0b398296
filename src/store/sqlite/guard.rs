//! Guard of a ledger's files: prevents links out of OUT, replaced runs, and files swapped during a run.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::fsio::temp_file::TempFile;
use crate::store::error::LedgerError;

/// Files of a ledger: three of this program, and those that `SQLite` adds to `run.db`.
const NAMES: [&str; 6] = ["run.db", "run.db-wal", "run.db-shm", "run.db-journal", "run.lock", "run.mark"];

/// Sector size in bytes. Ledgers are written in pages, and pages are whole sectors.
const SECTOR_BYTES: u64 = 512;

/// Bytes of the header of a log, before its first record.
const LOG_HEADER_BYTES: u64 = 32;

/// Bytes that test whether the disk accepts a write: more than `SQLite` ever requests at once.
const PROBE_BYTES: usize = 1 << 18;

/// Refuses anything but a plain file under a ledger's name: writes would go through it, or wait for it.
pub(super) fn reject_symlinks(out: &Path) -> Result<(), LedgerError> {
    for name in NAMES {
        let path = out.join(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => return Err(LedgerError::Link { path }),
            Ok(found) if !found.is_file() => return Err(LedgerError::Foreign { path }),
            Ok(_) => (),
            Err(error) if error.kind() == ErrorKind::NotFound => (),
            Err(source) => return Err(LedgerError::Io { path, source }),
        }
    }
    Ok(())
}

/// Refuses to start again where a run's ledger is lost: all of the run would be paid for again.
pub(super) fn reject_truncated(out: &Path) -> Result<(), LedgerError> {
    let size = |name: &str| fs::metadata(out.join(name)).ok().map(|found| found.len());
    match find_truncation(size) {
        None => Ok(()),
        Some(what) => Err(LedgerError::Damaged { path: out.join("run.db"), what: what.into() }),
    }
}

/// Returns what shows that a ledger lacks its beginning; `None` if nothing does. `size` returns the bytes of a file, and `None`
/// for a missing one.
///
/// Another process may create the ledger meanwhile. It makes the images and the log after the ledger, so they are looked at first.
/// An empty ledger alone is what an earlier version left if it was killed at its start.
fn find_truncation(mut size: impl FnMut(&str) -> Option<u64>) -> Option<&'static str> {
    let has_images = size("images").is_some();
    let log_bytes = size("run.db-wal").unwrap_or(0);
    // `SQLite` would discard the log of a ledger without pages.
    match (size("run.db"), log_bytes) {
        (Some(0), 0) if has_images => Some("it is empty, and there are images beside it"),
        (Some(..SECTOR_BYTES), 1..) => Some("it is empty, and some of what it recorded is in run.db-wal"),
        (None, 1..) => Some("it is missing, and some of what it recorded is in run.db-wal"),
        _ => None,
    }
}

/// Returns whether the log of a ledger is missing or holds no record, so that the ledger alone is the whole.
pub(super) fn is_log_empty(out: &Path) -> io::Result<bool> {
    match fs::metadata(out.join("run.db-wal")) {
        Ok(found) => Ok(found.len() <= LOG_HEADER_BYTES),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Returns whether the end of a ledger is missing. `SQLite` would pad a last page with zeros, and treat less than a header as
/// empty. During a merge into the ledger, or its undoing, the end may be anywhere.
pub(super) fn is_cut(out: &Path) -> bool {
    let n_beside = bytes(out, "run.db-wal") + bytes(out, "run.db-journal");
    n_beside == 0 && !bytes(out, "run.db").is_multiple_of(SECTOR_BYTES)
}

fn bytes(out: &Path, name: &str) -> u64 {
    fs::metadata(out.join(name)).map_or(0, |found| found.len())
}

/// Tests the disk itself for the cause of an error, because `SQLite` only reports that there is one.
pub(super) fn probe(out: &Path) -> io::Result<()> {
    let mut file = TempFile::create_anew(out.join(format!(".run.probe-{}", process::id())))?;
    file.write_all(&vec![1; PROBE_BYTES])?;
    file.sync()
}

/// Files that a run writes, as they were when it opened them.
///
/// A deleted or replaced file can still be written to, but its records are lost with the process. These files are never opened
/// here: closing one would free the locks that `SQLite` holds on it.
#[derive(Debug)]
pub(super) struct FileGuard(Vec<(PathBuf, Identity)>);

impl FileGuard {
    /// Records the identities of the files in `out`, one of which is this lock.
    pub(super) fn new(out: &Path, lock: &File) -> Result<Self, LedgerError> {
        let lock_path = out.join("run.lock");
        let held = lock.metadata().map_err(|source| LedgerError::Io { path: lock_path.clone(), source })?;
        let mut files = vec![(lock_path, identity(&held))];
        let (path, log) = (out.join("run.db"), out.join("run.db-wal"));
        files.push((path.clone(), find(path)?));
        // `SQLite` uses a rollback journal in place of the log if memory cannot be shared.
        if log.exists() {
            files.push((log.clone(), find(log)?));
        }
        let guard = Self(files);
        guard.check()?;
        Ok(guard)
    }

    /// Checks that each file is still in place.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        for (path, known) in &self.0 {
            if find(path.clone())? != *known {
                return Err(LedgerError::Moved { path: path.clone() });
            }
        }
        Ok(())
    }
}

fn find(path: PathBuf) -> Result<Identity, LedgerError> {
    match fs::symlink_metadata(&path) {
        Ok(found) => Ok(identity(&found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(LedgerError::Moved { path })
        }
        Err(source) => Err(LedgerError::Io { path, source }),
    }
}

/// Device and inode of a file, which no other file has while it is open. Outside Unix, an open file stays in place.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(found: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino())
}

#[cfg(not(unix))]
const fn identity(_found: &Metadata) -> Identity {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a ledger that another process creates meanwhile is never called lost. Method: the sizes of its files at each stage of
    /// its life, with a change of stage between any two looks.
    #[test]
    fn a_ledger_that_is_created_meanwhile_is_not_taken_for_a_lost_one() {
        let stages: [&[(&str, u64)]; 6] = [
            &[],
            &[("run.db", 4096)],
            &[("run.db", 4096), ("run.db-wal", 0)],
            &[("run.db", 4096), ("run.db-wal", 32)],
            &[("run.db", 4096), ("run.db-wal", 8272), ("images", 4096)],
            &[("run.db", 8192), ("images", 4096)],
        ];
        let n = stages.len();
        for moments in (0..n * n * n).map(|code| [code / n / n, code / n % n, code % n]).filter(|of| of.is_sorted()) {
            let mut looks = moments.iter();
            let found = find_truncation(|name| {
                let stage = stages[*looks.next().expect("three looks")];
                stage.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
            });
            assert_eq!(found, None, "stages {moments:?}");
        }
    }
}
