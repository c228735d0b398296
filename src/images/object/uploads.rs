//! Many objects of a dataset, created at once: bytes that are sent, and images of the run that the storage copies by itself.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use object_store::{PutMode, UpdateVersion};

use crate::images::error::StoreError;
use crate::images::object::bucket::{Bucket, tag};
use crate::images::object::failure::Failure;
use crate::images::object::saved;
use crate::images::object::worker::Worker;
use crate::images::verify::{Damage, is_inside};
use crate::images::{Created, NewContent, NewObject, StoredObject};
use crate::model::outcome::Artifact;
use crate::model::storage_url::{StorageKind, StorageUrl};

/// Requests at once, at most.
pub(super) const REQUESTS_MAX: usize = 32;

/// Bytes in memory, beyond which no further object is begun.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// Images of a run in object storage.
#[derive(Clone, Debug)]
pub(super) struct RunImages {
    bucket: Arc<Bucket>,
    /// Says that the storage of the dataset is that of the images, and has not refused to copy.
    is_copying: Arc<AtomicBool>,
}

impl RunImages {
    /// Returns the images in `bucket`, for a dataset at `place`.
    pub(super) fn new(bucket: Bucket, place: &StorageUrl) -> Self {
        let of = |url: &StorageUrl| (url.kind(), url.bucket().to_owned(), url.account().map(str::to_owned));
        let is_copying = of(bucket.url()) == of(place) && place.kind() != StorageKind::Folder;
        Self { bucket: Arc::new(bucket), is_copying: Arc::new(is_copying.into()) }
    }

    /// Makes the storage copy an image, once it is verified. `None` if it does not copy.
    async fn copy(&self, artifact: &Artifact, bucket: &Bucket, name: &str) -> Result<Option<Created>, StoreError> {
        if let Err(damage) = self.verify(artifact).await? {
            return Ok(Some(Created::Damaged(damage)));
        }
        let is_new = match bucket.copy_new(&self.bucket.key(&artifact.file_name)?, name).await? {
            Ok(()) => true,
            Err(Failure::Exists) => false,
            Err(_) => {
                self.is_copying.store(false, Ordering::Relaxed);
                return Ok(None);
            }
        };
        // Two racing writers may both be told that there is an object, and there is none.
        let Some(object) = bucket.find(name).await? else { return Ok(None) };
        let is_whole = object.bytes == artifact.bytes
            && (is_new || bucket.digest(name).await? == Some((artifact.bytes, artifact.sha256)));
        Ok(Some(if is_whole { Created::Whole { object, is_copied_there: true } } else { Created::Taken }))
    }

    /// Verifies an image without keeping its bytes in memory.
    async fn verify(&self, artifact: &Artifact) -> Result<Result<(), Damage>, StoreError> {
        if !is_inside(&artifact.file_name) {
            return Ok(Err(Damage::Outside));
        }
        Ok(match self.bucket.digest(&artifact.file_name).await? {
            None => Err(Damage::Missing),
            Some((bytes, _)) if bytes != artifact.bytes => Err(Damage::Length { bytes, recorded: artifact.bytes }),
            Some((_, sha256)) if sha256 != artifact.sha256 => Err(Damage::Content),
            Some(_) => Ok(()),
        })
    }
}

/// Creates objects, several at once, and returns the results in their order.
pub(super) fn create_all(
    worker: &Worker,
    bucket: &Arc<Bucket>,
    source: Option<&RunImages>,
    objects: &mut dyn Iterator<Item = Result<NewObject, Damage>>,
) -> Result<Vec<Created>, StoreError> {
    let (sender, results) = mpsc::channel();
    let (mut created, mut failed): (Vec<Option<Created>>, _) = (vec![], None);
    let (mut n_open, mut n_bytes, mut is_done) = (0, 0, false);
    loop {
        while !is_done && n_open < REQUESTS_MAX && n_bytes < BYTES_MAX {
            let object = match objects.next() {
                Some(Ok(object)) => object,
                Some(Err(damage)) => {
                    created.push(Some(Created::Damaged(damage)));
                    continue;
                }
                None => {
                    is_done = true;
                    break;
                }
            };
            let (at, bytes) = (created.len(), memory_of(&object, source));
            created.push(None);
            (n_open, n_bytes) = (n_open + 1, n_bytes + bytes);
            let (bucket, source) = (Arc::clone(bucket), source.cloned());
            worker.begin(async move { (at, bytes, create(&bucket, source, object).await) }, sender.clone());
        }
        if n_open == 0 {
            break;
        }
        let result = results.recv().expect("the sender is kept");
        let (at, bytes, result) = result.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        (n_open, n_bytes) = (n_open - 1, n_bytes - bytes);
        match result {
            Ok(done) => created[at] = Some(done),
            Err(error) => {
                // Those that were begun are waited for.
                is_done = true;
                failed = failed.or(Some(error));
            }
        }
    }
    failed.map_or_else(|| Ok(created.into_iter().flatten().collect()), Err)
}

/// Returns the bytes that the creation of an object needs in memory.
fn memory_of(object: &NewObject, source: Option<&RunImages>) -> u64 {
    match &object.content {
        NewContent::Bytes(bytes) => bytes.len() as u64,
        NewContent::Image(_) if source.is_some_and(|source| source.is_copying.load(Ordering::Relaxed)) => 0,
        NewContent::Image(artifact) => artifact.bytes,
    }
}

async fn create(bucket: &Bucket, source: Option<RunImages>, object: NewObject) -> Result<Created, StoreError> {
    let NewObject { name, content } = object;
    let bytes = match content {
        NewContent::Bytes(bytes) => bytes,
        NewContent::Image(artifact) => {
            let source = source.expect("images of a run in object storage have a source");
            if source.is_copying.load(Ordering::Relaxed)
                && let Some(created) = source.copy(&artifact, bucket, &name).await?
            {
                return Ok(created);
            }
            match saved::read(&source.bucket, &artifact).await? {
                Ok(bytes) => bytes,
                Err(damage) => return Ok(Created::Damaged(damage)),
            }
        }
    };
    let written = bucket.put(&name, &bytes).await?;
    Ok(written.map_or(Created::Taken, |tag| {
        let object = StoredObject { bytes: bytes.len() as u64, tag };
        Created::Whole { object, is_copied_there: false }
    }))
}

impl Bucket {
    /// Writes over an object, if it still has this tag and version and the storage knows that condition. Says nothing of what is there then.
    pub(super) async fn update(
        &self,
        name: &str,
        bytes: &bytes::Bytes,
        (e_tag, version): (Option<String>, Option<String>),
    ) -> Result<(), StoreError> {
        let has_condition = !tag(e_tag.as_deref()).is_empty() || version.is_some();
        let update = PutMode::Update(UpdateVersion { e_tag, version });
        for mode in [update, PutMode::Overwrite].into_iter().skip(usize::from(!has_condition)) {
            match self.write(name, bytes, mode).await? {
                Err(Failure::Unsupported) => (),
                Ok(_) | Err(_) => return Ok(()),
            }
        }
        Err(self.unwritable(name))
    }
}
