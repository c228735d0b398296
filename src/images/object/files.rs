//! Files in object storage: whole files of this disk, such as the shards of a dataset, which replace no object.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};

use crate::images::StoredFiles;
use crate::images::error::StoreError;
use crate::images::object::bucket::Bucket;
use crate::images::object::connect::{Use, connect};
use crate::images::object::worker::Worker;
use crate::model::storage_url::StorageUrl;

/// Longest outage that a command waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Size of a part of a larger file, in bytes. Smaller files are written with one request, which is conditional where the storage knows that.
const PART_BYTES: usize = 16 << 20;

/// Objects below an address in object storage, as files.
#[derive(Debug)]
pub(in crate::images) struct ObjectFiles {
    bucket: Arc<Bucket>,
    worker: Worker,
}

impl ObjectFiles {
    /// Connects to the storage of an address. Sends nothing.
    pub(in crate::images) fn open(url: &StorageUrl) -> Result<Self, StoreError> {
        let worker = Worker::start().map_err(|error| StoreError::thread(url, &error))?;
        let bucket = Bucket::new(connect(url, Use::Upload)?, url.clone(), PATIENCE);
        Ok(Self { bucket: Arc::new(bucket), worker })
    }
}

impl StoredFiles for ObjectFiles {
    fn create(&self, name: &str, path: &Path) -> Result<bool, StoreError> {
        let (bucket, name, path) = (Arc::clone(&self.bucket), name.to_owned(), path.to_owned());
        self.worker.wait(async move {
            let at = |cause| StoreError::Io { doing: "read", path: path.clone(), cause };
            let bytes = path.metadata().map_err(at)?.len();
            // The name is looked up in any case: some storage writes over objects although it is asked not to.
            match bucket.head(&name).await? {
                Some(there) if there == bytes => {
                    return Ok(bucket.sha256(&name).await? == Some(sha256(&path).map_err(at)?));
                }
                Some(_) => return Ok(false),
                None if bytes <= PART_BYTES as u64 => {
                    return bucket.put(&name, &Bytes::from(std::fs::read(&path).map_err(at)?)).await;
                }
                None => bucket.upload(&name, &path).await?,
            }
            Ok(bucket.head(&name).await? == Some(bytes))
        })
    }

    fn length(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let (bucket, name) = (Arc::clone(&self.bucket), name.to_owned());
        self.worker.wait(async move { bucket.head(&name).await })
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let (bucket, name) = (Arc::clone(&self.bucket), name.to_owned());
        self.worker.wait(async move { bucket.remove(&name).await })
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

    /// Returns the SHA-256 of an object; `None` if there is none.
    async fn sha256(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let read = |key| async move {
            let mut hasher = Sha256::new();
            let mut parts = self.store().get(&key).await?.into_stream();
            while let Some(part) = futures::TryStreamExt::try_next(&mut parts).await? {
                hasher.update(&part);
            }
            Ok(hasher.finalize().into())
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
        let files = ObjectFiles::open(&place.parse().unwrap()).unwrap();
        for (n, bytes) in [0, 5, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7].into_iter().enumerate() {
            let (name, path) = (format!("{n}.tar"), folder.path().join("file"));
            let content: Vec<u8> = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
            fs::write(&path, &content).unwrap();
            assert_eq!(files.length(&name).unwrap(), None);
            assert!(files.create(&name, &path).unwrap() && files.create(&name, &path).unwrap(), "{bytes}");
            assert_eq!(files.length(&name).unwrap(), Some(bytes as u64));
            let sha256 = |content: &[u8]| -> Option<[u8; 32]> { Some(Sha256::digest(content).into()) };
            let (there, own) = (Arc::clone(&files.bucket), name.clone());
            let there = move || {
                let (bucket, name) = (Arc::clone(&there), own.clone());
                files_sha256(bucket, name)
            };
            assert!(files.worker.wait(there()) == sha256(&content), "{bytes}");
            let other = [&content[..], b"!"].concat();
            fs::write(&path, &other[1..]).unwrap();
            assert!(bytes == 0 || !files.create(&name, &path).unwrap(), "{bytes}: other bytes");
            fs::write(&path, &other).unwrap();
            assert!(!files.create(&name, &path).unwrap(), "{bytes}: another length");
            assert!(files.worker.wait(there()) == sha256(&content), "{bytes}");
            files.remove(&name).unwrap();
            files.remove(&name).unwrap();
            assert_eq!(files.length(&name).unwrap(), None);
        }
    }

    async fn files_sha256(bucket: Arc<Bucket>, name: String) -> Option<[u8; 32]> {
        bucket.sha256(&name).await.unwrap()
    }
}
