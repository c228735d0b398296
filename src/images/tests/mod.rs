//! Tests of the guarantees that all image stores give.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::*;
use crate::images::local::LocalStore;
use crate::images::memory::MemoryStore;
use crate::images::validate::fixtures::{JPEG_BASELINE, bytes, png};
use crate::images::validate::inspect;
use crate::images::validate::verdict::CheckLimits;
use crate::model::job::{Job, JobId};
use crate::model::outcome::{FaultKind, ImageFormat};
use crate::model::provenance::Provenance;
use crate::model::request::Request;

/// Image store whose files a test can read and write.
pub trait Open: ImageStore {
    fn files(&self) -> BTreeMap<String, Vec<u8>>;
    fn put(&self, path: &str, bytes: Vec<u8>);
}

impl Open for MemoryStore {
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files()
    }

    fn put(&self, path: &str, bytes: Vec<u8>) {
        self.put(path, bytes);
    }
}

/// Image store in a temporary folder, which is removed with the value.
pub struct Disk {
    pub store: LocalStore,
    pub out: TempDir,
}

impl Disk {
    pub fn new(limits: CheckLimits) -> Self {
        let out = TempDir::new().unwrap();
        Self { store: LocalStore::open(out.path(), limits).unwrap(), out }
    }
}

impl ImageStore for Disk {
    fn part<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        self.store.part(name)
    }

    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        self.store.save(name, image)
    }

    fn forget(&self, job: JobId) {
        self.store.forget(job);
    }
}

impl Open for Disk {
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        gather(self.out.path(), self.out.path(), &mut files);
        files
    }

    fn put(&self, path: &str, bytes: Vec<u8>) {
        fs::write(self.out.path().join(path), bytes).unwrap();
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

fn stores(limits: CheckLimits) -> [Box<dyn Open>; 2] {
    [Box::new(MemoryStore::new(limits)), Box::new(Disk::new(limits))]
}

pub fn job(index: u64, prompt: &str, occurrence: u32) -> Job {
    let request = Request { prompt: prompt.into(), ..Request::default() };
    Job { id: JobId::new(&request.content(), occurrence), index, label: None, request, extras: vec![] }
}

pub fn cat(occurrence: u32) -> ImageName {
    ImageName::new(Provenance::of_job(job(1, "a cat", occurrence)), 1)
}

/// Returns a body that arrives in pieces, as real bodies do.
pub fn body(bytes: &[u8]) -> BoxStream<'static, Result<Bytes, Fault>> {
    let pieces: Vec<_> = bytes.chunks(100_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

pub async fn save<S: ImageStore + ?Sized>(store: &S, name: ImageName, bytes: &[u8]) -> Result<Artifact, Fault> {
    store.save(name, IncomingImage::whole(body(bytes))).await.unwrap()
}

pub fn names<S: Open + ?Sized>(store: &S) -> Vec<String> {
    store.files().into_keys().collect()
}

/// Returns an image longer than the pieces in which the store writes to disk.
pub fn big(seed: u64) -> Vec<u8> {
    let bytes = png(900, 900, seed);
    assert!(bytes.len() > 2 << 20, "{} bytes", bytes.len());
    bytes
}

#[tokio::test]
async fn an_image_is_saved_under_its_name_and_described() {
    for store in stores(CheckLimits::default()) {
        for (index, image) in [(1, png(9, 7, 1)), (2, big(1))] {
            let artifact =
                save(&*store, ImageName::new(Provenance::of_job(job(index, "a cat", 0)), 1), &image).await.unwrap();
            assert_eq!(artifact.file_name, format!("images/00000{index}-a-cat.png"));
            assert_eq!(store.files()[&artifact.file_name], image);
            let checked = inspect(image.as_slice(), &CheckLimits::default()).unwrap().unwrap();
            assert_eq!((artifact.bytes, artifact.sha256), (checked.bytes, checked.sha256));
            assert_eq!((artifact.width, artifact.height), (checked.width, checked.height));
        }
        assert_eq!(names(&*store), ["images/000001-a-cat.png", "images/000002-a-cat.png"]);
    }
}

#[tokio::test]
async fn the_bytes_decide_the_extension() {
    for store in stores(CheckLimits::default()) {
        let artifact = save(&*store, cat(0), &bytes(JPEG_BASELINE)).await.unwrap();
        assert_eq!((artifact.file_name.as_str(), artifact.format), ("images/000001-a-cat.jpg", ImageFormat::Jpeg));
    }
}

#[tokio::test]
async fn a_folder_is_made_when_its_first_image_comes() {
    for store in stores(CheckLimits::default()) {
        let artifact =
            save(&*store, ImageName::new(Provenance::of_job(job(10_001, "a cat", 0)), 1), &png(9, 7, 1)).await.unwrap();
        assert_eq!(artifact.file_name, "images/00001/010001-a-cat.png");
        assert_eq!(names(&*store), [artifact.file_name]);
    }
}

/// A crash between the rename and its record repeats the download, and must not repeat the file.
#[tokio::test]
async fn an_equal_file_is_taken_for_the_image_itself() {
    for store in stores(CheckLimits::default()) {
        for image in [png(9, 7, 1), big(1)] {
            store.put("images/000001-a-cat.png", image.clone());
            let first = save(&*store, cat(0), &image).await.unwrap();
            assert_eq!(save(&*store, cat(0), &image).await.unwrap(), first);
            assert_eq!(store.files(), BTreeMap::from([("images/000001-a-cat.png".to_owned(), image)]));
        }
    }
}

#[tokio::test]
async fn another_file_keeps_its_name() {
    for store in stores(CheckLimits::default()) {
        let others = [png(9, 7, 1), b"not even an image".to_vec(), vec![], png(9, 7, 1)[..100].to_vec()];
        for other in others {
            store.put("images/000001-a-cat.png", other.clone());
            for seed in [2, 3] {
                let image = png(9, 7, seed);
                let artifact = save(&*store, cat(0), &image).await.unwrap();
                assert_eq!(artifact.file_name, cat(0).path_apart(ImageFormat::Png));
                assert_eq!(store.files()[&artifact.file_name], image, "this name is the job's own to replace");
                assert_eq!(store.files()["images/000001-a-cat.png"], other);
            }
        }
        assert_eq!(names(&*store).len(), 2);
    }
}

#[tokio::test]
async fn jobs_with_the_same_prompt_do_not_meet() {
    for store in stores(CheckLimits::default()) {
        let one =
            save(&*store, ImageName::new(Provenance::of_job(job(1, "a cat", 0)), 1), &png(9, 7, 1)).await.unwrap();
        let two =
            save(&*store, ImageName::new(Provenance::of_job(job(2, "a cat", 1)), 1), &png(9, 7, 2)).await.unwrap();
        let second_image =
            save(&*store, ImageName::new(Provenance::of_job(job(1, "a cat", 0)), 2), &png(9, 7, 3)).await.unwrap();
        assert_eq!(names(&*store), [&*second_image.file_name, &*one.file_name, &*two.file_name]);
    }
}

#[tokio::test]
async fn what_is_not_a_whole_image_leaves_nothing_behind() {
    for store in stores(CheckLimits::default()) {
        let small = png(9, 7, 1);
        let big = big(1);
        for bad in [b"".as_slice(), b"<html>expired</html>", &small[..small.len() - 1], &big[..big.len() - 1]] {
            let fault = save(&*store, cat(0), bad).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::BadOutput);
            assert_eq!(names(&*store), [""; 0]);
        }
        let fault = save(&*store, cat(0), b"<html>expired</html>").await.unwrap_err();
        assert_eq!(fault.message, "the download is an HTML page, not an image: <html>expired</html>");
    }
}

#[tokio::test]
async fn a_fault_on_the_way_is_passed_on_and_leaves_nothing_behind() {
    let fault = Fault::new(FaultKind::Transient, "connection reset");
    for store in stores(CheckLimits::default()) {
        for image in [png(9, 7, 1), big(1)] {
            let body = body(&image).chain(stream::iter([Err(fault.clone())])).boxed();
            assert_eq!(store.save(cat(0), IncomingImage::whole(body)).await.unwrap(), Err(fault.clone()));
            assert_eq!(names(&*store), [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_body_without_end_is_left_at_the_limit() {
    for store in stores(CheckLimits { bytes_max: 3 << 20, ..CheckLimits::default() }) {
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 16_384]))).boxed();
        let fault = store.save(cat(0), IncomingImage::whole(endless)).await.unwrap().unwrap_err();
        let words = "the download is larger than the limit of 3145728 bytes (--image-bytes-max)";
        assert_eq!(fault, Fault::new(FaultKind::BadOutput, words));
        assert_eq!(names(&*store), [""; 0]);
    }
}

/// Goal: a name is never given twice. Method: many jobs request the same name at once.
#[tokio::test]
async fn saves_of_the_same_name_at_once_all_end_well() {
    for store in stores(CheckLimits::default()) {
        let saves = (0..20).map(|n| {
            let (store, image) = (&store, png(30, 30, u64::from(n % 10)));
            async move { (save(&**store, cat(n), &image).await.unwrap(), image) }
        });
        let results = futures::future::join_all(saves).await;
        let files = store.files();
        for (artifact, image) in &results {
            assert_eq!(&files[&artifact.file_name], image);
        }
        let n_plain = results.iter().filter(|(artifact, _)| artifact.file_name == "images/000001-a-cat.png").count();
        assert_eq!(n_plain, 2, "one was first, and the job with the equal image shares its file");
        assert_eq!(files.len(), 19);
    }
}

#[tokio::test]
async fn an_equal_save_of_the_same_job_at_once_is_harmless() {
    for store in stores(CheckLimits::default()) {
        for image in [png(30, 30, 1), big(1)] {
            let saved = futures::future::join_all((0..8).map(|_| save(&*store, cat(0), &image))).await;
            assert!(saved.windows(2).all(|pair| pair[0] == pair[1]));
        }
        assert_eq!(names(&*store).len(), 2, "the second image went apart");
    }
}
