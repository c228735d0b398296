//! Images kept below OUT: written aside, checked, synced, and given a name that no other file has.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::task::{consume_budget, spawn_blocking};

use crate::driver::images::check::{CheckLimits, Checked, NotAnImage, inspect};
use crate::driver::images::error::{StoreError, at};
use crate::driver::images::folders::{Folders, sync_folder};
use crate::driver::images::{Body, ImageStore, Saved, artifact, bad_output};
use crate::model::name::ImageName;

/// The folder of images that are not whole yet, below OUT.
const PARTIALS: &str = ".partial";

/// What is gathered of a body before it goes to the disk. Most images are shorter, and so cost one hop to a blocking thread.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// The images of one run, below OUT. Only one process at a time may open it: the one that holds the ledger.
#[derive(Clone, Debug)]
pub struct DiskStore(Arc<Place>);

impl DiskStore {
    /// Makes OUT, where the ledger is by now, ready to take images in, and clears away what a crash left half written.
    pub fn open(out: &Path, limits: CheckLimits) -> Result<Self, StoreError> {
        let partials = out.join(PARTIALS);
        // If a link has this name, the link goes and what it leads to stays.
        match fs::remove_dir_all(&partials) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(at("clear", &partials)(cause)),
            _ => (),
        }
        let place = Place::open(out, limits)?;
        place.folders.make_ready("images")?;
        Ok(Self(Arc::new(place)))
    }

    async fn receive(&self, name: ImageName, mut body: Body<'_>) -> Saved {
        let bytes_max = self.0.limits.bytes_max;
        let mut incoming = Incoming { place: Arc::clone(&self.0), name, gathered: Vec::new(), partial: None };
        let mut n_bytes = 0;
        while let Some(piece) = body.next().await {
            // Millions of pieces of one byte must not keep everybody else waiting.
            consume_budget().await;
            let piece = match piece {
                Ok(piece) => piece,
                Err(fault) => return Ok(Err(fault)),
            };
            n_bytes += piece.len() as u64;
            if n_bytes > bytes_max {
                return Ok(Err(bad_output(&NotAnImage::TooLong { bytes_max })));
            }
            incoming.gathered.extend_from_slice(&piece);
            if incoming.gathered.len() >= PIECE_BYTES_MAX {
                incoming = blocking(move || {
                    incoming.flush()?;
                    Ok(incoming)
                })
                .await?;
            }
        }
        blocking(move || incoming.settle()).await
    }
}

impl ImageStore for DiskStore {
    fn save<'a>(&'a self, name: ImageName, body: Body<'a>) -> BoxFuture<'a, Saved> {
        Box::pin(self.receive(name, body))
    }
}

/// Runs what waits for the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// An image on its way in: some of it gathered in memory, what came before that in a partial file.
struct Incoming {
    place: Arc<Place>,
    name: ImageName,
    gathered: Vec<u8>,
    partial: Option<Partial>,
}

impl Incoming {
    /// Writes what is gathered.
    fn flush(&mut self) -> Result<&mut Partial, StoreError> {
        let partial = match self.partial.take() {
            Some(partial) => partial,
            None => self.place.begin(&self.name)?,
        };
        let partial = self.partial.insert(partial);
        partial.file.write_all(&self.gathered).map_err(at("write", &partial.path))?;
        self.gathered.clear();
        Ok(partial)
    }

    /// All of it is here: checks it and gives it its name.
    fn settle(mut self) -> Saved {
        let limits = self.place.limits;
        let found = match self.partial {
            // What fits in memory is checked there, so that an error page never touches the disk.
            None => inspect(self.gathered.as_slice(), &limits).expect("a slice cannot fail to be read"),
            Some(_) => self.flush()?.inspect(&limits)?,
        };
        let checked = match found {
            Ok(checked) => checked,
            Err(why) => return Ok(Err(bad_output(&why))),
        };
        let partial = self.flush()?;
        partial.file.sync_all().map_err(at("write", &partial.path))?;
        let path = partial.path.clone();
        let file_name = self.place.put(&path, &self.name, &checked)?;
        Ok(Ok(artifact(file_name, checked)))
    }
}

/// A file that is not whole yet. It is gone with this value, unless it was given a name.
struct Partial {
    path: PathBuf,
    file: File,
}

impl Partial {
    fn inspect(&mut self, limits: &CheckLimits) -> Result<Result<Checked, NotAnImage>, StoreError> {
        let found = self.file.rewind().and_then(|()| inspect(BufReader::new(&self.file), limits));
        found.map_err(at("read", &self.path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It may have moved to its name, and what stays behind is cleared away by the next `open`.
        let _ = fs::remove_file(&self.path);
    }
}

/// OUT, and what is known about it.
#[derive(Debug)]
struct Place {
    out: PathBuf,
    limits: CheckLimits,
    folders: Folders,
    n_begun: AtomicU64,
    /// Held from the look whether a name is free to its taking, where the file system cannot do both at once.
    naming: Mutex<()>,
}

impl Place {
    fn open(out: &Path, limits: CheckLimits) -> Result<Self, StoreError> {
        let folders = Folders::open(out)?;
        Ok(Self { out: out.to_owned(), limits, folders, n_begun: AtomicU64::new(0), naming: Mutex::default() })
    }

    /// A new, empty partial file. The number keeps it apart from an earlier attempt that may still be on its way out.
    fn begin(&self, name: &ImageName) -> Result<Partial, StoreError> {
        let folder = self.folders.make(PARTIALS)?;
        let n = self.n_begun.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{n}", name.partial()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(at("create", &path))?;
        Ok(Partial { path, file })
    }

    /// Gives a written and synced file its name, so that it lasts, and returns the name.
    fn put(&self, partial: &Path, name: &ImageName, checked: &Checked) -> Result<String, StoreError> {
        let folder = self.folders.make_ready(name.folder())?;
        let mut file_name = name.path(checked.format);
        let target = self.out.join(&file_name);
        let is_placed = self.name_new(partial, &target).map_err(at("write", &target))?;
        if !is_placed && !self.is_same(&target, checked).map_err(at("read", &target))? {
            file_name = name.path_apart(checked.format);
            let target = self.out.join(&file_name);
            // The name has the job's id in it: what is there can only be an earlier image of this very job.
            fs::rename(partial, &target).map_err(at("write", &target))?;
        }
        sync_folder(&folder)?;
        Ok(file_name)
    }

    /// Gives the file at `from` a name that is still free. False if it is not.
    fn name_new(&self, from: &Path, to: &Path) -> io::Result<bool> {
        match fs::hard_link(from, to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Not every file system has links, and the refusals differ. If the disk is at fault, the rename will say so.
            Err(_) => self.rename_new(from, to),
        }
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool> {
        let _alone = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        match fs::symlink_metadata(to) {
            Ok(_) => Ok(false),
            Err(_) => fs::rename(from, to).map(|()| true),
        }
    }

    /// Whether the file at `path` is that image, byte for byte. A link to it is not: what it leads to may go at any time.
    fn is_same(&self, path: &Path, checked: &Checked) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(file) if file.is_file() && file.len() == checked.bytes => {
                let found = inspect(BufReader::new(File::open(path)?), &self.limits)?;
                Ok(found.as_ref() == Ok(checked))
            }
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only for tidiness, and only if nothing is in it.
        let _ = fs::remove_dir(self.out.join(PARTIALS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What file systems without links fall back on, asked directly, as the tests run on one that has them.
    #[test]
    fn without_links_a_rename_does_not_replace_either() {
        let out = tempfile::TempDir::new().unwrap();
        let place = Place::open(out.path(), CheckLimits::default()).unwrap();
        let (one, two, name) = (out.path().join("one"), out.path().join("two"), out.path().join("name"));
        fs::write(&one, "one").unwrap();
        fs::write(&two, "two").unwrap();
        assert!(place.rename_new(&one, &name).unwrap());
        assert!(!place.rename_new(&two, &name).unwrap());
        assert_eq!(fs::read_to_string(&name).unwrap(), "one");
        assert!(place.rename_new(&one, &out.path().join("other")).is_err(), "there is nothing to rename any more");
    }
}
