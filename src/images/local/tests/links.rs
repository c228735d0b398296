//! Tests of symbolic links and moved folders: no file leaves the output folder, and no vanished folder is created again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::images::error::StoreError;
use crate::images::local::LocalStore;
use crate::images::tests::{body, cat, job, save};
use crate::images::validate::fixtures::png;
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, IncomingImage};
use crate::model::name::ImageName;
use crate::model::outcome::ImageFormat;
use crate::model::provenance::Provenance;

/// Output folder, and a folder elsewhere that no file may reach.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        fs::create_dir(folder.path().join("elsewhere")).unwrap();
        Self { folder }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn elsewhere(&self) -> PathBuf {
        self.folder.path().join("elsewhere")
    }

    fn open(&self) -> Result<LocalStore, StoreError> {
        LocalStore::open(&self.out(""), CheckLimits::default())
    }

    #[track_caller]
    fn check_nothing_left(&self) {
        assert_eq!(fs::read_dir(self.elsewhere()).unwrap().count(), 0, "a file has left OUT");
    }
}

async fn refused(store: &LocalStore, name: ImageName) -> StoreError {
    store.save(name, IncomingImage::whole(body(&png(9, 7, 1)))).await.unwrap_err()
}

/// Returns an image of three megabytes, so that a temporary file is written before the image is complete.
fn big() -> Vec<u8> {
    png(900, 900, 1)
}

#[tokio::test]
async fn a_linked_images_folder_is_refused() {
    let world = World::new();
    for target in [world.elsewhere(), "dangling".into()] {
        symlink(target, world.out("images")).unwrap();
        let error = world.open().unwrap_err();
        assert!(matches!(error, StoreError::Link { .. }), "{error}");
        assert!(error.to_string().contains("make the whole output folder the link"), "{error}");
        fs::remove_file(world.out("images")).unwrap();
    }
    world.check_nothing_left();
}

#[tokio::test]
async fn a_linked_folder_below_images_is_refused() {
    let world = World::new();
    let store = world.open().unwrap();
    symlink(world.elsewhere(), world.out("images/00001")).unwrap();
    let error = refused(&store, ImageName::new(Provenance::of_job(job(10_001, "a cat", 0)), 1)).await;
    assert!(matches!(error, StoreError::Link { .. }), "{error}");
    world.check_nothing_left();
}

#[tokio::test]
async fn a_linked_folder_of_partial_files_is_replaced_at_the_start_and_refused_later() {
    let world = World::new();
    fs::write(world.elsewhere().join("precious"), "kept").unwrap();
    symlink(world.elsewhere(), world.out(".partial")).unwrap();
    let store = world.open().unwrap();
    save(&store, cat(0), &big()).await.unwrap();
    symlink(world.elsewhere(), world.out("aside")).unwrap();
    fs::remove_dir(world.out(".partial")).unwrap();
    fs::rename(world.out("aside"), world.out(".partial")).unwrap();
    let error = refused(&store, cat(1)).await;
    assert!(matches!(error, StoreError::Link { .. }), "{error}");
    assert_eq!(fs::read_to_string(world.elsewhere().join("precious")).unwrap(), "kept");
    assert_eq!(fs::read_dir(world.elsewhere()).unwrap().count(), 1);
}

/// Goal: a link never counts as the image, even if its target has equal bytes. No bytes are written through a link.
#[tokio::test]
async fn a_link_at_the_name_of_an_image_is_another_file() {
    let world = World::new();
    let store = world.open().unwrap();
    let image = png(9, 7, 1);
    let kept = world.folder.path().join("kept.png");
    fs::write(&kept, &image).unwrap();
    for target in [kept.as_path(), Path::new("dangling")] {
        symlink(target, world.out("images/000001-a-cat.png")).unwrap();
        symlink(target, world.out(&cat(0).path_apart(ImageFormat::Png))).unwrap();
        let artifact = save(&store, cat(0), &image).await.unwrap();
        assert_eq!(artifact.file_name, cat(0).path_apart(ImageFormat::Png));
        let path = world.out(&artifact.file_name);
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "the link has given way");
        assert_eq!(fs::read(&path).unwrap(), image);
        fs::remove_file(path).unwrap();
        fs::remove_file(world.out("images/000001-a-cat.png")).unwrap();
    }
    assert_eq!(fs::read(&kept).unwrap(), image);
    assert!(!world.out("images/dangling").exists());
}

#[tokio::test]
async fn the_output_folder_itself_may_be_a_link() {
    let world = World::new();
    let link = world.folder.path().join("link");
    symlink(world.out(""), &link).unwrap();
    let store = LocalStore::open(&link, CheckLimits::default()).unwrap();
    let artifact = save(&store, cat(0), &png(9, 7, 1)).await.unwrap();
    assert!(world.out(&artifact.file_name).exists());
}

/// Goal: a run whose folders vanish reports an error. It creates no new folders where no user would look for images.
#[tokio::test]
async fn a_folder_that_goes_in_the_middle_of_a_run_ends_it() {
    for gone in ["", "images", "images/00001"] {
        let world = World::new();
        let store = world.open().unwrap();
        let deep = || ImageName::new(Provenance::of_job(job(10_001, "a cat", 0)), 1);
        save(&store, deep(), &png(9, 7, 1)).await.unwrap();
        let aside = world.folder.path().join("aside");
        fs::rename(world.out(gone), &aside).unwrap();
        let error = refused(&store, deep()).await;
        assert!(matches!(error, StoreError::Moved { .. }), "{gone}: {error}");
        assert!(!world.out(gone).exists(), "{gone} was made again");
        fs::create_dir(world.out(gone)).unwrap();
        let error = refused(&store, deep()).await;
        assert!(matches!(error, StoreError::Moved { .. }), "{gone} replaced: {error}");
        fs::remove_dir_all(world.out(gone)).unwrap();
        fs::rename(&aside, world.out(gone)).unwrap();
        save(&store, deep(), &png(9, 7, 1)).await.unwrap();
    }
}

/// Goal: a run over many folders keeps few of them open, and still knows their parent folder. Method: more folders than
/// may stay open, and some of them again.
#[tokio::test]
async fn any_number_of_folders_is_used_with_few_of_them_open() {
    let world = World::new();
    let store = world.open().unwrap();
    let in_folder = |n: u64| ImageName::new(Provenance::of_job(job(n * 10_000 + 1, "a cat", 0)), 1);
    for n in (1..=100).chain([1, 50, 100]) {
        save(&store, in_folder(n), &png(9, 7, n)).await.unwrap();
    }
    let n_open = fs::read_dir("/proc/self/fd").map_or(0, |entries| {
        let targets = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        targets.filter(|target| target.starts_with(world.out("images"))).count()
    });
    assert!(n_open <= 64, "{n_open} folders are open");
    fs::rename(world.out("images"), world.out("aside")).unwrap();
    fs::create_dir(world.out("images")).unwrap();
    assert!(matches!(refused(&store, in_folder(1)).await, StoreError::Moved { .. }));
}
