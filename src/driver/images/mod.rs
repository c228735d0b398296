//! Images on their way in: nothing gets its final name before it is whole, checked and safely on disk.

pub mod check;
mod decoders;
mod descriptors;
mod disk;
mod error;
pub(crate) mod filesystem;
pub(crate) mod folders;
mod incoming;
mod journal;
mod kept;
mod making;
mod memory;
mod partial;
mod place;
mod settling;
pub mod thumbnails;
pub mod verify;

#[cfg(all(test, unix))]
mod links;
#[cfg(test)]
mod tests;

use std::future::ready;

use futures::future::BoxFuture;

pub use crate::driver::images::disk::DiskStore;
pub use crate::driver::images::error::StoreError;
pub use crate::driver::images::memory::MemoryStore;

use crate::driver::images::check::{Checked, NotAnImage};
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind};
use crate::model::part::Part;
use crate::provider::Download;

/// How a save went. The outer error is our own disk's and stops the run; the fault is the provider's and sets one job back.
pub type Saved = Result<Result<Artifact, Fault>, StoreError>;

/// Where images are kept.
pub trait ImageStore: Send + Sync + 'static {
    /// How much of an image is here already, from a download that broke off; its bytes are as they came. What is of another task than the
    /// name's is none of it, and is gone.
    fn part<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<Part>>;

    /// Takes one image in: writes it aside, checks it, syncs it, and only then gives it its name. Bytes that come before those of the
    /// body are those of the [part](Self::part).
    ///
    /// An equal file that has the name already is taken for the image itself, as it is after a crash between the naming and its
    /// record. Any other file keeps the name, and the image goes to [`ImageName::path_apart`]. Dropped halfway, the future leaves
    /// nothing behind, or the whole image, or a part to go on with, where the host can do that. A part of what is no image is not kept.
    fn save<'a>(&'a self, name: ImageName, image: Download<'a>) -> BoxFuture<'a, Saved>;

    /// Whether this image is here as it was recorded. One that is not, or of which that is not known, is fetched again.
    fn holds<'a>(&'a self, _artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        Box::pin(ready(false))
    }

    /// Removes what there is of a job's images that are not whole: the job has ended, or a new task makes others.
    fn forget(&self, job: JobId);
}

/// The fault of a provider whose task ended well and whose link gave this.
fn bad_output(why: &NotAnImage) -> Fault {
    Fault::new(FaultKind::BadOutput, why.to_string())
}

fn artifact(file_name: String, checked: Checked) -> Artifact {
    let Checked { format, width, height, bytes, sha256 } = checked;
    Artifact { file_name, sha256, bytes, width, height, format }
}
