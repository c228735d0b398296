//! Saved images in a local folder: verified, read, listed, and put aside if they are damaged or replaced.

use std::fs::{self, File, ReadDir};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::images::SavedImages;
use crate::images::error::{StoreError, at};
use crate::images::local::folders::{Folders, sync_folder};
use crate::images::local::replaced;
use crate::images::verify::{Damage, compare, is_inside, quarantine_names};
use crate::model::event::ReplacedImage;
use crate::model::outcome::{Artifact, TaskId};

/// Images below an output folder. Nothing is changed, except that images are renamed on request.
#[derive(Clone, Debug)]
pub(crate) struct LocalImages {
    out: PathBuf,
}

impl LocalImages {
    /// Returns the images below `out`.
    pub(crate) fn new(out: &Path) -> Self {
        Self { out: out.to_owned() }
    }

    /// Returns the path of a recorded name. `None` if the name leads out of the folder.
    fn path(&self, file_name: &str) -> Option<PathBuf> {
        is_inside(file_name).then(|| self.out.join(file_name))
    }

    /// Copies the bytes of one image into `copy`, and verifies them against the record.
    fn read_into(&self, artifact: &Artifact, copy: impl io::Write) -> Result<(), Damage> {
        let path = self.path(&artifact.file_name).ok_or(Damage::Outside)?;
        let found = fs::symlink_metadata(&path).map_err(unreadable)?;
        if !found.is_file() {
            return Err(Damage::NotAFile);
        }
        compare(artifact, found.len(), || File::open(&path), copy).map_err(unreadable)?
    }
}

impl SavedImages for LocalImages {
    fn is_there(&self, artifact: &Artifact) -> bool {
        let found = self.path(&artifact.file_name).and_then(|path| fs::symlink_metadata(path).ok());
        found.is_some_and(|found| found.is_file() && found.len() == artifact.bytes)
    }

    fn verify(&self, artifact: &Artifact) -> Result<(), Damage> {
        self.read_into(artifact, io::sink())
    }

    /// Fails also if a folder on the path of the image is a symbolic link.
    fn read(&self, artifact: &Artifact) -> Result<Vec<u8>, Damage> {
        let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        if artifact.file_name.match_indices('/').any(|(end, _)| is_link(&self.out.join(&artifact.file_name[..end]))) {
            return Err(Damage::NotAFile);
        }
        let mut bytes = vec![];
        self.read_into(artifact, &mut bytes)?;
        Ok(bytes)
    }

    fn quarantine(&self, file_name: &str) -> Result<Option<String>, StoreError> {
        let Some(path) = self.path(file_name).filter(|path| fs::symlink_metadata(path).is_ok()) else {
            return Ok(None);
        };
        let is_free = |name: &String| fs::symlink_metadata(self.out.join(name)).is_err();
        let name = quarantine_names(file_name).find(is_free).expect("there are more numbers than files");
        let above = name.rsplit_once('/').map_or("", |(above, _)| above);
        let folder = Folders::open(&self.out)?.make_ready(above)?;
        fs::rename(&path, self.out.join(&name)).map_err(at("move", &path))?;
        sync_folder(&folder)?;
        Ok(Some(name))
    }

    fn keep(&self, artifact: &Artifact) -> Result<Option<String>, StoreError> {
        if self.verify(artifact).is_err() {
            return Ok(None);
        }
        replaced::keep(&self.out, artifact, |kept| self.verify(kept).is_ok()).map(Some)
    }

    fn release(&self, image: &ReplacedImage, task: Option<&TaskId>) -> Result<(), StoreError> {
        if self.verify(&image.artifact).is_err() || self.verify(&image.kept()).is_err() {
            return Ok(());
        }
        replaced::release(&self.out, image, task)
    }

    fn give_back(&self, image: &ReplacedImage) -> Result<bool, StoreError> {
        if self.verify(&image.kept()).is_err() || self.path(&image.artifact.file_name).is_none() {
            return Ok(false);
        }
        replaced::give_back(&self.out, image)?;
        Ok(self.verify(&image.artifact).is_ok())
    }

    fn list(&self) -> Box<dyn Iterator<Item = Result<String, StoreError>> + '_> {
        Box::new(FileNames { out: &self.out, folders: vec!["images".to_owned()], entries: None })
    }

    fn link(&self, artifact: &Artifact, to: &Path) -> io::Result<()> {
        let from = self.path(&artifact.file_name).ok_or(ErrorKind::NotFound)?;
        match fs::hard_link(&from, to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                fs::remove_file(to)?;
                fs::hard_link(&from, to)
            }
            linked => linked,
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes errors by value")]
fn unreadable(error: io::Error) -> Damage {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Damage::Missing,
        _ => Damage::Unreadable(error.to_string()),
    }
}

/// Names of all files below some folders, which are read one after the other.
struct FileNames<'a> {
    out: &'a Path,
    /// Folders to be read.
    folders: Vec<String>,
    /// Folder that is being read.
    entries: Option<(String, ReadDir)>,
}

impl FileNames<'_> {
    /// Returns the next name. `Ok(None)` is the end.
    fn next_name(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            let Some((folder, entries)) = &mut self.entries else {
                let Some(folder) = self.folders.pop() else { return Ok(None) };
                let path = self.out.join(&folder);
                match fs::read_dir(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => (),
                    entries => self.entries = Some((folder, entries.map_err(at("read", &path))?)),
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                self.entries = None;
                continue;
            };
            let path = self.out.join(&*folder);
            let entry = entry.map_err(at("read", &path))?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(at("read", &path))?.is_dir() {
                self.folders.push(name);
            } else {
                return Ok(Some(name));
            }
        }
    }
}

impl Iterator for FileNames<'_> {
    type Item = Result<String, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.next_name();
        if name.is_err() {
            // After an error, the list is incomplete whatever follows.
            (self.folders, self.entries) = (vec![], None);
        }
        name.transpose()
    }
}
