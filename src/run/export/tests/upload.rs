//! Tests of what is uploaded with a dataset, and of what is not: the dataset card, and the export record beside the folder.

use super::*;
use crate::run::export::record_place;

fn card(world: &World) -> String {
    fs::read_to_string(world.dir().join("README.md")).unwrap_or_default()
}

/// Returns the names in the folder around the dataset.
fn beside(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_card_follows_the_dataset_until_the_user_edits_it() {
    for format in [DatasetFormat::ImageFolder, DatasetFormat::WebDataset] {
        let world = World::new(&["a", "b"]);
        assert!(!world.export(format).has_other_card);
        let first = card(&world);
        assert!(first.contains("| train | 2 |") && first.contains("`m` (2 images)"), "{first}");
        world.export(format);
        assert_eq!(card(&world), first);
        world.run(&["a", "b", "c"]);
        assert!(!world.export(format).has_other_card);
        assert!(card(&world).contains("| train | 3 |"), "{}", card(&world));

        let edited = card(&world) + "My cats.\n";
        fs::write(world.dir().join("README.md"), &edited).unwrap();
        for is_fresh in [false, true, false] {
            let options = ExportOptions { is_fresh, ..world.options(format) };
            assert!(export(&options, &mut NoProgress).unwrap().has_other_card);
            assert_eq!(card(&world), edited);
        }
        fs::remove_file(world.dir().join("README.md")).unwrap();
        assert!(!world.export(format).has_other_card);
        assert!(card(&world).contains("| train | 3 |"));
    }
    let world = World::new(&["a"]);
    world.export(DatasetFormat::Captions);
    assert_eq!(card(&world), "", "trainers would read it as a caption");
}

#[test]
fn the_record_is_beside_the_folder() {
    let world = World::new(&["a", "b"]);
    world.export(DatasetFormat::WebDataset);
    let other = ExportOptions { dir: world.folder.path().join("other"), ..world.options(DatasetFormat::Captions) };
    export(&other, &mut NoProgress).unwrap();
    let names = [".dataset.promptbatch-export.db", ".other.promptbatch-export.db", "dataset", "m.csv", "other", "out"];
    assert_eq!(beside(&world), names);
    let hidden = |dir: &Path| {
        fs::read_dir(dir).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with('.'))
    };
    assert!(!hidden(&world.dir()) && !hidden(&other.dir));
    // The same folder by another name has the same record.
    let dir = world.dir().join("../dataset/.");
    let exported = export(&ExportOptions { dir, ..world.options(DatasetFormat::WebDataset) }, &mut NoProgress).unwrap();
    assert_eq!((exported.n_images, exported.n_new), (2, 0));

    // A record of an earlier version is moved out of the folder.
    let (record, former) = (world.folder.path().join(names[0]), world.dir().join(".promptbatch-export.db"));
    fs::rename(&record, &former).unwrap();
    assert_eq!(world.export(DatasetFormat::WebDataset).n_new, 0);
    assert!(record.exists() && !former.exists());
}

/// Goal: a record is never used for a folder that only has the name of an earlier one. Method: the dataset is deleted, and then
/// replaced by a folder of the user.
#[test]
fn a_record_without_its_dataset_is_void() {
    for format in [DatasetFormat::WebDataset, DatasetFormat::ImageFolder, DatasetFormat::Captions] {
        let world = World::new(&["a", "b"]);
        world.export(format);
        fs::remove_dir_all(world.dir()).unwrap();
        let exported = world.export(format);
        assert_eq!((exported.n_images, exported.n_new), (2, 2), "{format:?}");
        fs::remove_dir_all(world.dir()).unwrap();
        fs::create_dir_all(world.dir().join("train")).unwrap();
        fs::write(world.dir().join("train/mine.png"), "mine").unwrap();
        for is_fresh in [false, true] {
            let options = ExportOptions { is_fresh, ..world.options(format) };
            assert!(matches!(export(&options, &mut NoProgress), Err(ExportError::Foreign { .. })), "{format:?}");
        }
        assert_eq!(world.names(), ["train/mine.png"]);
        assert!(record_place::exists(&world.dir()).unwrap());
    }
}
