//! Saved images in object storage: verified, read, listed, and moved aside if they are damaged or replaced.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio::time::sleep;

use crate::images::SavedImages;
use crate::images::error::StoreError;
use crate::images::object::bucket::Bucket;
use crate::images::object::connect::{Use, connect};
use crate::images::object::worker::Worker;
use crate::images::verify::{Damage, compare, is_inside, is_of_task, kept_names, quarantine_names};
use crate::model::event::ReplacedImage;
use crate::model::outcome::{Artifact, TaskId};
use crate::model::output_options::Sidecar;
use crate::model::storage_url::StorageUrl;

/// Longest outage that a command waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Images that are asked for at once.
const REQUESTS_MAX: usize = 32;

/// Images whose presence is checked at the end of a run, at most: each costs a request.
const PRESENCE_MAX: u64 = 1_000;

/// Names of a list that wait for the reader, at most.
pub(super) const NAMES_MAX: usize = 10_000;

/// Pause of a list whose reader is slow.
const READER_PAUSE: Duration = Duration::from_millis(2);

/// Images below an address in object storage.
#[derive(Clone, Debug)]
pub(in crate::images) struct ObjectImages {
    pub(super) bucket: Arc<Bucket>,
    pub(super) worker: Arc<Worker>,
}

impl ObjectImages {
    /// Connects to the storage of an address. Sends nothing.
    pub(in crate::images) fn open(url: &StorageUrl) -> Result<Self, StoreError> {
        Self::new(Bucket::new(connect(url, Use::Read)?, url.clone(), PATIENCE))
    }

    pub(super) fn new(bucket: Bucket) -> Result<Self, StoreError> {
        let worker = Worker::start().map_err(|error| StoreError::thread(bucket.url(), &error))?;
        Ok(Self { bucket: Arc::new(bucket), worker: Arc::new(worker) })
    }

    /// Runs requests, and blocks until they are answered.
    fn wait<T, F>(&self, work: impl FnOnce(Arc<Bucket>) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.worker.wait(work(Arc::clone(&self.bucket)))
    }

    /// Asks about several images at once, and returns the answers in their order.
    fn ask<T, F>(&self, artifacts: &[Artifact], ask: impl Fn(Arc<Bucket>, Artifact) -> F + Send + 'static) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let artifacts = artifacts.to_vec();
        self.wait(|bucket| async move {
            let asked = futures::stream::iter(artifacts).map(move |artifact| ask(Arc::clone(&bucket), artifact));
            asked.buffered(REQUESTS_MAX).collect().await
        })
    }
}

/// Returns the bytes of an image, if they match its record. The outer error is an outage.
pub(super) async fn read(bucket: &Bucket, artifact: &Artifact) -> Result<Result<Bytes, Damage>, StoreError> {
    if !is_inside(&artifact.file_name) {
        return Ok(Err(Damage::Outside));
    }
    let bytes = match bucket.read(&artifact.file_name, Some(artifact.bytes)).await? {
        None => return Ok(Err(Damage::Missing)),
        Some(Err(bytes)) => return Ok(Err(Damage::Length { bytes, recorded: artifact.bytes })),
        Some(Ok(bytes)) => bytes,
    };
    let compared = compare(artifact, bytes.len() as u64, || Ok(&bytes[..]), io::sink());
    Ok(compared.expect("a slice cannot fail to be read").map(|()| bytes))
}

async fn verified(bucket: &Bucket, artifact: &Artifact) -> Result<Bytes, Damage> {
    read(bucket, artifact).await.unwrap_or_else(|error| Err(Damage::Unreadable(error.to_string())))
}

async fn is_there(bucket: &Bucket, artifact: &Artifact) -> Result<bool, StoreError> {
    let name = &artifact.file_name;
    Ok(is_inside(name) && bucket.head(name).await?.is_some_and(|found| found.size == artifact.bytes))
}

/// Moves an object to a free name. A copy is there before the object is removed.
async fn move_to(bucket: &Bucket, name: &str, to: &str) -> Result<(), StoreError> {
    if bucket.copy(name, to).await? { bucket.remove(name).await } else { Ok(()) }
}

/// Passes what was found to the reader of a list. Returns `false` if the reader is gone. The thread has other requests to do while the reader is slow.
pub(super) async fn tell<T>(reader: &SyncSender<Result<T, StoreError>>, mut found: Result<T, StoreError>) -> bool {
    loop {
        match reader.try_send(found) {
            Ok(()) => return true,
            Err(TrySendError::Disconnected(_)) => return false,
            Err(TrySendError::Full(again)) => found = again,
        }
        sleep(READER_PAUSE).await;
    }
}

impl SavedImages for ObjectImages {
    fn is_there(&self, artifact: &Artifact) -> bool {
        let artifact = artifact.clone();
        self.wait(|bucket| async move { is_there(&bucket, &artifact).await }).unwrap_or(false)
    }

    fn verify(&self, artifact: &Artifact) -> Result<(), Damage> {
        self.read(artifact).map(drop)
    }

    fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, Damage> {
        let artifact = artifact.clone();
        self.wait(|bucket| async move { verified(&bucket, &artifact).await }).map(Vec::from)
    }

    fn presence_max(&self) -> u64 {
        PRESENCE_MAX
    }

    fn count_there(&self, artifacts: &[Artifact]) -> Option<u64> {
        let artifacts = artifacts.to_vec();
        self.wait(|bucket| async move {
            let asked = futures::stream::iter(artifacts).map(|artifact| {
                let bucket = Arc::clone(&bucket);
                async move { is_there(&bucket, &artifact).await }
            });
            let there = asked.buffered(REQUESTS_MAX).try_fold(0, |n, found| async move { Ok(n + u64::from(found)) });
            there.await.ok()
        })
    }

    fn verify_all(&self, artifacts: &[Artifact]) -> Vec<Result<(), Damage>> {
        self.ask(artifacts, |bucket, artifact| async move { verified(&bucket, &artifact).await.map(drop) })
    }

    fn quarantine(&self, file_name: &str) -> Result<Option<String>, StoreError> {
        if !is_inside(file_name) {
            return Ok(None);
        }
        let file_name = file_name.to_owned();
        self.wait(|bucket| async move {
            if bucket.head(&file_name).await?.is_none() {
                return Ok(None);
            }
            for name in quarantine_names(&file_name) {
                if bucket.head(&name).await?.is_none() {
                    move_to(&bucket, &file_name, &name).await?;
                    return Ok(Some(name));
                }
            }
            unreachable!("there are more numbers than objects")
        })
    }

    fn keep(&self, artifact: &Artifact) -> Result<Option<String>, StoreError> {
        let artifact = artifact.clone();
        self.wait(|bucket| async move {
            let Ok(bytes) = read(&bucket, &artifact).await? else { return Ok(None) };
            for name in kept_names(&artifact.file_name) {
                if bucket.put(&name, &bytes).await?.is_some() {
                    return Ok(Some(name));
                }
            }
            unreachable!("there are more numbers than objects")
        })
    }

    fn release(&self, image: &ReplacedImage, task: Option<&TaskId>) -> Result<(), StoreError> {
        let (image, task) = (image.clone(), task.cloned());
        self.wait(|bucket| async move {
            if read(&bucket, &image.artifact).await?.is_err() || read(&bucket, &image.kept()).await?.is_err() {
                return Ok(());
            }
            let [sidecar, kept] = [&image.artifact.file_name, &image.kept_as].map(|name| {
                let (stem, _) = name.rsplit_once('.').unwrap_or((name, ""));
                format!("{stem}.{}", Sidecar::Json.extension())
            });
            if let Some(Ok(text)) = bucket.read(&sidecar, None).await?
                && is_of_task(&text, task.as_ref())
                && bucket.head(&kept).await?.is_none()
            {
                move_to(&bucket, &sidecar, &kept).await?;
            }
            bucket.remove(&image.artifact.file_name).await
        })
    }

    fn give_back(&self, image: &ReplacedImage) -> Result<bool, StoreError> {
        let image = image.clone();
        self.wait(|bucket| async move {
            match read(&bucket, &image.kept()).await? {
                Ok(bytes) if is_inside(&image.artifact.file_name) => {
                    Ok(bucket.put(&image.artifact.file_name, &bytes).await?.is_some())
                }
                Ok(_) | Err(_) => Ok(false),
            }
        })
    }

    fn list(&self) -> Box<dyn Iterator<Item = Result<String, StoreError>> + '_> {
        let (sender, names) = sync_channel(NAMES_MAX);
        self.wait(|bucket| async move {
            tokio::spawn(async move {
                let told = |name: String, _| tell(&sender, Ok(name));
                if let Err(error) = bucket.list("images", told).await {
                    tell(&sender, Err(error)).await;
                }
            });
        });
        Box::new(names.into_iter())
    }

    fn link(&self, _artifact: &Artifact, _to: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}
