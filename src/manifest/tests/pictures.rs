//! Pictures on this disk: only those that the manifest may read, and as much a part of it as its lists.

use std::os::unix::fs::symlink;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn source(path: &Path) -> Source {
    Source { path: path.to_owned(), default_model: Some(MODEL.into()), ..Source::default() }
}

/// Goal: no name reads a file outside the folder of the manifest. Method: each way out, refused, and then allowed by the folder.
#[test]
fn a_picture_is_in_the_folder_or_allowed() {
    let all = tempfile::tempdir().expect("a temporary folder can be made");
    let (own, other) = (all.path().join("own"), all.path().join("other"));
    for folder in [&own, &other] {
        fs::create_dir(folder).expect("it can be made");
        fs::write(folder.join("a.png"), PNG).expect("it can be written");
    }
    symlink("../other/a.png", own.join("link.png")).expect("a link can be made");
    let path = own.join("p.txt.jsonl");
    for name in [
        "../other/a.png".to_owned(),
        "link.png".to_owned(),
        other.join("a.png").display().to_string(),
        format!("file://{}", other.join("a.png").display()),
    ] {
        fs::write(&path, format!("{{\"prompt\": \"x\", \"image_url\": [\"a.png\", {name:?}]}}\n"))
            .expect("it can be written");
        let error = open(source(&path)).expect_err("it is outside");
        assert!(
            error.mistakes().len() == 1 && error.mistakes()[0].what.contains("is outside the manifest's folder"),
            "{name}: {error}"
        );
        let allowed = Source { allowed_folders: vec![other.clone()], ..source(&path) };
        let manifest = open(allowed).expect("it is allowed");
        assert_eq!((manifest.pictures().len(), manifest.census().n_picture_bytes()), (2, 16), "{name}");
    }
}

/// Goal: another picture is another manifest, and the same job, whose id is that of its text. Method: the drafts and the fingerprint
/// before and after the picture changes.
#[test]
fn a_picture_counts_for_the_fingerprint_and_not_for_the_job() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("p.csv");
    fs::write(&path, "prompt,image_url\nx,a.png\n").expect("it can be written");
    fs::write(folder.path().join("a.png"), PNG).expect("it can be written");
    let before = open(source(&path)).expect("it is good");
    assert!(fingerprint(&source(&path)).is_err(), "only a check of the manifest finds its pictures");
    let drafts =
        |manifest: &Manifest| manifest.drafts().expect("it is the same").map(Result::unwrap).collect::<Vec<_>>();
    let jobs = drafts(&before);
    fs::write(folder.path().join("a.png"), [PNG, b"x"].concat()).expect("it can be written");
    assert!(before.drafts().expect("the text is the same").any(|draft| draft.is_err()), "a run uses what was checked");
    let after = open(source(&path)).expect("it is good");
    assert_ne!(before.fingerprint(), after.fingerprint());
    assert_eq!(drafts(&after), jobs);
}
