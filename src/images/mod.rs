//! Images of a run: received, checked, post-processed, stored and verified.
//!
//! No image receives its final name before it is complete, checked and durable.
//!
//! | part | files |
//! |---|---|
//! | port | this file, `error`, `verify` |
//! | stores | `local`, `memory` |
//! | shared by all stores | `validate` (is it an image?), `postprocess` (formats, metadata), `thumbnails`, `decoders` (their memory) |

mod decoders;
pub mod error;
pub mod local;
pub mod memory;
mod postprocess;
pub mod thumbnails;
pub mod validate;
pub mod verify;

#[cfg(test)]
mod tests;

use std::future::ready;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::images::error::StoreError;
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault};
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
    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved>;

    /// Returns whether the image is in the store as recorded. A missing or damaged image, or an image of unknown state,
    /// is fetched again.
    fn holds<'a>(&'a self, _artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        Box::pin(ready(false))
    }

    /// Removes the partial downloads of a job: the job has ended, or a new task makes other images.
    fn forget(&self, job: JobId);
}
