//! Image store in object storage: an image is received on the local disk and in memory, and written as one object that replaces no other.

mod bucket;
mod connect;
mod failure;
pub(super) mod files;
pub(super) mod saved;
#[cfg(test)]
pub(super) mod tests;
mod uploads;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use tokio::sync::Semaphore;

use crate::images::error::StoreError;
use crate::images::local::output_dir::PARTIALS;
use crate::images::local::receiver::{Receiver, blocking};
use crate::images::object::bucket::Bucket;
use crate::images::object::connect::{Use, connect};
use crate::images::object::failure::Failure;
use crate::images::object::saved::ObjectImages;
use crate::images::object::worker::Worker;
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, IncomingImage, Saved};
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::Artifact;
use crate::model::output_options::PostProcessing;
use crate::model::partial_download::PartialDownload;
use crate::model::storage_url::StorageUrl;

/// Images that are written at once. Each is in memory as a whole.
const UPLOADS_MAX: usize = 48;

/// Name of the object that shows whether the storage keeps to conditions.
const PROBE: &str = ".promptbatch-probe";

/// Content of that object, for users who find it.
const PROBE_TEXT: &[u8] =
    b"promptbatch writes this object twice to see that this storage replaces no object by accident.\n";

/// Longest outage while the storage is tried out, before anything is paid for.
const PROBE_PATIENCE: Duration = Duration::from_secs(20);

/// Images of one run in object storage. Partial downloads are in the output folder.
#[derive(Clone, Debug)]
pub(crate) struct ObjectStoreImages {
    receiver: Receiver,
    images: ObjectImages,
    uploads: Arc<Semaphore>,
}

impl ObjectStoreImages {
    /// Connects to the storage, and tries out whether it replaces objects against its orders. `patience` is the longest outage that a
    /// save waits for.
    pub(crate) fn open(
        out: &Path,
        url: &StorageUrl,
        patience: Duration,
        limits: CheckLimits,
        processing: PostProcessing,
    ) -> Result<Self, StoreError> {
        let probe = Bucket::new(connect(url, Use::Write)?, url.clone(), PROBE_PATIENCE.min(patience));
        let worker = Worker::start().map_err(|error| StoreError::thread(url, &error))?;
        let is_conditional = worker.wait(async move { is_conditional(&probe).await }).map_err(explained)?;
        let store = Self::with(out, (connect(url, Use::Write)?, url, patience), limits, processing)?;
        if !is_conditional {
            store.images.bucket.set_unconditional();
            store.images.bucket.tell(format!(
                "note: {url} writes over objects although it is asked not to; each name is looked up before it is written, which is \
                 safe as long as no other program writes there"
            ));
        }
        Ok(store)
    }

    fn with(
        out: &Path,
        (store, url, patience): (Box<dyn ObjectStore>, &StorageUrl, Duration),
        limits: CheckLimits,
        processing: PostProcessing,
    ) -> Result<Self, StoreError> {
        let images = ObjectImages::new(Bucket::new(store, url.clone(), patience))?;
        let receiver = Receiver::open(out, PARTIALS, limits, processing)?;
        Ok(Self { receiver, images, uploads: Arc::new(Semaphore::new(UPLOADS_MAX)) })
    }

    async fn receive(&self, name: ImageName, download: IncomingImage<'_>) -> Saved {
        let image = match self.receiver.receive(name, download).await? {
            Ok(image) => image,
            Err(fault) => return Ok(Err(fault)),
        };
        let _upload = self.uploads.acquire().await.expect("nobody closes it");
        let mut received = match blocking(move || image.received()).await? {
            Ok(received) => received,
            Err(fault) => return Ok(Err(fault)),
        };
        let bytes = Bytes::from(std::mem::take(&mut received.bytes));
        let (name, format) = (&received.name, received.checked.format);
        let names = [name.path(format), name.path_apart(format)];
        let is_apart = |file_name: &str| file_name == names[1];
        let file_name = self.put(names.clone(), bytes).await?;
        if let Some((extension, text)) = received.beside.take() {
            let (plain, apart) = (name.beside(extension), name.beside_apart(extension));
            let first = if is_apart(&file_name) { apart.clone() } else { plain };
            self.put([first, apart], text.into()).await?;
        }
        let artifact = received.checked.artifact(file_name);
        received.set_stored();
        Ok(Ok(artifact))
    }

    /// Writes an object under the first of these names that is free, or has the same bytes; or else under a numbered one. Returns the name.
    async fn put(&self, names: [String; 2], bytes: Bytes) -> Result<String, StoreError> {
        let [_, apart] = &names;
        let (stem, extension) = apart.rsplit_once('.').expect("names of images have an extension");
        let numbered = (2_u64..).map(|n| format!("{stem}.{n}.{extension}"));
        for name in names.clone().into_iter().chain(numbered) {
            let (bucket, bytes) = (Arc::clone(&self.images.bucket), bytes.clone());
            let written = self.images.worker.run(async move {
                let is_there = bucket.put(&name, &bytes).await?;
                Ok::<_, StoreError>(is_there.is_some().then_some(name))
            });
            if let Some(name) = written.await? {
                return Ok(name);
            }
        }
        unreachable!("there are more numbers than objects")
    }
}

/// Adds what is the likely cause if S3 cannot be reached: there are no keys, and the role of the machine was asked for.
fn explained(error: StoreError) -> StoreError {
    match error {
        StoreError::Storage { doing, url, cause, is_outage: true, .. } if url.starts_with("s3://") && !has_keys() => {
            let remedy = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: without them, the role of a machine in the cloud was asked for";
            StoreError::Storage { doing, url, cause, remedy, is_outage: false }
        }
        error => error,
    }
}

/// Returns whether the environment names keys of S3, or says that none are needed.
fn has_keys() -> bool {
    ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Returns whether the storage refuses to write over an object on request. One that knows no such request is tried out with a plain one.
async fn is_conditional(bucket: &Bucket) -> Result<bool, StoreError> {
    let text = Bytes::from_static(PROBE_TEXT);
    for _ in 0..2 {
        match bucket.create(PROBE, &text).await? {
            Err(Failure::Exists) => return Ok(true),
            Err(Failure::Unsupported) => {
                bucket.set_unconditional();
                bucket.create(PROBE, &text).await?.ok();
                return Ok(false);
            }
            Ok(_) | Err(Failure::Missing | Failure::Refused | Failure::Passing) => (),
        }
    }
    Ok(false)
}

impl ImageStore for ObjectStoreImages {
    fn partial<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        Box::pin(self.receiver.partial(name))
    }

    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, image))
    }

    fn holds<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        let (bucket, artifact) = (Arc::clone(&self.images.bucket), artifact.clone());
        let verified = self.images.worker.run(async move { saved::read(&bucket, &artifact).await });
        Box::pin(async move { verified.await.is_ok_and(|found| found.is_ok()) })
    }

    fn remove_partial(&self, job: JobId) {
        self.receiver.remove_partial(job);
    }

    fn remove_partials(&self) {
        self.receiver.remove_partials();
    }

    fn take_notice(&self) -> Option<String> {
        self.images.bucket.take_notice()
    }
}
