//! Images kept below OUT: written aside, checked, synced, and given a name that no other file has.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::{consume_budget, spawn_blocking};

use crate::driver::images::check::{CheckLimits, NotAnImage};
use crate::driver::images::decoders::DECODERS_MAX;
use crate::driver::images::error::StoreError;
use crate::driver::images::incoming::Incoming;
use crate::driver::images::place::Place;
use crate::driver::images::settling::Settling;
use crate::driver::images::{Body, ImageStore, Saved, bad_output};
use crate::model::name::ImageName;
use crate::model::style::Making;

/// The images of one run, below OUT. Only one process at a time may open it: the one that holds the ledger.
#[derive(Clone, Debug)]
pub struct DiskStore {
    place: Arc<Place>,
    makers: Arc<Semaphore>,
    settling: Settling,
}

impl DiskStore {
    /// Makes OUT, where the ledger is by now, ready to take images in, and clears away what a crash left half written.
    /// Images are left as they come.
    pub fn open(out: &Path, limits: CheckLimits) -> Result<Self, StoreError> {
        Self::open_making(out, limits, Making::default())
    }

    /// The same, but something is made of each image before it gets its name.
    pub fn open_making(out: &Path, limits: CheckLimits, making: Making) -> Result<Self, StoreError> {
        let place = Arc::new(Place::open(out, limits, making)?);
        // Those that wait to be decoded wait here, without a thread.
        let makers = Arc::new(Semaphore::new(DECODERS_MAX));
        Ok(Self { place, makers, settling: Settling::start(out)? })
    }

    async fn receive(&self, name: ImageName, mut body: Body<'_>) -> Saved {
        let bytes_max = self.place.limits.bytes_max;
        let mut image = Incoming::new(Arc::clone(&self.place), name);
        let mut n_bytes = 0;
        while let Some(piece) = body.next().await {
            // Millions of pieces of one byte must not keep everybody else waiting.
            consume_budget().await;
            let piece = match piece {
                Ok(piece) => piece,
                Err(fault) => return Ok(Err(fault)),
            };
            n_bytes += piece.len() as u64;
            if n_bytes > bytes_max {
                return Ok(Err(bad_output(&NotAnImage::TooLong { bytes_max })));
            }
            if image.take(&piece) {
                image = blocking(move || image.flush().map(|()| image)).await?;
            }
        }
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
        // Reading a long one takes a while, in which others can become files.
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
}

impl ImageStore for DiskStore {
    fn save<'a>(&'a self, name: ImageName, body: Body<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, body))
    }
}

/// Runs what waits for the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
