//! Folders of texts: what leads out of them, changes while they are read, or has two names.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;
use crate::manifest::error::ManifestError;

fn folder(texts: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in texts {
        fs::write(folder.path().join(name), text).expect("a file can be written there");
    }
    folder
}

fn source(path: &Path) -> Source {
    Source { path: path.to_owned(), default_model: Some(MODEL.into()), ..Source::default() }
}

fn mistakes(source: Source) -> Vec<String> {
    let error = open(source).expect_err("the folder has mistakes");
    error.mistakes().iter().map(|mistake| mistake.at(Path::new("p"))).collect()
}

/// Goal: no link sends a file from elsewhere. Method: a link into another folder, refused, and then allowed by its folder.
#[test]
fn a_link_leads_out_only_where_it_is_allowed() {
    let (own, other) = (folder(&[("a.txt", "a cat")]), folder(&[("secret.txt", "a key")]));
    symlink(other.path().join("secret.txt"), own.path().join("b.txt")).expect("a link can be made");
    symlink("a.txt", own.path().join("c.txt")).expect("a link can be made");
    let told = mistakes(source(own.path()));
    assert!(told.len() == 1 && told[0].starts_with("p/b.txt: this file is outside the manifest's folder"), "{told:?}");
    let allowed = Source { allowed_folders: vec![other.path().to_owned()], ..source(own.path()) };
    assert_eq!(open(allowed).expect("it is allowed").n_jobs(), 3);
}

#[test]
fn names_that_give_no_id_are_mistakes() {
    let folder = folder(&[("a.txt", "a cat"), ("a.TXT", "a dog"), (" .txt", "a heron"), ("b.Txt", "a hare")]);
    let name = std::ffi::OsStr::from_bytes(b"c\xff.txt");
    fs::write(folder.path().join(name), "an owl").expect("a file can be written there");
    let told = mistakes(source(folder.path()));
    let expected = [
        "p/ .txt: `id` is empty; write its value, or leave `id` out",
        "p/a.txt: the id `a` is also used by another file; rename one of them: the id is the name without .txt",
        "p/c\u{fffd}.txt: the name of this file is not UTF-8 text; rename it",
    ];
    assert_eq!(told, expected);
}

/// Goal: a run uses what was checked. Method: each kind of change between the check and the second read; pictures do not count.
#[test]
fn a_changed_folder_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("edited", |path| fs::write(path.join("a.txt"), "a cut").expect("it can be written")),
        ("added", |path| fs::write(path.join("c.txt"), "a hare").expect("it can be written")),
        ("removed", |path| fs::remove_file(path.join("b.txt")).expect("it can be removed")),
        ("renamed", |path| fs::rename(path.join("b.txt"), path.join("c.txt")).expect("it can be renamed")),
    ];
    for (what, change) in changes {
        let folder = folder(&[("a.txt", "a cat"), ("b.txt", "a dog")]);
        let manifest = open(source(folder.path())).expect("the folder is good");
        fs::write(folder.path().join("a.png"), "a picture").expect("it can be written");
        assert_eq!(fingerprint(manifest.source()).ok(), Some(manifest.fingerprint()), "{what}");
        assert_eq!(manifest.drafts().expect("nothing changed").count(), 2, "{what}");
        change(folder.path());
        assert!(matches!(manifest.drafts().map(Iterator::count), Err(ManifestError::Changed { .. })), "{what}");
        assert_ne!(fingerprint(manifest.source()).ok(), Some(manifest.fingerprint()), "{what}");
    }
}

/// Goal: what is no short text is a mistake, and ends no run. Method: a file above the limit, and a pipe, which has no writer.
#[test]
fn large_files_and_pipes_are_mistakes() {
    let folder = folder(&[("a.txt", "a cat"), ("b.txt", &"x".repeat((1 << 20) + 1))]);
    let made = std::process::Command::new("mkfifo").arg(folder.path().join("c.txt")).status();
    assert!(made.expect("mkfifo is there").success());
    let expected = [
        "p/b.txt: this file is longer than 1 MiB; write one prompt in it",
        "p/c.txt: this file could not be read: it is no file, but a pipe, a socket or a device; make it readable, or remove it",
    ];
    assert_eq!(mistakes(source(folder.path())), expected);
}

/// Goal: the options of a file mean the same, or are refused in words.
#[test]
fn options_of_other_formats_are_refused_or_have_no_effect() {
    let folder = folder(&[("a.txt", "a cat")]);
    for format in formats::FORMATS {
        let named = Source { format: Some(format), ..source(folder.path()) };
        assert_eq!(open(named).expect("a folder has one format").n_jobs(), 1);
    }
    let told = mistakes(Source { prompt_column: Some("text".into()), ..source(folder.path()) });
    assert_eq!(
        told,
        [
            "command line: --prompt-col names a column, and a FOLDER manifest has none; each .txt file is a prompt, and its name is \
          the id, and leave --prompt-col out"
        ]
    );
}
