//! Files in object storage: whole files of this disk, such as the shards of a dataset, and many small objects, which replace no other object.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::images::error::StoreError;
use crate::images::object::PROBE;
use crate::images::object::bucket::Bucket;
use crate::images::object::connect::{Use, connect};
use crate::images::object::saved::{NAMES_MAX, tell};
use crate::images::object::uploads::{REQUESTS_MAX, RunImages, create_all};
use crate::images::object::worker::Worker;
use crate::images::verify::Damage;
use crate::images::{Created, NewObject, StoredFiles, StoredObject, StoredObjects};
use crate::model::storage_url::StorageUrl;

/// Longest outage that a command waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Size of a part of a larger file, in bytes. Smaller files are written with one request, which is conditional where the storage knows that.
const PART_BYTES: usize = 16 << 20;

/// Objects below an address in object storage, as files.
#[derive(Debug)]
pub(in crate::images) struct ObjectFiles {
    /// Bucket for all requests except those of [large](Self::large) files.
    bucket: Arc<Bucket>,
    /// Bucket for files in parts: its client repeats the request of a part by itself.
    large: Arc<Bucket>,
    /// Images of the run, if they are in object storage too.
    source: Option<RunImages>,
    worker: Worker,
}

impl ObjectFiles {
    /// Connects to the storage of an address, and to that of the images of the run. Sends nothing.
    pub(in crate::images) fn open(url: &StorageUrl, images: Option<&StorageUrl>) -> Result<Self, StoreError> {
        let large = Bucket::new(connect(url, Use::Upload)?, url.clone(), PATIENCE);
        let bucket = Bucket::new(connect(url, Use::Write)?, url.clone(), PATIENCE);
        let source = match images {
            Some(images) => {
                let bucket = Bucket::new(connect(images, Use::Read)?, images.clone(), PATIENCE);
                Some(RunImages::new(bucket, url))
            }
            None => None,
        };
        Self::with(bucket, large, source)
    }

    pub(super) fn with(bucket: Bucket, large: Bucket, source: Option<RunImages>) -> Result<Self, StoreError> {
        let worker = Worker::start().map_err(|error| StoreError::thread(bucket.url(), &error))?;
        Ok(Self { bucket: Arc::new(bucket), large: Arc::new(large), source, worker })
    }

    #[cfg(test)]
    pub(super) const fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Runs requests for an object, and blocks until they are answered.
    fn wait<T, F>(&self, name: &str, work: impl FnOnce(Arc<Bucket>, String) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.worker.wait(work(Arc::clone(&self.bucket), name.to_owned()))
    }
}

impl StoredFiles for ObjectFiles {
    fn create(&self, name: &str, path: &Path) -> Result<bool, StoreError> {
        let (large, path) = (Arc::clone(&self.large), path.to_owned());
        self.wait(name, |bucket, name| async move {
            let at = |cause| StoreError::Io { doing: "read", path: path.clone(), cause };
            let bytes = path.metadata().map_err(at)?.len();
            // The name is looked up in any case: some storage writes over objects although it is asked not to.
            match bucket.find(&name).await? {
                Some(there) if there.bytes == bytes => {
                    return Ok(bucket.digest(&name).await? == Some((bytes, sha256(&path).map_err(at)?)));
                }
                Some(_) => return Ok(false),
                None if bytes <= PART_BYTES as u64 => {
                    return Ok(bucket.put(&name, &read(&path)?).await?.is_some());
                }
                None => large.upload(&name, &path).await?,
            }
            Ok(bucket.find(&name).await?.is_some_and(|there| there.bytes == bytes))
        })
    }

    fn create_all(
        &self,
        objects: &mut dyn Iterator<Item = Result<NewObject, Damage>>,
    ) -> Result<Vec<Created>, StoreError> {
        create_all(&self.worker, &self.bucket, self.source.as_ref(), objects)
    }

    fn replace(&self, name: &str, path: &Path, tag: &str) -> Result<Option<StoredObject>, StoreError> {
        let (large, path, tag) = (Arc::clone(&self.large), path.to_owned(), tag.to_owned());
        self.wait(name, |bucket, name| async move {
            let at = |cause| StoreError::Io { doing: "read", path: path.clone(), cause };
            let bytes = path.metadata().map_err(at)?.len();
            let there = bucket.head(&name).await?.filter(|there| super::bucket::tag(there.e_tag.as_deref()) == tag);
            match there {
                Some(there) if bytes <= PART_BYTES as u64 => {
                    bucket.update(&name, &read(&path)?, (there.e_tag, there.version)).await?;
                }
                Some(_) => large.upload(&name, &path).await?,
                None => (),
            }
            // What is there decides: an answer may have been lost, and another program may have been faster.
            let there = bucket.find(&name).await?;
            let is_own = bucket.digest(&name).await? == Some((bytes, sha256(&path).map_err(at)?));
            Ok(there.filter(|_| is_own))
        })
    }

    fn find(&self, name: &str) -> Result<Option<StoredObject>, StoreError> {
        self.wait(name, |bucket, name| async move { bucket.find(&name).await })
    }

    fn sha256(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        self.wait(name, |bucket, name| async move { Ok(bucket.digest(&name).await?.map(|(_, sha256)| sha256)) })
    }

    fn list(&self) -> StoredObjects<'_> {
        let (sender, found) = sync_channel(NAMES_MAX);
        self.wait("", |bucket, _| async move {
            tokio::spawn(async move {
                let told = |name: String, object: StoredObject| tell(&sender, Ok((name, object)));
                if let Err(error) = bucket.list("", told).await {
                    tell(&sender, Err(error)).await;
                }
            });
        });
        Box::new(found.into_iter().filter(|found| found.as_ref().map_or(true, |(name, _)| name != PROBE)))
    }

    fn remove_all(&self, names: Vec<String>) -> Result<(), StoreError> {
        self.wait("", |bucket, _| async move {
            let removals = futures::stream::iter(names).map(|name| {
                let bucket = Arc::clone(&bucket);
                async move { bucket.remove(&name).await }
            });
            removals.buffer_unordered(REQUESTS_MAX).try_collect().await
        })
    }
}

impl Bucket {
    /// Writes a large file in parts. It appears whole, or not at all.
    async fn upload(&self, name: &str, path: &Path) -> Result<(), StoreError> {
        let upload = |key| async move {
            let mut upload = self.store().put_multipart(&key).await?;
            let written = write_parts(&mut *upload, path).await;
            if written.is_err() {
                // Parts without an end cost money until the storage's own rules remove them.
                drop(upload.abort().await);
            }
            written
        };
        self.patiently(("write", name), upload).await?.map_err(|_| self.unwritable(name))
    }

    /// Reads an object, and returns its length and its SHA-256; `None` if there is none.
    pub(super) async fn digest(&self, name: &str) -> Result<Option<(u64, [u8; 32])>, StoreError> {
        let read = |key| async move {
            let (mut hasher, mut bytes) = (Sha256::new(), 0);
            let mut parts = self.store().get(&key).await?.into_stream();
            while let Some(part) = parts.try_next().await? {
                hasher.update(&part);
                bytes += part.len() as u64;
            }
            Ok((bytes, hasher.finalize().into()))
        };
        Ok(self.patiently(("read", name), read).await?.ok())
    }
}

async fn write_parts(upload: &mut dyn MultipartUpload, path: &Path) -> object_store::Result<()> {
    let failed = |error: io::Error| object_store::Error::Generic { store: "file", source: Box::new(error) };
    let mut file = File::open(path).map_err(failed)?;
    loop {
        let mut part = Vec::with_capacity(PART_BYTES);
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).map_err(failed)?;
        if part.is_empty() {
            return upload.complete().await.map(drop);
        }
        upload.put_part(PutPayload::from(part)).await?;
    }
}

/// Reads a small file.
fn read(path: &Path) -> Result<Bytes, StoreError> {
    let read = std::fs::read(path).map(Bytes::from);
    read.map_err(|cause| StoreError::Io { doing: "read", path: path.to_owned(), cause })
}

fn sha256(path: &Path) -> io::Result<[u8; 32]> {
    let (mut hasher, mut file, mut buffer) = (Sha256::new(), File::open(path)?, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Variable with the address of a storage, for the test against a real one.
    const STORAGE: &str = "PROMPTBATCH_TEST_STORAGE";

    #[test]
    fn a_file_is_written_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        check(&format!("file://{}/bucket", folder.path().display()));
    }

    #[test]
    #[ignore = "needs the address of a storage in PROMPTBATCH_TEST_STORAGE, and its environment"]
    fn a_file_is_written_once_and_whole_in_a_real_storage() {
        let place = std::env::var(STORAGE).unwrap_or_else(|_| panic!("{STORAGE} has no address"));
        check(&format!("{place}/{:016x}", fastrand::u64(..)));
    }

    /// Goal: a file of any size appears whole, and replaces nothing. Method: files of one request, of one part, and of several.
    fn check(place: &str) {
        let folder = tempfile::tempdir().unwrap();
        let files = ObjectFiles::open(&place.parse().unwrap(), None).unwrap();
        for (n, bytes) in [0, 5, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7].into_iter().enumerate() {
            let (name, path) = (format!("{n}.tar"), folder.path().join("file"));
            let content: Vec<u8> = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
            fs::write(&path, &content).unwrap();
            assert_eq!(files.find(&name).unwrap(), None);
            assert!(files.create(&name, &path).unwrap() && files.create(&name, &path).unwrap(), "{bytes}");
            assert_eq!(files.find(&name).unwrap().map(|there| there.bytes), Some(bytes as u64));
            let sha256 = |content: &[u8]| -> Option<[u8; 32]> { Some(Sha256::digest(content).into()) };
            assert!(files.sha256(&name).unwrap() == sha256(&content), "{bytes}");
            let other = [&content[..], b"!"].concat();
            fs::write(&path, &other[1..]).unwrap();
            assert!(bytes == 0 || !files.create(&name, &path).unwrap(), "{bytes}: other bytes");
            fs::write(&path, &other).unwrap();
            assert!(!files.create(&name, &path).unwrap(), "{bytes}: another length");
            assert!(files.sha256(&name).unwrap() == sha256(&content), "{bytes}");
            let tag = files.find(&name).unwrap().unwrap().tag;
            assert_eq!(files.replace(&name, &path, "another tag").unwrap(), None, "{bytes}");
            assert!(files.sha256(&name).unwrap() == sha256(&content), "{bytes}");
            assert!(files.replace(&name, &path, &tag).unwrap().is_some_and(|there| there.bytes == other.len() as u64));
            assert!(files.sha256(&name).unwrap() == sha256(&other), "{bytes}");
            files.remove_all(vec![name.clone()]).unwrap();
            files.remove_all(vec![name.clone()]).unwrap();
            assert_eq!(files.find(&name).unwrap(), None);
        }
    }
}
