//! Image store in a local folder: writes a temporary file, checks it, syncs it, and renames it to a free name.

pub(crate) mod folders;
mod fsync_batcher;
mod image_writer;
mod journal;
mod output_dir;
mod partial_file;
mod replaced;
pub(crate) mod saved;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::task::{consume_budget, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::images::decoders::DECODERS_MAX;
use crate::images::error::{PARTIAL_GONE, StoreError};
use crate::images::local::fsync_batcher::FsyncBatcher;
use crate::images::local::image_writer::ImageWriter;
use crate::images::local::output_dir::OutputDir;
use crate::images::local::saved::LocalImages;
use crate::images::validate::verdict::{CheckLimits, NotAnImage};
use crate::images::{ImageStore, IncomingImage, Saved, SavedImages};
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind};
use crate::model::output_options::PostProcessing;
use crate::model::partial_download::PartialDownload;

/// Longest time that bytes of a resumable download stay in memory only.
const UNKEPT_MAX: Duration = Duration::from_secs(1);

/// Images of one run, below the output folder. Only one process at a time may open the store: the process that holds the ledger.
#[derive(Clone, Debug)]
pub struct LocalStore {
    place: Arc<OutputDir>,
    makers: Arc<Semaphore>,
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
        let place = Arc::new(OutputDir::open(out, limits, postprocess)?);
        // Images that wait for a decoder wait here, without a thread.
        let makers = Arc::new(Semaphore::new(DECODERS_MAX));
        Ok(Self { place, makers, settling: FsyncBatcher::start(out)? })
    }

    async fn receive(&self, name: ImageName, download: IncomingImage<'_>) -> Saved {
        let IncomingImage { n_before, bytes_total, validator, mut body } = download;
        let place = Arc::clone(&self.place);
        let host = validator.map(|validator| (validator, bytes_total));
        let begin = move || match n_before {
            0 => {
                place.kept.forget(&name.partial());
                Ok(Some(ImageWriter::new(place, name, host)))
            }
            _ => ImageWriter::resumed(place, name, host, n_before),
        };
        let Some(image) = (if n_before == 0 { begin() } else { blocking(begin).await })? else {
            return Ok(Err(Fault::new(FaultKind::Transient, PARTIAL_GONE)));
        };
        let mut image = match self.gather(image, n_before, &mut body).await? {
            Ok(image) => image,
            Err(fault) => return Ok(Err(fault)),
        };
        if image.is_to_be_made() {
            let _maker = self.makers.acquire().await.expect("nobody closes it");
            let (made, found) = blocking(move || {
                let found = image.make();
                (image, found)
            })
            .await;
            if let Err(fault) = found? {
                return Ok(Err(fault));
            }
            image = made;
        }
        // The check of a long image takes a while. Other images can be saved meanwhile.
        if image.is_long() {
            let (read, found) = blocking(move || {
                let found = image.check();
                (image, found)
            })
            .await;
            if let Err(fault) = found? {
                return Ok(Err(fault));
            }
            image = read;
        }
        self.settling.settle(image).await
    }

    /// Receives the whole body. Bytes of a resumable download reach the disk at most one second later, and when the connection breaks.
    async fn gather(
        &self,
        mut image: ImageWriter,
        n_before: u64,
        body: &mut BoxStream<'_, Result<Bytes, Fault>>,
    ) -> Result<Result<ImageWriter, Fault>, StoreError> {
        let bytes_max = self.place.limits.bytes_max;
        let mut n_bytes = n_before;
        let mut flushed_at = Instant::now();
        loop {
            let piece = select! {
                biased;
                piece = body.next() => piece,
                () = async { sleep_until(flushed_at + UNKEPT_MAX).await }, if image.has_to_keep() => {
                    (image, flushed_at) = (flushed(image).await?, Instant::now());
                    continue;
                }
            };
            // A body of millions of one-byte pieces must not delay all other tasks.
            consume_budget().await;
            let piece = match piece {
                None => return Ok(Ok(image)),
                Some(Ok(piece)) => piece,
                Some(Err(fault)) => {
                    if fault.kind == FaultKind::BadOutput {
                        image.let_go();
                    } else if image.has_to_keep() {
                        flushed(image).await?;
                    }
                    return Ok(Err(fault));
                }
            };
            n_bytes += piece.len() as u64;
            if n_bytes > bytes_max {
                image.let_go();
                return Ok(Err(NotAnImage::TooLong { bytes_max }.fault()));
            }
            let is_due = image.has_to_keep() && flushed_at.elapsed() >= UNKEPT_MAX;
            if image.take(&piece) || is_due {
                (image, flushed_at) = (flushed(image).await?, Instant::now());
            }
        }
    }
}

impl ImageStore for LocalStore {
    fn partial<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        let place = Arc::clone(&self.place);
        let name = name.clone();
        Box::pin(async move {
            // Most images have no partial download.
            if !place.kept.has(&name.partial()) {
                return None;
            }
            blocking(move || place.part(&name)).await
        })
    }

    fn holds<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        let (place, artifact) = (Arc::clone(&self.place), artifact.clone());
        Box::pin(blocking(move || LocalImages::new(&place.out).verify(&artifact).is_ok()))
    }

    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, image))
    }

    fn remove_partial(&self, job: JobId) {
        self.place.kept.forget_job(job);
    }

    fn remove_partials(&self) {
        self.place.kept.clear();
    }
}

/// Writes all gathered bytes of the image to disk and returns the image.
async fn flushed(mut image: ImageWriter) -> Result<ImageWriter, StoreError> {
    blocking(move || image.flush().map(|()| image)).await
}

/// Runs blocking disk work on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
