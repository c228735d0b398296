//! The thread on which images become files. Those that came while it waited for the disk share its next syncs.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;

use crate::driver::images::check::Checked;
use crate::driver::images::descriptors;
use crate::driver::images::error::{StoreError, at};
use crate::driver::images::filesystem::FileSystem;
use crate::driver::images::folders::sync_folder;
use crate::driver::images::incoming::{Incoming, Written};
use crate::driver::images::place::Named;
use crate::driver::images::{Saved, artifact};

/// Images that share a sync at most. Each of them has a name, a file descriptor and a part of itself in memory.
const BATCH_MAX: usize = 128;

/// Where images wait for the thread. It ends when nobody can send it any more.
#[derive(Clone, Debug)]
pub(super) struct Settling(mpsc::Sender<Order>);

#[derive(Debug)]
struct Order {
    image: Incoming,
    reply: Reply,
}

/// A panic over an image is told where that image is waited for.
type Reply = oneshot::Sender<Result<Saved, Box<dyn Any + Send>>>;

impl Settling {
    /// Starts the thread for images below this folder.
    pub(super) fn start(out: &Path) -> Result<Self, StoreError> {
        let (orders, inbox) = mpsc::channel();
        let mut file_system = FileSystem::of(out);
        // A small part of the descriptors that there are.
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

    /// Makes a file of an image, once it is found to be one, and waits until both its bytes and its name last.
    pub(super) async fn settle(&self, image: Incoming) -> Saved {
        let (reply, answer) = oneshot::channel();
        // The thread lives as long as this value, and answers everything or drops it with a panic of its own.
        self.0.send(Order { image, reply }).expect("the thread of the images is there");
        answer.await.expect("the thread of the images answers").unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Takes all of these as far as they come: each is checked and written, then all are synced, then each gets its name, and at the
/// end the folders of the names are synced. Whatever stops one on this way stops only that one.
fn settle(batch: Vec<Order>, file_system: &mut FileSystem) {
    let written: Vec<(Written, Reply)> = batch.into_iter().filter_map(write).collect();
    let files: Vec<&File> = written.iter().flat_map(|(image, _)| image.files()).collect();
    let n_files: Vec<usize> = written.iter().map(|(image, _)| image.files().count()).collect();
    let mut synced = file_system.sync(&files).into_iter();
    // An image lasts when what goes beside it does.
    let synced = n_files.into_iter().map(|n| synced.by_ref().take(n).fold(Ok(()), Result::and));
    let synced: Vec<io::Result<()>> = synced.collect();
    let named: Vec<_> = written.into_iter().zip(synced).filter_map(|((i, r), synced)| name(i, r, synced)).collect();
    let mut folders = BTreeMap::new();
    for ((Named { file_name, folder }, checked), reply) in named {
        let synced = folders.entry(folder).or_insert_with_key(|folder: &PathBuf| sync_folder(folder));
        let saved = synced.as_ref().map(|()| Ok(artifact(file_name, checked)));
        answer(reply, Ok(saved.map_err(StoreError::again)));
    }
}

fn write(Order { image, reply }: Order) -> Option<(Written, Reply)> {
    // Nobody waits for it any more.
    if reply.is_closed() {
        return None;
    }
    go_on(reply, || match image.write() {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(fault)) => Err(Ok(Err(fault))),
        Err(error) => Err(Err(error)),
    })
}

fn name(image: Written, reply: Reply, synced: io::Result<()>) -> Option<((Named, Checked), Reply)> {
    go_on(reply, || {
        synced.map_err(|cause| Err(image.partial.failed("write", cause)))?;
        image.put().map_err(Err)
    })
}

/// What comes of one step of an image, or nothing if it ended there. By the time that is told, the image has let go of its place.
fn go_on<T>(reply: Reply, step: impl FnOnce() -> Result<T, Saved>) -> Option<(T, Reply)> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(Ok(came)) => return Some((came, reply)),
        Ok(Err(saved)) => answer(reply, Ok(saved)),
        Err(panic) => answer(reply, Err(panic)),
    }
    None
}

/// Tells how it went, if anybody still wants to know.
fn answer(reply: Reply, how: Result<Saved, Box<dyn Any + Send>>) {
    drop(reply.send(how));
}
