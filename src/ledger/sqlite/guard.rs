//! Guards the files of a ledger: none is a way out of OUT, none replaces an earlier run's, and none is swapped under a live run.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::ledger::error::LedgerError;

/// What a ledger is made of: our own three files and those that `SQLite` keeps beside its own.
const NAMES: [&str; 6] = ["run.db", "run.db-wal", "run.db-shm", "run.db-journal", "run.lock", "run.mark"];

/// Ledgers are written in pages, and pages are whole sectors.
const SECTOR_BYTES: u64 = 512;

/// What is written to see whether the disk takes anything: more than `SQLite` ever asks for at once.
const PROBE_BYTES: usize = 1 << 18;

/// Refuses what is no plain file under one of a ledger's names: it would be written through, or waited for.
pub fn refuse_strangers(out: &Path) -> Result<(), LedgerError> {
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

/// Refuses to begin anew where a run has been and its ledger is lost: all of it would be paid for again.
///
/// A run that dies while it makes its ledger leaves an empty file too, and nothing beside it. The first page is on the disk before
/// anything is in the file beside it, which `SQLite` would throw away for a ledger without pages.
pub fn refuse_a_lost_ledger(out: &Path) -> Result<(), LedgerError> {
    let path = out.join("run.db");
    let what = match (bytes(out, "run.db"), bytes(out, "run.db-wal")) {
        (0, 0) if path.exists() && out.join("images").exists() => "it is empty, and there are images beside it",
        (..SECTOR_BYTES, 1..) if path.exists() => "it is empty, and some of what it recorded is in run.db-wal",
        (0, 1..) => "it is missing, and some of what it recorded is in run.db-wal",
        _ => return Ok(()),
    };
    Err(LedgerError::Damaged { path, what: what.into() })
}

/// Whether the end of a ledger is missing. `SQLite` would fill a last page up with zeros, and take less than a header for nothing.
/// While something is being merged into the ledger or undone, its end may be anywhere.
pub fn is_cut(out: &Path) -> bool {
    let n_beside = bytes(out, "run.db-wal") + bytes(out, "run.db-journal");
    n_beside == 0 && !bytes(out, "run.db").is_multiple_of(SECTOR_BYTES)
}

fn bytes(out: &Path, name: &str) -> u64 {
    fs::metadata(out.join(name)).map_or(0, |found| found.len())
}

/// Asks the disk itself what is wrong, because `SQLite` only tells that something is.
pub fn probe(out: &Path) -> io::Result<()> {
    let path = out.join(format!(".run.probe-{}", process::id()));
    let _ = fs::remove_file(&path);
    let opened = File::options().write(true).create_new(true).open(&path);
    let written = opened.and_then(|mut file| {
        file.write_all(&vec![1; PROBE_BYTES])?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    written
}

/// The files that a run writes, as they were when it opened them.
///
/// A file that was deleted or replaced can still be written to, and what is recorded there is gone with the process. The
/// files are looked at and never opened here: closing one would free the locks that `SQLite` holds on it.
#[derive(Debug)]
pub struct Guard(Vec<(PathBuf, Identity)>);

impl Guard {
    /// Takes note of the files in `out`, of which this lock is one.
    pub fn new(out: &Path, lock: &File) -> Result<Self, LedgerError> {
        let lock_path = out.join("run.lock");
        let held = lock.metadata().map_err(|source| LedgerError::Io { path: lock_path.clone(), source })?;
        let mut files = vec![(lock_path, identity(&held))];
        let (path, log) = (out.join("run.db"), out.join("run.db-wal"));
        files.push((path.clone(), find(path)?));
        // Where memory cannot be shared, `SQLite` keeps no log but undoes.
        if log.exists() {
            files.push((log.clone(), find(log)?));
        }
        let guard = Self(files);
        guard.check()?;
        Ok(guard)
    }

    /// Makes sure that each is still in its place.
    pub fn check(&self) -> Result<(), LedgerError> {
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

/// A file's device and its number there, which no other has while the file is open. Elsewhere than on Unix an open file stays
/// in its place.
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
