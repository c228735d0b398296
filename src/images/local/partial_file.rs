//! Temporary file of an incomplete image: removed when dropped, or kept with its journal for a later download to resume.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fsio::descriptors::patiently;
use crate::fsio::temp_file::TempFile;
use crate::images::error::{StoreError, at};
use crate::images::local::journal::{JOURNAL, PartialLabel, ResumeJournal, path_of};
use crate::images::validate::inspect;
use crate::images::validate::verdict::{CheckLimits, Checked, NotAnImage};
use crate::model::job::JobId;
use crate::model::partial_download::PartialDownload;

/// Temporary file that is kept, and its journal. The journal is `None` until it is read.
#[derive(Debug)]
pub(super) struct ResumableFile {
    path: PathBuf,
    journal: Option<ResumeJournal>,
}

impl ResumableFile {
    /// Wraps a file that an earlier process left.
    pub(super) const fn found(path: PathBuf) -> Self {
        Self { path, journal: None }
    }

    /// Returns the journal, verified against the file. `None` if the download cannot be resumed.
    pub(super) fn journal(&mut self) -> Option<&ResumeJournal> {
        if self.journal.is_none() {
            let is_file = fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_file());
            self.journal = if is_file { ResumeJournal::read(&self.path).ok().flatten() } else { None };
        }
        self.journal.as_ref()
    }

    /// Removes the file and its journal.
    pub(super) fn remove(self) {
        // Files that cannot be removed here are removed later: at the end of the run, or by the next run.
        let _ = fs::remove_file(path_of(&self.path));
        let _ = fs::remove_file(self.path);
    }

    /// Opens the file to resume the download, without bytes after the last valid journal entry.
    pub(super) fn open(mut self, kept: &ResumableFiles, key: String) -> io::Result<Option<PartialFile>> {
        let Some(journal) = self.journal().cloned() else { return Ok(None) };
        let mut file = patiently(|| File::options().read(true).write(true).open(&self.path))?;
        file.set_len(journal.file_bytes())?;
        file.seek(SeekFrom::End(0))?;
        let keeping = JournalEntry { journal, kept: kept.clone(), key };
        Ok(Some(PartialFile { temp: TempFile::adopt(self.path, file), keeping: Some(keeping) }))
    }
}

/// Temporary files that are kept, by image. Clones share the files.
#[derive(Clone, Debug, Default)]
pub(super) struct ResumableFiles(Arc<Mutex<BTreeMap<String, ResumableFile>>>);

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
    pub(super) fn take(&self, key: &str, n_bytes: u64) -> io::Result<Option<(PartialFile, u64)>> {
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

    /// Keeps a file in place of an earlier file of the same image.
    pub(super) fn put(&self, key: String, remnant: ResumableFile) {
        let earlier = self.lock().insert(key, remnant);
        earlier.into_iter().for_each(ResumableFile::remove);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, ResumableFile>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Temporary file of an incomplete image. Dropping the value removes the file, unless it was renamed, or is kept
/// because it has a journal.
#[derive(Debug)]
pub(super) struct PartialFile {
    pub(super) temp: TempFile,
    keeping: Option<JournalEntry>,
}

#[derive(Debug)]
struct JournalEntry {
    journal: ResumeJournal,
    kept: ResumableFiles,
    key: String,
}

impl PartialFile {
    /// Creates an empty file, which is not kept.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let temp = TempFile::create(path.to_owned()).map_err(at("create", path))?;
        Ok(Self { temp, keeping: None })
    }

    /// Starts a journal for the file, which must be empty. If the journal cannot be written, the file is merely not kept.
    pub(super) fn keep(&mut self, label: PartialLabel, kept: &ResumableFiles, key: String) {
        let journal = ResumeJournal::begin(self.temp.path(), label).ok();
        self.keeping = journal.map(|journal| JournalEntry { journal, kept: kept.clone(), key });
    }

    /// Stops keeping the file, and removes its journal.
    pub(super) fn let_go(&mut self) {
        if let Some(JournalEntry { journal, .. }) = self.keeping.take() {
            journal.remove();
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.temp.write_all(bytes).map_err(at("write", self.temp.path()))?;
        if let Some(keeping) = &mut self.keeping
            && keeping.journal.write(bytes).is_err()
        {
            self.let_go();
        }
        Ok(())
    }

    /// Returns the first bytes of the file, at most `n_bytes`.
    pub(super) fn head(&mut self, n_bytes: u64) -> Result<Vec<u8>, StoreError> {
        let mut head = Vec::new();
        let read = self.temp.file().rewind().and_then(|()| self.temp.file().take(n_bytes).read_to_end(&mut head));
        let back = read.and_then(|_| self.temp.file().seek(SeekFrom::End(0)));
        back.map(|_| head).map_err(at("read", self.temp.path()))
    }

    pub(super) fn read(&mut self) -> Result<Vec<u8>, StoreError> {
        self.head(u64::MAX)
    }

    pub(super) fn inspect(&mut self, limits: &CheckLimits) -> Result<Result<Checked, NotAnImage>, StoreError> {
        let found = self.temp.file().rewind().and_then(|()| inspect(BufReader::new(self.temp.file()), limits));
        let back = found.and_then(|found| self.temp.file().seek(SeekFrom::End(0)).map(|_| found));
        back.map_err(at("read", self.temp.path()))
    }

    /// Converts an I/O error of this file into an error of the store.
    pub(super) fn failed(&self, doing: &'static str, cause: io::Error) -> StoreError {
        at(doing, self.temp.path())(cause)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        match self.keeping.take() {
            Some(JournalEntry { journal, kept, key }) if !self.temp.is_left() && journal.part().n_bytes > 0 => {
                kept.put(key, ResumableFile { path: self.temp.leave(), journal: Some(journal) });
            }
            // A file without received bytes is removed, and a renamed file no longer needs its journal.
            Some(JournalEntry { journal, .. }) => journal.remove(),
            None => (),
        }
    }
}
