//! Ledger of a shared run, as the driver of one worker uses it.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::model::more::More;
use crate::model::outcome::TaskId;
use crate::model::phase::{JobState, Phase};
use crate::model::shared_rate::{Reservation, ReserveRequest};
use crate::model::time::Moment;
use crate::store::error::LedgerError;
use crate::store::lease::Lease;
use crate::store::shared::backend::{
    BlockNumber, Outlook, SharedBackend, SharedCommit, SharedFlags, SharedJob, Testimony, WorkerId, WorkerProfile,
};
use crate::store::shared::cost::CostTotals;
use crate::store::shared::held::{Folded, HeldJobs};
use crate::store::shared::keeper;
use crate::store::shared::link::Link;
use crate::store::shared::options::{ReadClock, SharedOptions};
use crate::store::shared::outbox::Outbox;
use crate::store::shared::recent_testimonies::RecentTestimonies;
use crate::store::shared::reserve;
use crate::store::totals::Totals;
use crate::store::{Ledger, Loaded, RunRequest, TaskOwner};

/// Jobs of a block, as long as none was loaded.
const BLOCK_JOBS: usize = 64;

/// Shortest wait before blocks are asked for again.
const ASKED_AGAIN_MIN: Duration = Duration::from_millis(100);

/// Longest wait of a worker for its last call, when it leaves.
const LEAVING_MAX: Duration = Duration::from_secs(10);

/// Ledger of a shared run, for one worker. It ends with the session of the worker, whatever ends that.
pub struct SharedLedger<B: SharedBackend + ?Sized + 'static> {
    link: Arc<Link<B>>,
    outbox: Arc<Mutex<Outbox>>,
    held: HeldJobs,
    testimonies: Arc<RecentTestimonies>,
    keeper: AbortHandle,
    /// Jobs of the largest block so far.
    block_jobs: usize,
}

impl<B: SharedBackend + ?Sized> std::fmt::Debug for SharedLedger<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedLedger").field("worker", &self.link.worker).finish_non_exhaustive()
    }
}

impl<B: SharedBackend + ?Sized> Drop for SharedLedger<B> {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl<B: SharedBackend + ?Sized> SharedLedger<B> {
    /// Joins a run as a new worker. Needs a runtime, on which the worker is renewed until the ledger is dropped. `testimonies` are those of
    /// earlier workers of this process.
    pub async fn join(
        backend: Arc<B>,
        worker: (WorkerId, WorkerProfile),
        testimonies: Arc<RecentTestimonies>,
        options: SharedOptions,
        clock: ReadClock,
    ) -> Result<Self, LedgerError> {
        let link = Arc::new(Link::new(backend, worker, options, clock));
        let outbox = Arc::default();
        let mut sent_at = link.now();
        link.call(|backend| {
            sent_at = link.now();
            backend.join(link.worker, &link.profile)
        })
        .await?;
        link.written(sent_at);
        let known = (Arc::clone(&outbox), Arc::clone(&testimonies));
        let keeper = tokio::spawn(keeper::keep(Arc::clone(&link), known)).abort_handle();
        let held = HeldJobs::at(link.options.price.clone());
        Ok(Self { link, outbox, held, testimonies, keeper, block_jobs: BLOCK_JOBS })
    }

    /// Ends the session: other workers may claim what is left at once. Without an answer in time, they take it over later.
    pub async fn leave(self) -> Result<(), LedgerError> {
        let link = Arc::clone(&self.link);
        let leave = async {
            self.outbox.lock().await.flush(&link).await?;
            link.call(|backend| backend.leave(link.worker, Duration::ZERO)).await
        };
        tokio::time::timeout(LEAVING_MAX, leave).await.unwrap_or(Ok(()))
    }

    async fn record_all(&mut self, events: Arc<[Event]>) -> Result<(), LedgerError> {
        let folded = self.held.fold(&events).map_err(|job| self.not_held(job))?;
        let Folded { jobs, blocks_done, totals, cost } = folded;
        let commit = SharedCommit { events, jobs: jobs.clone(), blocks_done, totals, cost };
        let written = self.outbox.lock().await.commit(&self.link, commit).await;
        match written {
            Ok(()) => {
                self.held.apply(jobs);
                Ok(())
            }
            Err(error) => Err(self.give_evidence(error).await),
        }
    }

    fn not_held(&self, job: JobId) -> LedgerError {
        let what = format!("job {job} is not under way here");
        LedgerError::Damaged { path: self.link.options.location.clone(), what }
    }

    /// Leaves testimony about what this worker knows and could not record, if other workers have its jobs.
    async fn give_evidence(&self, error: LedgerError) -> LedgerError {
        if !matches!(error, LedgerError::Fenced { .. } | LedgerError::Forgotten { .. }) {
            return error;
        }
        let link = &self.link;
        let evidence = self.evidence().await;
        let told = async {
            self.leave_testimonies(&evidence).await?;
            // The blocks that are left rest, so that the answers under way can be testified too.
            link.call(|backend| backend.leave(link.worker, link.options.ttl)).await
        };
        told.await.err().unwrap_or(error)
    }

    /// Returns what other workers cannot know of this one's submissions. What they know, and the server may forget, is kept.
    async fn evidence(&self) -> Vec<(i64, Testimony)> {
        let outbox = self.outbox.lock().await;
        self.testimonies.keep(self.link.now(), outbox.written_evidence());
        outbox.evidence()
    }

    /// Leaves testimonies, and keeps them. Their time counts anew from the answer, which may take long.
    async fn leave_testimonies(&self, testimonies: &[(i64, Testimony)]) -> Result<(), LedgerError> {
        self.testimonies.keep(self.link.now(), testimonies.iter().cloned());
        self.link.call(|backend| backend.testify(self.link.worker, testimonies)).await?;
        self.testimonies.keep(self.link.now(), testimonies.iter().cloned());
        Ok(())
    }

    /// Marks blocks as done in which no event is to be recorded.
    async fn finish(&self, blocks_done: Vec<BlockNumber>) -> Result<(), LedgerError> {
        if blocks_done.is_empty() {
            return Ok(());
        }
        let (totals, cost) = (Totals::default(), CostTotals::default());
        let commit = SharedCommit { events: Arc::new([]), jobs: vec![], blocks_done, totals, cost };
        self.outbox.lock().await.commit(&self.link, commit).await
    }

    /// Claims blocks until `max` jobs can be handed out. Returns whether no more can be claimed.
    async fn fill(&mut self, max: usize) -> Result<bool, LedgerError> {
        while self.held.n_queued() < max {
            let n_blocks = (max - self.held.n_queued()).div_ceil(self.block_jobs);
            let blocks = self.outbox.lock().await.claim(&self.link, n_blocks).await?;
            if blocks.is_empty() {
                return Ok(true);
            }
            // Living workers may still have to send again what the server has forgotten, or to testify.
            sleep(self.link.settles_in()).await;
            let jobs = self.link.call(|backend| backend.load(&blocks)).await?;
            self.take_in(&blocks, jobs).await?;
        }
        Ok(false)
    }

    /// Takes the jobs of claimed blocks. A testimony settles the doubt about a submission before the job is handed out.
    async fn take_in(&mut self, blocks: &[BlockNumber], jobs: Vec<SharedJob>) -> Result<(), LedgerError> {
        let mut n_jobs = std::collections::BTreeMap::new();
        let at = self.link.now().wall();
        let mut events = vec![];
        for SharedJob { block, record, testimonies, .. } in &jobs {
            let n = n_jobs.entry(*block).or_insert(0);
            *n += 1;
            self.block_jobs = self.block_jobs.max(*n);
            let event = |kind| Event { job: record.job.id, index: record.job.index, at, kind };
            events.extend(settled(&record.state, testimonies).into_iter().map(event));
        }
        let done = self.held.add(blocks, jobs);
        self.finish(done).await?;
        if !events.is_empty() {
            self.record_all(events.into()).await?;
        }
        Ok(())
    }

    async fn load_page(&mut self, max: usize) -> Result<Loaded, LedgerError> {
        let is_exhausted = self.fill(max).await?;
        let jobs = self.held.hand_out(max);
        let more = if is_exhausted && self.held.n_queued() == 0 { self.outlook().await? } else { More::Now };
        Ok(Loaded { jobs, more })
    }

    async fn outlook(&self) -> Result<More, LedgerError> {
        let often = self.link.options.renewed_every();
        Ok(match self.link.call(|backend| backend.outlook()).await? {
            Outlook::Done => More::Done,
            Outlook::Free => More::Later(ASKED_AGAIN_MIN),
            Outlook::Resting(wait) => More::Later(wait.clamp(ASKED_AGAIN_MIN, often)),
            Outlook::Owned => More::Later(often),
        })
    }
}

/// Returns the events that a testimony proves for a job in this state: the acceptance of its last submission, or of one whose record the
/// server has forgotten.
fn settled(state: &JobState, testimonies: &[Testimony]) -> Vec<EventKind> {
    let of = |n_submits| testimonies.iter().find(|testimony| testimony.n_submits == n_submits);
    match state.phase {
        Phase::Submitting => of(state.n_submits).map(|found| vec![EventKind::Accepted(found.task.clone())]),
        Phase::Pending => {
            of(state.n_submits + 1).map(|found| vec![EventKind::SubmitStarted, EventKind::Accepted(found.task.clone())])
        }
        Phase::Running(_) | Phase::Downloading(_) | Phase::Finished(_) => None,
    }
    .unwrap_or_default()
}

impl<B: SharedBackend + ?Sized> Ledger for SharedLedger<B> {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.record_all(events).boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        self.load_page(max).boxed()
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        async move { self.link.call(|backend| backend.owners(&tasks)).await }.boxed()
    }

    fn lease(&self, decided_at: Moment) -> Lease {
        self.link.lease_from(decided_at)
    }

    fn reserve(&self, request: ReserveRequest) -> BoxFuture<'static, Option<Reservation>> {
        let link = Arc::clone(&self.link);
        let n = link.next_request();
        async move { reserve::reserve(&link, n, request).await }.boxed()
    }

    fn set_aside(&mut self) -> BoxFuture<'_, Result<(), LedgerError>> {
        let done = self.held.set_aside();
        async move { self.finish(done).await }.boxed()
    }

    fn take_requests(&mut self) -> Result<Vec<RunRequest>, LedgerError> {
        if self.link.is_fenced() { Err(self.link.fenced()) } else { Ok(self.link.take_requests()) }
    }

    fn request(&mut self, request: RunRequest) -> BoxFuture<'_, Result<(), LedgerError>> {
        let flags = match request {
            RunRequest::Places(max) => {
                return async move { self.link.call(|backend| backend.share_places(max)).await.map(drop) }.boxed();
            }
            RunRequest::Rate(rate) => {
                return async move { self.link.call(|backend| backend.share_rate(rate)).await.map(drop) }.boxed();
            }
            RunRequest::CostMax(max) => {
                return async move { self.link.call(|backend| backend.share_cost_max(max)).await.map(drop) }.boxed();
            }
            // Nobody else has forgotten it.
            RunRequest::Forgotten => return ready(Ok(())).boxed(),
            RunRequest::Hold(span) => SharedFlags { hold_for: Some(span), ..SharedFlags::default() },
            RunRequest::Stop(why) => SharedFlags { stop: Some(why), ..SharedFlags::default() },
        };
        async move { self.link.call(|backend| backend.raise(&flags)).await }.boxed()
    }

    fn testify(&mut self, accepted: Vec<(JobId, TaskId)>) -> BoxFuture<'_, Result<(), LedgerError>> {
        let is_first = accepted.is_empty();
        let known = accepted.into_iter().filter_map(|(job, task)| {
            let (row, n_submits) = self.held.find(job)?;
            Some((row, Testimony { n_submits, task }))
        });
        let mut testimonies: Vec<_> = known.collect();
        async move {
            if is_first {
                testimonies = self.evidence().await;
            }
            self.leave_testimonies(&testimonies).await
        }
        .boxed()
    }
}
