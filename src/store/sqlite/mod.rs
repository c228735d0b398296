//! Ledger of every real run: one `SQLite` file, written by its own thread, with one commit per turn.
//!
//! [`SqliteStore`] is the open file. [`SqliteLedger`] moves the file to a thread and sends commands to that thread. While the
//! driver waits for a commit, answers of the provider queue up. One fsync then serves all of them: group commit without a
//! timer.

mod account;
mod checksum;
mod diff;
mod file;
mod folder;
mod guard;
mod history;
mod immutable;
mod import;
mod integrity;
mod journal;
mod lookup;
mod merge_cursor;
mod migrate;
mod older_ledger;
mod owner;
mod price;
mod read;
mod reopen;
mod row;
mod shuffle;
mod snapshot;
mod totals;
mod watermark;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

pub use crate::store::sqlite::account::AccountCheck;
pub use crate::store::sqlite::diff::{DiffEntry, ManifestDiff};
pub use crate::store::sqlite::file::SqliteStore;
pub use crate::store::sqlite::import::Imported;
pub use crate::store::sqlite::reopen::RetrySelection;

use crate::model::event::Event;
use crate::model::outcome::TaskId;
use crate::store::error::LedgerError;
use crate::store::sqlite::journal::EventWriter;
use crate::store::{Ledger, Loaded, TaskOwner};

/// Ledger file on its own thread.
#[derive(Debug)]
pub struct SqliteLedger {
    orders: mpsc::UnboundedSender<LedgerCommand>,
    thread: JoinHandle<SqliteStore>,
}

/// Command to the ledger thread. The driver sends one command at a time.
#[derive(Debug)]
enum LedgerCommand {
    Commit(Arc<[Event]>, oneshot::Sender<Result<(), LedgerError>>),
    Load(usize, oneshot::Sender<Result<Loaded, LedgerError>>),
    Owners(Vec<TaskId>, oneshot::Sender<Result<Vec<Option<TaskOwner>>, LedgerError>>),
}

impl SqliteLedger {
    /// Moves the file to a new thread that hands out every unfinished job.
    pub fn start(file: SqliteStore) -> Result<Self, LedgerError> {
        let path = file.path().to_owned();
        Self::start_journal(path, EventWriter::new(file)?)
    }

    /// Moves the file to a new thread that hands out only the jobs that were [reopened](SqliteStore::reopen) last.
    pub fn start_chosen(file: SqliteStore) -> Result<Self, LedgerError> {
        let path = file.path().to_owned();
        Self::start_journal(path, EventWriter::of_chosen(file)?)
    }

    fn start_journal(path: PathBuf, mut journal: EventWriter) -> Result<Self, LedgerError> {
        let (orders, mut inbox) = mpsc::unbounded_channel();
        let work = move || {
            while let Some(order) = inbox.blocking_recv() {
                // Replies fail only after the driver was dropped; committed events stay committed.
                match order {
                    LedgerCommand::Commit(events, reply) => drop(reply.send(journal.commit(&events))),
                    LedgerCommand::Load(max, reply) => drop(reply.send(journal.load(max))),
                    LedgerCommand::Owners(tasks, reply) => {
                        let owners = tasks.iter().map(|task| journal.owner(task)).collect();
                        drop(reply.send(owners));
                    }
                }
            }
            journal.into_file()
        };
        let thread = thread::Builder::new().name("ledger".into()).spawn(work);
        Ok(Self { orders, thread: thread.map_err(|source| LedgerError::Io { path, source })? })
    }

    /// Stops the thread and returns the file.
    pub fn close(self) -> Result<SqliteStore, LedgerError> {
        drop(self.orders);
        self.thread.join().map_err(|_| LedgerError::Gone)
    }

    fn ask<T: Send + 'static>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, LedgerError>>) -> LedgerCommand,
    ) -> BoxFuture<'_, Result<T, LedgerError>> {
        let (reply, answer) = oneshot::channel();
        let is_sent = self.orders.send(order(reply)).is_ok();
        async move { if is_sent { answer.await.unwrap_or(Err(LedgerError::Gone)) } else { Err(LedgerError::Gone) } }
            .boxed()
    }
}

impl Ledger for SqliteLedger {
    fn commit(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.ask(|reply| LedgerCommand::Commit(events, reply))
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        self.ask(|reply| LedgerCommand::Load(max, reply))
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        self.ask(|reply| LedgerCommand::Owners(tasks, reply))
    }
}

#[cfg(test)]
mod full;
#[cfg(all(test, unix))]
mod refusals;
#[cfg(test)]
mod tests;
