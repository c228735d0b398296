//! Ledger on its own thread, with one commit per turn.
//!
//! While the driver waits for a commit, answers of the provider queue up. One fsync then serves all of them: group commit
//! without a timer.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::model::event::Event;
use crate::model::outcome::TaskId;
use crate::store::error::LedgerError;
use crate::store::sqlite::database::Database;
use crate::store::sqlite::event_writer::EventWriter;
use crate::store::{JobScope, Ledger, Loaded, TaskOwner};

/// Database of a run on its own thread.
#[derive(Debug)]
pub(super) struct SqliteLedger {
    commands: mpsc::UnboundedSender<LedgerCommand>,
    thread: JoinHandle<Database>,
}

/// Command to the ledger thread. The driver sends one command at a time.
#[derive(Debug)]
enum LedgerCommand {
    Record(Arc<[Event]>, oneshot::Sender<Result<(), LedgerError>>),
    Load(usize, oneshot::Sender<Result<Loaded, LedgerError>>),
    Owners(Vec<TaskId>, oneshot::Sender<Result<Vec<Option<TaskOwner>>, LedgerError>>),
}

impl SqliteLedger {
    /// Moves the database to a new thread that hands out the jobs of this scope.
    pub(super) fn start(database: Database, scope: JobScope) -> Result<Self, LedgerError> {
        let path = database.path().to_owned();
        let mut writer = EventWriter::new(database, scope)?;
        let (commands, mut inbox) = mpsc::unbounded_channel();
        let work = move || {
            while let Some(command) = inbox.blocking_recv() {
                // Replies fail only after the driver was dropped; committed events stay committed.
                match command {
                    LedgerCommand::Record(events, reply) => drop(reply.send(writer.commit(&events))),
                    LedgerCommand::Load(max, reply) => drop(reply.send(writer.load(max))),
                    LedgerCommand::Owners(tasks, reply) => {
                        let owners = tasks.iter().map(|task| writer.owner(task)).collect();
                        drop(reply.send(owners));
                    }
                }
            }
            writer.into_database()
        };
        let thread = thread::Builder::new().name("ledger".into()).spawn(work);
        Ok(Self { commands, thread: thread.map_err(|source| LedgerError::Io { path, source })? })
    }

    /// Stops the thread and returns the database.
    pub(super) fn into_database(self) -> Result<Database, LedgerError> {
        drop(self.commands);
        self.thread.join().map_err(|_| LedgerError::WriterStopped)
    }

    fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, LedgerError>>) -> LedgerCommand,
    ) -> BoxFuture<'_, Result<T, LedgerError>> {
        let (reply, answer) = oneshot::channel();
        let is_sent = self.commands.send(command(reply)).is_ok();
        let stopped = || Err(LedgerError::WriterStopped);
        async move { if is_sent { answer.await.unwrap_or_else(|_| stopped()) } else { stopped() } }.boxed()
    }
}

impl Ledger for SqliteLedger {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.ask(|reply| LedgerCommand::Record(events, reply))
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        self.ask(|reply| LedgerCommand::Load(max, reply))
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        self.ask(|reply| LedgerCommand::Owners(tasks, reply))
    }
}
