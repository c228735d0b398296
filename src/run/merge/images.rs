//! Images of the parts, put into the folder of the merged run. No file that is there is replaced.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use crate::fsio::atomic_file::AtomicFile;
use crate::fsio::folder;
use crate::images::error::StoreError;
use crate::images::{SavedImages, adapters};
use crate::model::event::{Event, EventKind, Redo, ReplacedImage, Restored};
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Fault, Outcome};
use crate::model::output_options::Sidecar;
use crate::model::storage_url::StorageUrl;
use crate::run::equipment::SPOOL;
use crate::run::merge::error::MergeError;

/// Images of all parts, on their way into the merged run.
pub(super) struct Images<'a> {
    out: &'a Path,
    /// Folder and images of each part. Empty if the images of all parts are at a common place, where they stay.
    parts: Vec<(&'a Path, Box<dyn SavedImages>)>,
    /// Images of the merged run.
    merged: Box<dyn SavedImages>,
    /// Jobs by the names of their images.
    taken: HashMap<String, JobId>,
    /// Names in the merged run, by the part, the job and the name in the part, where the two names differ.
    renamed: HashMap<(usize, JobId, String), String>,
}

impl<'a> Images<'a> {
    /// Opens the images of these parts, which are in their folders, or all at `place`.
    pub(super) fn new(out: &'a Path, parts: &[&'a Path], place: Option<&StorageUrl>) -> Result<Self, MergeError> {
        let parts: Result<Vec<_>, StoreError> = match place {
            None => parts.iter().map(|part| Ok((*part, adapters::saved(part, None)?))).collect(),
            Some(_) => Ok(vec![]),
        };
        let (taken, renamed) = (HashMap::new(), HashMap::new());
        Ok(Self { out, parts: parts?, merged: adapters::saved(out, None)?, taken, renamed })
    }

    /// Puts the images of an event of a part into the folder of the merged run. Images at a common place stay there.
    pub(super) fn placed(&mut self, part: usize, mut event: Event) -> Result<Event, MergeError> {
        let job = event.job;
        if self.parts.is_empty() {
            return Ok(event);
        }
        match &mut event.kind {
            EventKind::Finished(Outcome::Succeeded(images) | Outcome::Failed(Fault { kept: images, .. })) => {
                images.iter_mut().try_for_each(|image| self.place(part, job, image))?;
            }
            EventKind::Redone(Redo { replaced, .. }) => {
                for image in replaced {
                    let mut kept = image.kept();
                    self.place(part, job, &mut kept)?;
                    image.kept_as = kept.file_name;
                    self.rename(part, job, &mut image.artifact.file_name);
                }
            }
            EventKind::Restored(Restored { images, .. }) => {
                for ReplacedImage { artifact, kept_as } in images {
                    self.place(part, job, artifact)?;
                    self.rename(part, job, kept_as);
                }
            }
            EventKind::SubmitStarted
            | EventKind::Accepted(_)
            | EventKind::Charged(_)
            | EventKind::Ready(_)
            | EventKind::Setback(..)
            | EventKind::Reopened(_) => (),
        }
        Ok(event)
    }

    /// Puts an image of a part, and its sidecar files, into the folder of the merged run. The image gets its name there.
    fn place(&mut self, part: usize, job: JobId, image: &mut Artifact) -> Result<(), MergeError> {
        let own = image.clone();
        let named = |source| MergeError::Image { image: own.file_name.clone(), out: self.out.to_owned(), source };
        check_folders(self.out, &own.file_name).map_err(named)?;
        let candidates = iter::once(own.file_name.clone()).chain((1..).map(|n| apart(&own.file_name, job, n)));
        for name in candidates {
            // Images of two parts may have one name, if the names do not hold the numbers of the jobs.
            if *self.taken.entry(name.clone()).or_insert(job) != job {
                continue;
            }
            image.file_name = name;
            let to = self.out.join(&image.file_name);
            // A file that is there is this image, or a file of the user's. A link is there too, wherever it leads.
            let is_free = fs::symlink_metadata(&to).is_err();
            if is_free || self.merged.verify(image).is_ok() {
                let (folder, from) = &self.parts[part];
                // A missing image stays missing, for `verify` to report.
                if from.is_there(&own) {
                    if is_free {
                        put(&**from, &own, &to).map_err(named)?;
                    }
                    copy_sidecars(&folder.join(&own.file_name), &to).map_err(named)?;
                }
                break;
            }
        }
        if image.file_name != own.file_name {
            self.renamed.insert((part, job, own.file_name), image.file_name.clone());
        }
        Ok(())
    }

    /// Changes a name of a part to that in the merged run.
    fn rename(&self, part: usize, job: JobId, name: &mut String) {
        if let Some(renamed) = self.renamed.get(&(part, job, name.clone())) {
            name.clone_from(renamed);
        }
    }
}

/// Checks that a folder of images is a folder, or missing: a link could lead anywhere.
fn check_folders(out: &Path, file_name: &str) -> io::Result<()> {
    let folders: Vec<PathBuf> = Path::new(file_name)
        .ancestors()
        .skip(1)
        .filter(|path| *path != Path::new(""))
        .map(|path| out.join(path))
        .collect();
    match folders.into_iter().find(|path| fs::symlink_metadata(path).is_ok_and(|found| !found.is_dir())) {
        None => Ok(()),
        Some(path) => {
            let words = format!("{} is not a folder; move it away, and merge again", path.display());
            Err(io::Error::new(io::ErrorKind::NotADirectory, words))
        }
    }
}

/// Copies the sidecar files of an image. A file that is there stays as it is.
fn copy_sidecars(image: &Path, to: &Path) -> io::Result<()> {
    for sidecar in [Sidecar::Txt, Sidecar::Json] {
        let [from, to] = [image, to].map(|path| path.with_extension(sidecar.extension()));
        let is_file = fs::symlink_metadata(&from).is_ok_and(|found| found.is_file());
        if is_file && fs::symlink_metadata(&to).is_err() {
            copy(&mut fs::File::open(&from)?, &to)?;
        }
    }
    Ok(())
}

/// Copies the images that came inside answers and are not saved yet: they are paid for. Their names are ids, and never collide.
pub(super) fn copy_spool(shard: &Path, out: &Path) -> Result<(), MergeError> {
    let to = out.join(SPOOL);
    for entry in fs::read_dir(shard.join(SPOOL)).into_iter().flatten().flatten() {
        let copied = || {
            fs::create_dir_all(&to)?;
            copy(&mut fs::File::open(entry.path())?, &to.join(entry.file_name()))
        };
        let image = format!("{SPOOL}/{}", entry.file_name().to_string_lossy());
        copied().map_err(|source| MergeError::Image { image, out: out.to_owned(), source })?;
    }
    Ok(())
}

/// Links an image to its new place, which is free, or copies it to another file system.
fn put(from: &dyn SavedImages, image: &Artifact, to: &Path) -> io::Result<()> {
    let parent = folder::of(to);
    fs::create_dir_all(parent)?;
    if from.link(image, to).is_err() {
        let bytes = from.read(image).map_err(|damage| io::Error::other(damage.to_string()))?;
        copy(&mut &bytes[..], to)?;
    }
    folder::sync(parent)
}

fn copy(from: &mut dyn io::Read, to: &Path) -> io::Result<()> {
    let mut file = AtomicFile::create(to)?;
    io::copy(from, &mut file)?;
    file.finish()
}

/// Returns the `n`-th name, from 1, that belongs to this job alone.
fn apart(file_name: &str, job: JobId, n: u32) -> String {
    let at = file_name.rfind('.').filter(|dot| !file_name[*dot..].contains('/')).unwrap_or(file_name.len());
    let number = if n == 1 { String::new() } else { format!("-{n}") };
    format!("{}-{}{number}{}", &file_name[..at], job.short(), &file_name[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_set_apart_before_its_ending() {
        let id = JobId::from_bytes([0xab; 10]);
        assert_eq!(apart("images/cat.png", id, 1), "images/cat-abababab.png");
        assert_eq!(apart("images.v2/cat", id, 1), "images.v2/cat-abababab");
        assert_eq!(apart("images/cat.png", id, 2), "images/cat-abababab-2.png");
    }
}
