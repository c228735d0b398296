//! Images of the parts, put into the folder of the merged run.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::fsio::atomic_file::AtomicFile;
use crate::fsio::folder;
use crate::images::error::StoreError;
use crate::images::{SavedImages, adapters};
use crate::model::event::{Event, EventKind, Redo, Restored};
use crate::model::job::JobId;
use crate::model::outcome::{Artifact, Fault, Outcome};
use crate::model::storage_url::StorageUrl;
use crate::run::equipment::SPOOL;
use crate::run::merge::error::MergeError;

/// Images of all parts, on their way into the merged run.
pub(super) struct Images<'a> {
    out: &'a Path,
    /// Images of each part. Empty if the images of all parts are at a common place, where they stay.
    parts: Vec<Box<dyn SavedImages>>,
    /// Images of the merged run.
    merged: Box<dyn SavedImages>,
    /// Jobs by the names of their images.
    taken: HashMap<String, JobId>,
}

impl<'a> Images<'a> {
    /// Opens the images of these parts, which are in their folders, or all at `place`.
    pub(super) fn new(out: &'a Path, parts: &[&Path], place: Option<&StorageUrl>) -> Result<Self, MergeError> {
        let parts: Result<Vec<_>, StoreError> = match place {
            None => parts.iter().map(|part| adapters::saved(part, None)).collect(),
            Some(_) => Ok(vec![]),
        };
        Ok(Self { out, parts: parts?, merged: adapters::saved(out, None)?, taken: HashMap::new() })
    }

    /// Puts the images of an event of a part into the folder of the merged run. Images at a common place stay there.
    pub(super) fn placed(&mut self, part: usize, event: Event) -> Result<Event, MergeError> {
        match self.parts.get(part) {
            Some(from) => placed(event, &**from, (self.out, &*self.merged), &mut self.taken),
            None => Ok(event),
        }
    }
}

/// Puts the images of an event into the folder of the merged run.
fn placed(
    mut event: Event,
    from: &dyn SavedImages,
    (out, merged): (&Path, &dyn SavedImages),
    taken: &mut HashMap<String, JobId>,
) -> Result<Event, MergeError> {
    let job = event.job;
    let images: Vec<&mut Artifact> = match &mut event.kind {
        EventKind::Finished(Outcome::Succeeded(images) | Outcome::Failed(Fault { kept: images, .. })) => {
            images.iter_mut().collect()
        }
        EventKind::Restored(Restored { images, .. }) => images.iter_mut().map(|image| &mut image.artifact).collect(),
        EventKind::Redone(Redo { replaced, .. }) => {
            for image in replaced {
                let failed = |source| MergeError::Image { image: image.kept_as.clone(), out: out.to_owned(), source };
                put(from, &image.kept(), &out.join(&image.kept_as)).map_err(failed)?;
            }
            return Ok(event);
        }
        EventKind::SubmitStarted
        | EventKind::Accepted(_)
        | EventKind::Charged(_)
        | EventKind::Ready(_)
        | EventKind::Setback(..)
        | EventKind::Reopened(_) => return Ok(event),
    };
    for image in images {
        let own = image.clone();
        // Images of two parts may have one name, if the names do not hold the numbers of the jobs.
        if *taken.entry(image.file_name.clone()).or_insert(job) != job {
            image.file_name = apart(&image.file_name, job);
        }
        // A file that is there is this image, or a file of the user's, which is not replaced.
        if out.join(&image.file_name).exists() && merged.verify(image).is_err() {
            image.file_name = apart(&image.file_name, job);
        }
        let failed = |source| MergeError::Image { image: own.file_name.clone(), out: out.to_owned(), source };
        put(from, &own, &out.join(&image.file_name)).map_err(failed)?;
    }
    Ok(event)
}

/// Copies the images that came inside answers and are not saved yet: they are paid for. Their names are ids, and never collide.
pub(super) fn copy_spool(shard: &Path, out: &Path) -> Result<(), MergeError> {
    let to = out.join(SPOOL);
    for entry in fs::read_dir(shard.join(SPOOL)).into_iter().flatten().flatten() {
        let copy = || {
            fs::create_dir_all(&to)?;
            let mut file = AtomicFile::create(&to.join(entry.file_name()))?;
            io::copy(&mut fs::File::open(entry.path())?, &mut file)?;
            file.finish()
        };
        let image = format!("{SPOOL}/{}", entry.file_name().to_string_lossy());
        copy().map_err(|source| MergeError::Image { image, out: out.to_owned(), source })?;
    }
    Ok(())
}

/// Links an image to its new place, or copies it to another file system. A missing image stays missing, for `verify` to report.
fn put(from: &dyn SavedImages, image: &Artifact, to: &Path) -> io::Result<()> {
    if !from.is_there(image) {
        return Ok(());
    }
    let parent = folder::of(to);
    fs::create_dir_all(parent)?;
    if from.link(image, to).is_err() {
        let bytes = from.read(image).map_err(|damage| io::Error::other(damage.to_string()))?;
        let mut file = AtomicFile::create(to)?;
        io::Write::write_all(&mut file, &bytes)?;
        file.finish()?;
    }
    folder::sync(parent)
}

/// Returns a name that belongs to this job alone.
fn apart(file_name: &str, job: JobId) -> String {
    let at = file_name.rfind('.').filter(|dot| !file_name[*dot..].contains('/')).unwrap_or(file_name.len());
    format!("{}-{}{}", &file_name[..at], job.short(), &file_name[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_set_apart_before_its_ending() {
        let id = JobId::from_bytes([0xab; 10]);
        assert_eq!(apart("images/cat.png", id), "images/cat-abababab.png");
        assert_eq!(apart("images.v2/cat", id), "images.v2/cat-abababab");
    }
}
