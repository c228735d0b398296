//! Image store in a local folder: writes a temporary file, checks it, syncs it, and renames it to a free name.

pub(crate) mod folders;
mod fsync_batcher;
pub(in crate::images) mod image_writer;
mod journal;
pub(in crate::images) mod output_dir;
mod partial_file;
pub(in crate::images) mod receiver;
mod replaced;
pub(crate) mod saved;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;

use crate::images::error::StoreError;
use crate::images::local::fsync_batcher::FsyncBatcher;
use crate::images::local::output_dir::PARTIALS;
use crate::images::local::receiver::{Receiver, blocking};
use crate::images::local::saved::LocalImages;
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, IncomingImage, Saved, SavedImages};
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::Artifact;
use crate::model::output_options::PostProcessing;
use crate::model::partial_download::PartialDownload;

/// Images of one run, below the output folder. Only one process at a time may open the store: the process that holds the ledger. The workers of a
/// shared run are several, and each has a folder of its own for what is not complete.
#[derive(Clone, Debug)]
pub struct LocalStore {
    receiver: Receiver,
    settling: FsyncBatcher,
}

impl LocalStore {
    /// Prepares the output folder for images and removes half-written files of a crash. The folder must exist: the
    /// ledger is already in it. Images keep the bytes that the host sent.
    pub fn open(out: &Path, limits: CheckLimits) -> Result<Self, StoreError> {
        Self::open_with(out, limits, PostProcessing::default())
    }

    /// Opens the store, and post-processes each image before its final name.
    pub fn open_with(out: &Path, limits: CheckLimits, postprocess: PostProcessing) -> Result<Self, StoreError> {
        Self::open_beside(out, PARTIALS, limits, postprocess)
    }

    /// Opens the store beside other processes that save images of the same run. Incomplete images are in the folder `partials`, which no
    /// other process uses.
    pub(in crate::images) fn open_beside(
        out: &Path,
        partials: &str,
        limits: CheckLimits,
        postprocess: PostProcessing,
    ) -> Result<Self, StoreError> {
        let receiver = Receiver::open(out, partials, limits, postprocess)?;
        receiver.place.make_images()?;
        Ok(Self { receiver, settling: FsyncBatcher::start(out)? })
    }

    async fn receive(&self, name: ImageName, download: IncomingImage<'_>) -> Saved {
        match self.receiver.receive(name, download).await? {
            Ok(image) => self.settling.settle(image).await,
            Err(fault) => Ok(Err(fault)),
        }
    }
}

impl ImageStore for LocalStore {
    fn partial<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        Box::pin(self.receiver.partial(name))
    }

    fn holds<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        let (place, artifact) = (Arc::clone(&self.receiver.place), artifact.clone());
        Box::pin(blocking(move || LocalImages::new(&place.out).verify(&artifact).is_ok()))
    }

    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, image))
    }

    fn remove_partial(&self, job: JobId) {
        self.receiver.remove_partial(job);
    }

    fn remove_partials(&self) {
        self.receiver.remove_partials();
    }
}
