//! Tests of many objects that are created at once: against storage in memory, with faults, and against a folder.

use sha2::Digest;

use super::*;
use crate::images::object::files::ObjectFiles;
use crate::images::object::uploads::{BYTES_MAX, REQUESTS_MAX, RunImages};
use crate::images::verify::Damage;
use crate::images::{Created, NewContent, NewObject, StoredFiles};

fn bucket(storage: &Storage, url: &str) -> Bucket {
    Bucket::new(Box::new(storage.clone()), url.parse().unwrap(), Duration::from_secs(60))
}

/// Returns the files at `s3://bucket/set`, for images at `s3://bucket/a/b`.
fn files(storage: &Storage) -> ObjectFiles {
    let source = RunImages::new(bucket(storage, "s3://bucket/a/b"), &"s3://bucket/set".parse().unwrap());
    ObjectFiles::with(bucket(storage, "s3://bucket/set"), bucket(storage, "s3://bucket/set"), Some(source)).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "an element of a list in which others are damaged")]
fn new(name: &str, text: &str) -> Result<NewObject, Damage> {
    Ok(NewObject { name: name.to_owned(), content: NewContent::Bytes(text.as_bytes().to_vec().into()) })
}

fn create(files: &dyn StoredFiles, objects: Vec<Result<NewObject, Damage>>) -> Vec<Created> {
    files.create_all(&mut objects.into_iter()).unwrap()
}

fn names(files: &dyn StoredFiles) -> Vec<String> {
    let mut names: Vec<_> = files.list().map(|found| found.unwrap().0).collect();
    names.sort();
    names
}

/// Goal: objects are created once, and replace nothing; one is replaced only if it is the one that was seen. Method: every request, on storage in
/// memory and on a folder.
#[test]
fn objects_are_created_once_and_replaced_only_if_they_are_those_that_were_seen() {
    let folder = TempDir::new().unwrap();
    let place = format!("file://{}/new/set", folder.path().display()).parse().unwrap();
    let stores: [Box<dyn StoredFiles>; 2] =
        [Box::new(files(&Storage::default())), Box::new(ObjectFiles::open(&place, None).unwrap())];
    for files in stores {
        assert_eq!(names(&*files), [] as [&str; 0]);
        let created = create(&*files, vec![new("a/1.png", "one"), Err(Damage::Missing), new("猫 [2]~#%.txt", "two")]);
        let (first, second) = match &created[..] {
            [Created::Whole { object: first, .. }, Created::Damaged(_), Created::Whole { object: second, .. }] => {
                (first, second)
            }
            created => panic!("{created:?}"),
        };
        assert_eq!((first.bytes, names(&*files)), (3, vec!["a/1.png".to_owned(), "猫 [2]~#%.txt".to_owned()]));
        let listed: BTreeMap<_, _> = files.list().map(Result::unwrap).collect();
        assert_eq!((&listed["a/1.png"], &listed["猫 [2]~#%.txt"]), (first, second), "a list has the same tags");
        assert_eq!(files.find("a/1.png").unwrap().as_ref(), Some(first));
        assert_eq!(
            create(&*files, vec![new("a/1.png", "one"), new("a/1.png", "two")])[..],
            [Created::Whole { object: first.clone(), is_copied_there: false }, Created::Taken]
        );

        let path = folder.path().join("file");
        fs::write(&path, "three").unwrap();
        let third = files.replace("a/1.png", &path, &first.tag).unwrap().unwrap();
        assert!(third.bytes == 5 && third.tag != first.tag);
        fs::write(&path, "four").unwrap();
        assert_eq!(files.replace("a/1.png", &path, &first.tag).unwrap(), None, "another one is there");
        assert_eq!(files.sha256("a/1.png").unwrap(), Some(sha2::Sha256::digest("three").into()));
        assert_eq!(files.replace("none", &path, &first.tag).unwrap(), None);
        files.remove_all(vec!["a/1.png".into(), "none".into()]).unwrap();
        assert_eq!((names(&*files), files.sha256("a/1.png").unwrap()), (vec!["猫 [2]~#%.txt".to_owned()], None));
    }
}

/// Goal: no fault loses or doubles an object. Method: writes that fail before or after they are done, and writers that meet.
#[test]
fn a_lost_answer_and_a_conflict_neither_lose_nor_double_an_object() {
    let folder = TempDir::new().unwrap();
    for (n_failing, n_unanswered, n_conflicts) in [(0, 1, 0), (2, 0, 0), (0, 0, 2), (1, 1, 1)] {
        let storage = Storage::default();
        let inject = || {
            storage.n_failing.store(n_failing, Ordering::Relaxed);
            storage.n_unanswered.store(n_unanswered, Ordering::Relaxed);
            storage.n_conflicts.store(n_conflicts, Ordering::Relaxed);
        };
        let files = files(&storage);
        inject();
        let created = create(&files, vec![new("1", "one"), new("2", "two"), new("3", "three")]);
        assert!(created.iter().all(|created| matches!(created, Created::Whole { .. })), "{created:?}");
        assert_eq!(storage.n_replaced.load(Ordering::Relaxed), 0);
        let there = files.find("1").unwrap().unwrap();
        fs::write(folder.path().join("file"), "four").unwrap();
        storage.n_conflicts.store(0, Ordering::Relaxed);
        storage.n_unanswered.store(n_unanswered, Ordering::Relaxed);
        assert!(files.replace("1", &folder.path().join("file"), &there.tag).unwrap().is_some());
        assert_eq!(storage.n_replaced.load(Ordering::Relaxed), 1, "it is replaced once");
    }
}

/// Goal: an image in the same bucket is copied there, if it is whole, and to a free name. Method: whole and damaged images, free and taken
/// names, and storage that copies nothing.
#[test]
fn images_in_the_same_bucket_are_copied_there_once_they_are_verified() {
    for copies_nothing in [false, true] {
        let storage = Storage { copies_nothing, ..Storage::default() };
        let files = files(&storage);
        let put = |key: &str, bytes: Vec<u8>| {
            let (objects, key) = (Arc::clone(&storage.objects), Key::parse(key).unwrap());
            files.worker().wait(async move { objects.put(&key, bytes.into()).await.map(drop) }).unwrap();
        };
        let image = png(9, 7, 1);
        let artifact = inspected(&image);
        put("a/b/images/000001-a-cat.png", image.clone());
        let object = |name: &str, artifact: &Artifact| {
            Ok(NewObject { name: name.to_owned(), content: NewContent::Image(artifact.clone()) })
        };
        put("set/taken.png", png(9, 7, 2));
        put("set/equal.png", image.clone());
        let missing = Artifact { file_name: "images/none.png".into(), ..artifact.clone() };
        let outside = Artifact { file_name: "../x.png".into(), ..artifact.clone() };
        let changed = Artifact { sha256: [1; 32], ..artifact.clone() };
        let shorter = Artifact { bytes: 3, ..artifact.clone() };
        let created = create(
            &files,
            [&artifact, &missing, &outside, &changed, &shorter]
                .into_iter()
                .map(|artifact| object("new.png", artifact))
                .chain([object("taken.png", &artifact), object("equal.png", &artifact)])
                .collect(),
        );
        let is_whole = |created: &Created| matches!(created, Created::Whole { is_copied_there, object } if *is_copied_there != copies_nothing && object.bytes == image.len() as u64);
        assert!(is_whole(&created[0]) && is_whole(&created[6]), "{created:?}");
        let length = Damage::Length { bytes: image.len() as u64, recorded: 3 };
        let damages = [Damage::Missing, Damage::Outside, Damage::Content, length].map(Created::Damaged);
        assert_eq!(created[1..5], damages);
        assert_eq!(created[5], Created::Taken);
        assert_eq!(files.sha256("new.png").unwrap(), Some(artifact.sha256));
        assert_eq!(storage.n_replaced.load(Ordering::Relaxed), 0);
    }
}

/// Goal: what is in memory is bounded. Method: many small objects, and a few large ones; the storage counts writes that are under way.
#[test]
fn objects_at_once_are_bounded_by_their_number_and_their_bytes() {
    for (n, bytes, n_max) in [(200, 1, REQUESTS_MAX), (8, BYTES_MAX / 3, 4)] {
        let storage = Storage::default();
        let content = Bytes::from(vec![0; usize::try_from(bytes).unwrap()]);
        let mut objects =
            (0..n).map(|n: u32| Ok(NewObject { name: n.to_string(), content: NewContent::Bytes(content.clone()) }));
        let n_created = files(&storage).create_all(&mut objects).unwrap().len();
        assert_eq!(n_created, n as usize);
        let n_open = storage.n_open_max.load(Ordering::Relaxed) as usize;
        assert!(n_open > 1 && n_open <= n_max, "{n_open}");
    }
}

/// Goal: an outage ends an export with words, and what was written stays.
#[test]
fn an_outage_during_many_uploads_is_told() {
    let storage = Storage { is_down: true, ..Storage::default() };
    let at = |url: &str| Bucket::new(Box::new(storage.clone()), url.parse().unwrap(), Duration::from_millis(300));
    let files = ObjectFiles::with(at("s3://bucket/set"), at("s3://bucket/set"), None).unwrap();
    let error = files.create_all(&mut (0..100).map(|n| new(&n.to_string(), "x"))).unwrap_err();
    assert!(error.to_string().starts_with("could not write s3://bucket/set/"), "{error}");
    assert!(matches!(error, StoreError::Storage { is_outage: true, .. }), "{error}");
}
