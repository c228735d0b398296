//! Tests of the names of images in folders, and of their copies.

use super::*;

#[test]
fn images_of_one_name_get_names_apart() {
    let world = World::new(&["a", "A", "b"]);
    // Second job with the prompt `a` gets another folder, as name templates may choose it.
    let others: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
    let mut prompts = vec!["a", "A", "b"];
    prompts.extend(strs(&others));
    prompts.push("a");
    world.run(&prompts);
    let exported = world.export(DatasetFormat::Captions);
    assert_eq!((exported.n_images, world.names().len()), (104, 208));
    let folded: std::collections::BTreeSet<String> = world.names().iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(folded.len(), 208, "also where A is a");
}

#[test]
fn copies_are_files_of_their_own() {
    let world = World::new(&["a", "b"]);
    let exported =
        export(&ExportOptions { is_copied: true, ..world.options(DatasetFormat::ImageFolder) }, &mut NoProgress)
            .unwrap();
    assert_eq!((exported.n_linked, exported.n_copied), (0, 2));
    let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
    assert_ne!(inode(world.dir().join("train/a.png")), inode(world.out().join("images/0/a.png")));
    assert_eq!(fs::read(world.dir().join("train/a.png")).unwrap(), b"first image of a");
    export(&ExportOptions { is_fresh: true, ..world.options(DatasetFormat::ImageFolder) }, &mut NoProgress).unwrap();
    assert_eq!(inode(world.dir().join("train/a.png")), inode(world.out().join("images/0/a.png")));
}
