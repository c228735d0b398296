//! What can keep our own disk from taking images; each of these stops the run, and none loses what was recorded.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::driver::images::descriptors::is_shortage;

/// Our own disk failed; no job is to blame, and no job could go on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("could not {doing} {}: {cause}; {}", path.display(), remedy(cause))]
    Io {
        /// What was tried: a verb.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder below OUT is a symbolic link, and images would end elsewhere.
    #[error("could not write to {}: it is a symbolic link, and images stay in the output folder; move the folder itself there, or make the whole output folder the link", path.display())]
    Link {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is not the one any more that this run found or made.
    #[error("could not write to {}: the folder was moved, deleted or replaced while the run was going on; put it back, or accept the loss, and run the same command again to go on", path.display())]
    Moved {
        /// The folder.
        path: PathBuf,
    },
}

impl StoreError {
    /// The same for another image that it befell as well.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Io { doing, path, cause } => {
                let cause = cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error);
                Self::Io { doing, path: path.clone(), cause }
            }
            Self::Link { path } => Self::Link { path: path.clone() },
            Self::Moved { path } => Self::Moved { path: path.clone() },
        }
    }
}

/// What went wrong while this was done to that file or folder.
pub(super) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |cause| StoreError::Io { doing, path: path.to_owned(), cause }
}

fn remedy(cause: &io::Error) -> &'static str {
    let is_short = is_shortage(cause);
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and run the same command again to go on",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "allow writing there or choose another folder, and run the same command again"
        }
        _ if is_short => {
            "close other programs or allow this one more open files (ulimit -n), and run the same command again to go on"
        }
        _ => "once that is mended, run the same command again to go on",
    }
}
