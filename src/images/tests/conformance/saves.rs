//! Promises of a save: whole or absent, under its own name, and over no other file.

use std::collections::BTreeMap;
use std::pin::pin;

use bytes::Bytes;
use futures::{StreamExt, future, stream};

use crate::images::IncomingImage;
use crate::images::tests::conformance::NewWorld;
use crate::images::tests::{big, body, cat, job, name_of, names, save};
use crate::images::validate::fixtures::{JPEG_BASELINE, bytes, png};
use crate::images::validate::inspect;
use crate::images::validate::verdict::CheckLimits;
use crate::model::name::ImageName;
use crate::model::outcome::{Fault, FaultKind, ImageFormat};
use crate::model::provenance::Provenance;

pub(super) async fn an_image_is_saved_under_its_name_and_described(new: NewWorld) {
    let world = new(CheckLimits::default());
    for (index, image) in [(1, png(9, 7, 1)), (2, big(1))] {
        let artifact = save(world.store(), name_of(job(index, "a cat", 0)), &image).await.unwrap();
        assert_eq!(artifact.file_name, format!("images/00000{index}-a-cat.png"));
        assert_eq!(world.files()[&artifact.file_name], image);
        let checked = inspect(image.as_slice(), &CheckLimits::default()).unwrap().unwrap();
        assert_eq!((artifact.bytes, artifact.sha256), (checked.bytes, checked.sha256));
        assert_eq!((artifact.width, artifact.height), (checked.width, checked.height));
    }
    assert_eq!(names(&*world), ["images/000001-a-cat.png", "images/000002-a-cat.png"]);
}

pub(super) async fn the_bytes_decide_the_extension(new: NewWorld) {
    let world = new(CheckLimits::default());
    let artifact = save(world.store(), cat(0), &bytes(JPEG_BASELINE)).await.unwrap();
    assert_eq!((artifact.file_name.as_str(), artifact.format), ("images/000001-a-cat.jpg", ImageFormat::Jpeg));
}

pub(super) async fn a_folder_is_made_when_its_first_image_comes(new: NewWorld) {
    let world = new(CheckLimits::default());
    let artifact = save(world.store(), name_of(job(10_001, "a cat", 0)), &png(9, 7, 1)).await.unwrap();
    assert_eq!(artifact.file_name, "images/00001/010001-a-cat.png");
    assert_eq!(names(&*world), [artifact.file_name]);
}

/// A crash between the rename and its record repeats the download, and must not repeat the file.
pub(super) async fn an_equal_file_is_taken_for_the_image_itself(new: NewWorld) {
    let world = new(CheckLimits::default());
    for image in [png(9, 7, 1), big(1)] {
        world.put("images/000001-a-cat.png", &image);
        let first = save(world.store(), cat(0), &image).await.unwrap();
        assert_eq!(save(world.store(), cat(0), &image).await.unwrap(), first);
        assert_eq!(world.files(), BTreeMap::from([("images/000001-a-cat.png".to_owned(), image)]));
    }
}

pub(super) async fn another_file_keeps_its_name(new: NewWorld) {
    let world = new(CheckLimits::default());
    let others = [png(9, 7, 1), b"not even an image".to_vec(), vec![], png(9, 7, 1)[..100].to_vec()];
    for other in others {
        world.put("images/000001-a-cat.png", &other);
        for seed in [2, 3] {
            let image = png(9, 7, seed);
            let artifact = save(world.store(), cat(0), &image).await.unwrap();
            let apart = cat(0).path_apart(ImageFormat::Png);
            let further = apart.replace(".png", ".2.png");
            let name = if seed == 3 && !world.writes_over_own() { further } else { apart };
            assert_eq!(artifact.file_name, name);
            assert_eq!(world.files()[&artifact.file_name], image, "this name is the job's own");
            assert_eq!(world.files()["images/000001-a-cat.png"], other);
        }
    }
    assert_eq!(names(&*world).len(), if world.writes_over_own() { 2 } else { 3 });
}

pub(super) async fn jobs_with_the_same_prompt_do_not_meet(new: NewWorld) {
    let world = new(CheckLimits::default());
    let one = save(world.store(), name_of(job(1, "a cat", 0)), &png(9, 7, 1)).await.unwrap();
    let two = save(world.store(), name_of(job(2, "a cat", 1)), &png(9, 7, 2)).await.unwrap();
    let second_image =
        save(world.store(), ImageName::new(Provenance::of_job(job(1, "a cat", 0)), 2), &png(9, 7, 3)).await.unwrap();
    assert_eq!(names(&*world), [&*second_image.file_name, &*one.file_name, &*two.file_name]);
}

pub(super) async fn what_is_not_a_whole_image_leaves_nothing_behind(new: NewWorld) {
    let world = new(CheckLimits::default());
    let small = png(9, 7, 1);
    let big = big(1);
    for bad in [b"".as_slice(), b"<html>expired</html>", &small[..small.len() - 1], &big[..big.len() - 1]] {
        let fault = save(world.store(), cat(0), bad).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::BadOutput);
        assert_eq!(names(&*world), [""; 0]);
    }
    let fault = save(world.store(), cat(0), b"<html>expired</html>").await.unwrap_err();
    assert_eq!(fault.message, "the download is an HTML page, not an image: <html>expired</html>");
}

pub(super) async fn a_fault_on_the_way_is_passed_on_and_leaves_nothing_behind(new: NewWorld) {
    let fault = Fault::new(FaultKind::Transient, "connection reset");
    let world = new(CheckLimits::default());
    for image in [png(9, 7, 1), big(1)] {
        let body = body(&image).chain(stream::iter([Err(fault.clone())])).boxed();
        assert_eq!(world.store().save(cat(0), IncomingImage::whole(body)).await.unwrap(), Err(fault.clone()));
        assert_eq!(names(&*world), [""; 0]);
    }
}

pub(super) async fn a_body_without_end_is_left_at_the_limit(new: NewWorld) {
    let world = new(CheckLimits { bytes_max: 3 << 20, ..CheckLimits::default() });
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[0; 16_384]))).boxed();
    let fault = world.store().save(cat(0), IncomingImage::whole(endless)).await.unwrap().unwrap_err();
    let words = "the download is larger than the limit of 3145728 bytes (--image-bytes-max)";
    assert_eq!(fault, Fault::new(FaultKind::BadOutput, words));
    assert_eq!(names(&*world), [""; 0]);
}

/// Goal: a name is never given twice. Method: many jobs request the same name at once.
pub(super) async fn saves_of_the_same_name_at_once_all_end_well(new: NewWorld) {
    let world = new(CheckLimits::default());
    let saves = (0..20).map(|n| {
        let (store, image) = (world.store(), png(30, 30, u64::from(n % 10)));
        async move { (save(store, cat(n), &image).await.unwrap(), image) }
    });
    let results = future::join_all(saves).await;
    let files = world.files();
    for (artifact, image) in &results {
        assert_eq!(&files[&artifact.file_name], image);
    }
    let n_plain = results.iter().filter(|(artifact, _)| artifact.file_name == "images/000001-a-cat.png").count();
    assert_eq!(n_plain, 2, "one was first, and the job with the equal image shares its file");
    assert_eq!(files.len(), 19);
}

pub(super) async fn an_equal_save_of_the_same_job_at_once_is_harmless(new: NewWorld) {
    let world = new(CheckLimits::default());
    for image in [png(30, 30, 1), big(1)] {
        let saved = future::join_all((0..8).map(|_| save(world.store(), cat(0), &image))).await;
        assert!(saved.windows(2).all(|pair| pair[0] == pair[1]));
    }
    assert_eq!(names(&*world).len(), 2, "the second image went apart");
}

/// Goal: a dropped future leaves nothing, the whole image, or a partial download that later saves replace. Method: the save is
/// polled some times before it is dropped, until one save ends. The same image is then saved under the same name.
pub(super) async fn a_save_that_is_dropped_anywhere_is_done_again_without_a_trace(new: NewWorld) {
    for image in [png(9, 7, 1), big(1)] {
        let mut has_ended = false;
        for n_polls in 0.. {
            let world = new(CheckLimits::default());
            {
                let mut saving = pin!(world.store().save(cat(0), IncomingImage::whole(body(&image))));
                for _ in 0..n_polls {
                    has_ended = future::poll_immediate(saving.as_mut()).await.is_some();
                    if has_ended {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            }
            let left = world.files();
            assert!(left.iter().all(|(name, bytes)| name.starts_with(".partial/") || *bytes == image));
            let artifact = save(world.store(), cat(0), &image).await.unwrap();
            assert_eq!(world.saved().read(&artifact), Ok(image.clone()));
            assert_eq!(artifact.file_name, "images/000001-a-cat.png");
            if has_ended {
                break;
            }
        }
        assert!(has_ended);
    }
}
