//! What can keep a ledger from opening or recording. Each of these stops the run; none loses what was recorded.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// Why a ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another live process writes to it.
    #[error("could not open {path}: process {pid} is running this batch; wait for it, or stop it with Ctrl-C", path = .path.display())]
    Held {
        /// The ledger.
        path: PathBuf,
        /// The process that holds it, as far as it is known.
        pid: String,
    },
    /// There is none.
    #[error("could not find a run in {path}: there is no run.db; name the output folder of a run", path = .path.display())]
    Missing {
        /// The output folder.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("could not open {path}: it is not a promptbatch ledger; move it away, or choose another output folder (-o)", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error("could not open {path}: its format is version {found}, and this promptbatch reads up to {known}; use a newer promptbatch", path = .path.display())]
    Newer {
        /// The ledger.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The last version that is read.
        known: i64,
    },
    /// The run in it talks to another provider.
    #[error("could not go on with {path}: its tasks are at {found}, and this run is for {wanted}; choose another output folder (-o), or the provider that it began with", path = .path.display())]
    OtherProvider {
        /// The ledger.
        path: PathBuf,
        /// Where its tasks are.
        found: String,
        /// Where this run would look for them.
        wanted: String,
    },
    /// It went back in time: the mark beside it tells of more.
    #[error(
        "could not go on with {path}: {what}, so it is older than the ledger that was here (restored from a copy, or was run.db-wal \
         deleted?), and what was accepted since would be paid for again; put the newer run.db and run.db-wal back, or use \
         --accept-older-ledger, which takes the jobs that may have been submitted since for in doubt", path = .path.display()
    )]
    Older {
        /// The ledger.
        path: PathBuf,
        /// What it lacks.
        what: String,
    },
    /// One of its files is a symbolic link.
    #[error("could not open {path}: it is a symbolic link, and a run keeps its files in its output folder; move the file itself there, or make the whole output folder the link", path = .path.display())]
    Link {
        /// The file.
        path: PathBuf,
    },
    /// One of its files is not the one any more that this run opened.
    #[error("could not record in {path}: it was moved, deleted or replaced while the run was going on; put it back, and run the same command again to go on", path = .path.display())]
    Moved {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("could not write {path}: the disk is full; free some space and run the same command again to go on", path = .path.display())]
    Full {
        /// The ledger.
        path: PathBuf,
    },
    /// `SQLite` refused.
    #[error("could not read or write {path}: {source}; {}", sqlite_remedy(source), path = .path.display())]
    Sqlite {
        /// The ledger.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The file system refused.
    #[error("could not use {path}: {source}; {}", remedy(source.kind()), path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// What is stored makes no sense.
    #[error("could not read {path}: {what}; the file is damaged: restore it from a copy, or choose another output folder (-o)", path = .path.display())]
    Damaged {
        /// The ledger.
        path: PathBuf,
        /// Where it makes no sense.
        what: String,
    },
    /// The ledger's thread has gone.
    #[error(
        "could not record what happened: the ledger's thread has ended unexpectedly; run the same command again to go on"
    )]
    Gone,
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and run the same command again to go on",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "allow writing there, or choose another output folder (-o)"
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "move away what is in the way there, or choose another output folder (-o)"
        }
        _ => "once that is mended, run the same command again to go on",
    }
}

fn sqlite_remedy(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "allow reading and writing it and its folder, or choose another output folder (-o)"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "close the other program that has it open, and run the same command again"
        }
        _ => "once that is mended, run the same command again to go on",
    }
}
