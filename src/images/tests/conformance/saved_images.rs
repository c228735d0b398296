//! Promises of saved images: every damage is found, damaged bytes are kept, and the list is complete.

use std::collections::BTreeSet;
use std::fs;

use crate::images::error::StoreError;
use crate::images::tests::conformance::{NewWorld, partial_downloads};
use crate::images::tests::{World, big, cat, job, name_of, save};
use crate::images::validate::fixtures::png;
use crate::images::validate::verdict::CheckLimits;
use crate::images::verify::Damage;
use crate::model::event::ReplacedImage;
use crate::model::outcome::{Artifact, TaskId};

/// Checks what all ways to look at an image say about it.
async fn check(world: &dyn World, artifact: &Artifact, is_there: bool, expected: Result<(), Damage>) {
    assert_eq!(world.saved().verify(artifact), expected);
    assert_eq!(world.saved().read(artifact).map(drop), expected);
    assert_eq!(world.store().holds(artifact).await, expected.is_ok());
    assert_eq!(world.saved().is_there(artifact), is_there);
}

pub(super) async fn every_damage_is_found(new: NewWorld) {
    let world = new(CheckLimits::default());
    let image = png(9, 7, 1);
    let whole = save(world.store(), cat(0), &image).await.unwrap();
    check(&*world, &whole, true, Ok(())).await;
    let length = |bytes| Err(Damage::Length { bytes, recorded: whole.bytes });
    let (mut changed, cut, longer) = (image.clone(), &image[..image.len() - 1], [&image[..], b"x"].concat());
    changed[40] ^= 1;
    for (bytes, is_there, expected) in [
        (&changed[..], true, Err(Damage::Content)),
        (cut, false, length(whole.bytes - 1)),
        (&longer, false, length(whole.bytes + 1)),
        (b"", false, length(0)),
        (&image, true, Ok(())),
    ] {
        world.put(&whole.file_name, bytes);
        check(&*world, &whole, is_there, expected).await;
    }
    world.remove(&whole.file_name);
    check(&*world, &whole, false, Err(Damage::Missing)).await;
    for name in ["../a.png", "/etc/passwd", "images/../../a.png", ""] {
        let artifact = Artifact { file_name: name.into(), ..whole.clone() };
        check(&*world, &artifact, false, Err(Damage::Outside)).await;
    }
}

pub(super) async fn what_is_read_is_what_was_recorded(new: NewWorld) {
    let mut world = new(CheckLimits::default());
    let images = [png(9, 7, 1), big(2)];
    let mut artifacts = vec![];
    for (index, image) in (1..).zip(&images) {
        artifacts.push(save(world.store(), name_of(job(index, "a cat", 0)), image).await.unwrap());
    }
    world.reopen();
    for (artifact, image) in artifacts.iter().zip(&images) {
        assert!(world.saved().read(artifact).as_ref() == Ok(image));
    }
}

pub(super) async fn what_is_damaged_is_kept_in_quarantine_and_never_over_another(new: NewWorld) {
    let world = new(CheckLimits::default());
    let image = png(9, 7, 1);
    let whole = save(world.store(), cat(0), &image).await.unwrap();
    let mut names = vec![];
    for text in ["one", "two", "three"] {
        world.put(&whole.file_name, text.as_bytes());
        names.push(world.saved().quarantine(&whole.file_name).unwrap().unwrap());
        check(&*world, &whole, false, Err(Damage::Missing)).await;
    }
    assert_eq!(
        names,
        ["damaged/images/000001-a-cat.png", "damaged/images/000001-a-cat.png.2", "damaged/images/000001-a-cat.png.3"]
    );
    let files = world.files();
    assert_eq!(names.iter().map(|name| &files[name][..]).collect::<Vec<_>>(), [&b"one"[..], b"two", b"three"]);
    assert_eq!(world.saved().quarantine(&whole.file_name).unwrap(), None, "there is nothing any more");
    assert_eq!(world.saved().quarantine("../a.png").unwrap(), None);
    assert_eq!(save(world.store(), cat(0), &image).await.unwrap(), whole, "the name is free again");
}

/// Goal: verification looks at every file. Method: images in several folders, a stranger's file, a partial download and a
/// damaged image in quarantine.
pub(super) async fn the_list_is_complete_and_holds_nothing_else(new: NewWorld) {
    let world = new(CheckLimits::default());
    let list = || world.saved().list().collect::<Result<BTreeSet<_>, StoreError>>().unwrap();
    assert!(list().is_empty());
    let mut expected = BTreeSet::from(["images/stranger.txt".to_owned()]);
    for index in [1, 2, 10_001, 20_002] {
        let artifact = save(world.store(), name_of(job(index, "a cat", 0)), &png(9, 7, index)).await.unwrap();
        expected.insert(artifact.file_name);
    }
    world.put("images/stranger.txt", b"text");
    world.put("elsewhere.png", b"text");
    let broken = partial_downloads::download(&big(1), 0, 900_000);
    partial_downloads::save(world.store(), name_of(job(3, "a dog", 0)), broken).await.unwrap_err();
    let damaged = save(world.store(), name_of(job(4, "a cow", 0)), &png(9, 7, 4)).await.unwrap();
    world.saved().quarantine(&damaged.file_name).unwrap();
    assert_eq!(list(), expected);
    assert_eq!(world.saved().list().count(), expected.len(), "and each once");
}

pub(super) async fn a_link_is_the_image_or_nothing(new: NewWorld) {
    let world = new(CheckLimits::default());
    let (image, folder) = (png(9, 7, 1), tempfile::tempdir().unwrap());
    let whole = save(world.store(), cat(0), &image).await.unwrap();
    for text in [None, Some("earlier")] {
        let path = folder.path().join(format!("{text:?}"));
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let is_linked = world.saved().link(&whole, &path).is_ok();
        let expected = if is_linked { Some(image.clone()) } else { text.map(|text| text.as_bytes().to_vec()) };
        assert_eq!(fs::read(&path).ok(), expected);
        assert_eq!(world.saved().verify(&whole), Ok(()));
    }
    world.remove(&whole.file_name);
    let path = folder.path().join("missing");
    assert!(world.saved().link(&whole, &path).is_err() && !path.exists());
}

/// Goal: an image that will be replaced is never lost, and its name becomes free. Method: each step alone and again, as after a crash
/// before the next one; other files at each name.
pub(super) async fn a_replaced_image_is_kept_under_another_name(new: NewWorld) {
    let world = new(CheckLimits::default());
    let (image, next) = (png(9, 7, 1), png(9, 7, 2));
    let whole = save(world.store(), cat(0), &image).await.unwrap();
    world.put("replaced/images/000001-a-cat.png", b"another");
    let keep = || world.saved().keep(&whole).unwrap();
    let name = "replaced/images/000001-a-cat.2.png";
    assert_eq!((keep().as_deref(), keep().as_deref()), (Some(name), Some(name)), "again after a crash");
    assert_eq!(world.saved().verify(&whole), Ok(()), "the first name stays");
    let replaced = ReplacedImage { artifact: whole.clone(), kept_as: name.into() };
    let task = TaskId("7".into());
    for (text, is_moved) in [(&br#"{"task_id": "7"}"#[..], true), (br#"{"task_id": "8"}"#, false), (b"notes", false)] {
        world.put(&whole.file_name, &image);
        world.put("images/000001-a-cat.json", text);
        for _ in 0..2 {
            world.saved().release(&replaced, Some(&task)).unwrap();
        }
        assert_eq!(world.saved().verify(&whole), Err(Damage::Missing));
        let moved = ["images/000001-a-cat.json", "replaced/images/000001-a-cat.2.json"];
        assert_eq!(world.files().get(moved[usize::from(is_moved)]).map(Vec::as_slice), Some(text));
        world.remove(moved[usize::from(is_moved)]);
    }
    assert_eq!(world.saved().verify(&replaced.kept()), Ok(()));
    assert_eq!(save(world.store(), cat(0), &next).await.unwrap().file_name, whole.file_name, "the name is free");
    world.saved().release(&replaced, Some(&task)).unwrap();
    assert_eq!(world.files()[&whole.file_name], next, "it is another image by now");
    assert_eq!(world.files()["replaced/images/000001-a-cat.png"], b"another");
    let list: Vec<_> = world.saved().list().collect::<Result<_, StoreError>>().unwrap();
    assert_eq!(list, std::slice::from_ref(&whole.file_name), "kept images are not listed");
}

/// Goal: a kept image comes back under its first name, and takes that of no other file. Method: a free name, twice, as after a crash; then
/// another file of that name; a kept image that is damaged, missing or outside.
pub(super) async fn a_kept_image_gets_its_first_name_again(new: NewWorld) {
    let world = new(CheckLimits::default());
    let image = png(9, 7, 1);
    let whole = save(world.store(), cat(0), &image).await.unwrap();
    let kept_as = world.saved().keep(&whole).unwrap().unwrap();
    let replaced = |kept_as: &str| ReplacedImage { artifact: whole.clone(), kept_as: kept_as.into() };
    world.remove(&whole.file_name);
    for _ in 0..2 {
        assert!(world.saved().give_back(&replaced(&kept_as)).unwrap());
        assert_eq!((&world.files()[&whole.file_name], &world.files()[&kept_as]), (&image, &image));
    }
    world.remove(&whole.file_name);
    world.put(&whole.file_name, b"another");
    assert!(!world.saved().give_back(&replaced(&kept_as)).unwrap());
    assert_eq!((&*world.files()[&whole.file_name], &world.files()[&kept_as]), (&b"another"[..], &image));
    world.remove(&whole.file_name);
    world.put("replaced/short.png", &image[..9]);
    for name in ["replaced/missing.png", "replaced/short.png", "../a.png", ""] {
        assert!(!world.saved().give_back(&replaced(name)).unwrap(), "{name}");
        assert!(!world.files().contains_key(&whole.file_name), "{name}");
    }
}

/// Goal: the only copy of an image is never removed. Method: a kept image that is missing, damaged or outside, and an image that is not as
/// recorded.
pub(super) async fn an_image_that_is_not_kept_keeps_its_name(new: NewWorld) {
    let world = new(CheckLimits::default());
    let image = png(9, 7, 1);
    let whole = save(world.store(), cat(0), &image).await.unwrap();
    let replaced = |kept_as: &str| ReplacedImage { artifact: whole.clone(), kept_as: kept_as.into() };
    world.put("replaced/short.png", &image[..9]);
    for name in ["replaced/missing.png", "replaced/short.png", "../a.png", ""] {
        world.saved().release(&replaced(name), None).unwrap();
        assert_eq!(world.saved().verify(&whole), Ok(()), "{name}");
    }
    world.put(&whole.file_name, b"damaged");
    assert_eq!(world.saved().keep(&whole).unwrap(), None);
    world.put("replaced/whole.png", &image);
    world.saved().release(&replaced("replaced/whole.png"), None).unwrap();
    assert_eq!(world.files()[&whole.file_name], b"damaged");
    world.remove(&whole.file_name);
    assert_eq!(world.saved().keep(&whole).unwrap(), None);
}
