//! Names of image files: readable for people, valid on every file system, and never outside their folder, whatever the prompt.

mod field;
mod slug;
pub mod template;
#[cfg(test)]
mod tests;

use crate::model::name::slug::{STEM_BYTES_MAX, clean, is_device};
use crate::model::outcome::ImageFormat;
use crate::model::provenance::Provenance;

pub use crate::model::name::slug::slug;

/// Maximum number of images in one folder; more would slow down file managers and shells.
pub(crate) const FOLDER_FILES_MAX: u64 = 10_000;

/// Destination of one image below OUT, except for its extension, which the bytes determine; and the image's provenance.
///
/// Only this module can create it, so that its paths always stay in their folder.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageName {
    folder: String,
    stem: String,
    origin: Provenance,
    nth: usize,
}

impl ImageName {
    /// Creates the default name, `{index:06}-{slug}`, for the `nth` (from 1) image of a job.
    pub fn new(origin: Provenance, nth: usize) -> Self {
        let stem = stem(origin.job.index, &origin.job.request.prompt);
        Self::with(folder(origin.job.index), stem, origin, nth)
    }

    /// Creates the name in this folder with a stem that the user chose. Characters that a file name may not contain become `-`, and so does
    /// every dot. An empty stem is replaced by the index. A name that Windows reserves for devices begins with the index.
    fn with_stem(folder: String, stem: &str, origin: Provenance, nth: usize) -> Self {
        let stem = clean(stem.chars(), |c| c == '_', STEM_BYTES_MAX);
        let index = origin.job.index;
        let stem = match stem.as_str() {
            "" => format!("{index:06}"),
            device if is_device(device) => format!("{index:06}-{device}"),
            _ => stem,
        };
        Self::with(folder, stem, origin, nth)
    }

    fn with(folder: String, stem: String, origin: Provenance, nth: usize) -> Self {
        let stem = if nth > 1 { format!("{stem}-{nth}") } else { stem };
        Self { folder, stem, origin, nth }
    }

    /// Returns the folder below OUT, with `/` between its parts.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// Returns the path below OUT of an image of this format.
    pub fn path(&self, format: ImageFormat) -> String {
        self.beside(format.extension())
    }

    /// Returns the path of the image if another file already has its usual path. It contains the whole job id, and is unique to this job.
    pub fn path_apart(&self, format: ImageFormat) -> String {
        self.beside_apart(format.extension())
    }

    /// Returns the path below OUT of a file with this extension that accompanies the image.
    pub fn beside(&self, extension: &str) -> String {
        format!("{}/{}.{extension}", self.folder, self.stem)
    }

    /// Returns the path of an accompanying file if another file already has its usual path.
    pub fn beside_apart(&self, extension: &str) -> String {
        format!("{}/{}-{}.{extension}", self.folder, self.stem, self.origin.job.id)
    }

    /// Returns the name of the temporary file of the image: different from any other image's, whatever the stems.
    pub fn partial(&self) -> String {
        format!("{}-{}", self.origin.job.id, self.nth)
    }

    /// Returns the provenance of the image.
    pub const fn origin(&self) -> &Provenance {
        &self.origin
    }
}

/// Returns the default stem of a job's file names: its index and the slug of its prompt. An unreadable prompt leaves only the index.
pub(crate) fn stem(index: u64, prompt: &str) -> String {
    match slug(prompt).as_str() {
        "" => format!("{index:06}"),
        slug => format!("{index:06}-{slug}"),
    }
}

/// Returns the folder of the job with this index: `images`, then a new one below it for every further 10,000.
pub(crate) fn folder(index: u64) -> String {
    match index.saturating_sub(1) / FOLDER_FILES_MAX {
        0 => "images".to_owned(),
        n => format!("images/{n:05}"),
    }
}
