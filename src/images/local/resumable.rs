//! Temporary files of a run that a later download may resume, by image.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::images::local::journal::{JOURNAL, PartialLabel};
use crate::images::local::temp_file::{ResumableFile, ResumableFiles, TempFile};
use crate::model::job::JobId;
use crate::model::partial_download::PartialDownload;

impl ResumableFiles {
    /// Scans the folder of temporary files, keeps files with a journal, and removes all others. Also returns the first
    /// number that no file name there contains.
    pub(super) fn find(folder: &Path) -> io::Result<(Self, u64)> {
        let kept = Self::default();
        let is_folder = match fs::symlink_metadata(folder) {
            Ok(found) => found.is_dir(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((kept, 0)),
            Err(error) => return Err(error),
        };
        if !is_folder {
            // If a symbolic link has this name, the link is removed and its target stays.
            fs::remove_file(folder)?;
            return Ok((kept, 0));
        }
        let mut n_next = 0;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().into_string().ok();
            match name.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) {
                Some(name) => drop(files.insert(name, entry.path())),
                None if entry.file_type()?.is_dir() => fs::remove_dir_all(entry.path())?,
                None => fs::remove_file(entry.path())?,
            }
        }
        for (name, path) in &files {
            let is_pair = files.contains_key(&format!("{name}{JOURNAL}"));
            let (file_name, is_journal) =
                name.strip_suffix(JOURNAL).map_or((name.as_str(), false), |file| (file, true));
            match file_name.rsplit_once('-').and_then(|(key, n)| Some((key, n.parse::<u64>().ok()?))) {
                Some((key, n)) if is_pair && !is_journal => {
                    kept.put(key.to_owned(), ResumableFile::found(path.clone()));
                    n_next = n_next.max(n + 1);
                }
                Some(_) if is_journal && files.contains_key(file_name) => (),
                Some(_) | None => fs::remove_file(path)?,
            }
        }
        // Removes the folder only if it is empty, for tidiness.
        let _ = fs::remove_dir(folder);
        Ok((kept, n_next))
    }

    /// Returns how much of an image is on disk, if the download can be resumed. `is_right` examines the label. A file
    /// that cannot be resumed is removed.
    pub(super) fn part(
        &self,
        key: &str,
        is_right: impl FnOnce(&PartialLabel, &PartialDownload) -> bool,
    ) -> Option<PartialDownload> {
        // The file is not available to other downloads while its bytes are read.
        let mut remnant = self.lock().remove(key)?;
        let part = remnant.journal().map(|journal| (journal.part(), &journal.label));
        let part = part.filter(|(part, label)| is_right(label, part)).map(|(part, _)| part);
        if part.is_some() {
            self.put(key.to_owned(), remnant);
        } else {
            remnant.remove();
        }
        part
    }

    /// Takes out the file of an image, to resume after its first `n_bytes` bytes. Also returns the number of bytes
    /// added by this program. `None` if the file has another number of image bytes.
    pub(super) fn take(&self, key: &str, n_bytes: u64) -> io::Result<Option<(TempFile, u64)>> {
        let Some(mut remnant) = self.lock().remove(key) else { return Ok(None) };
        let n_own_bytes = match remnant.journal() {
            Some(journal) if journal.part().n_bytes == n_bytes => journal.label.n_own_bytes,
            Some(_) | None => {
                remnant.remove();
                return Ok(None);
            }
        };
        let partial = remnant.open(self, key.to_owned())?;
        Ok(partial.map(|partial| (partial, n_own_bytes)))
    }

    /// Returns whether a file of the image may exist.
    pub(super) fn has(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    /// Removes the file of an image, if there is one.
    pub(super) fn forget(&self, key: &str) {
        let remnant = self.lock().remove(key);
        remnant.into_iter().for_each(ResumableFile::remove);
    }

    /// Removes the files of all images of a job.
    pub(super) fn forget_job(&self, job: JobId) {
        let mut files = self.lock();
        if files.is_empty() {
            return;
        }
        let of_job = format!("{job}-");
        let keys: Vec<String> = files
            .range(of_job.clone()..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&of_job))
            .cloned()
            .collect();
        keys.iter().filter_map(|key| files.remove(key)).for_each(ResumableFile::remove);
    }

    pub(super) fn clear(&self) {
        std::mem::take(&mut *self.lock()).into_values().for_each(ResumableFile::remove);
    }
}
