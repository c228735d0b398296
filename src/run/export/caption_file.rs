//! Captions beside images: what an export wrote there, and what the user has edited since.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::outcome::Artifact;
use crate::run::export::error::{ExportError, at};
use crate::run::export::record::ExportedImage;

/// Extension of a caption.
pub(super) const CAPTION: &str = "txt";

/// Returns the path of the caption with this stem.
pub(super) fn path(dir: &Path, stem: &str) -> PathBuf {
    dir.join(format!("{stem}.{CAPTION}"))
}

/// Returns a hash that changes with the image or its caption.
pub(super) fn mark(sha256: &[u8; 32], caption: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(sha256).update(caption);
    let mut mark = [0; 8];
    mark.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(mark)
}

/// Returns the caption in the folder; `None` if no file is there.
pub(super) fn read(dir: &Path, stem: &str) -> Result<Option<Vec<u8>>, ExportError> {
    let path = path(dir, stem);
    let is_file = fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
    is_file.then(|| fs::read(&path).map_err(at(&path))).transpose()
}

/// Returns whether the user has edited the caption of this image: it is neither the wanted one nor what the last export wrote there.
/// `artifact` is the image as the run has it now; `None` if the run no longer has it.
pub(super) fn is_edited(
    dir: &Path,
    had: &ExportedImage,
    artifact: Option<&Artifact>,
    wanted: Option<&str>,
) -> Result<bool, ExportError> {
    let Some((stem, extension)) = &had.place else { return Ok(false) };
    let Some(found) = read(dir, stem)? else { return Ok(false) };
    if wanted.is_some_and(|wanted| wanted.as_bytes() == found)
        || artifact.is_some_and(|artifact| mark(&artifact.sha256, &found) == had.mark)
    {
        return Ok(false);
    }
    // The image was made again, so that the mark is of the one in this folder.
    let image = fs::read(dir.join(format!("{stem}.{extension}"))).unwrap_or_default();
    Ok(mark(&Sha256::digest(&image).into(), &found) != had.mark)
}
