//! Spool: images that came inside answers, on this disk until they are saved.
//!
//! An answer is complete once its list of images is written and synced. A later process finds the list under the id of the submission, so
//! that a kill after that moment loses nothing that was paid for. Files without a list are the rest of a killed process.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::task::spawn_blocking;

use crate::fsio::atomic_file::AtomicFile;
use crate::fsio::descriptors::patiently;
use crate::fsio::folder;
use crate::model::link::SPOOLED;
use crate::model::outcome::{Fault, FaultKind, TaskId, Url};
use crate::model::submission_id::SubmissionId;
use crate::provider::{Download, ImageStream};

/// Bytes of an image that are read at a time.
const PIECE_BYTES: usize = 1 << 16;

/// Bytes of an image that are written at a time.
const WRITE_BYTES: usize = 1 << 18;

/// End of the name of a list of images.
const LIST: &str = ".json";

/// What follows the id in the name of a list that was not completed.
const CUT_LIST: &str = ".json.partial-";

/// Folder with the images of answers.
#[derive(Debug)]
pub(in crate::provider) struct Spool {
    folder: PathBuf,
    /// Longest image in bytes. The rest of a longer one is dropped, so that it is refused when it is checked.
    image_bytes_max: u64,
    swept: Once,
    n_open: Arc<Mutex<usize>>,
}

/// Entry that keeps the folder in its place until it is dropped.
#[derive(Debug)]
struct OpenEntry(Arc<Mutex<usize>>);

/// Images of one answer, while it arrives.
#[derive(Debug)]
pub(in crate::provider) struct SpoolEntry {
    folder: PathBuf,
    id: String,
    image_bytes_max: u64,
    files: Vec<File>,
    _open: OpenEntry,
}

/// Image that is being written.
#[derive(Debug)]
pub(in crate::provider) struct SpooledImage {
    file: BufWriter<File>,
    url: Url,
    room: u64,
}

impl Spool {
    /// Creates the spool in this folder, which need not exist yet.
    pub(in crate::provider) fn new(folder: PathBuf, image_bytes_max: u64) -> Self {
        Self { folder, image_bytes_max, swept: Once::new(), n_open: Arc::default() }
    }

    /// Begins the images of an answer. An earlier entry of this id is replaced only when this one is complete.
    pub(in crate::provider) fn entry(&self, id: &SubmissionId) -> Result<SpoolEntry, Fault> {
        let open = OpenEntry::new(&self.n_open);
        fs::create_dir_all(&self.folder).map_err(|error| disk(&self.folder, &error))?;
        // Only a process that drives the run begins entries, and there is one at a time.
        self.swept.call_once(|| sweep(&self.folder));
        let (folder, id) = (self.folder.clone(), id.to_string());
        Ok(SpoolEntry { folder, id, image_bytes_max: self.image_bytes_max, files: Vec::new(), _open: open })
    }

    /// Returns the addresses of the images of a complete answer; `None` if there is none.
    pub(in crate::provider) fn links(&self, task: &TaskId) -> Option<Vec<Url>> {
        let text = fs::read_to_string(self.list(task)?).ok()?;
        let links: Vec<String> = serde_json::from_str(&text).ok()?;
        Some(links.into_iter().map(Url).collect())
    }

    /// Returns the tasks of all complete answers.
    pub(in crate::provider) fn tasks(&self) -> Vec<TaskId> {
        let names = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let task = |name: std::ffi::OsString| Some(TaskId(name.to_str()?.strip_suffix(LIST)?.to_owned()));
        names.filter_map(task).filter(|task| is_plain(&task.0)).collect()
    }

    /// Opens a spooled image.
    pub(in crate::provider) fn open(&self, url: &Url) -> Result<Download<'static>, Fault> {
        let name = url.0.strip_prefix(SPOOLED).and_then(|path| path.strip_prefix("///"));
        let name = name.filter(|name| is_plain(name)).ok_or_else(|| lost(url))?;
        let file = patiently(|| File::open(self.folder.join(name))).map_err(|_| lost(url))?;
        let n_bytes = file.metadata().map_err(|_| lost(url))?.len();
        Ok(Download { bytes_total: Some(n_bytes), ..Download::whole(pieces(file)) })
    }

    /// Removes the images of these answers. What cannot be removed stays until the run's folder is removed.
    pub(in crate::provider) fn remove(&self, tasks: &[TaskId]) {
        for task in tasks {
            let (Some(list), Some(links)) = (self.list(task), self.links(task)) else { continue };
            let _ = fs::remove_file(list);
            let begin = format!("{}-", task.0);
            for name in (1..=links.len()).map(|n| format!("{begin}{n}")) {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
        // The folder of an answer that still arrives may be empty. A folder with files in it stays in any case.
        let n_open = locked(&self.n_open);
        if *n_open == 0 {
            let _ = fs::remove_dir(&self.folder);
        }
    }

    fn list(&self, task: &TaskId) -> Option<PathBuf> {
        is_plain(&task.0).then(|| self.folder.join(format!("{}{LIST}", task.0)))
    }
}

impl OpenEntry {
    fn new(n_open: &Arc<Mutex<usize>>) -> Self {
        *locked(n_open) += 1;
        Self(Arc::clone(n_open))
    }
}

impl Drop for OpenEntry {
    fn drop(&mut self) {
        *locked(&self.0) -= 1;
    }
}

fn locked(n_open: &Mutex<usize>) -> MutexGuard<'_, usize> {
    n_open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SpoolEntry {
    /// Returns the task under which the images are found later.
    pub(in crate::provider) fn task(&self) -> TaskId {
        TaskId(self.id.clone())
    }

    /// Begins an image.
    pub(in crate::provider) fn begin(&self) -> Result<SpooledImage, Fault> {
        let name = format!("{}-{}", self.id, self.files.len() + 1);
        let path = self.folder.join(&name);
        let file = patiently(|| File::create(&path)).map_err(|error| disk(&path, &error))?;
        let (file, url) = (BufWriter::with_capacity(WRITE_BYTES, file), Url(format!("{SPOOLED}///{name}")));
        Ok(SpooledImage { file, url, room: self.image_bytes_max.saturating_add(1) })
    }

    /// Ends an image, and returns its address.
    pub(in crate::provider) fn end(&mut self, image: SpooledImage) -> Result<Url, Fault> {
        let SpooledImage { file, url, .. } = image;
        let file = file.into_inner().map_err(|error| disk(&self.folder, error.error()))?;
        self.files.push(file);
        Ok(url)
    }

    /// Adds an image that is in memory.
    pub(in crate::provider) fn add(&mut self, bytes: &[u8]) -> Result<Url, Fault> {
        let mut image = self.begin()?;
        image.write(bytes)?;
        self.end(image)
    }

    /// Makes the images and their list durable. Only now is the answer safe.
    pub(in crate::provider) async fn commit(self, links: &[Url]) -> Result<(), Fault> {
        let Self { folder, id, files, .. } = self;
        let list = folder.join(format!("{id}{LIST}"));
        let links: Vec<String> = links.iter().map(|link| link.0.clone()).collect();
        let text = serde_json::to_string(&links).expect("texts become JSON");
        let committed = spawn_blocking(move || {
            files.iter().try_for_each(File::sync_all)?;
            // The names of the images are durable before their list.
            folder::sync(&folder)?;
            let mut file = AtomicFile::create(&list)?;
            file.write_all(text.as_bytes())?;
            file.finish()?;
            folder::sync(folder::of(&folder))
        });
        let committed = committed.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        committed.map_err(|error| {
            let words = format!(
                "the response with the images came, and could not be written to this disk ({error}): it is paid for; \
                 free some space and run the same command again"
            );
            Fault::new(FaultKind::InDoubt, words)
        })
    }
}

impl SpooledImage {
    /// Writes bytes of the image.
    pub(in crate::provider) fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let n_bytes = bytes.len().min(usize::try_from(self.room).unwrap_or(usize::MAX));
        self.room -= n_bytes as u64;
        self.file.write_all(&bytes[..n_bytes]).map_err(|error| disk(Path::new(&self.url.0), &error))
    }
}

/// Removes files of killed processes: those that belong to no list.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        // An id has a length of its own, so that a foreign file is left alone.
        let is_image = name.get(36..37) == Some("-") && name[37..].bytes().all(|byte| byte.is_ascii_digit());
        let is_cut_list = name.starts_with('.') && name.get(37..).is_some_and(|end| end.starts_with(CUT_LIST));
        if is_cut_list || is_image && !folder.join(format!("{}{LIST}", &name[..36])).exists() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn lost(url: &Url) -> Fault {
    let words = format!(
        "the image came in the response to its submission and is no longer on this disk ({url}): someone may have removed it from \
         the folder `spool` of the run"
    );
    Fault::new(FaultKind::BadOutput, words)
}

fn disk(path: &Path, error: &io::Error) -> Fault {
    let words = format!(
        "could not keep the response at {} ({error}): the submission may be paid for; free some space and run the same command \
         again",
        path.display()
    );
    Fault::new(FaultKind::InDoubt, words)
}

fn pieces(file: File) -> ImageStream<'static> {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let n_bytes = file.read(&mut piece).map_err(|error| {
            Fault::new(
                FaultKind::Transient,
                format!("could not read an image of the folder `spool` of the run: {error}"),
            )
        })?;
        piece.truncate(n_bytes);
        tokio::task::consume_budget().await;
        Ok((n_bytes > 0).then(|| (Bytes::from(piece), file)))
    })
    .boxed()
}

#[cfg(test)]
mod tests;
