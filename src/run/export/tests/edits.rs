//! Tests of edits by hand: captions and tables that the user has changed stay as they are.

use super::*;

/// Returns a captions export with the column `style`, and its result.
fn captions(world: &World, is_fresh: bool) -> Exported {
    let options = world.options(DatasetFormat::Captions);
    export(&ExportOptions { caption: "style".into(), is_fresh, ..options }, &mut NoProgress).unwrap()
}

/// Goal: no export replaces a caption that was edited by hand, and the rest follows the run. Method: edits of another and of the same length, an
/// image that is made again, one with a caption of ours that is made again, and one that leaves the manifest; then `--fresh`.
#[test]
fn a_caption_that_was_edited_is_kept() {
    let world = World::new(&["a", "b", "c", "d"]);
    captions(&world, false);
    let write = |name: &str, text: &str| fs::write(world.dir().join(name), text).unwrap();
    let read = |name: &str| fs::read_to_string(world.dir().join(name)).unwrap();
    write("a.txt", "ohwx woman, A");
    write("b.txt", "Q");
    write("d.txt", "my own");
    for _ in 0..2 {
        let again = captions(&world, false);
        assert_eq!((again.n_captions_kept, again.n_renewed, again.n_images), (3, 0, 4));
    }
    world.make_again("a");
    world.make_again("c");
    let again = captions(&world, false);
    assert_eq!((again.n_captions_kept, again.n_renewed), (3, 2));
    assert_eq!([read("a.txt"), read("b.txt"), read("c.txt"), read("d.txt")], ["ohwx woman, A", "Q", "C", "my own"]);
    assert_eq!([read("a.png"), read("c.png")], ["other image of a", "other image of c"]);
    let again = captions(&world, false);
    assert_eq!((again.n_captions_kept, again.n_renewed), (3, 0));

    fs::remove_file(world.dir().join("b.txt")).unwrap();
    world.run(&["a", "b", "c"]);
    let shorter = captions(&world, false);
    assert_eq!((shorter.n_captions_kept, shorter.n_renewed, shorter.n_removed), (2, 1, 1));
    assert_eq!(world.names(), ["a.png", "a.txt", "b.png", "b.txt", "c.png", "c.txt", "d.txt"]);
    assert_eq!([read("a.txt"), read("b.txt"), read("d.txt")], ["ohwx woman, A", "B", "my own"]);
    world.run(&["a", "b", "c", "d"]);
    captions(&world, false);
    assert_eq!(read("d.txt"), "my own", "what comes back takes another name");

    assert_eq!(captions(&world, true).n_captions_kept, 0);
    assert_eq!(read("a.txt"), "A");
    assert_eq!(read("d.txt"), "my own", "no export wrote it");
}

/// Goal: a table that was edited by hand is kept, and one of ours follows the run. Method: an edit, with and without a new image; then `--fresh`.
#[test]
fn a_table_that_was_edited_is_kept() {
    let world = World::new(&["a"]);
    let path = world.dir().join("train/metadata.jsonl");
    let n_kept = |is_fresh| {
        let options = ExportOptions { is_fresh, ..world.options(DatasetFormat::ImageFolder) };
        export(&options, &mut NoProgress).unwrap().n_tables_kept
    };
    assert_eq!(n_kept(false), 0);
    world.run(&["a", "b"]);
    assert_eq!(n_kept(false), 0);
    assert_eq!(world.told("train").len(), 2);
    let edited = fs::read_to_string(&path).unwrap().replace("\"text\":\"a\"", "\"text\":\"ohwx\"");
    fs::write(&path, &edited).unwrap();
    assert_eq!((n_kept(false), fs::read_to_string(&path).unwrap()), (0, edited.clone()));
    world.run(&["a", "b", "c"]);
    assert_eq!((n_kept(false), fs::read_to_string(&path).unwrap()), (1, edited));
    assert_eq!(n_kept(true), 0);
    assert_eq!(world.told("train").len(), 3);
}
