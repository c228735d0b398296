//! Tests of datasets with one object per image in object storage: a folder stands for it.

use super::*;
use crate::images::StoredObject;

/// Returns options for a dataset at `bucket/cats`.
fn options_of(world: &World, format: DatasetFormat) -> ExportOptions {
    let place: crate::model::storage_url::StorageUrl = format!("file://{}", world.bucket().display()).parse().unwrap();
    let dir = folder_of_place(&world.out(), format, &place);
    ExportOptions { dir, place: Some(place), ..world.options(format) }
}

fn export_to(world: &World, format: DatasetFormat) -> Result<Exported, ExportError> {
    export(&options_of(world, format), &mut NoProgress)
}

impl World {
    fn bucket(&self) -> PathBuf {
        self.folder.path().join("bucket/cats")
    }

    /// Returns every object: name, bytes and inode.
    fn objects(&self) -> BTreeMap<String, (Vec<u8>, u64)> {
        files_below(&self.bucket())
    }

    fn object(&self, name: &str) -> String {
        String::from_utf8(self.objects()[name].0.clone()).unwrap()
    }

    fn write_object(&self, name: &str, text: &str) {
        let path = self.bucket().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(path, text).unwrap();
    }

    /// Changes the record of an export as a kill would have left it.
    fn in_record(&self, format: DatasetFormat, change: impl FnOnce(&ExportRecord)) {
        let record = ExportRecord::open(&options_of(self, format).dir).unwrap();
        change(&record);
    }
}

fn bytes(files: &BTreeMap<String, (Vec<u8>, u64)>) -> BTreeMap<&str, &[u8]> {
    files.iter().map(|(name, (bytes, _))| (name.as_str(), &bytes[..])).collect()
}

/// Goal: a dataset in object storage is that of a folder, and follows the run. Method: both, after each change of the run.
#[test]
fn a_dataset_in_object_storage_is_that_of_a_folder() {
    for format in [DatasetFormat::ImageFolder, DatasetFormat::Captions] {
        let world = World::new(&["a", "b", "c", "d", "猫 [1]~#%"]);
        let exported = export_to(&world, format).unwrap();
        assert_eq!((exported.n_images, exported.n_new, exported.n_copied, exported.n_linked), (5, 5, 5, 0));
        let same_as_folder = |what: &str| {
            world.export(format);
            assert_eq!(bytes(&world.objects()), bytes(&files_below(&world.dir())), "{format:?}, {what}");
        };
        same_as_folder("at first");
        let before = world.objects();
        assert_eq!(export_to(&world, format).unwrap(), Exported { n_images: 5, ..Exported::default() });
        assert_eq!(world.objects(), before, "nothing is written again");

        world.run(&["a", "b", "c", "d", "猫 [1]~#%", "e"]);
        assert_eq!(
            export_to(&world, format).unwrap(),
            Exported { n_images: 6, n_new: 1, n_copied: 1, ..Exported::default() }
        );
        same_as_folder("with a new image");
        let after = world.objects();
        let is_renewed = |name: &str| name.starts_with("train/metadata") || name == "README.md";
        assert!(
            before.iter().all(|(name, file)| is_renewed(name) || after[name] == *file),
            "only its metadata is replaced"
        );

        world.make_again("c");
        world.run(&["x", "a", "c", "d", "e"]);
        let exported = export_to(&world, format).unwrap();
        assert_eq!((exported.n_images, exported.n_new, exported.n_renewed, exported.n_removed), (5, 1, 1, 2));
        same_as_folder("with an image that was made again, and two that are gone");
    }
}

/// Goal: an interruption at any step is made good by the same command. Method: the record and the objects as each kill leaves them.
#[test]
fn an_interrupted_export_is_resumed() {
    let format = DatasetFormat::ImageFolder;
    let world = World::new(&["a", "b", "c", "d"]);
    export_to(&world, format).unwrap();
    let whole = world.objects();
    let check = |what: &str| {
        assert_eq!(export_to(&world, format).unwrap().n_images, 4, "{what}");
        assert_eq!(bytes(&world.objects()), bytes(&whole), "{what}");
        assert_eq!(export_to(&world, format).unwrap(), Exported { n_images: 4, ..Exported::default() }, "{what}");
    };
    let plan = |state: &ExportRecord, name: &str, before: Option<&[u8; 32]>| {
        let sha256 = Sha256::digest(&whole[name].0).into();
        state.plan_object(name, &sha256, before).unwrap();
    };
    for name in ["train/b.png", "train/metadata.jsonl", "README.md"] {
        world.in_record(format, |state| plan(state, name, None));
        fs::remove_file(world.bucket().join(name)).unwrap();
        check(&format!("before {name} was written"));
        world.in_record(format, |state| plan(state, name, None));
        check(&format!("before {name} was known to be written"));
    }
    for name in ["train/metadata.jsonl", "README.md"] {
        let earlier = "of the export before";
        world.write_object(name, earlier);
        world.in_record(format, |state| plan(state, name, Some(&Sha256::digest(earlier).into())));
        check(&format!("before {name} was replaced"));
    }
    // The run goes on between the kill and the same command.
    world.in_record(format, |state| plan(state, "train/b.png", None));
    world.make_again("b");
    export_to(&world, format).unwrap();
    assert_eq!(world.object("train/b.png"), "other image of b");
}

/// Goal: no object of another program is replaced or removed, and each is named. Method: objects at the names of images, captions, the table and
/// the card, before the first export and after it.
#[test]
fn the_objects_of_others_stay_and_are_named() {
    for (format, name) in [(DatasetFormat::ImageFolder, "train/b.png"), (DatasetFormat::Captions, "b.txt")] {
        let world = World::new(&["a"]);
        world.write_object("notes.txt", "mine");
        let refused = export_to(&world, format).unwrap_err();
        assert!(
            matches!(&refused, ExportError::ForeignObject { url, .. } if url.ends_with("cats/notes.txt")),
            "{refused}"
        );
        let fresh = ExportOptions { is_fresh: true, ..options_of(&world, format) };
        assert!(export(&fresh, &mut NoProgress).is_err(), "whatever is asked for");
        assert_eq!(world.objects().keys().collect::<Vec<_>>(), ["notes.txt"]);
        fs::remove_file(world.bucket().join("notes.txt")).unwrap();

        export_to(&world, format).unwrap();
        // It comes after the list, so that the write itself meets it.
        world.in_record(format, |state| {
            state.plan_object("train/b.png", &[7; 32], None).unwrap();
        });
        world.write_object(name, "of somebody else");
        world.run(&["a", "b", "c"]);
        if format == DatasetFormat::Captions {
            // An image without such a caption takes another name.
            assert_eq!(export_to(&world, format).unwrap().n_new, 2);
            assert_eq!(world.object(name), "of somebody else");
            assert!(!world.objects().contains_key("b.png"));
            continue;
        }
        for _ in 0..2 {
            let refused = export_to(&world, format).unwrap_err();
            assert!(matches!(&refused, ExportError::Taken { url } if url.ends_with(name)), "{refused}");
            assert_eq!(world.object(name), "of somebody else");
            let fresh = ExportOptions { is_fresh: true, ..options_of(&world, format) };
            assert!(export(&fresh, &mut NoProgress).is_err());
            assert_eq!(world.object(name), "of somebody else");
        }
        fs::remove_file(world.bucket().join(name)).unwrap();
        assert_eq!(export_to(&world, format).unwrap().n_images, 3);
        assert_eq!(world.object(name), "first image of b");
    }
}

/// Goal: what the user has edited stays. Method: an edited table, card and caption; then new images, and one that is gone.
#[test]
fn what_the_user_has_edited_stays() {
    let world = World::new(&["a", "b"]);
    export_to(&world, DatasetFormat::ImageFolder).unwrap();
    for name in ["train/metadata.jsonl", "README.md"] {
        world.write_object(name, "edited");
    }
    world.run(&["a", "b", "c"]);
    let exported = export_to(&world, DatasetFormat::ImageFolder).unwrap();
    assert_eq!((exported.n_new, exported.n_tables_kept, exported.has_other_card), (1, 1, true));
    assert_eq!([world.object("train/metadata.jsonl"), world.object("README.md")], ["edited", "edited"]);
    let fresh = ExportOptions { is_fresh: true, ..options_of(&world, DatasetFormat::ImageFolder) };
    let exported = export(&fresh, &mut NoProgress).unwrap();
    assert_eq!((exported.n_new, exported.n_tables_kept, exported.has_other_card), (3, 0, true));
    assert_eq!(world.object("README.md"), "edited");

    let world = World::new(&["a", "b", "c"]);
    export_to(&world, DatasetFormat::Captions).unwrap();
    world.write_object("a.txt", "ohwx");
    world.write_object("b.txt", "x");
    fs::remove_file(world.bucket().join("c.txt")).unwrap();
    world.run(&["a", "c"]);
    let exported = export_to(&world, DatasetFormat::Captions).unwrap();
    assert_eq!((exported.n_images, exported.n_captions_kept, exported.n_renewed, exported.n_removed), (2, 2, 1, 1));
    assert_eq!(world.objects().keys().collect::<Vec<_>>(), ["a.png", "a.txt", "b.txt", "c.png", "c.txt"]);
    assert_eq!([world.object("a.txt"), world.object("b.txt"), world.object("c.txt")], ["ohwx", "x", "c"]);
}

/// Goal: a damaged image is left out, with its caption. Method: one that was not exported before, and one that was.
#[test]
fn a_damaged_image_is_left_out_of_object_storage() {
    let world = World::new(&["a", "b"]);
    fs::write(world.out().join("images/0/b.png"), "worst image of b").unwrap();
    let exported = export_to(&world, DatasetFormat::Captions).unwrap();
    assert_eq!((exported.n_images, exported.n_new, exported.n_left_out), (1, 1, 1));
    assert_eq!(world.objects().keys().collect::<Vec<_>>(), ["a.png", "a.txt"]);
    fs::write(world.out().join("images/0/b.png"), "first image of b").unwrap();
    assert_eq!(export_to(&world, DatasetFormat::Captions).unwrap().n_new, 1);
    world.make_again("b");
    fs::write(world.out().join("images/0/b.png"), "spoilt").unwrap();
    let exported = export_to(&world, DatasetFormat::Captions).unwrap();
    assert_eq!((exported.n_images, exported.n_left_out, exported.n_removed), (1, 1, 1), "as in a folder");
}

/// Goal: a record is never used for a place that only has the name of an earlier one. Method: the dataset is removed, and another one put there.
#[test]
fn a_record_without_its_objects_is_void() {
    let world = World::new(&["a", "b"]);
    export_to(&world, DatasetFormat::ImageFolder).unwrap();
    fs::remove_dir_all(world.bucket()).unwrap();
    let exported = export_to(&world, DatasetFormat::ImageFolder).unwrap();
    assert_eq!((exported.n_images, exported.n_new, exported.n_renewed), (2, 2, 0));
    fs::remove_dir_all(world.bucket()).unwrap();
    world.write_object("train/mine.png", "mine");
    let refused = export_to(&world, DatasetFormat::ImageFolder).unwrap_err();
    assert!(matches!(refused, ExportError::ForeignObject { .. }), "{refused}");
    let among: crate::model::storage_url::StorageUrl =
        format!("file://{}/images/x", world.out().display()).parse().unwrap();
    let options = ExportOptions { place: Some(among), ..options_of(&world, DatasetFormat::ImageFolder) };
    assert!(matches!(export(&options, &mut NoProgress), Err(ExportError::AmongImages { .. })));
}

/// Goal: an object is read again only if its tag is another one. Method: the record has another hash of an object that has its tag.
#[test]
fn an_object_with_its_tag_is_not_read() {
    let world = World::new(&["a"]);
    export_to(&world, DatasetFormat::ImageFolder).unwrap();
    let wrong = [9; 32];
    let confirm = |tag: Option<&str>| {
        world.in_record(DatasetFormat::ImageFolder, |state| {
            let own = state.own_object("train/a.png").unwrap().unwrap();
            let tag = tag.map_or_else(|| own.tag.unwrap(), str::to_owned);
            state.plan_object("train/a.png", &wrong, None).unwrap();
            state.confirm_object("train/a.png", &StoredObject { bytes: 1, tag }).unwrap();
        });
        export_to(&world, DatasetFormat::ImageFolder).unwrap().n_renewed
    };
    assert_eq!(confirm(Some("another")), 0, "its bytes are as wanted");
    assert_eq!(confirm(None), 1, "its tag stands for the recorded bytes");
}
