//! Session of a run in memory: the ledger as the driver uses it, together with its run.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::model::event::Event;
use crate::model::outcome::TaskId;
use crate::store::error::LedgerError;
use crate::store::memory::ledger::MemoryLedger;
use crate::store::{Ledger, LedgerSession, Loaded, RunWriter, TaskOwner};

/// Run in memory that is being driven. The lock stays with its run.
pub(super) struct MemorySession {
    pub ledger: MemoryLedger,
    pub run: Box<dyn RunWriter>,
}

impl Ledger for MemorySession {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.ledger.record(events)
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        self.ledger.load(max)
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        self.ledger.owners(tasks)
    }
}

impl LedgerSession for MemorySession {
    fn close(self: Box<Self>) -> Result<Box<dyn RunWriter>, LedgerError> {
        Ok(self.run)
    }
}
