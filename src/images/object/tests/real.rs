//! Tests against real object storage (`PROMPTBATCH_TEST_STORAGE`); run by hand, one server at a time.

use super::*;

/// Variable with the address of a storage, below which each test has a prefix of its own.
const STORAGE: &str = "PROMPTBATCH_TEST_STORAGE";

/// Store in a real storage.
pub(in crate::images) struct RealWorld {
    store: ObjectStoreImages,
    objects: Arc<dyn ObjectStore>,
    url: StorageUrl,
    limits: CheckLimits,
    out: TempDir,
}

fn place() -> StorageUrl {
    let place = std::env::var(STORAGE).unwrap_or_else(|_| panic!("{STORAGE} has no address"));
    format!("{}/{:016x}", place.trim_end_matches('/'), fastrand::u64(..)).parse().unwrap()
}

fn open(out: &TempDir, url: &StorageUrl, limits: CheckLimits) -> ObjectStoreImages {
    let (patience, processing) = (Duration::from_secs(20), PostProcessing::default());
    ObjectStoreImages::open(out.path(), url, patience, limits, processing).unwrap()
}

impl RealWorld {
    pub(in crate::images) fn new(limits: CheckLimits) -> Self {
        let (url, out) = (place(), TempDir::new().unwrap());
        let objects = connect(&url, Use::Write).unwrap().into();
        Self { store: open(&out, &url, limits), objects, url, limits, out }
    }

    fn key(&self, name: &str) -> Key {
        let is_folder = self.url.kind() == crate::model::storage_url::StorageKind::Folder;
        let prefix = if is_folder { String::new() } else { format!("{}/", self.url.prefix()) };
        Key::parse(format!("{prefix}{name}")).unwrap()
    }

    fn wait<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.store.images.worker.wait(work)
    }
}

impl World for RealWorld {
    fn store(&self) -> &dyn ImageStore {
        &self.store
    }

    fn saved(&self) -> &dyn SavedImages {
        &self.store.images
    }

    fn reopen(&mut self) {
        let next = open(&self.out, &self.url, self.limits);
        std::mem::forget(std::mem::replace(&mut self.store, next));
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let (objects, within) = (Arc::clone(&self.objects), self.key("x"));
        let prefix = within.as_ref().strip_suffix('x').unwrap().to_owned();
        let mut files = partials(&self.out);
        files.extend(self.wait(async move {
            let folder = Key::parse(prefix.trim_end_matches('/')).unwrap();
            let listed: Vec<_> = objects.list(Some(&folder)).try_collect().await.unwrap();
            let mut files = vec![];
            for found in listed {
                let bytes = objects.get(&found.location).await.unwrap().bytes().await.unwrap();
                files.push((found.location.as_ref().strip_prefix(&prefix).unwrap().to_owned(), bytes.to_vec()));
            }
            files.into_iter().filter(|(name, _)| name != PROBE).collect::<Vec<_>>()
        }));
        files
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let (objects, key, bytes) = (Arc::clone(&self.objects), self.key(name), bytes.to_vec());
        self.wait(async move { objects.put(&key, bytes.into()).await.map(drop) }).unwrap();
    }

    fn remove(&self, name: &str) {
        let (objects, key) = (Arc::clone(&self.objects), self.key(name));
        self.wait(async move { objects.delete(&key).await }).unwrap();
    }

    fn writes_over_own(&self) -> bool {
        false
    }
}

/// Goal: of 20 writers that want 10 keys one wins each, and the others hear of it; or the storage is found out. Method: five clients with
/// connections of their own.
#[tokio::test]
#[ignore = "needs the address of a storage in PROMPTBATCH_TEST_STORAGE, and its environment"]
async fn a_real_storage_lets_one_of_twenty_writers_win_or_is_found_out() {
    let (url, out) = (place(), TempDir::new().unwrap());
    let stores: Vec<_> = (0..5).map(|_| open(&out, &url, CheckLimits::default())).collect();
    let notice = stores[0].take_notice();
    let began = std::time::Instant::now();
    let writes = (0..200_usize).map(|n| {
        let images = &stores[n % 5].images;
        let (bucket, name) = (Arc::clone(&images.bucket), format!("images/{}.png", n % 10));
        let bytes = Bytes::from(format!("writer {n}"));
        images.worker.run(async move { bucket.put(&name, &bytes).await.unwrap().is_some() })
    });
    let n_won = future::join_all(writes).await.into_iter().filter(|won| *won).count();
    println!(
        "{n_won} of 200 writers won 10 keys in {:.1?}; {}",
        began.elapsed(),
        notice.as_deref().unwrap_or("it keeps to conditions")
    );
    assert!(n_won == 10 || notice.is_some(), "{n_won}");
}
