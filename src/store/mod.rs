//! Ledger: the durable state of a run.
//!
//! An event that is not recorded here has not happened.
//!
//! Only [`record`] creates a [`Recorded`], and the driver performs nothing else. Acting before recording therefore does not
//! compile. There are two ledgers: [`sqlite`] for every run, and [`memory`] for simulations.

pub mod error;
mod format;
pub mod memory;
pub mod sqlite;
mod style;

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::outcome::TaskId;
use crate::model::phase::JobRecord;
use crate::store::error::LedgerError;

/// Operations that the driver needs from a ledger.
pub trait Ledger: Send {
    /// Records all of these events or none, and returns when they are durable.
    fn commit(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Hands out at most `max` jobs that were not handed out before. Unfinished jobs come first, then pending jobs in manifest
    /// order.
    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>>;

    /// Finds the job that owns each task, in the order of `tasks`. `None` means that no recorded submission became the task.
    /// Every submission that was ever accepted counts, including lost tasks and jobs that left the manifest.
    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>>;
}

/// Owner of a task: the job whose submission became the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskOwner {
    /// Id of the job.
    pub job: JobId,
    /// Index of the job in the manifest, from 1; `None` if the job is no longer in the manifest.
    pub index: Option<u64>,
}

/// Page of jobs, returned by one load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// Jobs of the page, each with its current state.
    pub jobs: Vec<JobRecord>,
    /// Says whether more jobs may follow.
    pub more: bool,
}

/// Action that is allowed, because its cause is recorded.
#[derive(Debug)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// Returns the allowed action.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Records the events of a turn, and then releases the action that follows from them.
pub async fn record<T>(ledger: &mut dyn Ledger, events: &Arc<[Event]>, then: T) -> Result<Recorded<T>, LedgerError> {
    if !events.is_empty() {
        ledger.commit(events.clone()).await?;
    }
    Ok(Recorded(then))
}
