//! Tests of the image store in object storage: against storage in memory, with conditions and without, and with faults.

pub(in crate::images) mod real;
mod uploads;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::stream::BoxStream;
use futures::{FutureExt, TryStreamExt, future};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use tempfile::TempDir;

use super::*;
use crate::images::SavedImages;
use crate::images::tests::{World, cat, save};
use crate::images::validate::fixtures::png;

/// Storage in memory that is shared by all that use it, and that can lie and fail.
#[derive(Clone, Debug, Default)]
struct Storage {
    objects: Arc<InMemory>,
    /// Says that the storage writes over objects whatever it is told, as some servers do.
    is_lying: bool,
    /// Says that racing writers get the answer 409 although there is no object, this many times.
    n_conflicts: Arc<AtomicU32>,
    /// Number of writes that fail before they are done, and that fail after it.
    n_failing: Arc<AtomicU32>,
    n_unanswered: Arc<AtomicU32>,
    /// Says that no request is answered.
    is_down: bool,
    /// Writes over objects that were there.
    n_replaced: Arc<AtomicU32>,
    /// Says that the storage copies nothing.
    copies_nothing: bool,
    /// Writes that are under way, and the most that ever were.
    n_open: Arc<AtomicU32>,
    n_open_max: Arc<AtomicU32>,
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("storage")
    }
}

fn passing() -> Error {
    Error::Generic { store: "S3", source: "Server returned non-2xx status code: 503 Slow Down: ".into() }
}

/// Takes one from a number of events that are left.
fn takes(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

impl ObjectStore for Storage {
    fn put_opts<'a, 'b, 'f>(
        &'a self,
        key: &'b Key,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> BoxFuture<'f, object_store::Result<PutResult>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        async move {
            if self.is_down || takes(&self.n_failing) {
                return Err(passing());
            }
            if takes(&self.n_conflicts) {
                return Err(Error::AlreadyExists { path: key.to_string(), source: "409".into() });
            }
            let n_open = self.n_open.fetch_add(1, Ordering::Relaxed) + 1;
            self.n_open_max.fetch_max(n_open, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.n_open.fetch_sub(1, Ordering::Relaxed);
            let is_there = self.objects.head(key).await.is_ok();
            if self.is_lying {
                options.mode = PutMode::Overwrite;
            }
            let written = self.objects.put_opts(key, payload, options).await?;
            self.n_replaced.fetch_add(u32::from(is_there && !key.as_ref().ends_with(PROBE)), Ordering::Relaxed);
            if takes(&self.n_unanswered) { Err(passing()) } else { Ok(written) }
        }
        .boxed()
    }

    fn put_multipart_opts<'a, 'b, 'f>(
        &'a self,
        _key: &'b Key,
        _options: PutMultipartOptions,
    ) -> BoxFuture<'f, object_store::Result<Box<dyn MultipartUpload>>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        unimplemented_request()
    }

    fn get_opts<'a, 'b, 'f>(
        &'a self,
        key: &'b Key,
        options: GetOptions,
    ) -> BoxFuture<'f, object_store::Result<GetResult>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        if self.is_down { future::ready(Err(passing())).boxed() } else { self.objects.get_opts(key, options) }
    }

    fn delete_stream(
        &self,
        keys: BoxStream<'static, object_store::Result<Key>>,
    ) -> BoxStream<'static, object_store::Result<Key>> {
        self.objects.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.objects.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'f>(
        &'a self,
        prefix: Option<&'b Key>,
    ) -> BoxFuture<'f, object_store::Result<ListResult>>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        self.objects.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'f>(
        &'a self,
        from: &'b Key,
        to: &'c Key,
        options: CopyOptions,
    ) -> BoxFuture<'f, object_store::Result<()>>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
        Self: 'f,
    {
        if self.copies_nothing {
            let error = Error::NotImplemented { operation: "copy".into(), implementer: "storage".into() };
            return future::ready(Err(error)).boxed();
        }
        self.objects.copy_opts(from, to, options)
    }
}

fn unimplemented_request<T: Send + 'static>() -> BoxFuture<'static, object_store::Result<T>> {
    future::ready(Err(passing())).boxed()
}

/// Store under test, with its storage and its output folder.
pub(in crate::images) struct ObjectWorld {
    storage: Storage,
    store: ObjectStoreImages,
    limits: CheckLimits,
    out: TempDir,
}

impl ObjectWorld {
    pub(in crate::images) fn new(limits: CheckLimits, is_conditional: bool) -> Self {
        let storage = Storage { is_lying: !is_conditional, ..Storage::default() };
        Self::on(storage, limits, Duration::from_secs(60))
    }

    fn on(storage: Storage, limits: CheckLimits, patience: Duration) -> Self {
        let out = TempDir::new().unwrap();
        let store = open(&storage, out.path(), limits, patience);
        Self { storage, store, limits, out }
    }

    fn keys(&self) -> BTreeMap<String, Vec<u8>> {
        let objects = Arc::clone(&self.storage.objects);
        self.store.images.worker.wait(async move {
            let listed: Vec<_> = objects.list(None).try_collect().await.unwrap();
            let mut files = BTreeMap::new();
            for found in listed {
                let bytes = objects.get(&found.location).await.unwrap().bytes().await.unwrap();
                let name = found.location.as_ref().strip_prefix("a/b/").expect("all keys have the prefix");
                files.insert(name.to_owned(), bytes.to_vec());
            }
            files
        })
    }
}

fn open(storage: &Storage, out: &Path, limits: CheckLimits, patience: Duration) -> ObjectStoreImages {
    let url: StorageUrl = "s3://bucket/a/b".parse().unwrap();
    let place = (Box::new(storage.clone()) as Box<dyn ObjectStore>, &url, patience);
    let store = ObjectStoreImages::with(out, place, limits, PostProcessing::default()).unwrap();
    if storage.is_lying {
        store.images.bucket.set_unconditional();
    }
    store
}

impl World for ObjectWorld {
    fn store(&self) -> &dyn ImageStore {
        &self.store
    }

    fn saved(&self) -> &dyn SavedImages {
        &self.store.images
    }

    fn reopen(&mut self) {
        let next = open(&self.storage, self.out.path(), self.limits, Duration::from_secs(60));
        std::mem::forget(std::mem::replace(&mut self.store, next));
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.keys();
        files.extend(partials(&self.out));
        files
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let (objects, key) = (Arc::clone(&self.storage.objects), Key::parse(format!("a/b/{name}")).unwrap());
        let bytes = bytes.to_vec();
        self.store.images.worker.wait(async move { objects.put(&key, bytes.into()).await.map(drop) }).unwrap();
    }

    fn remove(&self, name: &str) {
        let (objects, key) = (Arc::clone(&self.storage.objects), Key::parse(format!("a/b/{name}")).unwrap());
        self.store.images.worker.wait(async move { objects.delete(&key).await }).unwrap();
    }

    fn writes_over_own(&self) -> bool {
        false
    }
}

/// Returns the partial downloads in an output folder.
fn partials(out: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(out.path().join(".partial")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (format!(".partial/{}", path.file_name().unwrap().display()), fs::read(&path).unwrap())).collect()
}

fn probed(storage: &Storage) -> Result<bool, StoreError> {
    let url: StorageUrl = "s3://bucket".parse().unwrap();
    let bucket = Bucket::new(Box::new(storage.clone()), url, Duration::from_millis(300));
    Worker::start().unwrap().wait(async move { is_conditional(&bucket).await })
}

#[test]
fn storage_that_writes_over_objects_is_found_out() {
    for is_lying in [false, true] {
        let storage = Storage { is_lying, ..Storage::default() };
        for start in ["first", "second"] {
            assert_eq!(probed(&storage).unwrap(), !is_lying, "{start}");
        }
    }
    let error = probed(&Storage { is_down: true, ..Storage::default() }).unwrap_err().to_string();
    assert!(error.starts_with("could not write s3://bucket/.promptbatch-probe: the answer was 503; "), "{error}");
}

/// Goal: an image is stored once, and nothing is written over, whatever the storage answers. Method: writes that fail before or after they
/// are done, and writers that meet.
#[tokio::test]
async fn a_lost_answer_and_a_conflict_neither_lose_nor_double_an_image() {
    let image = png(9, 7, 1);
    for (n_failing, n_unanswered, n_conflicts) in [(0, 1, 0), (2, 0, 0), (0, 0, 2), (1, 1, 1)] {
        let storage = Storage {
            n_failing: Arc::new(n_failing.into()),
            n_unanswered: Arc::new(n_unanswered.into()),
            n_conflicts: Arc::new(n_conflicts.into()),
            ..Storage::default()
        };
        let world = ObjectWorld::on(storage.clone(), CheckLimits::default(), Duration::from_secs(60));
        let artifact = save(&world.store, cat(0), &image).await.unwrap();
        assert_eq!(world.keys(), BTreeMap::from([("images/000001-a-cat.png".to_owned(), image.clone())]));
        assert_eq!(world.store.images.read(&artifact), Ok(image.clone()));
        assert_eq!(storage.n_replaced.load(Ordering::Relaxed), 0);
    }
}

/// Goal: a job whose image is paid for never fails because of the storage. Method: an outage longer than the patience: the error is the
/// run's, it says that it is an outage, and the user has heard of it.
#[tokio::test]
async fn an_outage_ends_the_run_and_no_job() {
    let storage = Storage { is_down: true, ..Storage::default() };
    let world = ObjectWorld::on(storage, CheckLimits::default(), Duration::from_millis(700));
    let body = crate::images::tests::body(&png(9, 7, 1));
    let error = world.store.save(cat(0), IncomingImage::whole(body)).await.unwrap_err();
    assert!(matches!(error, StoreError::Storage { is_outage: true, .. }), "{error}");
    let told = world.store.take_notice().unwrap();
    assert_eq!(told, "could not write s3://bucket/a/b/images/000001-a-cat.png, still trying: the answer was 503");
    assert_eq!(world.store.take_notice(), None, "each is told once");
    let artifact = inspected(&png(9, 7, 1));
    assert_eq!(world.store.images.count_there(std::slice::from_ref(&artifact)), None, "nobody knows");
}

fn inspected(image: &[u8]) -> Artifact {
    let checked = crate::images::validate::inspect(image, &CheckLimits::default()).unwrap().unwrap();
    checked.artifact("images/000001-a-cat.png".to_owned())
}

/// Goal: of 20 concurrent writers of 10 keys, one succeeds per key and the others get 'exists'. Method: the same names with other bytes, on
/// storage with conditions and without.
#[tokio::test]
async fn of_twenty_writers_one_wins_each_of_ten_keys() {
    for is_lying in [false, true] {
        let storage = Storage { is_lying, ..Storage::default() };
        let world = ObjectWorld::on(storage.clone(), CheckLimits::default(), Duration::from_secs(60));
        let bucket = &world.store.images.bucket;
        let writes = (0..200_u32).map(|n| {
            let (bucket, name) = (Arc::clone(bucket), format!("images/{}.png", n % 10));
            let bytes = Bytes::from(n.to_string());
            world.store.images.worker.run(async move { bucket.put(&name, &bytes).await.unwrap().is_some() })
        });
        let won = future::join_all(writes).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 10, "{is_lying}");
        assert_eq!(storage.n_replaced.load(Ordering::Relaxed), 0, "{is_lying}");
        let winners: Vec<_> = (0..200).filter(|n| won[*n]).map(|n| n.to_string().into_bytes()).collect();
        assert!(world.keys().values().all(|bytes| winners.contains(bytes)), "{is_lying}");
    }
}

/// Goal: a folder that several machines share is used like a bucket. Method: the store on a real folder.
#[tokio::test]
async fn a_shared_folder_is_used_like_a_bucket() {
    let (out, shared) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let place = shared.path().join("new/images of all");
    let url: StorageUrl = format!("file://{}", place.display()).parse().unwrap();
    let open = || {
        let (patience, processing) = (Duration::from_secs(1), PostProcessing::default());
        ObjectStoreImages::open(out.path(), &url, patience, CheckLimits::default(), processing).unwrap()
    };
    let image = png(9, 7, 1);
    let artifact = save(&open(), cat(0), &image).await.unwrap();
    let other = save(&open(), cat(0), &png(9, 7, 2)).await.unwrap();
    assert_eq!(save(&open(), cat(0), &image).await.unwrap(), artifact, "it is there already");
    assert_ne!(other.file_name, artifact.file_name);
    assert_eq!(fs::read(place.join(&artifact.file_name)).unwrap(), image);
    let images = ObjectImages::open(&url).unwrap();
    let mut listed: Vec<_> = images.list().collect::<Result<_, StoreError>>().unwrap();
    listed.sort();
    assert_eq!(listed, [other.file_name, artifact.file_name]);
    assert_eq!(open().take_notice(), None, "it keeps to conditions");
}
