//! Images on their way to disk: no image receives its final name before it is complete, checked and synced.

pub mod check;
mod decoders;
mod descriptors;
mod disk;
mod error;
pub(crate) mod filesystem;
pub(crate) mod folders;
mod fsync_batcher;
mod image_writer;
mod journal;
mod making;
mod memory;
mod output_dir;
mod resumable;
mod temp_file;
pub mod thumbnails;
pub mod verify;

#[cfg(all(test, unix))]
mod links;
#[cfg(test)]
mod tests;

use std::future::ready;

use futures::future::BoxFuture;

pub use crate::images::disk::DiskStore;
pub use crate::images::error::StoreError;
pub use crate::images::memory::MemoryStore;

use crate::images::check::{Checked, NotAnImage};
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind};
use crate::model::partial_download::PartialDownload;
use crate::provider::Download;

/// Result of a save. The outer error is a failure of the local disk and stops the run. The inner fault is the
/// provider's and fails one attempt of one job.
pub type Saved = Result<Result<Artifact, Fault>, StoreError>;

/// Store for the images of a run.
pub trait ImageStore: Send + Sync + 'static {
    /// Returns how much of an image an earlier, broken download left in the store. The bytes are as the host sent them.
    /// A partial download of another task than the name's does not count and is removed.
    fn part<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>>;

    /// Saves one image: writes a temporary file, checks it, syncs it, and only then gives it its final name. Bytes
    /// before those of the body are those of the [part](Self::part).
    ///
    /// An existing file of this name with equal bytes counts as the image itself. A crash between the rename and its
    /// record leaves such a file. Any other file keeps the name, and the image goes to [`ImageName::path_apart`]. If
    /// the future is dropped halfway, it leaves nothing, the whole image, or a partial download. A partial download
    /// remains only if the host can resume it and its bytes are an image.
    fn save<'a>(&'a self, name: ImageName, image: Download<'a>) -> BoxFuture<'a, Saved>;

    /// Returns whether the image is in the store as recorded. A missing or damaged image, or an image of unknown state,
    /// is fetched again.
    fn holds<'a>(&'a self, _artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        Box::pin(ready(false))
    }

    /// Removes the partial downloads of a job: the job has ended, or a new task makes other images.
    fn forget(&self, job: JobId);
}

/// Builds the fault of a task that succeeded, but whose link returned no valid image.
fn bad_output(why: &NotAnImage) -> Fault {
    Fault::new(FaultKind::BadOutput, why.to_string())
}

fn artifact(file_name: String, checked: Checked) -> Artifact {
    let Checked { format, width, height, bytes, sha256 } = checked;
    Artifact { file_name, sha256, bytes, width, height, format }
}
