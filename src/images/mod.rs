//! Images of a run: received, checked, post-processed, stored and verified.
//!
//! No image receives its final name before it is complete, checked and durable.
//!
//! | part | files |
//! |---|---|
//! | port | this file, `error`, `verify` |
//! | stores | `local`, `object` (buckets), `memory`; `adapters` chooses one of them |
//! | shared by all stores | `validate` (is it an image?), `postprocess` (formats, metadata), `thumbnails`, `decoders` (their memory) |

pub(crate) mod adapters;
mod decoders;
pub mod error;
pub(crate) mod local;
pub(crate) mod memory;
#[cfg(feature = "cloud")]
pub(crate) mod object;
pub(crate) mod postprocess;
pub mod thumbnails;
pub mod validate;
pub mod verify;

#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::images::error::StoreError;
use crate::images::verify::Damage;
use crate::model::event::ReplacedImage;
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, TaskId};
use crate::model::partial_download::{PartialDownload, Validator};

/// Image on its way into a store: the whole image, or its missing rest.
pub struct IncomingImage<'a> {
    /// Number of image bytes that precede `body`: the length of the given part, or 0 for a whole image.
    pub n_before: u64,
    /// Length of the whole image in bytes; `None` if unknown.
    pub bytes_total: Option<u64>,
    /// Validator with which the host recognises the image later; `None` if a later download cannot resume this one.
    pub validator: Option<Validator>,
    /// Bytes from `n_before` to the end of the image. A fault ends them early.
    pub body: BoxStream<'a, Result<Bytes, Fault>>,
}

impl<'a> IncomingImage<'a> {
    /// Wraps a whole image whose download cannot be resumed later.
    pub fn whole(body: BoxStream<'a, Result<Bytes, Fault>>) -> Self {
        Self { n_before: 0, bytes_total: None, validator: None, body }
    }
}

impl std::fmt::Debug for IncomingImage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { n_before, bytes_total, validator, body: _ } = self;
        f.debug_tuple("IncomingImage").field(n_before).field(bytes_total).field(validator).finish()
    }
}

/// Result of a save. The outer error is a failure of the disk or of the object storage, and stops the run. The inner fault is the
/// provider's and fails one attempt of one job.
pub type Saved = Result<Result<Artifact, Fault>, StoreError>;

/// Store for the images of a run while it downloads them. One process at a time has it: the process that holds the ledger.
pub trait ImageStore: Send + Sync + 'static {
    /// Returns how much of an image an earlier, broken download left in the store. The bytes are as the host sent them.
    /// A partial download of another task than the name's does not count and is removed.
    fn partial<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>>;

    /// Saves one image: writes it aside, checks it, makes it durable, and only then gives it its final name. Bytes before
    /// those of the body are those of the [partial download](Self::partial). If the store has another number of them, the
    /// image is refused with a transient fault.
    ///
    /// An existing file of this name with equal bytes counts as the image itself. A crash between the final name and its
    /// record leaves such a file. Any other file keeps the name, and the image goes to [`ImageName::path_apart`]. If the
    /// future is dropped halfway, it leaves nothing, the whole image, or a partial download. A partial download remains
    /// only if the host can resume it and its bytes are an image.
    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved>;

    /// Returns whether the image is in the store as recorded. A missing or damaged image, or an image of unknown state,
    /// is fetched again.
    fn holds<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, bool>;

    /// Removes the partial downloads of a job: the job has ended, or a new task makes other images.
    fn remove_partial(&self, job: JobId);

    /// Removes all partial downloads: no job is left that could resume one.
    fn remove_partials(&self);

    /// Returns what the user should hear about the store, each text once: an outage, for example.
    fn take_notice(&self) -> Option<String> {
        None
    }
}

/// Object in object storage, as the storage describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredObject {
    /// Length in bytes.
    pub(crate) bytes: u64,
    /// Name that the storage gives to this content; empty if it gives none. Other content has another one.
    pub(crate) tag: String,
}

/// Object that is to be created.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "only object storage has objects"))]
pub(crate) struct NewObject {
    /// Name below the address.
    pub(crate) name: String,
    /// Content of the object.
    pub(crate) content: NewContent,
}

/// Content of an object that is to be created.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "only object storage has objects"))]
pub(crate) enum NewContent {
    /// Bytes that are in memory.
    Bytes(Bytes),
    /// Image of the run that is in object storage too. It is verified before it is copied.
    Image(Artifact),
}

/// What became of an object that was to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "only object storage has objects"))]
pub(crate) enum Created {
    /// The object has this content: written now, or before.
    Whole {
        /// The object.
        object: StoredObject,
        /// Says that the storage copied it by itself.
        is_copied_there: bool,
    },
    /// Another object has this name, and stays.
    Taken,
    /// The image is not as recorded.
    Damaged(Damage),
}

/// Objects that exist, with their names below the address.
pub(crate) type StoredObjects<'a> = Box<dyn Iterator<Item = Result<(String, StoredObject), StoreError>> + 'a>;

/// Files of a dataset in object storage. The methods block.
pub(crate) trait StoredFiles: Send {
    /// Writes the file at `path` as an object, unless there is one of this name. Returns whether the object has the bytes of the file:
    /// written now, or before. It appears whole or not at all.
    fn create(&self, name: &str, path: &Path) -> Result<bool, StoreError>;

    /// Creates several objects at once, each unless there is one of its name. Each appears whole or not at all. The results are in the order
    /// of the objects. Those in memory at a time are bounded: `objects` makes each when it is its turn. After a failure the rest is not
    /// asked for, and objects that were created stay.
    fn create_all(
        &self,
        objects: &mut dyn Iterator<Item = Result<NewObject, Damage>>,
    ) -> Result<Vec<Created>, StoreError>;

    /// Writes the file at `path` over the object that has this tag. Returns the new one; `None` if another object is there, or none.
    fn replace(&self, name: &str, path: &Path, tag: &str) -> Result<Option<StoredObject>, StoreError>;

    /// Returns an object without reading it; `None` if there is none.
    fn find(&self, name: &str) -> Result<Option<StoredObject>, StoreError>;

    /// Reads an object, and returns the SHA-256 of its bytes; `None` if there is none.
    fn sha256(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError>;

    /// Lists all objects. The first error ends the list.
    fn list(&self) -> StoredObjects<'_>;

    /// Removes objects. Those that do not exist are removed.
    fn remove_all(&self, names: Vec<String>) -> Result<(), StoreError>;
}

/// Images that are saved. Any number of processes may use them at any time, also during a run.
///
/// The methods may block: call them on threads that may.
pub trait SavedImages: Send + Sync {
    /// Returns whether an image of the recorded size exists, without reading it.
    fn is_there(&self, artifact: &Artifact) -> bool;

    /// Returns the largest number of images whose presence is worth checking at the end of a run.
    fn presence_max(&self) -> u64 {
        20_000
    }

    /// Returns how many of these images [are there](Self::is_there); `None` if the store cannot be reached.
    fn count_there(&self, artifacts: &[Artifact]) -> Option<u64> {
        Some(artifacts.iter().map(|artifact| u64::from(self.is_there(artifact))).sum())
    }

    /// Verifies several images against their records, and returns the results in their order.
    fn verify_all(&self, artifacts: &[Artifact]) -> Vec<Result<(), Damage>> {
        artifacts.iter().map(|artifact| self.verify(artifact)).collect()
    }

    /// Verifies an image against its record.
    fn verify(&self, artifact: &Artifact) -> Result<(), Damage>;

    /// Returns the bytes of an image, if they match its record.
    fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, Damage>;

    /// Moves a damaged image to a quarantine, where users can still find it, in place of no other. Returns its new name, or
    /// `None` if there is no such image. The name is durable then.
    fn quarantine(&self, file_name: &str) -> Result<Option<String>, StoreError>;

    /// Keeps an image that another one will replace: gives it a second, durable name, in place of no other file, and returns that name. The
    /// first name stays. Returns the same name again after a crash. `None` if there is no image as recorded.
    fn keep(&self, artifact: &Artifact) -> Result<Option<String>, StoreError>;

    /// Removes the first name of an image that is [kept](Self::keep), so that another image can have it; and moves its sidecar file for
    /// machines, if it is that of `task`. Does nothing unless both names lead to the image as recorded.
    fn release(&self, image: &ReplacedImage, task: Option<&TaskId>) -> Result<(), StoreError>;

    /// Gives a [kept](Self::keep) image its first name again, in place of no other file; the second name stays. Returns whether the first
    /// name leads to the image as recorded. `false` if the kept image is not as recorded, or if the first name is another file's.
    fn give_back(&self, image: &ReplacedImage) -> Result<bool, StoreError>;

    /// Lists the names of all files that are or could be images of the run, in the form of a record and in any order. Partial
    /// downloads, and images that are kept or in quarantine, are left out. The first error ends the list.
    fn list(&self) -> Box<dyn Iterator<Item = Result<String, StoreError>> + '_>;

    /// Gives an image a second name in the local file system, in place of any file there, without a copy of its bytes. Fails if
    /// the image is not a file of the same file system; the caller then copies the bytes.
    fn link(&self, artifact: &Artifact, to: &Path) -> io::Result<()>;
}
