//! Tests of the lookup of image names.

use super::*;

#[test]
fn the_names_of_all_images_are_known_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = writer(file(folder.path(), &["cat", "dog", "cow"])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    for (known, names) in jobs.iter().zip([&["b", "a"][..], &["c"]]) {
        let images = names.iter().map(|name| artifact(name)).collect();
        journal.commit(&[event(known, 1, EventKind::Finished(Outcome::Succeeded(images)))]).unwrap();
    }
    import(&mut store(journal), &["cow", "dog"]);
    let reader = SqliteStore::open_for_reading(folder.path()).unwrap();
    let known = |names: [&str; 5]| names.map(|name| reader.is_recorded(name).unwrap());
    // Images of the cat stay recorded, although the cat is no longer in the manifest.
    let names = ["images/a.png", "images/b.png", "images/c.png", "images/d.png", "images/A.png"];
    for _ in 0..2 {
        reader.prepare_names().unwrap();
        assert_eq!(known(names), [true, true, true, false, false]);
    }
}
