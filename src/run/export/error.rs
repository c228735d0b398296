//! Errors that prevent the export of a run; none of them affects the run.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::fsio::atomic_file::first;
use crate::images::error::StoreError;
use crate::images::verify::Damage;
use crate::report::dataset::caption::CaptionError;
use crate::store::error::LedgerError;

/// Reason why an export could not begin or continue. Exported images stay, and the same command continues.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Ledger that could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Caption that names a column that does not exist, or that is not a template.
    #[error(transparent)]
    Column(#[from] CaptionError),
    /// Folder below the dataset's folder that is a link, or was removed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Folder that has other files and no export.
    #[error("could not export to {}: it holds other files and no export; choose a new or empty folder with -o", dir.display())]
    Foreign {
        /// Folder of the dataset.
        dir: PathBuf,
    },
    /// Folder inside the run's own images.
    #[error("could not export to {}: the run keeps its own images there; choose a folder elsewhere with -o", dir.display())]
    AmongImages {
        /// Folder of the dataset.
        dir: PathBuf,
    },
    /// Folder that holds another export.
    #[error("could not export to {}: it holds an export with {was}, and this is one with {wanted}; choose another folder with -o, or add --fresh to replace it", dir.display())]
    Other {
        /// Folder of the dataset.
        dir: PathBuf,
        /// Flags or columns of the existing export.
        was: String,
        /// Flags or columns of this export.
        wanted: String,
    },
    /// Folder that holds an export of another run.
    #[error("could not export to {}: it holds an export of another run; choose another folder with -o, or add --fresh to replace it", dir.display())]
    OtherRun {
        /// Folder of the dataset.
        dir: PathBuf,
    },
    /// Folder to which another process exports.
    #[error("could not export to {}: another export is writing there; wait for it, or choose another folder with -o", dir.display())]
    Held {
        /// Folder of the dataset.
        dir: PathBuf,
    },
    /// Shard that is missing or changed.
    #[error("could not continue the export: {} is {damage}; put it back, or add --fresh to rebuild all shards", path.display())]
    Shard {
        /// Path of the shard.
        path: PathBuf,
        /// Damage of the shard.
        damage: Damage,
    },
    /// Place in object storage that has other objects and no export.
    #[error("could not export to {place}: {url} is there, and no export of this run; choose an empty place with -o")]
    ForeignObject {
        /// Address of the dataset.
        place: String,
        /// Address of one of the objects.
        url: String,
    },
    /// Object with other bytes in the place of one of the dataset.
    #[error("could not export to {url}: another object has this name; move it away, or choose another place with -o")]
    Taken {
        /// Address of the object.
        url: String,
    },
    /// Shard in object storage that is missing or changed.
    #[error("could not continue the export: {url} is {damage}; put it back, or add --fresh to rebuild all shards")]
    StoredShard {
        /// Address of the shard.
        url: String,
        /// Damage of the shard.
        damage: Damage,
    },
    /// Image that changed between two reads.
    #[error(
        "could not export {file_name}: it changed while it was being exported ({damage}); check it with `promptbatch verify`"
    )]
    Changed {
        /// File name of the image, relative to OUT.
        file_name: String,
        /// Damage of the image.
        damage: Damage,
    },
    /// Export record that cannot be used, so that the exported images are unknown.
    #[error("could not use {}, which records what is exported: {source}; delete this file and the dataset's folder, and export again", path.display())]
    State {
        /// Path of the export record.
        path: PathBuf,
        /// Error from `SQLite`.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Failure reported by the file system.
    #[error("could not write {}: {cause}; {}run the same command again to resume", path.display(), first(cause.kind()))]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error from the operating system.
        cause: io::Error,
    },
    /// Parquet format, missing in this build of the program.
    #[error(
        "could not export to parquet: this program was built without it; install it with `cargo install --locked --path . --features parquet`"
    )]
    NoParquet,
}

/// Returns a converter from I/O errors to export errors for this file or folder.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    move |cause| ExportError::Io { path: path.to_owned(), cause }
}
