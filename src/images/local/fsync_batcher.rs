//! Thread that saves images to disk in batches.
//!
//! Images that arrive while the thread waits for the disk share its next syncs.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::fsio::descriptors;
use crate::fsio::filesystem::FileSystem;
use crate::images::Saved;
use crate::images::error::{StoreError, at};
use crate::images::local::folders::sync_folder;
use crate::images::local::image_writer::{ImageWriter, StagedImage};
use crate::images::local::output_dir::RenamedFile;
use crate::images::validate::verdict::Checked;

/// Maximum number of images per batch. Each image has a name, a file descriptor and some bytes in memory.
const BATCH_MAX: usize = 128;

/// Queue of the thread. The thread ends when all senders are dropped.
#[derive(Clone, Debug)]
pub(super) struct FsyncBatcher(mpsc::Sender<SaveRequest>);

#[derive(Debug)]
struct SaveRequest {
    image: ImageWriter,
    reply: SaveReply,
}

/// Channel for the result of an image. A panic while an image is saved continues in the task that waits for the image.
type SaveReply = oneshot::Sender<Result<Saved, Box<dyn Any + Send>>>;

impl FsyncBatcher {
    /// Starts the thread for images below `out`.
    pub(super) fn start(out: &Path) -> Result<Self, StoreError> {
        let (orders, inbox) = mpsc::channel();
        let mut file_system = FileSystem::of(out);
        // A batch uses a small part of the available file descriptors.
        let batch_max = (descriptors::limit() / 8).clamp(1, BATCH_MAX);
        let work = move || {
            while let Ok(first) = inbox.recv() {
                let batch = std::iter::once(first).chain(inbox.try_iter()).take(batch_max).collect();
                settle(batch, &mut file_system);
            }
        };
        thread::Builder::new().name("images".into()).spawn(work).map_err(at("use", out))?;
        Ok(Self(orders))
    }

    /// Saves an image, if its bytes are an image. Waits until both its bytes and its name are durable.
    pub(super) async fn settle(&self, image: ImageWriter) -> Saved {
        let (reply, answer) = oneshot::channel();
        // The thread lives as long as this value. The thread answers every order, or drops the order by a panic of its own.
        self.0.send(SaveRequest { image, reply }).expect("the thread of the images is there");
        answer.await.expect("the thread of the images answers").unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Saves a batch: checks and writes each image, syncs all files, and renames each image. Then syncs the folders of the
/// names. A failure of one image does not stop the others.
fn settle(batch: Vec<SaveRequest>, file_system: &mut FileSystem) {
    let written: Vec<(StagedImage, SaveReply)> = batch.into_iter().filter_map(write).collect();
    let files: Vec<&File> = written.iter().flat_map(|(image, _)| image.files()).collect();
    let n_files: Vec<usize> = written.iter().map(|(image, _)| image.files().count()).collect();
    let mut synced = file_system.sync(&files).into_iter();
    // An image is durable only if its sidecar file is durable too.
    let synced = n_files.into_iter().map(|n| synced.by_ref().take(n).fold(Ok(()), Result::and));
    let synced: Vec<io::Result<()>> = synced.collect();
    let named: Vec<_> = written.into_iter().zip(synced).filter_map(|((i, r), synced)| name(i, r, synced)).collect();
    let mut folders = BTreeMap::new();
    for ((RenamedFile { file_name, folder }, checked), reply) in named {
        let synced = folders.entry(folder).or_insert_with_key(|folder: &PathBuf| sync_folder(folder));
        let saved = synced.as_ref().map(|()| Ok(checked.artifact(file_name)));
        answer(reply, Ok(saved.map_err(StoreError::again)));
    }
}

fn write(SaveRequest { image, reply }: SaveRequest) -> Option<(StagedImage, SaveReply)> {
    // The caller no longer waits for this image.
    if reply.is_closed() {
        return None;
    }
    go_on(reply, || match image.write() {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(fault)) => Err(Ok(Err(fault))),
        Err(error) => Err(Err(error)),
    })
}

fn name(image: StagedImage, reply: SaveReply, synced: io::Result<()>) -> Option<((RenamedFile, Checked), SaveReply)> {
    go_on(reply, || {
        synced.map_err(|cause| Err(image.partial.failed("write", cause)))?;
        image.put().map_err(Err)
    })
}

/// Runs one step of an image. Returns `None` if the image ended there. The image has released the output folder before
/// the answer is sent.
fn go_on<T>(reply: SaveReply, step: impl FnOnce() -> Result<T, Saved>) -> Option<(T, SaveReply)> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(came)) => return Some((came, reply)),
        Ok(Err(saved)) => answer(reply, Ok(saved)),
        Err(panic) => answer(reply, Err(panic)),
    }
    None
}

/// Sends the result of an image, if a task still waits for it.
fn answer(reply: SaveReply, how: Result<Saved, Box<dyn Any + Send>>) {
    drop(reply.send(how));
}
