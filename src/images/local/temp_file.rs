//! Temporary file of an incomplete image: removed when dropped, or kept with its journal for a later download to resume.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fsio::descriptors::patiently;
use crate::images::error::{StoreError, at};
use crate::images::local::journal::{PartialLabel, ResumeJournal, path_of};
use crate::images::validate::inspect;
use crate::images::validate::verdict::{CheckLimits, Checked, NotAnImage};

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
    pub(super) fn open(mut self, kept: &ResumableFiles, key: String) -> io::Result<Option<TempFile>> {
        let Some(journal) = self.journal().cloned() else { return Ok(None) };
        let mut file = patiently(|| File::options().read(true).write(true).open(&self.path))?;
        file.set_len(journal.file_bytes())?;
        file.seek(SeekFrom::End(0))?;
        let keeping = JournalEntry { journal, kept: kept.clone(), key };
        Ok(Some(TempFile { path: self.path, file, is_moved: false, keeping: Some(keeping) }))
    }
}

/// Temporary files that are kept, by image. Clones share the files.
#[derive(Clone, Debug, Default)]
pub(super) struct ResumableFiles(Arc<Mutex<BTreeMap<String, ResumableFile>>>);

impl ResumableFiles {
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
pub(super) struct TempFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) is_moved: bool,
    keeping: Option<JournalEntry>,
}

#[derive(Debug)]
struct JournalEntry {
    journal: ResumeJournal,
    kept: ResumableFiles,
    key: String,
}

impl TempFile {
    pub(super) const fn new(path: PathBuf, file: File) -> Self {
        Self { path, file, is_moved: false, keeping: None }
    }

    /// Starts a journal for the file, which must be empty. If the journal cannot be written, the file is merely not kept.
    pub(super) fn keep(&mut self, label: PartialLabel, kept: &ResumableFiles, key: String) {
        let journal = ResumeJournal::begin(&self.path, label).ok();
        self.keeping = journal.map(|journal| JournalEntry { journal, kept: kept.clone(), key });
    }

    /// Stops keeping the file, and removes its journal.
    pub(super) fn let_go(&mut self) {
        if let Some(JournalEntry { journal, .. }) = self.keeping.take() {
            journal.remove();
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(at("write", &self.path))?;
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
        let read = self.file.rewind().and_then(|()| Read::by_ref(&mut self.file).take(n_bytes).read_to_end(&mut head));
        let back = read.and_then(|_| self.file.seek(SeekFrom::End(0)));
        back.map(|_| head).map_err(at("read", &self.path))
    }

    pub(super) fn read(&mut self) -> Result<Vec<u8>, StoreError> {
        self.head(u64::MAX)
    }

    pub(super) fn inspect(&mut self, limits: &CheckLimits) -> Result<Result<Checked, NotAnImage>, StoreError> {
        let found = self.file.rewind().and_then(|()| inspect(BufReader::new(&self.file), limits));
        let back = found.and_then(|found| self.file.seek(SeekFrom::End(0)).map(|_| found));
        back.map_err(at("read", &self.path))
    }

    /// Converts an I/O error of this file into an error of the store.
    pub(super) fn failed(&self, doing: &'static str, cause: io::Error) -> StoreError {
        at(doing, &self.path)(cause)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        match self.keeping.take() {
            // A renamed file no longer needs its journal.
            Some(JournalEntry { journal, .. }) if self.is_moved => journal.remove(),
            Some(JournalEntry { journal, kept, key }) if journal.part().n_bytes > 0 => {
                kept.put(key, ResumableFile { path, journal: Some(journal) });
            }
            Some(JournalEntry { journal, .. }) => ResumableFile { path, journal: Some(journal) }.remove(),
            None if self.is_moved => (),
            // A file that cannot be removed here is removed by the next `open`.
            None => drop(fs::remove_file(path)),
        }
    }
}
