//! Tests of saved images in a local folder: damage, links in their place, and their names.

use std::fs;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::images::SavedImages;
use crate::images::local::saved::LocalImages;
use crate::images::verify::Damage;
use crate::model::outcome::{Artifact, ImageFormat};

fn images(out: &TempDir) -> LocalImages {
    LocalImages::new(out.path())
}

fn artifact(name: &str, bytes: &[u8]) -> Artifact {
    let (sha256, format) = (Sha256::digest(bytes).into(), ImageFormat::Png);
    Artifact { file_name: name.into(), sha256, bytes: bytes.len() as u64, width: 1, height: 1, format }
}

#[test]
fn every_damage_is_named() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("images/a.png");
    fs::create_dir(out.path().join("images")).unwrap();
    let whole = artifact("images/a.png", b"whole");
    assert_eq!(images(&out).verify(&whole), Err(Damage::Missing));
    assert!(!images(&out).is_there(&whole));
    fs::write(&path, "whole").unwrap();
    assert_eq!(images(&out).verify(&whole), Ok(()));
    assert_eq!(images(&out).read(&whole), Ok(b"whole".to_vec()));
    fs::write(&path, "whale").unwrap();
    assert_eq!(images(&out).verify(&whole), Err(Damage::Content));
    assert!(images(&out).is_there(&whole), "a look at the size does not see it");
    fs::write(&path, "who").unwrap();
    assert!(!images(&out).is_there(&whole));
    assert_eq!(images(&out).verify(&whole), Err(Damage::Length { bytes: 3, recorded: 5 }));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(images(&out).verify(&whole), Err(Damage::NotAFile));
    for name in ["../a.png", "/etc/passwd", "images/../../a.png", ""] {
        assert_eq!(images(&out).verify(&artifact(name, b"")), Err(Damage::Outside), "{name:?}");
        assert!(!images(&out).is_there(&artifact(name, b"")), "{name:?}");
    }
}

#[test]
fn what_is_read_is_what_was_recorded() {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir(out.path().join("images")).unwrap();
    let (path, whole) = (out.path().join("images/a.png"), artifact("images/a.png", b"whole"));
    assert_eq!(images(&out).read(&whole), Err(Damage::Missing));
    fs::write(&path, "whole").unwrap();
    assert_eq!(images(&out).read(&whole).as_deref(), Ok(&b"whole"[..]));
    for (text, damage) in [
        ("whale", Damage::Content),
        ("who", Damage::Length { bytes: 3, recorded: 5 }),
        ("whole and more", Damage::Length { bytes: 14, recorded: 5 }),
    ] {
        fs::write(&path, text).unwrap();
        assert_eq!(images(&out).read(&whole), Err(damage));
    }
    assert_eq!(images(&out).read(&artifact("../a.png", b"")), Err(Damage::Outside));
}

#[cfg(unix)]
#[test]
fn nothing_is_read_through_a_link() {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir(out.path().join("elsewhere")).unwrap();
    fs::write(out.path().join("elsewhere/a.png"), "whole").unwrap();
    std::os::unix::fs::symlink("elsewhere", out.path().join("images")).unwrap();
    std::os::unix::fs::symlink("elsewhere/a.png", out.path().join("a.png")).unwrap();
    for name in ["images/a.png", "a.png"] {
        assert_eq!(images(&out).read(&artifact(name, b"whole")), Err(Damage::NotAFile), "{name}");
    }
    assert!(images(&out).read(&artifact("elsewhere/a.png", b"whole")).is_ok());
}

#[cfg(unix)]
#[test]
fn a_link_is_not_the_image_that_it_leads_to() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("elsewhere"), "whole").unwrap();
    std::os::unix::fs::symlink("elsewhere", out.path().join("a.png")).unwrap();
    assert_eq!(images(&out).verify(&artifact("a.png", b"whole")), Err(Damage::NotAFile));
}

#[test]
fn what_is_damaged_is_kept_aside_and_never_over_another() {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir(out.path().join("images")).unwrap();
    for text in ["one", "two", "three"] {
        fs::write(out.path().join("images/a.png"), text).unwrap();
        assert!(images(&out).quarantine("images/a.png").unwrap().is_some());
    }
    let kept = |name: &str| fs::read_to_string(out.path().join("damaged/images").join(name)).unwrap();
    assert_eq!([kept("a.png"), kept("a.png.2"), kept("a.png.3")], ["one", "two", "three"]);
    assert_eq!(images(&out).quarantine("images/a.png").unwrap(), None, "there is nothing any more");
    assert_eq!(images(&out).quarantine("../a.png").unwrap(), None);
}

#[test]
fn files_are_named_as_a_record_would_call_them() {
    let out = tempfile::tempdir().unwrap();
    let named = || {
        let mut names: Vec<String> = images(&out).list().map(Result::unwrap).collect();
        names.sort();
        names
    };
    assert!(named().is_empty());
    fs::create_dir_all(out.path().join("images/00001/empty")).unwrap();
    for name in ["images/a.png", "images/00001/c.png", "elsewhere.png"] {
        fs::write(out.path().join(name), "").unwrap();
    }
    assert_eq!(named(), ["images/00001/c.png", "images/a.png"]);
}
