//! Reception of images: their bytes are gathered, checked and post-processed before any store gives them a name.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::select;
use tokio::sync::Semaphore;
use tokio::task::{consume_budget, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::images::IncomingImage;
use crate::images::decoders::DECODERS_MAX;
use crate::images::error::{PARTIAL_GONE, StoreError};
use crate::images::local::image_writer::ImageWriter;
use crate::images::local::output_dir::OutputDir;
use crate::images::validate::verdict::{CheckLimits, NotAnImage};
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::output_options::PostProcessing;
use crate::model::partial_download::PartialDownload;

/// Longest time that bytes of a resumable download stay in memory only.
const UNKEPT_MAX: Duration = Duration::from_secs(1);

/// Receives images with the help of temporary files below a folder. Long images are there until they are stored, and partial downloads
/// until they are resumed.
#[derive(Clone, Debug)]
pub(in crate::images) struct Receiver {
    pub(super) place: Arc<OutputDir>,
    makers: Arc<Semaphore>,
}

impl Receiver {
    /// Prepares the folder `out`, and removes half-written files of a crash in its folder `partials`. The folder `out` must exist.
    pub(in crate::images) fn open(
        out: &Path,
        partials: &str,
        limits: CheckLimits,
        postprocess: PostProcessing,
    ) -> Result<Self, StoreError> {
        let place = Arc::new(OutputDir::open(out, partials, limits, postprocess)?);
        // Images that wait for a decoder wait here, without a thread.
        Ok(Self { place, makers: Arc::new(Semaphore::new(DECODERS_MAX)) })
    }

    /// Returns how much of an image an earlier download left, as [`ImageStore`](crate::images::ImageStore::partial) says.
    pub(in crate::images) async fn partial(&self, name: &ImageName) -> Option<PartialDownload> {
        // Most images have no partial download.
        if !self.place.kept.has(&name.partial()) {
            return None;
        }
        let (place, name) = (Arc::clone(&self.place), name.clone());
        blocking(move || place.part(&name)).await
    }

    pub(in crate::images) fn remove_partial(&self, job: JobId) {
        self.place.kept.forget_job(job);
    }

    pub(in crate::images) fn remove_partials(&self) {
        self.place.kept.clear();
    }

    /// Receives a whole image, and post-processes it.
    pub(in crate::images) async fn receive(
        &self,
        name: ImageName,
        download: IncomingImage<'_>,
    ) -> Result<Result<ImageWriter, Fault>, StoreError> {
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
        Ok(Ok(image))
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

/// Writes all gathered bytes of the image to disk and returns the image.
async fn flushed(mut image: ImageWriter) -> Result<ImageWriter, StoreError> {
    blocking(move || image.flush().map(|()| image)).await
}

/// Runs blocking disk work on a thread that may block.
pub(in crate::images) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
