//! Tests of image stores: one conformance suite for all of them, with the stores of this crate.

pub(super) mod conformance;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::*;
use crate::images::local::LocalStore;
use crate::images::local::saved::LocalImages;
use crate::images::memory::MemoryStore;
use crate::images::validate::fixtures::png;
use crate::images::validate::verdict::CheckLimits;
use crate::model::job::{Job, JobId, ManifestRow};
use crate::model::provenance::Provenance;
use crate::model::request::Request;

/// Store under test, and its files as a user sees them.
pub(super) trait World {
    fn store(&self) -> &dyn ImageStore;

    fn saved(&self) -> &dyn SavedImages;

    /// Opens the store again, as the next process does after this one was killed.
    fn reopen(&mut self);

    /// Returns all files by name, temporary files included.
    fn files(&self) -> BTreeMap<String, Vec<u8>>;

    fn put(&self, name: &str, bytes: &[u8]);

    fn remove(&self, name: &str);

    /// Says that an earlier image of a job gives way to a later one of the same job, if it has the name that is the job's own.
    fn writes_over_own(&self) -> bool {
        true
    }
}

/// Store in a temporary folder, which is removed with the value.
pub(super) struct LocalWorld {
    pub store: LocalStore,
    saved: LocalImages,
    limits: CheckLimits,
    pub out: TempDir,
}

impl LocalWorld {
    pub(super) fn new(limits: CheckLimits) -> Self {
        let out = TempDir::new().unwrap();
        let (store, saved) = (LocalStore::open(out.path(), limits).unwrap(), LocalImages::new(out.path()));
        Self { store, saved, limits, out }
    }
}

impl World for LocalWorld {
    fn store(&self) -> &dyn ImageStore {
        &self.store
    }

    fn saved(&self) -> &dyn SavedImages {
        &self.saved
    }

    fn reopen(&mut self) {
        let next = LocalStore::open(self.out.path(), self.limits).unwrap();
        // A killed process drops nothing.
        std::mem::forget(std::mem::replace(&mut self.store, next));
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        gather(self.out.path(), self.out.path(), &mut files);
        files
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.out.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.out.path().join(name)).unwrap();
    }
}

fn gather(out: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(out, &path, files);
        } else {
            let name = path.strip_prefix(out).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

impl World for MemoryStore {
    fn store(&self) -> &dyn ImageStore {
        self
    }

    fn saved(&self) -> &dyn SavedImages {
        self
    }

    fn reopen(&mut self) {
        *self = self.clone();
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        self.put(name, bytes.to_vec());
    }

    fn remove(&self, name: &str) {
        self.remove(name);
    }
}

pub(super) fn job(index: u64, prompt: &str, occurrence: u32) -> Job {
    let request = Request { prompt: prompt.into(), ..Request::default() };
    Job {
        id: JobId::new(&request.content(), occurrence),
        index,
        label: None,
        request,
        extras: vec![],
        row: ManifestRow::default(),
    }
}

/// Returns the name of the first image of a job.
pub(super) fn name_of(job: Job) -> ImageName {
    ImageName::new(Provenance::of_job(job), 1)
}

pub(super) fn cat(occurrence: u32) -> ImageName {
    name_of(job(1, "a cat", occurrence))
}

/// Returns a body that arrives in pieces, as real bodies do.
pub(super) fn body(bytes: &[u8]) -> BoxStream<'static, Result<Bytes, Fault>> {
    let pieces: Vec<_> = bytes.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

pub(super) async fn save(store: &dyn ImageStore, name: ImageName, bytes: &[u8]) -> Result<Artifact, Fault> {
    store.save(name, IncomingImage::whole(body(bytes))).await.unwrap()
}

/// Returns the names of all files, temporary files included.
pub(super) fn names(world: &dyn World) -> Vec<String> {
    world.files().into_keys().collect()
}

/// Returns an image longer than the pieces in which the local store writes to the disk.
pub(super) fn big(seed: u64) -> Vec<u8> {
    let bytes = png(900, 900, seed);
    assert!(bytes.len() > 2 << 20, "{} bytes", bytes.len());
    bytes
}
