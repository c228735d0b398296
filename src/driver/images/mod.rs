//! Images on their way in: nothing gets its final name before it is whole, checked and safely on disk.

pub mod check;
mod decoders;
mod disk;
mod error;
pub(crate) mod filesystem;
pub(crate) mod folders;
mod incoming;
mod making;
mod memory;
mod place;
mod settling;
pub mod thumbnails;
pub mod verify;

#[cfg(all(test, unix))]
mod links;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

pub use crate::driver::images::disk::DiskStore;
pub use crate::driver::images::error::StoreError;
pub use crate::driver::images::memory::MemoryStore;

use crate::driver::images::check::{Checked, NotAnImage};
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind};

/// An image as it comes in from a provider: its bytes, or what went wrong on the way.
pub type Body<'a> = BoxStream<'a, Result<Bytes, Fault>>;

/// How a save went. The outer error is our own disk's and stops the run; the fault is the provider's and sets one job back.
pub type Saved = Result<Result<Artifact, Fault>, StoreError>;

/// Where images are kept.
pub trait ImageStore: Send + Sync + 'static {
    /// Takes one image in: writes it aside, checks it, syncs it, and only then gives it its name.
    ///
    /// An equal file that has the name already is taken for the image itself, as it is after a crash between the naming and its
    /// record. Any other file keeps the name, and the image goes to [`ImageName::path_apart`]. Dropped halfway, the future leaves
    /// nothing behind, or the whole image.
    fn save<'a>(&'a self, name: ImageName, body: Body<'a>) -> BoxFuture<'a, Saved>;
}

/// The fault of a provider whose task ended well and whose link gave this.
fn bad_output(why: &NotAnImage) -> Fault {
    Fault::new(FaultKind::BadOutput, why.to_string())
}

fn artifact(file_name: String, checked: Checked) -> Artifact {
    let Checked { format, width, height, bytes, sha256 } = checked;
    Artifact { file_name, sha256, bytes, width, height, format }
}
