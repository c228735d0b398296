//! Reasons why a run could not be shared, worked on or brought back.

use std::io;
use std::path::PathBuf;

use crate::images::error::StoreError;
use crate::run::error::RunError;
use crate::run::outputs::OutputConflict;
use crate::run::projection::ProjectionError;
use crate::store::error::LedgerError;

/// Reason why a run could not be shared, worked on or brought back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedRunError {
    /// Run that cannot be shared as it is.
    #[error("could not share the run in {}: {what}; {remedy}", out.display())]
    NotShareable {
        /// Output folder.
        out: PathBuf,
        /// What keeps it from being shared.
        what: String,
        /// Remedy.
        remedy: &'static str,
    },
    /// Shared run of other jobs than were asked for.
    #[error("could not join the run at {place}: {what}; {remedy}")]
    Other {
        /// Address of the shared run, without a password.
        place: String,
        /// Difference.
        what: String,
        /// Remedy.
        remedy: &'static str,
    },
    /// Folder for the images that cannot be used.
    #[error("could not use {} for the images of this run: {what}; {remedy}", out.display())]
    Folder {
        /// Folder.
        out: PathBuf,
        /// Reason.
        what: String,
        /// Remedy.
        remedy: &'static str,
    },
    /// Shared run with live workers.
    #[error(
        "could not bring back the run at {place}: {n_live} of its workers are at work; wait until they have ended, or stop them with Ctrl-C"
    )]
    Live {
        /// Address of the shared run, without a password.
        place: String,
        /// Number of the live workers.
        n_live: usize,
    },
    /// Output folder with a run of its own.
    #[error("could not bring the run back into {}: it has another run; choose another folder with -o", .0.display())]
    Taken(PathBuf),
    /// Run that is in another folder already.
    #[error(
        "could not bring the run back into {}: it was brought back into {place} before, and both folders would submit what is left; use that \
         one. If it is gone for good: DELETE FROM promptbatch_{run}.meta WHERE key = 'home'", out.display()
    )]
    BroughtBack {
        /// Output folder.
        out: PathBuf,
        /// Folder that has the run.
        place: String,
        /// Name of the run.
        run: String,
    },
    /// Books of the folder that differ from those of the server.
    #[error(
        "could not bring the run back into {}: the server counts {wanted}, and the folder {found}; the run stays at the server and the folder stays \
         marked: report this, with both", out.display()
    )]
    Books {
        /// Output folder.
        out: PathBuf,
        /// Jobs by status at the server, in words.
        wanted: String,
        /// Jobs by status in the folder, in words.
        found: String,
    },
    /// File that could not be read or written.
    #[error("could not use {}: {source}; once that is fixed, run the same command again", path.display())]
    Io {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Run that could not begin or continue.
    #[error(transparent)]
    Run(#[from] RunError),
    /// File of the user's that the results would replace.
    #[error(transparent)]
    Output(#[from] OutputConflict),
    /// Store of the images that cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Results that cannot be written.
    #[error(transparent)]
    Results(#[from] ProjectionError),
}

impl From<LedgerError> for SharedRunError {
    fn from(error: LedgerError) -> Self {
        Self::Run(RunError::Ledger(error))
    }
}
