//! In-memory ledger for simulations: outlives the driver, as a file outlives a process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use crate::model::event::{Event, EventKind};
use crate::model::job::{Job, JobId};
use crate::model::outcome::TaskId;
use crate::model::phase::{JobRecord, Phase};
use crate::store::error::LedgerError;
use crate::store::{Ledger, Loaded, TaskOwner};

/// In-memory ledger. Clones share one content; [`MemoryLedger::session`] starts as a new process would.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger {
    content: Arc<Mutex<MemoryContent>>,
    handed_out: BTreeSet<JobId>,
}

#[derive(Debug, Default)]
struct MemoryContent {
    jobs: BTreeMap<JobId, JobRecord>,
    events: Vec<Event>,
    owners: BTreeMap<TaskId, TaskOwner>,
}

impl MemoryLedger {
    /// Creates a ledger of these jobs, all pending.
    pub fn new(jobs: impl IntoIterator<Item = Job>) -> Self {
        let known = jobs.into_iter().map(|job| (job.id, JobRecord { job: Arc::new(job), state: <_>::default() }));
        let content = MemoryContent { jobs: known.collect(), ..MemoryContent::default() };
        Self { content: Arc::new(Mutex::new(content)), handed_out: BTreeSet::new() }
    }

    /// Opens the same ledger as another process would: no job is handed out yet.
    #[must_use]
    pub fn session(&self) -> Self {
        Self { content: self.content.clone(), handed_out: BTreeSet::new() }
    }

    /// Returns every job with its current state, in manifest order.
    pub fn known(&self) -> Vec<JobRecord> {
        let mut known: Vec<_> = self.content().jobs.values().cloned().collect();
        known.sort_by_key(|known| known.job.index);
        known
    }

    /// Returns every recorded event, in the order of recording.
    pub fn events(&self) -> Vec<Event> {
        self.content().events.clone()
    }

    fn content(&self) -> MutexGuard<'_, MemoryContent> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit_now(&self, events: &[Event]) {
        let mut content = self.content();
        for event in events {
            let known = content.jobs.get_mut(&event.job).expect("events are of jobs that were handed out");
            known.state.apply(event.at, &event.kind);
            content.events.push(event.clone());
            if let EventKind::Accepted(task) = &event.kind {
                let owner = TaskOwner { job: event.job, index: Some(event.index) };
                content.owners.entry(task.clone()).or_insert(owner);
            }
        }
    }

    fn load_now(&mut self, max: usize) -> Loaded {
        let content = self.content.clone();
        let content = content.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |known: &&JobRecord| {
            !matches!(known.state.phase, Phase::Finished(_)) && !self.handed_out.contains(&known.job.id)
        };
        let mut open: Vec<_> = content.jobs.values().filter(is_open).collect();
        open.sort_by_key(|known| (known.state.phase == Phase::Pending, known.job.index));
        let more = open.len() > max;
        let jobs: Vec<_> = open.into_iter().take(max).cloned().collect();
        self.handed_out.extend(jobs.iter().map(|known| known.job.id));
        Loaded { jobs, more }
    }
}

impl Ledger for MemoryLedger {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.commit_now(&events);
        ready(Ok(())).boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        let loaded = self.load_now(max);
        ready(Ok(loaded)).boxed()
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        let content = self.content();
        let owners = tasks.iter().map(|task| content.owners.get(task).copied()).collect();
        ready(Ok(owners)).boxed()
    }
}
