//! Tests of shards that are moved to object storage: a folder stands for it.

use super::*;

fn place(world: &World) -> PathBuf {
    world.folder.path().join("bucket/cats")
}

fn options_of(world: &World) -> ExportOptions {
    let place: crate::model::storage_url::StorageUrl = format!("file://{}", place(world).display()).parse().unwrap();
    let format = DatasetFormat::WebDataset;
    let dir = folder_of_place(&world.out(), format, &place);
    ExportOptions { dir, place: Some(place), ..world.options(format) }
}

fn moved(world: &World) -> Result<Exported, ExportError> {
    export(&options_of(world), &mut NoProgress)
}

/// Returns the shards at the place: name and bytes.
fn shards(world: &World) -> BTreeMap<String, Vec<u8>> {
    let mut shards = objects(world);
    assert!(shards.remove("README.md").is_some(), "the card is there too");
    shards
}

fn objects(world: &World) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(place(world)).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
}

/// Returns the names of the files that were left in the folder on the way.
fn left(world: &World) -> Vec<String> {
    let entries = fs::read_dir(options_of(world).dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Goal: shards are at the place, as they would be in a folder, and nothing else is. New images go into new shards.
#[test]
fn shards_are_moved_once() {
    let world = World::new(&["a", "b", "c", "d"]);
    let exported = moved(&world).unwrap();
    assert_eq!((exported.n_images, exported.n_new, exported.n_shards), (4, 4, 2));
    world.export(DatasetFormat::WebDataset);
    let in_folder = |name: &str| fs::read(world.dir().join(name)).unwrap();
    let first = shards(&world);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["train-000000.tar", "train-000001.tar"]);
    assert!(first.iter().all(|(name, bytes)| *bytes == in_folder(name)));
    assert_eq!(left(&world), [] as [&str; 0]);

    assert_eq!(moved(&world).unwrap().n_new, 0);
    world.run(&["a", "b", "c", "d", "e"]);
    assert_eq!(moved(&world).unwrap().n_new, 1);
    let all = shards(&world);
    assert!(all.len() == 3 && first.iter().all(|(name, bytes)| all[name] == *bytes));
}

/// Goal: an interruption at any step is made good by the same command. Method: the record and the files as each crash leaves them.
#[test]
fn an_interrupted_move_is_resumed() {
    let world = World::new(&["a", "b", "c", "d"]);
    moved(&world).unwrap();
    let whole = shards(&world);
    let (dir, name) = (options_of(&world).dir, "train-000001.tar");
    let in_record = |change: &dyn Fn(&ExportRecord)| change(&ExportRecord::open(&dir).unwrap());
    let check = |what: &str| {
        assert_eq!(moved(&world).unwrap().n_images, 4, "{what}");
        assert_eq!((shards(&world), left(&world).len()), (whole.clone(), 0), "{what}");
    };
    let unmark = |state: &ExportRecord| {
        state.set_shard(name, "train", whole[name].len() as u64).unwrap();
        state.unset("moved train-000001.tar").unwrap();
    };

    in_record(&unmark);
    fs::write(dir.join(name), &whole[name]).unwrap();
    fs::remove_file(place(&world).join(name)).unwrap();
    check("before it was written");

    in_record(&unmark);
    fs::write(dir.join(name), &whole[name]).unwrap();
    check("before it was marked");

    fs::write(dir.join(name), &whole[name]).unwrap();
    check("before the file was removed");

    // A new export does not meet what the interrupted one has left.
    in_record(&unmark);
    fs::write(dir.join(name), &whole[name]).unwrap();
    world.make_again("d");
    let fresh = ExportOptions { is_fresh: true, ..options_of(&world) };
    assert_eq!(export(&fresh, &mut NoProgress).unwrap().n_images, 4);
    assert!(shards(&world).len() == 2 && shards(&world)[name] != whole[name]);
}

/// Goal: no object is replaced, and a loss is told. Method: another object has the name of a shard; a shard is removed, or cut.
#[test]
fn no_object_is_replaced_and_a_missing_one_is_told() {
    let world = World::new(&["a", "b", "c", "d"]);
    fs::create_dir_all(place(&world)).unwrap();
    let other = place(&world).join("train-000001.tar");
    fs::write(&other, "of somebody else").unwrap();
    let said = moved(&world).unwrap_err();
    assert!(matches!(&said, ExportError::Taken { url } if url.ends_with("/bucket/cats/train-000001.tar")), "{said}");
    assert_eq!(fs::read(&other).unwrap(), b"of somebody else");
    fs::remove_file(&other).unwrap();
    assert_eq!(moved(&world).unwrap().n_images, 4);

    fs::write(&other, "cut").unwrap();
    assert!(
        moved(&world).unwrap_err().to_string().contains("train-000001.tar is 3 bytes long"),
        "{}",
        moved(&world).unwrap_err()
    );
    fs::remove_file(&other).unwrap();
    assert!(matches!(moved(&world), Err(ExportError::StoredShard { damage: Damage::Missing, .. })));
    let fresh = ExportOptions { is_fresh: true, ..options_of(&world) };
    assert_eq!(export(&fresh, &mut NoProgress).unwrap().n_images, 4);
    assert_eq!(shards(&world).len(), 2);
}

/// Goal: shards have a card, which follows the dataset until the user edits it.
#[test]
fn shards_have_a_card() {
    let world = World::new(&["a", "b"]);
    let card = || String::from_utf8(objects(&world)["README.md"].clone()).unwrap();
    assert!(!moved(&world).unwrap().has_other_card);
    assert!(card().contains("| train | 2 |"), "{}", card());
    world.run(&["a", "b", "c"]);
    assert!(!moved(&world).unwrap().has_other_card);
    assert!(card().contains("| train | 3 |"), "{}", card());
    fs::write(place(&world).join("README.md"), "edited").unwrap();
    for is_fresh in [false, true] {
        let options = ExportOptions { is_fresh, ..options_of(&world) };
        assert!(export(&options, &mut NoProgress).unwrap().has_other_card);
        assert_eq!(card(), "edited");
    }
}
