//! Ledger in memory, as the driver uses it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::model::event::{Event, Redo};
use crate::model::job::{Job, JobId};
use crate::model::outcome::TaskId;
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;
use crate::store::error::LedgerError;
use crate::store::memory::content::Content;
use crate::store::memory::shared::SharedContent;
use crate::store::{JobSet, Ledger, Loaded, TaskOwner};

/// Ledger in memory. [`MemoryLedger::session`] starts as a new process would.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger {
    shared: SharedContent,
    /// Jobs that may be handed out; `None` for all.
    selected: Option<BTreeSet<JobId>>,
    handed_out: BTreeSet<JobId>,
}

impl MemoryLedger {
    /// Creates a ledger of these jobs, all pending.
    pub fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self::at(SharedContent::new(Content::of_jobs(jobs)), None)
    }

    /// Opens the ledger with this content: no job is handed out yet. Only these jobs will be; `None` selects all.
    pub(super) fn at(shared: SharedContent, selected: Option<BTreeSet<JobId>>) -> Self {
        Self { shared, selected, handed_out: BTreeSet::new() }
    }

    /// Opens the same ledger as another process would: no job is handed out yet.
    #[must_use]
    pub fn session(&self) -> Self {
        Self::at(self.shared.clone(), None)
    }

    /// Returns every job with its current state, in manifest order.
    pub fn known(&self) -> Vec<JobRecord> {
        self.shared.content().jobs_of(JobSet::InManifest).into_iter().cloned().collect()
    }

    /// Returns every recorded event, in the order of recording.
    pub fn events(&self) -> Vec<Event> {
        self.shared.content().events.clone()
    }

    /// Has these jobs made again, as a process would before it drives them.
    pub fn redo(&self, at: Timestamp, jobs: &[(JobId, Redo)]) -> u64 {
        self.shared.content().redo(at, jobs)
    }

    fn record_now(&self, events: &[Event]) -> Result<(), LedgerError> {
        let mut content = self.shared.content();
        let is_under_way = |event: &&Event| {
            let record = content.job(event.job).filter(|_| self.handed_out.contains(&event.job));
            record.is_some_and(|record| !matches!(record.state.phase, Phase::Finished(_)))
        };
        if let Some(event) = events.iter().find(|event| !is_under_way(event)) {
            let what = format!("job {} is not under way", event.job);
            return Err(LedgerError::Damaged { path: "memory".into(), what });
        }
        content.record(events);
        Ok(())
    }

    fn load_now(&mut self, max: usize) -> Loaded {
        let loaded = self.shared.content().load(&self.handed_out, self.selected.as_ref(), max);
        self.handed_out.extend(loaded.jobs.iter().map(|record| record.job.id));
        loaded
    }
}

impl Ledger for MemoryLedger {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        ready(self.record_now(&events)).boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        ready(Ok(self.load_now(max))).boxed()
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        let content = self.shared.content();
        let owners = tasks.iter().map(|task| content.owner(task)).collect();
        ready(Ok(owners)).boxed()
    }
}
