//! Promises of partial downloads: continued as far as they are sure, refused otherwise, and removed when useless.

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::images::tests::conformance::NewWorld;
use crate::images::tests::{World, big, cat as first_cat, job, name_of, names};
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, IncomingImage};
use crate::model::name::ImageName;
use crate::model::outcome::{Artifact, Fault, FaultKind, TaskId};
use crate::model::partial_download::{PartialDownload, Validator};
use crate::model::provenance::Provenance;

/// Length in bytes of the pieces in which images arrive.
const PIECE: usize = 100_000;

/// Returns the name of an image that the task `task` made.
pub(crate) fn cat(task: &str) -> ImageName {
    let task = Some(TaskId(task.into()));
    ImageName::new(Provenance { task, ..Provenance::of_job(job(1, "a cat", 0)) }, 1)
}

pub(crate) fn validator() -> Validator {
    Validator::ETag("\"one\"".into())
}

/// Returns a download of the bytes from `n_before` to `end`. The connection then breaks, unless `end` is the end of the image.
pub(crate) fn download(image: &[u8], n_before: usize, end: usize) -> IncomingImage<'static> {
    let pieces: Vec<_> = image[n_before..end].chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let broken = (end < image.len()).then(|| Err(Fault::new(FaultKind::Transient, "cut")));
    let (n_before, bytes_total) = (n_before as u64, Some(image.len() as u64));
    IncomingImage {
        n_before,
        bytes_total,
        validator: Some(validator()),
        body: stream::iter(pieces).chain(stream::iter(broken)).boxed(),
    }
}

pub(crate) async fn save(store: &dyn ImageStore, name: ImageName, image: IncomingImage<'_>) -> Result<Artifact, Fault> {
    store.save(name, image).await.unwrap()
}

pub(crate) async fn n_there(store: &dyn ImageStore, name: &ImageName) -> Option<usize> {
    store.partial(name).await.map(|part| usize::try_from(part.n_bytes).unwrap())
}

/// Checks that the store has this image and nothing else.
#[track_caller]
fn check_only(world: &dyn World, artifact: &Artifact, image: &[u8]) {
    assert!(world.saved().read(artifact).unwrap() == image);
    assert_eq!(names(world), [&*artifact.file_name]);
}

pub(crate) async fn what_broke_off_is_gone_on_with(new: NewWorld) {
    let world = new(CheckLimits::default());
    let image = big(1);
    let mut n_before = 0;
    for end in [1024, 1025, 300_000, 300_001, 1_000_000, 2_000_000] {
        let saved = save(world.store(), cat("t"), download(&image, n_before, end)).await;
        assert_eq!(saved.unwrap_err().message, "cut");
        let (n_bytes, bytes_total) = (end as u64, Some(image.len() as u64));
        let part = PartialDownload { n_bytes, bytes_total, validator: validator() };
        assert_eq!(world.store().partial(&cat("t")).await, Some(part));
        n_before = end;
    }
    let artifact = save(world.store(), cat("t"), download(&image, n_before, image.len())).await.unwrap();
    assert_eq!(world.store().partial(&cat("t")).await, None);
    check_only(&*world, &artifact, &image);
}

/// Goal: the bytes of a part are those of the host, whoever goes on with them. Method: a new process after each part, and a
/// save that is dropped while its body stalls.
pub(crate) async fn a_part_survives_a_kill_and_a_dropped_save(new: NewWorld) {
    let mut world = new(CheckLimits::default());
    let image = big(1);
    save(world.store(), cat("t"), download(&image, 0, 700_000)).await.unwrap_err();
    world.reopen();
    assert_eq!(n_there(world.store(), &cat("t")).await, Some(700_000));
    let begun = download(&image, 700_000, 1_200_000);
    let stuck = IncomingImage { body: begun.body.take(5).chain(stream::pending()).boxed(), ..begun };
    let saving = world.store().save(cat("t"), stuck);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), saving).await.is_err());
    world.reopen();
    let n_before = n_there(world.store(), &cat("t")).await.unwrap_or(0);
    assert!(n_before <= 1_200_000, "{n_before}");
    let artifact = save(world.store(), cat("t"), download(&image, n_before, image.len())).await.unwrap();
    check_only(&*world, &artifact, &image);
}

/// Goal: no image is put together from bytes that do not follow each other.
pub(crate) async fn a_part_that_is_not_there_is_refused(new: NewWorld) {
    let world = new(CheckLimits::default());
    let image = big(1);
    for n_there in [None, Some(400_000), Some(600_000)] {
        if let Some(end) = n_there {
            save(world.store(), cat("t"), download(&image, 0, end)).await.unwrap_err();
        }
        let fault = save(world.store(), cat("t"), download(&image, 500_000, image.len())).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transient, "{n_there:?}");
        assert_eq!(world.store().partial(&cat("t")).await, None, "{n_there:?}");
        assert_eq!(names(&*world), [""; 0], "{n_there:?}");
    }
}

pub(crate) async fn a_part_of_another_task_is_none_and_removed(new: NewWorld) {
    let world = new(CheckLimits::default());
    save(world.store(), cat("t"), download(&big(1), 0, 1_200_000)).await.unwrap_err();
    assert_eq!(n_there(world.store(), &cat("other")).await, None);
    assert_eq!(n_there(world.store(), &cat("t")).await, None);
    assert_eq!(names(&*world), [""; 0]);
}

pub(crate) async fn a_part_is_gone_with_its_job_and_no_other(new: NewWorld) {
    let world = new(CheckLimits::default());
    let dog = name_of(job(2, "a dog", 0));
    for name in [first_cat(0), dog.clone()] {
        save(world.store(), name, download(&big(1), 0, 1_200_000)).await.unwrap_err();
    }
    world.store().remove_partial(first_cat(0).origin().job.id);
    let there = (n_there(world.store(), &first_cat(0)).await, n_there(world.store(), &dog).await);
    assert_eq!(there, (None, Some(1_200_000)));
    world.store().remove_partials();
    assert_eq!(n_there(world.store(), &dog).await, None);
    assert_eq!(names(&*world), [""; 0]);
}

/// Covers damaged images, downloads without a validator, and images that are too long.
pub(crate) async fn what_cannot_become_an_image_is_not_kept(new: NewWorld) {
    let world = new(CheckLimits { bytes_max: 1 << 20, ..CheckLimits::default() });
    let image = big(1);
    let unmarked = IncomingImage { validator: None, ..download(&image, 0, 900_000) };
    let damaged = IncomingImage { bytes_total: Some(900_000), ..download(&image[..900_000], 0, 900_000) };
    for (what, bad) in [("unmarked", unmarked), ("too long", download(&image, 0, image.len())), ("damaged", damaged)] {
        save(world.store(), cat("t"), bad).await.unwrap_err();
        assert_eq!(names(&*world), [""; 0], "{what}");
        assert_eq!(n_there(world.store(), &cat("t")).await, None, "{what}");
    }
}
