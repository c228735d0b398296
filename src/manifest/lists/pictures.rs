//! Pictures beside the manifest, which requests name as their source images: found, checked and hashed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;
use crate::manifest::lists::folders::{AllowedFolders, FolderError, outside};
use crate::model::picture::{PICTURE_BYTES_MAX, SourcePicture, hex, media_type};

/// Limit on the pictures of a manifest. Their names are kept in memory and in the ledger.
const PICTURES_MAX: usize = 100_000;

/// Pictures of one manifest, by their names as written.
#[derive(Debug, Default)]
pub(super) struct PictureNames {
    read: BTreeMap<String, Result<SourcePicture, Issue>>,
}

impl PictureNames {
    /// Returns the picture with this name, and whether it was read now. `folder` is that of the manifest.
    pub(super) fn find(
        &mut self,
        name: &str,
        folder: &Path,
        folders: &AllowedFolders,
    ) -> (Result<SourcePicture, Issue>, bool) {
        if let Some(known) = self.read.get(name) {
            return (known.clone(), false);
        }
        let found = if self.read.len() < PICTURES_MAX {
            find(name, folder, folders)
        } else {
            Err(wrong(format!("the manifest names more than {PICTURES_MAX} pictures"), "split the manifest"))
        };
        self.read.insert(name.to_owned(), found.clone());
        (found, true)
    }

    /// Returns the pictures that were found, by their names.
    pub(super) fn found(&self) -> BTreeMap<String, SourcePicture> {
        let found = self.read.iter().filter_map(|(name, read)| Some((name.clone(), read.as_ref().ok()?.clone())));
        found.collect()
    }
}

fn find(name: &str, folder: &Path, folders: &AllowedFolders) -> Result<SourcePicture, Issue> {
    let shown = shown_text(name);
    let path = folder.join(path_of(name)?);
    match folders.find(&path).and_then(|real| read(real).map_err(FolderError::Unreadable)) {
        Ok((_, Some(_), n_bytes)) if n_bytes > PICTURE_BYTES_MAX => {
            let what = format!("the picture {shown} is larger than {} MiB", PICTURE_BYTES_MAX >> 20);
            Err(wrong(what, "make it smaller"))
        }
        Ok((picture, Some(_), _)) => Ok(picture),
        Ok((_, None, _)) => {
            let what = format!("the file {shown} is no picture of a known kind");
            Err(wrong(what, "name a PNG, JPEG, WebP, GIF, BMP or TIFF file"))
        }
        Err(FolderError::Outside(real)) => Err(outside(&format!("the picture {shown}"), real.as_deref())),
        Err(FolderError::Unreadable(error)) if error.kind() == io::ErrorKind::NotFound => {
            let several = if name.contains([';', ',']) {
                "; several pictures are a list, such as [\"a.png\", \"b.png\"]"
            } else {
                ""
            };
            let remedy = format!("check the path, which is relative to the manifest{several}");
            Err(wrong(format!("picture not found: {shown}"), remedy))
        }
        Err(FolderError::Unreadable(error)) => {
            Err(wrong(format!("the picture {shown} could not be read: {error}"), "name a readable file"))
        }
    }
}

/// Returns the path that a name means: a path, or a `file:` URL.
fn path_of(name: &str) -> Result<&str, Issue> {
    let scheme = name.get(..5).filter(|head| head.eq_ignore_ascii_case("file:"));
    let Some(path) = scheme.map(|_| &name[5..]) else { return Ok(name) };
    let path = path.strip_prefix("//localhost/").map_or(path, |_| &path["//localhost".len()..]);
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.contains('%') {
        let what = format!("the address {} has characters that are written with a %", shown_text(name));
        return Err(wrong(what, "write the plain path of the file"));
    }
    Ok(path)
}

/// Reads a file up to the limit. Returns the picture, its media type and its size.
fn read(path: PathBuf) -> io::Result<(SourcePicture, Option<&'static str>, u64)> {
    // A pipe may have no end, and would be empty in the second read.
    if !fs::metadata(&path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(&path)?.take(PICTURE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let n_bytes = bytes.len() as u64;
    let sha256 = hex(&Sha256::digest(&bytes));
    Ok((SourcePicture { path, sha256, n_bytes }, media_type(&bytes), n_bytes))
}
