//! Output folder of the images: temporary files that are removed unless renamed, and final names that are never given twice.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fsio::descriptors::patiently;
use crate::images::error::{StoreError, at};
use crate::images::local::folders::Folders;
use crate::images::local::journal::PartialLabel;
use crate::images::local::partial_file::{PartialFile, ResumableFiles};
use crate::images::validate::inspect;
use crate::images::validate::verdict::{CheckLimits, Checked};
use crate::model::name::ImageName;
use crate::model::output_options::PostProcessing;
use crate::model::partial_download::{PartialDownload, Validator};

/// Folder of incomplete images, below the output folder.
pub(in crate::images) const PARTIALS: &str = ".partial";

/// Output folder, its settings and its temporary files.
#[derive(Debug)]
pub(super) struct OutputDir {
    pub(super) out: PathBuf,
    pub(super) limits: CheckLimits,
    pub(super) postprocess: PostProcessing,
    folders: Folders,
    /// Name of the folder of incomplete images, which no other process uses.
    partials: String,
    /// Temporary files that a later download may resume.
    pub(super) kept: ResumableFiles,
    n_begun: AtomicU64,
}

impl OutputDir {
    /// Prepares the output folder for images, and removes half-written files of a crash that no download can resume.
    /// They are in the folder `partials`.
    pub(super) fn open(
        out: &Path,
        partials: &str,
        limits: CheckLimits,
        postprocess: PostProcessing,
    ) -> Result<Self, StoreError> {
        let path = out.join(partials);
        let (kept, n_next) = ResumableFiles::find(&path).map_err(at("clear", &path))?;
        let folders = Folders::open(out)?;
        let n_begun = AtomicU64::new(n_next);
        Ok(Self { out: out.to_owned(), limits, postprocess, folders, partials: partials.to_owned(), kept, n_begun })
    }

    /// Creates the folder of the images.
    pub(super) fn make_images(&self) -> Result<(), StoreError> {
        self.folders.make_ready("images").map(drop)
    }

    /// Returns how much of an image is here from an earlier download. `None` if its label or its length does not fit.
    pub(super) fn part(&self, name: &ImageName) -> Option<PartialDownload> {
        let is_right = |label: &PartialLabel, part: &PartialDownload| {
            let bytes_max = self.limits.bytes_max;
            let is_short = part.n_bytes.max(part.bytes_total.unwrap_or(0)) <= bytes_max;
            let is_possible = part.bytes_total.is_none_or(|total| part.n_bytes <= total);
            let same = self.label(name, part.validator.clone(), part.bytes_total, label.n_own_bytes);
            is_short && is_possible && *label == same
        };
        self.kept.part(&name.partial(), is_right)
    }

    /// Opens the partial download of an image after its first `n_bytes` bytes. Also returns how many bytes of the file
    /// were added by this program.
    pub(super) fn go_on(&self, name: &ImageName, n_bytes: u64) -> Result<Option<(PartialFile, u64)>, StoreError> {
        let folder = self.folders.make(&self.partials)?;
        self.kept.take(&name.partial(), n_bytes).map_err(at("read", &folder))
    }

    /// Builds the label that identifies an image in the journal of its temporary file.
    pub(super) fn label(
        &self,
        name: &ImageName,
        validator: Validator,
        bytes_total: Option<u64>,
        n_own_bytes: u64,
    ) -> PartialLabel {
        let task = name.origin().task.as_ref().map(|task| task.0.clone());
        PartialLabel { task, postprocess: format!("{:?}", self.postprocess), validator, bytes_total, n_own_bytes }
    }

    /// Creates an empty temporary file. The number in its name separates it from an earlier attempt that may not have ended yet.
    pub(super) fn begin(&self, name: &ImageName) -> Result<PartialFile, StoreError> {
        let folder = self.folders.make(&self.partials)?;
        let n = self.n_begun.fetch_add(1, Ordering::Relaxed);
        PartialFile::create(&folder.join(format!("{}-{n}", name.partial())))
    }

    /// Renames a written and synced file to its final name, and returns the name. The name is durable once its folder is synced.
    pub(super) fn put(
        &self,
        mut partial: PartialFile,
        name: &ImageName,
        checked: &Checked,
    ) -> Result<RenamedFile, StoreError> {
        let folder = self.folders.make_ready(name.folder())?;
        let mut file_name = name.path(checked.format);
        let target = self.out.join(&file_name);
        let is_placed = partial.temp.rename_new(&target).map_err(at("write", &target))?;
        if !is_placed && !self.is_same(&target, checked).map_err(at("read", &target))? {
            file_name = name.path_apart(checked.format);
            let target = self.out.join(&file_name);
            // The name contains the job's id, so an existing file can only be an earlier image of this job.
            partial.temp.rename_over(&target).map_err(at("write", &target))?;
        }
        Ok(RenamedFile { file_name, folder })
    }

    /// Writes a temporary file with the text of the image's sidecar file.
    pub(super) fn begin_beside(
        &self,
        name: &ImageName,
        extension: &'static str,
        text: String,
    ) -> Result<SidecarFile, StoreError> {
        let mut partial = self.begin(name)?;
        partial.write(text.as_bytes())?;
        Ok(SidecarFile { partial, extension, text })
    }

    /// Renames the sidecar file to match the image, which has its final name. If a file with another text exists, the
    /// job's id is appended to the name.
    pub(super) fn put_beside(
        &self,
        mut beside: SidecarFile,
        name: &ImageName,
        image: &RenamedFile,
    ) -> Result<(), StoreError> {
        let (extension, apart) = (beside.extension, name.beside_apart(beside.extension));
        let is_apart =
            image.file_name.rsplit_once('.').map(|(stem, _)| stem) == apart.rsplit_once('.').map(|(stem, _)| stem);
        if !is_apart {
            let target = self.out.join(name.beside(extension));
            if beside.partial.temp.rename_new(&target).map_err(at("write", &target))? {
                return Ok(());
            }
            let is_file = fs::symlink_metadata(&target).is_ok_and(|found| found.is_file());
            if is_file && fs::read(&target).map_err(at("read", &target))? == beside.text.as_bytes() {
                return Ok(());
            }
        }
        let target = self.out.join(apart);
        beside.partial.temp.rename_over(&target).map_err(at("write", &target))
    }

    /// Returns whether the file at `path` is the image, byte for byte. A symbolic link does not count: its target may
    /// vanish at any time.
    fn is_same(&self, path: &Path, checked: &Checked) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(file) if file.is_file() && file.len() == checked.bytes => {
                let limits = CheckLimits { bytes_max: checked.bytes, ..self.limits };
                let found = inspect(BufReader::new(patiently(|| File::open(path))?), &limits)?;
                Ok(found.as_ref() == Ok(checked))
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for OutputDir {
    fn drop(&mut self) {
        // Removes the folder only if it is empty, for tidiness.
        let _ = fs::remove_dir(self.out.join(&self.partials));
    }
}

/// File with its final name, which is not durable yet.
#[derive(Debug)]
pub(super) struct RenamedFile {
    /// Final path, relative to the output folder.
    pub(super) file_name: String,
    /// Folder that contains the name, and has to be synced.
    pub(super) folder: PathBuf,
}

/// Sidecar file of an image, before its final name.
#[derive(Debug)]
pub(super) struct SidecarFile {
    pub(super) partial: PartialFile,
    extension: &'static str,
    text: String,
}
