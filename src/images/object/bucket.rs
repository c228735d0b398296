//! Objects below one address, with patience: a request that may succeed later is repeated until an outage is too long.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions, PutPayload,
};
use tokio::time::sleep;

use crate::images::StoredObject;
use crate::images::error::StoreError;
use crate::images::object::failure::{Failure, words};
use crate::model::storage_url::{StorageKind, StorageUrl};

/// First pause before a repetition, and the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Length of an outage that the user hears about.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// Locks of names, for storage without conditions.
const N_LOCKS: usize = 64;

/// Repetitions of a write that another one seems to have preceded, although there is no object.
const CONFLICTS_MAX: u32 = 20;

const REFUSED: &str = "check the address, the keys and the rights in the environment (docs/object-storage.md), and run the same command \
again; images that are there already are not lost";
const OUTAGE: &str = "run the same command again once it can be reached: images that are there already are not lost, and nothing is \
paid for again";

/// Objects below one address.
pub(super) struct Bucket {
    store: Box<dyn ObjectStore>,
    url: StorageUrl,
    /// Prefix of the keys; empty for a folder, whose store begins there.
    prefix: String,
    /// Longest outage.
    patience: Duration,
    /// Says whether the storage refuses to write over an object on request.
    is_conditional: AtomicBool,
    locks: [tokio::sync::Mutex<()>; N_LOCKS],
    outage: Mutex<Outage>,
}

/// Present outage, and what the user has not heard yet.
#[derive(Debug)]
struct Outage {
    /// Time of the last answer; at first, the time of the connection.
    answered_at: Instant,
    is_told: bool,
    notices: Vec<String>,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.url).finish()
    }
}

impl Bucket {
    /// Creates the bucket of a connected store.
    pub(super) fn new(store: Box<dyn ObjectStore>, url: StorageUrl, patience: Duration) -> Self {
        let prefix = if url.kind() == StorageKind::Folder { String::new() } else { url.prefix().to_owned() };
        let locks = std::array::from_fn(|_| tokio::sync::Mutex::new(()));
        let outage = Mutex::new(Outage { answered_at: Instant::now(), is_told: false, notices: vec![] });
        Self { store, url, prefix, patience, is_conditional: AtomicBool::new(true), locks, outage }
    }

    /// Makes the storage be treated as one that writes over objects whatever it is told.
    pub(super) fn set_unconditional(&self) {
        self.is_conditional.store(false, Ordering::Relaxed);
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        &*self.store
    }

    /// Returns the error for an object that the storage does not write.
    pub(super) fn unwritable(&self, name: &str) -> StoreError {
        self.failed("write", name, "it refuses to, or there is no such bucket".to_owned(), REFUSED, false)
    }

    pub(super) const fn url(&self) -> &StorageUrl {
        &self.url
    }

    /// Tells the user something.
    pub(super) fn tell(&self, words: String) {
        self.outage().notices.push(words);
    }

    /// Returns what the user has not heard yet.
    pub(super) fn take_notice(&self) -> Option<String> {
        let mut outage = self.outage();
        if outage.notices.is_empty() { None } else { Some(outage.notices.remove(0)) }
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key of a name.
    pub(super) fn key(&self, name: &str) -> Result<Path, StoreError> {
        let key = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        Path::parse(key).map_err(|error| self.failed("use", name, error.to_string(), REFUSED, false))
    }

    fn failed(
        &self,
        doing: &'static str,
        name: &str,
        cause: String,
        remedy: &'static str,
        is_outage: bool,
    ) -> StoreError {
        let url = if name.is_empty() { self.url.to_string() } else { self.url.of(name) };
        StoreError::Storage { doing, url, cause, remedy, is_outage }
    }

    /// Repeats a request until it succeeds, or proves something, or fails for too long.
    pub(super) async fn patiently<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        (doing, name): (&'static str, &str),
        request: impl Fn(Path) -> F,
    ) -> Result<Result<T, Failure>, StoreError> {
        let key = self.key(name)?;
        let (began, mut pause) = (Instant::now(), PAUSE_MIN);
        loop {
            let error = match request(key.clone()).await {
                Ok(done) => {
                    self.is_over();
                    return Ok(Ok(done));
                }
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            if failure != Failure::Passing {
                self.is_over();
            }
            match failure {
                Failure::Passing if began.elapsed() < self.patience => {
                    self.goes_on(doing, name, &error);
                    sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                    pause = (pause * 2).min(PAUSE_MAX).min(self.patience / 8);
                }
                Failure::Passing => return Err(self.failed(doing, name, words(&error), OUTAGE, true)),
                Failure::Refused => return Err(self.failed(doing, name, words(&error), REFUSED, false)),
                proof @ (Failure::Missing | Failure::Exists | Failure::Unsupported) => return Ok(Err(proof)),
            }
        }
    }

    /// Notes that a request failed. A storage that answers other requests is no news.
    fn goes_on(&self, doing: &str, name: &str, error: &object_store::Error) {
        let mut outage = self.outage();
        let is_long = outage.answered_at.elapsed() >= TOLD_AFTER.min(self.patience / 2);
        if is_long && !outage.is_told {
            outage.is_told = true;
            outage.notices.push(format!("could not {doing} {}, still trying: {}", self.url.of(name), words(error)));
        }
    }

    /// Notes that a request was answered.
    fn is_over(&self) {
        let mut outage = self.outage();
        outage.answered_at = Instant::now();
        if std::mem::take(&mut outage.is_told) {
            outage.notices.push(format!("{} can be reached again", self.url));
        }
    }

    /// Returns the type of an object, for browsers. Files have none.
    fn attributes(&self, name: &str) -> Attributes {
        let kind = match name.rsplit_once('.').map(|(_, extension)| extension) {
            _ if self.url.kind() == StorageKind::Folder => None,
            Some("png") => Some("image/png"),
            Some("jpg") => Some("image/jpeg"),
            Some("webp") => Some("image/webp"),
            Some("json") => Some("application/json"),
            Some("txt") => Some("text/plain; charset=utf-8"),
            _ => None,
        };
        kind.into_iter().map(|kind| (Attribute::ContentType, kind)).collect()
    }

    /// Writes an object in this mode, and returns its tag.
    pub(super) async fn write(
        &self,
        name: &str,
        bytes: &Bytes,
        mode: PutMode,
    ) -> Result<Result<String, Failure>, StoreError> {
        let write = |key: Path| {
            let options = PutOptions { mode: mode.clone(), attributes: self.attributes(name), ..PutOptions::default() };
            let payload = PutPayload::from_bytes(bytes.clone());
            async move { self.store.put_opts(&key, payload, options).await.map(|written| tag(written.e_tag.as_deref())) }
        };
        self.patiently(("write", name), write).await
    }

    /// Writes an object unless one has this name, and returns its tag. The outer error ends the run.
    pub(super) async fn create(&self, name: &str, bytes: &Bytes) -> Result<Result<String, Failure>, StoreError> {
        let written = if self.is_conditional.load(Ordering::Relaxed) {
            self.write(name, bytes, PutMode::Create).await?
        } else {
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            let lock = usize::try_from(hasher.finish() % N_LOCKS as u64).expect("it is small");
            let _lock = self.locks[lock].lock().await;
            match self.find(name).await? {
                Some(_) => Err(Failure::Exists),
                None => self.write(name, bytes, PutMode::Overwrite).await?,
            }
        };
        match written {
            Err(Failure::Missing) => {
                Err(self.failed("write", name, "there is no such bucket".to_owned(), REFUSED, false))
            }
            written => Ok(written),
        }
    }

    /// Writes an object unless another one has this name. Returns the tag of the object if it has these bytes: written now, or
    /// before by a request whose answer was lost. `None` if another object has the name.
    pub(super) async fn put(&self, name: &str, bytes: &Bytes) -> Result<Option<String>, StoreError> {
        let mut pause = PAUSE_MIN;
        for _ in 0..CONFLICTS_MAX {
            match self.create(name, bytes).await? {
                Ok(tag) => return Ok(Some(tag)),
                Err(Failure::Unsupported) => {
                    let cause = "it cannot write an object only if there is none".to_owned();
                    return Err(self.failed("write", name, cause, REFUSED, false));
                }
                Err(_) => (),
            }
            match self.read(name, Some(bytes.len() as u64)).await? {
                Some(Ok(there)) if there == *bytes => return Ok(self.find(name).await?.map(|found| found.tag)),
                Some(_) => return Ok(None),
                // Another writer's request was under way, and has failed (409).
                None => sleep(pause).await,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        let cause = "every write is refused because there is such an object, and there is none".to_owned();
        Err(self.failed("write", name, cause, OUTAGE, true))
    }

    /// Returns what the storage knows of an object; `None` if there is none.
    pub(super) async fn head(&self, name: &str) -> Result<Option<ObjectMeta>, StoreError> {
        let found = self.patiently(("look up", name), |key| async move { self.store.head(&key).await }).await?;
        Ok(found.ok())
    }

    /// Returns an object without reading it; `None` if there is none.
    pub(super) async fn find(&self, name: &str) -> Result<Option<StoredObject>, StoreError> {
        Ok(self.head(name).await?.as_ref().map(described))
    }

    /// Returns the bytes of an object, or its length if that is not `bytes`. `None` if there is no such object.
    pub(super) async fn read(&self, name: &str, bytes: Option<u64>) -> Result<Option<Result<Bytes, u64>>, StoreError> {
        let read = |key: Path| async move {
            let found = self.store.get_opts(&key, GetOptions::default()).await?;
            match bytes {
                Some(bytes) if found.meta.size != bytes => Ok(Err(found.meta.size)),
                _ => Ok(Ok(found.bytes().await?)),
            }
        };
        Ok(self.patiently(("read", name), read).await?.ok())
    }

    /// Copies an object to a free name inside the storage.
    pub(super) async fn copy(&self, name: &str, to: &str) -> Result<bool, StoreError> {
        let to_key = self.key(to)?;
        let copy = |key: Path| {
            let to = to_key.clone();
            async move { self.store.copy(&key, &to).await }
        };
        Ok(self.patiently(("copy", name), copy).await?.is_ok())
    }

    /// Copies an object of this storage, unless there is one of the name. `Refused` and `Unsupported` say that the storage does not do that.
    pub(super) async fn copy_new(&self, from: &Path, name: &str) -> Result<Result<(), Failure>, StoreError> {
        let copy = |to: Path| async move {
            self.store.copy_opts(from, &to, CopyOptions::new().with_mode(CopyMode::Create)).await
        };
        match self.patiently(("write", name), copy).await {
            Err(StoreError::Storage { is_outage: false, .. }) => Ok(Err(Failure::Refused)),
            copied => copied,
        }
    }

    /// Removes an object.
    pub(super) async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let removed = self.patiently(("remove", name), |key| async move { self.store.delete(&key).await }).await?;
        match removed {
            // An object that is gone is removed.
            Ok(()) | Err(Failure::Missing) => Ok(()),
            Err(_) => Err(self.failed("remove", name, "it refuses to".to_owned(), REFUSED, false)),
        }
    }

    /// Passes all objects below a folder, with their names, to `tell`, until that returns `false`. After a failure the list goes on behind the
    /// last name: storage lists names in their order.
    pub(super) async fn list<F: Future<Output = bool>>(
        &self,
        folder: &str,
        mut tell: impl FnMut(String, StoredObject) -> F,
    ) -> Result<(), StoreError> {
        let n_before = if self.prefix.is_empty() { 0 } else { self.prefix.len() + 1 };
        let (mut last, mut answered_at, mut pause) = (None::<Path>, Instant::now(), PAUSE_MIN);
        loop {
            let within = self.key(folder)?;
            let mut listed = match &last {
                None => self.store.list(Some(&within)),
                Some(last) => self.store.list_with_offset(Some(&within), last),
            };
            let error = loop {
                match listed.next().await {
                    None => return Ok(()),
                    Some(Err(error)) => break error,
                    Some(Ok(found)) => {
                        (answered_at, pause) = (Instant::now(), PAUSE_MIN);
                        let name = found.location.as_ref().get(n_before..).unwrap_or_default().to_owned();
                        if !tell(name, described(&found)).await {
                            return Ok(());
                        }
                        last = Some(found.location);
                    }
                }
            };
            let is_passing = Failure::of(&error) == Failure::Passing;
            if !is_passing || answered_at.elapsed() >= self.patience {
                let remedy = if is_passing { OUTAGE } else { REFUSED };
                return Err(self.failed("list", folder, words(&error), remedy, is_passing));
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Returns what a list, or a look, says of an object.
fn described(found: &ObjectMeta) -> StoredObject {
    StoredObject { bytes: found.size, tag: tag(found.e_tag.as_deref()) }
}

/// Returns a tag in one form: some answers have it in quotes, and others do not.
pub(super) fn tag(e_tag: Option<&str>) -> String {
    e_tag.unwrap_or_default().trim_start_matches("W/").trim_matches('"').to_owned()
}
