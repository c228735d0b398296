//! Image store in memory, for simulations: no threads, no files, and the same rules as on disk.

use std::collections::BTreeMap;
use std::future::ready;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::future::BoxFuture;

use crate::images::error::{PARTIAL_GONE, StoreError};
use crate::images::validate::inspect;
use crate::images::validate::verdict::{CheckLimits, NotAnImage};
use crate::images::verify::{Damage, compare, is_inside, is_of_task, kept_names, quarantine_names};
use crate::images::{ImageStore, IncomingImage, Saved, SavedImages};
use crate::model::event::ReplacedImage;
use crate::model::job::JobId;
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind, TaskId};
use crate::model::output_options::Sidecar;
use crate::model::partial_download::{PartialDownload, Validator};

/// Images by their path. Clones share the images, so that the images survive a simulated crash of one holder.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Partial downloads, by image.
    parts: Arc<Mutex<BTreeMap<String, KeptPart>>>,
    limits: CheckLimits,
}

/// First bytes of an image, and the data to request its remaining bytes from the host.
#[derive(Debug)]
struct KeptPart {
    task: Option<TaskId>,
    validator: Validator,
    bytes_total: Option<u64>,
    bytes: Vec<u8>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new(limits: CheckLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Returns every file by its path below the output folder.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        lock(&self.files).clone()
    }

    /// Writes a file at `path`, to occupy the name of an image or to damage an image.
    pub fn put(&self, path: &str, bytes: Vec<u8>) {
        lock(&self.files).insert(path.to_owned(), bytes);
    }

    /// Removes the file at `path`, if there is one.
    pub fn remove(&self, path: &str) {
        lock(&self.files).remove(path);
    }

    async fn receive(&self, name: ImageName, download: IncomingImage<'_>) -> Saved {
        let IncomingImage { n_before, bytes_total, validator, mut body } = download;
        let earlier = lock(&self.parts).remove(&name.partial());
        let earlier = earlier.map_or_else(Vec::new, |earlier| earlier.bytes);
        let mut bytes = match n_before {
            0 => vec![],
            _ if earlier.len() as u64 == n_before => earlier,
            _ => return Ok(Err(Fault::new(FaultKind::Transient, PARTIAL_GONE))),
        };
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(fault) => {
                    if let Some(validator) =
                        validator.filter(|_| fault.kind != FaultKind::BadOutput && !bytes.is_empty())
                    {
                        let task = name.origin().task.clone();
                        let kept = KeptPart { task, validator, bytes_total, bytes };
                        lock(&self.parts).insert(name.partial(), kept);
                    }
                    return Ok(Err(fault));
                }
            }
            if bytes.len() as u64 > self.limits.bytes_max {
                return Ok(Err(NotAnImage::TooLong { bytes_max: self.limits.bytes_max }.fault()));
            }
        }
        let checked = match inspect(bytes.as_slice(), &self.limits).expect("a slice cannot fail to be read") {
            Ok(checked) => checked,
            Err(why) => return Ok(Err(why.fault())),
        };
        let mut files = lock(&self.files);
        let path = name.path(checked.format);
        let path =
            if files.get(&path).is_none_or(|file| *file == bytes) { path } else { name.path_apart(checked.format) };
        files.insert(path.clone(), bytes);
        Ok(Ok(checked.artifact(path)))
    }
}

impl ImageStore for MemoryStore {
    fn partial<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        let mut parts = lock(&self.parts);
        let kept = parts.remove(&name.partial()).filter(|kept| kept.task == name.origin().task);
        let part = kept.map(|kept| {
            let (n_bytes, bytes_total, validator) = (kept.bytes.len() as u64, kept.bytes_total, kept.validator.clone());
            parts.insert(name.partial(), kept);
            PartialDownload { n_bytes, bytes_total, validator }
        });
        Box::pin(ready(part))
    }

    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, image))
    }

    fn remove_partial(&self, job: JobId) {
        let of_job = format!("{job}-");
        lock(&self.parts).retain(|key, _| !key.starts_with(&of_job));
    }

    fn remove_partials(&self) {
        lock(&self.parts).clear();
    }

    fn holds<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        Box::pin(ready(self.verify(artifact).is_ok()))
    }
}

impl SavedImages for MemoryStore {
    fn is_there(&self, artifact: &Artifact) -> bool {
        lock(&self.files).get(&artifact.file_name).is_some_and(|bytes| bytes.len() as u64 == artifact.bytes)
    }

    fn verify(&self, artifact: &Artifact) -> Result<(), Damage> {
        self.read(artifact).map(drop)
    }

    fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, Damage> {
        if !is_inside(&artifact.file_name) {
            return Err(Damage::Outside);
        }
        let bytes = lock(&self.files).get(&artifact.file_name).cloned().ok_or(Damage::Missing)?;
        let compared = compare(artifact, bytes.len() as u64, || Ok(bytes.as_slice()), io::sink());
        compared.expect("a slice cannot fail to be read").map(|()| bytes)
    }

    fn quarantine(&self, file_name: &str) -> Result<Option<String>, StoreError> {
        let mut files = lock(&self.files);
        let Some(bytes) = files.remove(file_name) else { return Ok(None) };
        let is_free = |name: &String| !files.contains_key(name);
        let name = quarantine_names(file_name).find(is_free).expect("there are more numbers than files");
        files.insert(name.clone(), bytes);
        Ok(Some(name))
    }

    fn keep(&self, artifact: &Artifact) -> Result<Option<String>, StoreError> {
        let Ok(bytes) = self.read(artifact) else { return Ok(None) };
        let mut files = lock(&self.files);
        let is_free = |name: &String| files.get(name).is_none_or(|kept| *kept == bytes);
        let name = kept_names(&artifact.file_name).find(is_free).expect("there are more numbers than files");
        files.insert(name.clone(), bytes);
        Ok(Some(name))
    }

    fn release(&self, image: &ReplacedImage, task: Option<&TaskId>) -> Result<(), StoreError> {
        if self.verify(&image.artifact).is_err() || self.verify(&image.kept()).is_err() {
            return Ok(());
        }
        let [sidecar, kept] = [&image.artifact.file_name, &image.kept_as].map(|name| {
            let (stem, _) = name.rsplit_once('.').unwrap_or((name, ""));
            format!("{stem}.{}", Sidecar::Json.extension())
        });
        let mut files = lock(&self.files);
        if let Some(text) = files.remove(&sidecar) {
            let name = if is_of_task(&text, task) { kept } else { sidecar };
            files.insert(name, text);
        }
        files.remove(&image.artifact.file_name);
        Ok(())
    }

    fn give_back(&self, image: &ReplacedImage) -> Result<bool, StoreError> {
        let Ok(bytes) = self.read(&image.kept()) else { return Ok(false) };
        let mut files = lock(&self.files);
        Ok(*files.entry(image.artifact.file_name.clone()).or_insert_with(|| bytes.clone()) == bytes)
    }

    fn list(&self) -> Box<dyn Iterator<Item = Result<String, StoreError>> + '_> {
        let names: Vec<_> = lock(&self.files).keys().filter(|name| name.starts_with("images/")).cloned().collect();
        Box::new(names.into_iter().map(Ok))
    }

    fn link(&self, _artifact: &Artifact, _to: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
