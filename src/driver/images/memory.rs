//! Images kept in memory, for simulations: no thread, no file, and the same rules as on disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::future::BoxFuture;

use crate::driver::images::check::{CheckLimits, NotAnImage, inspect};
use crate::driver::images::{Body, ImageStore, Saved, artifact, bad_output};
use crate::model::name::ImageName;

/// Images by their path. Clones share them, so they outlive a simulated crash of whoever holds one.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    limits: CheckLimits,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(limits: CheckLimits) -> Self {
        Self { files: Arc::default(), limits }
    }

    /// Every file, by its path below OUT.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a file where an image may want to go, or damages one.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), bytes);
    }

    async fn receive(&self, name: ImageName, mut body: Body<'_>) -> Saved {
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(fault) => return Ok(Err(fault)),
            }
            if bytes.len() as u64 > self.limits.bytes_max {
                return Ok(Err(bad_output(&NotAnImage::TooLong { bytes_max: self.limits.bytes_max })));
            }
        }
        let checked = match inspect(bytes.as_slice(), &self.limits).expect("a slice cannot fail to be read") {
            Ok(checked) => checked,
            Err(why) => return Ok(Err(bad_output(&why))),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let path = name.path(checked.format);
        let path =
            if files.get(&path).is_none_or(|file| *file == bytes) { path } else { name.path_apart(checked.format) };
        files.insert(path.clone(), bytes);
        Ok(Ok(artifact(path, checked)))
    }
}

impl ImageStore for MemoryStore {
    fn save<'a>(&'a self, name: ImageName, body: Body<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, body))
    }
}
