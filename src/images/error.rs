//! Failures of the disk, or of object storage, while images are saved; each failure stops the run, and none loses what was recorded.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::fsio::descriptors::is_shortage;
#[cfg(feature = "cloud")]
use crate::model::storage_url::StorageUrl;

/// Message of the fault if a partial download is no longer in the store.
pub(super) const PARTIAL_GONE: &str = "the part of the image that came before is gone";

/// Failure of the disk or of the object storage for the images. No job is to blame, and no job could continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Error of the file system.
    #[error("could not {doing} {}: {cause}; {}", path.display(), remedy(cause))]
    Io {
        /// Attempted operation, as a verb.
        doing: &'static str,
        /// File or folder of the operation.
        path: PathBuf,
        /// Error reported by the system.
        cause: io::Error,
    },
    /// Symbolic link in place of a folder below the output folder. Images would leave the output folder.
    #[error("could not write to {}: it is a symbolic link, and images must stay in the output folder; move the folder itself there, or make the whole output folder the link", path.display())]
    Link {
        /// Path of the link.
        path: PathBuf,
    },
    /// Folder that was moved, deleted or replaced after the run found or created it.
    #[error("could not write to {}: the folder was moved, deleted or replaced during the run; put it back, or accept the loss, and run the same command again to resume", path.display())]
    Moved {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Object storage that refused a request, or could not be reached for too long.
    #[error("could not {doing} {url}: {cause}; {remedy}")]
    Storage {
        /// Attempted operation, as a verb.
        doing: &'static str,
        /// Address of the object, or of all objects.
        url: String,
        /// Explanation, without keys.
        cause: String,
        /// What to do.
        remedy: &'static str,
        /// Says whether the same request may succeed later.
        is_outage: bool,
    },
    /// Object storage that would be asked without encryption.
    #[error(
        "could not use {url}: its server is asked without encryption (http), and is not on this machine; use https, or allow that with {variable}=true"
    )]
    PlainHttp {
        /// Address of the images.
        url: String,
        /// Variable that allows it.
        variable: &'static str,
    },
    /// Object storage in a build that has none.
    #[error(
        "could not use {url}: this build has no object storage; install it with `cargo install --locked --path . --features cloud`"
    )]
    NoCloud {
        /// Address of the images.
        url: String,
    },
}

impl StoreError {
    /// Wraps the failure to start the thread of an object storage.
    #[cfg(feature = "cloud")]
    pub(super) fn thread(url: &StorageUrl, error: &io::Error) -> Self {
        let (url, cause) = (url.to_string(), error.to_string());
        Self::Storage { doing: "use", url, cause, remedy: remedy(error), is_outage: false }
    }

    /// Copies the error for another image that the same failure affects.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Io { doing, path, cause } => {
                let cause = cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error);
                Self::Io { doing, path: path.clone(), cause }
            }
            Self::Link { path } => Self::Link { path: path.clone() },
            Self::Moved { path } => Self::Moved { path: path.clone() },
            Self::Storage { doing, url, cause, remedy, is_outage } => {
                let (url, cause) = (url.clone(), cause.clone());
                Self::Storage { doing, url, cause, remedy, is_outage: *is_outage }
            }
            Self::PlainHttp { url, variable } => Self::PlainHttp { url: url.clone(), variable },
            Self::NoCloud { url } => Self::NoCloud { url: url.clone() },
        }
    }
}

/// Adds the operation and its file or folder to an I/O error.
pub(super) fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |cause| StoreError::Io { doing, path: path.to_owned(), cause }
}

fn remedy(cause: &io::Error) -> &'static str {
    let is_short = is_shortage(cause);
    match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space and run the same command again to resume",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "allow writing there or choose another folder, and run the same command again"
        }
        _ if is_short => {
            "close other programs or allow this one more open files (ulimit -n), and run the same command again to resume"
        }
        _ => "once that is fixed, run the same command again to resume",
    }
}
