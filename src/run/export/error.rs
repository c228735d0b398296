//! What can keep a run from being exported. Nothing of it touches the run.

use std::io;
use std::path::{Path, PathBuf};

use crate::driver::images::StoreError;
use crate::driver::images::verify::Damage;
use crate::ledger::error::LedgerError;
use crate::report::dataset::record::NoColumn;
use crate::report::whole_file::first;

/// Why an export could not begin, or not go on. What is exported stays, and the same command goes on.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no such column.
    #[error(transparent)]
    Column(#[from] NoColumn),
    /// A folder below the dataset's is a link, or went away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder is somebody else's.
    #[error("could not export to {}: there are other files in it, and no export; name a new or an empty folder with -o", dir.display())]
    Foreign {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is among the run's own images.
    #[error("could not export to {}: the run keeps its own images there; name a folder elsewhere with -o", dir.display())]
    AmongImages {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds another export.
    #[error("could not export to {}: it holds an export with {was}, and this is one with {wanted}; name another folder with -o, or add --fresh to replace it", dir.display())]
    Other {
        /// The folder.
        dir: PathBuf,
        /// What it was made with, as flags.
        was: String,
        /// What is asked for.
        wanted: String,
    },
    /// The folder holds an export of another run.
    #[error("could not export to {}: it holds an export of another run; name another folder with -o, or add --fresh to replace it", dir.display())]
    OtherRun {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process exports to this folder.
    #[error("could not export to {}: another export is writing there; wait for it, or name another folder with -o", dir.display())]
    Held {
        /// The folder.
        dir: PathBuf,
    },
    /// A shard is not there any more.
    #[error("could not go on with the export: {} is {damage}; put it back, or add --fresh to build all shards anew", path.display())]
    Shard {
        /// The shard.
        path: PathBuf,
        /// What became of it.
        damage: Damage,
    },
    /// An image changed between two looks at it.
    #[error(
        "could not export {file_name}: it changed while it was taken ({damage}); `promptbatch verify` looks at it again"
    )]
    Changed {
        /// The image, below OUT.
        file_name: String,
        /// What became of it.
        damage: Damage,
    },
    /// What was exported is not known any more.
    #[error("could not use {}, which records what is exported: {source}; delete the whole folder and export again", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
    /// The file system refused.
    #[error("could not write {}: {cause}; {}run the same command again to go on", path.display(), first(cause.kind()))]
    Io {
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// This program was built without the format.
    #[error(
        "could not export to parquet: this program was built without it; build it with `cargo install promptbatch --features parquet`"
    )]
    NoParquet,
}

/// What went wrong with this file or folder.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    move |cause| ExportError::Io { path: path.to_owned(), cause }
}
