//! Errors that prevent a ledger from opening or recording.
//!
//! Each of them stops the run; none loses a recorded event.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::model::provider_identity::ProviderIdentity;

/// Reason why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Lock held by another live process that writes to the ledger.
    #[error("could not open {path}: process {pid} is running this batch; wait for it, or stop it with Ctrl-C", path = .path.display())]
    Locked {
        /// Path of the ledger.
        path: PathBuf,
        /// Process id of the lock holder, or `(unknown)`.
        pid: String,
    },
    /// Missing ledger: the folder holds no run.
    #[error("could not find a run in {path}: there is no run.db; name the output folder of a run", path = .path.display())]
    Missing {
        /// Path of the output folder.
        path: PathBuf,
    },
    /// Foreign file: not a ledger of this program.
    #[error("could not open {path}: it is not a promptbatch ledger; move it away, or choose another output folder (-o)", path = .path.display())]
    Foreign {
        /// Path of the file.
        path: PathBuf,
    },
    /// Newer ledger, written by a later version of this program.
    #[error("could not open {path}: its format is version {found}, and this promptbatch reads up to {known}; use a newer promptbatch", path = .path.display())]
    Newer {
        /// Path of the ledger.
        path: PathBuf,
        /// Schema version of the ledger.
        found: i64,
        /// Latest schema version that this program reads.
        known: i64,
    },
    /// Provider mismatch: the run in the ledger uses another provider.
    #[error("could not resume {path}: its tasks are at {found}, and this run is for {wanted}; {}", provider_remedy(found, wanted), path = .path.display())]
    OtherProvider {
        /// Path of the ledger.
        path: PathBuf,
        /// Provider that has the recorded tasks.
        found: String,
        /// Provider that this run would ask.
        wanted: String,
    },
    /// Older ledger: lacks events that its watermark (`run.mark`) claims.
    #[error(
        "could not resume {path}: {what}. run.mark belongs to a newer ledger: was run.db restored from a copy, or run.db-wal \
         deleted? Tasks accepted since then would be paid for again. Put the newer run.db and run.db-wal back, or use \
         --accept-older-ledger, which treats the jobs that may have been submitted since then as in doubt", path = .path.display()
    )]
    Older {
        /// Path of the ledger.
        path: PathBuf,
        /// Description of the missing events.
        what: String,
    },
    /// Symbolic link in the place of one of the ledger's files.
    #[error("could not open {path}: it is a symbolic link, and a run must keep its files in its output folder; move the file itself there, or make the whole output folder the link", path = .path.display())]
    Link {
        /// Path of the link.
        path: PathBuf,
    },
    /// Moved file: a file of the ledger is no longer the file that this run opened.
    #[error("could not record in {path}: it was moved, deleted or replaced during the run; put it back, and run the same command again to resume", path = .path.display())]
    Moved {
        /// Path of the file.
        path: PathBuf,
    },
    /// Full disk: the ledger could not be written.
    #[error("could not write {path}: the disk is full; free some space and run the same command again to resume", path = .path.display())]
    Full {
        /// Path of the ledger.
        path: PathBuf,
    },
    /// Failure reported by the database that keeps the ledger.
    #[error("could not read or write {path}: {source}; {}", failure.remedy(), path = .path.display())]
    Database {
        /// Path of the ledger.
        path: PathBuf,
        /// Kind of the failure.
        failure: DatabaseFailure,
        /// Error from the database.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Failure reported by the file system.
    #[error("could not use {path}: {source}; {}", remedy(source.kind()), path = .path.display())]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error from the operating system.
        source: io::Error,
    },
    /// Damaged ledger: a stored value is invalid or does not match its checksum.
    #[error("could not read {path}: {what}; the file is damaged: restore it from a copy, or choose another output folder (-o)", path = .path.display())]
    Damaged {
        /// Path of the ledger.
        path: PathBuf,
        /// Description of the damage and its location.
        what: String,
    },
    /// Lent folder: its jobs are in a shared run at present, and two places would pay for them.
    #[error("could not change the run in {path}: its jobs are shared at {place}; bring them back with `promptbatch merge` and that address, and this folder with -o; if the server is gone for good, --accept-older-ledger treats the jobs that may have been submitted there as in doubt", path = .path.display())]
    Lent {
        /// Path of the output folder.
        path: PathBuf,
        /// Address of the shared run, without a password.
        place: String,
    },
    /// Server of a shared run that refuses, or cannot be relied on.
    #[error("could not use the shared run at {place}: {what}; {remedy}")]
    Server {
        /// Address of the run, without a password.
        place: String,
        /// Description of the problem.
        what: String,
        /// Remedy.
        remedy: &'static str,
    },
    /// Server of a shared run that gives no answer.
    #[error("could not reach the server of the shared run at {what}; run the same command again when it is reachable")]
    NoAnswer {
        /// Address of the run, without a password, and the problem.
        what: String,
    },
    /// Lost jobs of a shared run: this process was silent for too long, and others have taken its jobs over.
    #[error(
        "could not record in {path}: this worker was silent for too long, and other workers have taken its jobs over; run the \
         same command again, and it joins as a new worker", path = .path.display()
    )]
    Fenced {
        /// Name of the shared ledger, without a secret.
        path: PathBuf,
    },
    /// Server of a shared run that has forgotten records that it had confirmed, longer ago than this process keeps them.
    #[error(
        "could not record in {path}: the server has forgotten records of this worker that it had confirmed, and this worker no longer has \
         them; see that the server has a synchronous standby, and run the same command again: submissions of that time may be paid for again",
         path = .path.display()
    )]
    Forgotten {
        /// Name of the shared ledger, without a secret.
        path: PathBuf,
    },
    /// Server of a shared run that cannot be reached.
    #[error(
        "could not record in {path}: the server has not answered for {minutes} minutes: {what}; once it answers, run the same command again \
         to resume", path = .path.display()
    )]
    Unreachable {
        /// Name of the shared ledger, without a secret.
        path: PathBuf,
        /// Time without an answer.
        minutes: u64,
        /// Last failure.
        what: String,
    },
    /// Thread that writes the ledger, and has ended unexpectedly.
    #[error(
        "could not record what happened: the ledger's thread has ended unexpectedly; run the same command again to resume"
    )]
    WriterStopped,
}

/// Formats what leads to the provider that has the tasks: its name, or its address if the name is right.
fn provider_remedy(found: &str, wanted: &str) -> String {
    let [found, wanted] = [found, wanted].map(ProviderIdentity::parse);
    let option = match found.base_url {
        Some(base_url) if found.name == wanted.name => format!("repeat --base-url {base_url}"),
        None if found.name == wanted.name => "omit --base-url".to_owned(),
        _ => format!("repeat --provider {}", found.name),
    };
    format!("{option}, or choose another output folder (-o)")
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and run the same command again to resume",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "allow writing there, or choose another output folder (-o)"
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "move away the file or folder that is in the way, or choose another output folder (-o)"
        }
        _ => "once that is fixed, run the same command again to resume",
    }
}

/// Failure of a database, by what the user can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatabaseFailure {
    /// Access that was denied.
    Denied,
    /// Database that another program has locked.
    Busy,
    /// Any other failure.
    Other,
}

impl DatabaseFailure {
    const fn remedy(self) -> &'static str {
        match self {
            Self::Denied => "allow reading and writing it and its folder, or choose another output folder (-o)",
            Self::Busy => "close the other program that has it open, and run the same command again",
            Self::Other => "once that is fixed, run the same command again to resume",
        }
    }
}
