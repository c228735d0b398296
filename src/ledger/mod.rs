//! The durable state of a run. What is not recorded here has not happened.
//!
//! [`record`] is the only way to make a [`Recorded`], and the driver performs nothing else: acting before recording does
//! not compile. There are two ledgers: [`sqlite`] for every run, [`memory`] for simulations.

pub mod error;
mod format;
pub mod memory;
pub mod sqlite;
mod style;

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::ledger::error::LedgerError;
use crate::model::event::Event;
use crate::model::job::JobId;
use crate::model::outcome::TaskId;
use crate::model::phase::Known;

/// What the driver needs of a ledger.
pub trait Ledger: Send {
    /// Records these events, all or none, and answers when they are durable.
    fn commit(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Hands out at most `max` jobs that were not handed out before: unfinished ones first, then pending ones in
    /// manifest order.
    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>>;

    /// Says which job each of these tasks belongs to, in their order; `None` for a task that no submission on record became. Every
    /// submission counts that was ever accepted: also of tasks that were lost, and of jobs that left the manifest.
    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<Owner>>, LedgerError>>;
}

/// The job that a task belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The job.
    pub job: JobId,
    /// Its place in the manifest; `None` if it is no longer there.
    pub index: Option<u64>,
}

/// A page of jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The jobs, each with where it stands.
    pub jobs: Vec<Known>,
    /// Whether there may be more.
    pub more: bool,
}

/// Something that may be done, because what led to it is recorded.
#[derive(Debug)]
pub struct Recorded<T>(T);

impl<T> Recorded<T> {
    /// What may be done.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Records the events of a turn and releases what follows from them.
pub async fn record<T>(ledger: &mut dyn Ledger, events: &Arc<[Event]>, then: T) -> Result<Recorded<T>, LedgerError> {
    if !events.is_empty() {
        ledger.commit(events.clone()).await?;
    }
    Ok(Recorded(then))
}
