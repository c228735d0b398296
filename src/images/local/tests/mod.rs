//! Tests of guarantees that only the local store gives: files and folders, and errors of the disk.

#[cfg(unix)]
mod links;
mod resumed;
mod saved;

use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use futures::{StreamExt, stream};

use super::*;
use crate::images::tests::{LocalWorld, big, body, cat, names, save};
use crate::images::validate::fixtures::png;
use crate::model::outcome::ImageFormat;

#[tokio::test]
async fn what_a_crash_left_half_written_is_cleared_away() {
    let disk = LocalWorld::new(CheckLimits::default());
    let partials = disk.out.path().join(".partial");
    fs::create_dir_all(&partials).unwrap();
    fs::write(partials.join("half"), b"half").unwrap();
    let image = png(9, 7, 1);
    save(&disk.store, cat(0), &image).await.unwrap();
    drop(LocalStore::open(disk.out.path(), CheckLimits::default()).unwrap());
    assert_eq!(names(&disk), ["images/000001-a-cat.png"], "and nothing else");
    save(&disk.store, cat(1), &png(9, 7, 2)).await.unwrap();
}

#[tokio::test]
async fn a_save_given_up_halfway_leaves_nothing_behind() {
    let disk = LocalWorld::new(CheckLimits::default());
    let stuck = body(&big(1)).chain(stream::pending()).boxed();
    let save = disk.store.save(cat(0), IncomingImage::whole(stuck));
    assert!(tokio::time::timeout(Duration::from_millis(300), save).await.is_err());
    assert_eq!(names(&disk), [""; 0]);
}

#[tokio::test]
async fn nothing_but_images_is_left_when_the_store_is_closed() {
    let LocalWorld { store, out, .. } = LocalWorld::new(CheckLimits::default());
    save(&store, cat(0), &big(1)).await.unwrap();
    drop(store);
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["images"]);
}

#[tokio::test]
async fn a_folder_where_the_file_should_be_is_not_written_into() {
    let disk = LocalWorld::new(CheckLimits::default());
    fs::create_dir(disk.out.path().join("images/000001-a-cat.png")).unwrap();
    let artifact = save(&disk.store, cat(0), &png(9, 7, 1)).await.unwrap();
    assert_eq!(artifact.file_name, cat(0).path_apart(ImageFormat::Png));
}

#[tokio::test]
async fn a_failing_disk_is_our_own_error_and_names_the_path() {
    let disk = LocalWorld::new(CheckLimits::default());
    fs::remove_dir(disk.out.path().join("images")).unwrap();
    fs::write(disk.out.path().join("images"), b"in the way").unwrap();
    let error = disk.store.save(cat(0), IncomingImage::whole(body(&png(9, 7, 1)))).await.unwrap_err().to_string();
    assert!(error.starts_with("could not write to ") && error.contains("images: not a directory; "), "{error}");

    let error = LocalStore::open(disk.out.path(), CheckLimits::default()).unwrap_err().to_string();
    assert!(error.starts_with("could not write to ") && error.contains("images: not a directory; "), "{error}");
}

#[test]
fn an_error_of_the_disk_says_what_to_do() {
    let error =
        |kind: ErrorKind| StoreError::Io { doing: "write", path: "OUT/x".into(), cause: kind.into() }.to_string();
    assert_eq!(
        error(ErrorKind::StorageFull),
        "could not write OUT/x: no storage space; free some space and run the same command again to resume"
    );
    assert_eq!(
        error(ErrorKind::PermissionDenied),
        "could not write OUT/x: permission denied; allow writing there or choose another folder, and run the same command again"
    );
}
