//! What image files are called: names that people can read, that no prompt can lead out of its folder, and that fit every file system.

mod field;
mod slug;
pub mod template;
#[cfg(test)]
mod tests;

use crate::model::name::slug::{STEM_BYTES_MAX, clean, is_device};
use crate::model::origin::Origin;
use crate::model::outcome::ImageFormat;

pub use crate::model::name::slug::slug;

/// Images in one folder; more would make file managers and shells crawl.
pub const FOLDER_FILES_MAX: u64 = 10_000;

/// Where one image shall go below OUT, all but its extension, which the bytes decide; and whose it is.
///
/// It can only be made here, so that its paths always stay in their folder.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageName {
    folder: String,
    stem: String,
    origin: Origin,
    nth: usize,
}

impl ImageName {
    /// The default name, `{index:06}-{slug}`, for the `nth` (from 1) image of a job.
    pub fn new(origin: Origin, nth: usize) -> Self {
        let stem = stem(origin.job.index, &origin.job.request.prompt);
        Self::with(folder(origin.job.index), stem, origin, nth)
    }

    /// The name in this folder under a stem of the user's making. What no file name may hold becomes `-`, also every dot; without
    /// anything left, or as a name that Windows keeps for devices, it begins with the index.
    fn with_stem(folder: String, stem: &str, origin: Origin, nth: usize) -> Self {
        let stem = clean(stem.chars(), |c| c == '_', STEM_BYTES_MAX);
        let index = origin.job.index;
        let stem = match stem.as_str() {
            "" => format!("{index:06}"),
            device if is_device(device) => format!("{index:06}-{device}"),
            _ => stem,
        };
        Self::with(folder, stem, origin, nth)
    }

    fn with(folder: String, stem: String, origin: Origin, nth: usize) -> Self {
        let stem = if nth > 1 { format!("{stem}-{nth}") } else { stem };
        Self { folder, stem, origin, nth }
    }

    /// The folder below OUT, with `/` between its parts.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The path below OUT of an image of this format.
    pub fn path(&self, format: ImageFormat) -> String {
        self.beside(format.extension())
    }

    /// Where the image goes when another file has its path already: a name with the whole job id in it, and so this job's alone.
    pub fn path_apart(&self, format: ImageFormat) -> String {
        self.beside_apart(format.extension())
    }

    /// The path below OUT of a file with this extension that goes with the image.
    pub fn beside(&self, extension: &str) -> String {
        format!("{}/{}.{extension}", self.folder, self.stem)
    }

    /// Where that goes when another file has its path already.
    pub fn beside_apart(&self, extension: &str) -> String {
        format!("{}/{}-{}.{extension}", self.folder, self.stem, self.origin.job.id)
    }

    /// What its bytes are called while they come in: unlike any other image's, whatever the stems.
    pub fn partial(&self) -> String {
        format!("{}-{}", self.origin.job.id, self.nth)
    }

    /// Where the image comes from.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }
}

/// The default stem of a job's file names: its index and what its prompt says, or only the index if that is nothing readable.
pub fn stem(index: u64, prompt: &str) -> String {
    match slug(prompt).as_str() {
        "" => format!("{index:06}"),
        slug => format!("{index:06}-{slug}"),
    }
}

/// The folder of the job with this index: `images`, then a new one below it for every further 10,000.
pub fn folder(index: u64) -> String {
    match index.saturating_sub(1) / FOLDER_FILES_MAX {
        0 => "images".to_owned(),
        n => format!("images/{n:05}"),
    }
}
