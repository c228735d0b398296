//! Verification of images on disk against their records.
//!
//! Nothing is changed, except that damaged images are renamed on request.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::images::error::{StoreError, at};
use crate::images::local::folders::{Folders, sync_folder};
use crate::model::outcome::Artifact;

/// Quarantine folder for damaged images that a whole image replaces, below the output folder.
const ASIDE: &str = "damaged";

/// Reason why a file is not the recorded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Missing file: the recorded name does not exist.
    Missing,
    /// Folder or link in place of a regular file.
    NotAFile,
    /// File of another length than recorded.
    Length {
        /// Actual length in bytes.
        bytes: u64,
        /// Recorded length in bytes.
        recorded: u64,
    },
    /// File of the recorded length with other bytes.
    Content,
    /// File that the system does not allow to be read, with the system's message.
    Unreadable(String),
    /// Recorded name that leads out of the output folder.
    Outside,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::NotAFile => f.write_str("not a file"),
            Self::Length { bytes, recorded } => write!(f, "{bytes} bytes long instead of {recorded}"),
            Self::Content => f.write_str("changed: its sha256 differs"),
            Self::Unreadable(why) => write!(f, "unreadable: {why}"),
            Self::Outside => f.write_str("recorded under a name outside the output folder"),
        }
    }
}

/// Verifies one image against its record.
pub fn check(out: &Path, artifact: &Artifact) -> Result<(), Damage> {
    read_into(out, artifact, io::sink())
}

/// Returns whether a file of the recorded size exists, without reading it.
pub fn is_there(out: &Path, artifact: &Artifact) -> bool {
    let found = inside(out, &artifact.file_name).and_then(|path| fs::symlink_metadata(path).ok());
    found.is_some_and(|found| found.is_file() && found.len() == artifact.bytes)
}

/// Returns the bytes of one image, if they match the record. Fails if a folder on their path is a symbolic link.
pub fn read(out: &Path, artifact: &Artifact) -> Result<Vec<u8>, Damage> {
    let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    if artifact.file_name.match_indices('/').any(|(end, _)| is_link(&out.join(&artifact.file_name[..end]))) {
        return Err(Damage::NotAFile);
    }
    let mut bytes = vec![];
    read_into(out, artifact, &mut bytes)?;
    Ok(bytes)
}

/// Copies the bytes of one image into `copy`, and verifies them against the record.
fn read_into(out: &Path, artifact: &Artifact, copy: impl io::Write) -> Result<(), Damage> {
    let path = inside(out, &artifact.file_name).ok_or(Damage::Outside)?;
    let found = fs::symlink_metadata(&path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(Damage::NotAFile);
    }
    if found.len() != artifact.bytes {
        return Err(Damage::Length { bytes: found.len(), recorded: artifact.bytes });
    }
    let mut hasher = Hashing { sha256: Sha256::new(), copy };
    // A file that grows during the read differs from its record, so at most one further byte is read.
    let read = File::open(&path).and_then(|file| io::copy(&mut file.take(artifact.bytes + 1), &mut hasher));
    read.map_err(unreadable)?;
    let sha256: [u8; 32] = hasher.sha256.finalize().into();
    if sha256 == artifact.sha256 { Ok(()) } else { Err(Damage::Content) }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes errors by value")]
fn unreadable(error: io::Error) -> Damage {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Damage::Missing,
        _ => Damage::Unreadable(error.to_string()),
    }
}

struct Hashing<W> {
    sha256: Sha256,
    copy: W,
}

impl<W: io::Write> io::Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.copy.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Moves a damaged file to the quarantine folder `damaged/`, where users can still find it. Returns its new path, or
/// `None` if there is no such file.
pub fn set_aside(out: &Path, file_name: &str) -> Result<Option<PathBuf>, StoreError> {
    let Some(path) = inside(out, file_name) else { return Ok(None) };
    if fs::symlink_metadata(&path).is_err() {
        return Ok(None);
    }
    let above = file_name.rsplit_once('/').map_or_else(|| ASIDE.to_owned(), |(above, _)| format!("{ASIDE}/{above}"));
    let folder = Folders::open(out)?.make_ready(&above)?;
    let target = free(&out.join(ASIDE).join(file_name));
    fs::rename(&path, &target).map_err(at("move", &path))?;
    sync_folder(&folder)?;
    Ok(Some(target))
}

/// Returns the path itself, or the path with the first number appended that makes it unused.
fn free(path: &Path) -> PathBuf {
    let numbered = (2..).map(|n: u64| PathBuf::from(format!("{}.{n}", path.display())));
    let mut paths = std::iter::once(path.to_owned()).chain(numbered);
    paths.find(|path| fs::symlink_metadata(path).is_err()).expect("there are more numbers than files")
}

/// Resolves a name below the output folder. `None` if the name leads out of the folder.
pub fn inside(out: &Path, file_name: &str) -> Option<PathBuf> {
    let is_plain = |component| matches!(component, Component::Normal(_));
    let is_inside = !file_name.is_empty() && Path::new(file_name).components().all(is_plain);
    is_inside.then(|| out.join(file_name))
}

/// Calls `show` with the name of every file below `images/`, in the form of a record. Stops at the first error.
pub fn each_file<E: From<StoreError>>(out: &Path, mut show: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let mut folders = vec!["images".to_owned()];
    while let Some(folder) = folders.pop() {
        let path = out.join(&folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            entries => entries.map_err(at("read", &path))?,
        };
        for entry in entries {
            let entry = entry.map_err(at("read", &path))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(at("read", &path))?.is_dir() {
                folders.push(name);
            } else {
                show(&name)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::outcome::ImageFormat;

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
        assert_eq!(check(out.path(), &whole), Err(Damage::Missing));
        assert!(!is_there(out.path(), &whole));
        fs::write(&path, "whole").unwrap();
        assert_eq!(check(out.path(), &whole), Ok(()));
        assert_eq!(read(out.path(), &whole), Ok(b"whole".to_vec()));
        fs::write(&path, "whale").unwrap();
        assert_eq!(check(out.path(), &whole), Err(Damage::Content));
        assert!(is_there(out.path(), &whole), "a look at the size does not see it");
        fs::write(&path, "who").unwrap();
        assert!(!is_there(out.path(), &whole));
        assert_eq!(check(out.path(), &whole), Err(Damage::Length { bytes: 3, recorded: 5 }));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(check(out.path(), &whole), Err(Damage::NotAFile));
        for name in ["../a.png", "/etc/passwd", "images/../../a.png", ""] {
            assert_eq!(check(out.path(), &artifact(name, b"")), Err(Damage::Outside), "{name:?}");
            assert!(!is_there(out.path(), &artifact(name, b"")), "{name:?}");
        }
    }

    #[test]
    fn what_is_read_is_what_was_recorded() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("images")).unwrap();
        let (path, whole) = (out.path().join("images/a.png"), artifact("images/a.png", b"whole"));
        assert_eq!(read(out.path(), &whole), Err(Damage::Missing));
        fs::write(&path, "whole").unwrap();
        assert_eq!(read(out.path(), &whole).as_deref(), Ok(&b"whole"[..]));
        for (text, damage) in [
            ("whale", Damage::Content),
            ("who", Damage::Length { bytes: 3, recorded: 5 }),
            ("whole and more", Damage::Length { bytes: 14, recorded: 5 }),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(out.path(), &whole), Err(damage));
        }
        assert_eq!(read(out.path(), &artifact("../a.png", b"")), Err(Damage::Outside));
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
            assert_eq!(read(out.path(), &artifact(name, b"whole")), Err(Damage::NotAFile), "{name}");
        }
        assert!(read(out.path(), &artifact("elsewhere/a.png", b"whole")).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_the_image_that_it_leads_to() {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join("elsewhere"), "whole").unwrap();
        std::os::unix::fs::symlink("elsewhere", out.path().join("a.png")).unwrap();
        assert_eq!(check(out.path(), &artifact("a.png", b"whole")), Err(Damage::NotAFile));
    }

    #[test]
    fn what_is_damaged_is_kept_aside_and_never_over_another() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("images")).unwrap();
        for text in ["one", "two", "three"] {
            fs::write(out.path().join("images/a.png"), text).unwrap();
            assert!(set_aside(out.path(), "images/a.png").unwrap().is_some());
        }
        let kept = |name: &str| fs::read_to_string(out.path().join("damaged/images").join(name)).unwrap();
        assert_eq!([kept("a.png"), kept("a.png.2"), kept("a.png.3")], ["one", "two", "three"]);
        assert_eq!(set_aside(out.path(), "images/a.png").unwrap(), None, "there is nothing any more");
        assert_eq!(set_aside(out.path(), "../a.png").unwrap(), None);
    }

    #[test]
    fn files_are_named_as_a_record_would_call_them() {
        let out = tempfile::tempdir().unwrap();
        let named = || {
            let mut names = vec![];
            let all = each_file(out.path(), |name| {
                names.push(name.to_owned());
                Ok::<_, StoreError>(())
            });
            all.unwrap();
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
}
