//! What an engine knows: jobs in memory and their queues, the pace, the evidence, and what the run has spent.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::engine::elsewhere::Elsewhere;
use crate::engine::fifo::FifoDetector;
use crate::engine::image_hosts::ImageHosts;
use crate::engine::job_limit::JobLimit;
use crate::engine::lane::Lane;
use crate::engine::listening::{AwakeClock, EvidenceTime};
use crate::engine::loading::Loading;
use crate::engine::lost_submissions::LostSubmissions;
use crate::engine::model_quotas::ModelQuotas;
use crate::engine::refusals::RefusalStreak;
use crate::engine::resubmit_limiter::ResubmitLimiter;
use crate::engine::retry::{Backoff, RetryPolicy};
use crate::engine::schedule::Schedule;
use crate::engine::spending::Spending;
use crate::engine::submit_permit::SubmitPermit;
use crate::engine::tracked::Tracked;
use crate::engine::turn::StopReason;
use crate::model::event::{Event, EventKind};
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::outcome::{Fault, TaskId};
use crate::model::time::Moment;

/// What an engine knows. Its methods are in one file per concern, and the engine calls them.
#[derive(Debug)]
pub(super) struct EngineState {
    pub(super) limits: Limits,
    pub(super) lane: Lane,
    pub(super) schedule: Schedule,
    pub(super) fifo: FifoDetector,
    pub(super) retry: RetryPolicy,
    /// Time in which this process was running.
    pub(super) awake: AwakeClock,
    /// Time between consecutive answers of the provider, without a failed request in between.
    pub(super) listening: EvidenceTime,
    /// Refusals since the last success.
    pub(super) refusals: RefusalStreak,
    pub(super) brake: ResubmitLimiter,
    /// Submissions whose answer is lost, if the provider can be asked about them.
    pub(super) lost: LostSubmissions,
    /// Jobs whose task may be lost at present.
    pub(super) suspects: BTreeSet<JobId>,
    /// Owner of each task id, for jobs in memory.
    pub(super) owners: HashMap<TaskId, JobId>,
    /// Consecutive polls refused for the token, with no answer of another kind in between.
    pub(super) n_polls_unauthorized: u32,
    /// Says whether any process of this run has had a submission accepted.
    pub(super) has_accepted: bool,
    /// Says whether this process has had a submission accepted.
    pub(super) has_accepted_here: bool,
    pub(super) jobs: BTreeMap<JobId, Tracked>,
    /// Jobs ready for submission, in manifest order.
    pub(super) to_submit: VecDeque<JobId>,
    /// Jobs in backoff before their next submission, with the end of the backoff.
    pub(super) to_submit_later: BTreeSet<(Moment, JobId)>,
    /// Jobs whose images can be downloaded, by host.
    pub(super) images: ImageHosts,
    /// Events since the last turn.
    pub(super) events: Vec<Event>,
    pub(super) loading: Loading,
    /// Says whether every job that an earlier process left unfinished is loaded.
    pub(super) is_past_known: bool,
    pub(super) stop: Option<StopReason>,
    /// Moment from which only the answers under way are awaited; `None` without such a stop.
    pub(super) stopped_at: Option<Moment>,
    /// Fault that the next submission would meet: the provider reported a used-up quota.
    pub(super) spent: Option<Fault>,
    /// Models whose own quota ends, and their jobs.
    pub(super) model_quotas: ModelQuotas,
    /// Counts of the engines of other providers.
    pub(super) elsewhere: Elsewhere,
    pub(super) n_failures: u64,
    /// Finished jobs, including failed ones.
    pub(super) n_ended: u64,
    /// Tasks in flight that the provider reports as queued.
    pub(super) n_queued: usize,
    /// Acceptance time of the most recently accepted task.
    pub(super) last_accepted_at: Option<Moment>,
    /// Time of the first turn; `None` before it.
    pub(super) begun_at: Option<Moment>,
    /// Submissions left in the quota, as the provider last reported.
    pub(super) quota_left: Option<u64>,
    pub(super) spending: Spending,
    /// Share of the batch that this process works on.
    pub(super) part: JobLimit,
    /// Moment after which nothing more is submitted; `None` means no limit.
    pub(super) ends_at: Option<Moment>,
}

impl EngineState {
    /// Creates the state of an engine without jobs.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            lane: Lane::new(&limits),
            schedule: Schedule::new(limits.seed, limits.task_timeout),
            fifo: FifoDetector::default(),
            awake: AwakeClock::default(),
            listening: EvidenceTime::default(),
            refusals: RefusalStreak::default(),
            brake: ResubmitLimiter::new(Backoff::new(limits.seed ^ 0xb4)),
            suspects: BTreeSet::new(),
            lost: LostSubmissions::default(),
            owners: HashMap::new(),
            n_polls_unauthorized: 0,
            has_accepted: false,
            has_accepted_here: false,
            retry: RetryPolicy::new(&limits),
            spending: Spending::new(&limits),
            part: JobLimit::new(limits.jobs_max),
            images: ImageHosts::new(&limits),
            model_quotas: ModelQuotas::new(&limits),
            limits,
            jobs: BTreeMap::new(),
            to_submit: VecDeque::new(),
            to_submit_later: BTreeSet::new(),
            events: Vec::new(),
            loading: Loading::More,
            is_past_known: false,
            stop: None,
            stopped_at: None,
            spent: None,
            elsewhere: Elsewhere::default(),
            n_failures: 0,
            n_ended: 0,
            n_queued: 0,
            last_accepted_at: None,
            begun_at: None,
            quota_left: None,
            ends_at: None,
        }
    }

    /// Records an event and folds it into the job's state, with the same function that the ledger uses.
    pub(super) fn emit(&mut self, now: Moment, id: JobId, kind: EventKind) {
        let tracked = self.tracked(id);
        let at = now.wall();
        tracked.state.apply(at, &kind);
        let index = tracked.job.index;
        self.events.push(Event { job: id, index, at, kind });
    }

    pub(super) fn ticket(&mut self, id: JobId) -> SubmitPermit {
        self.tracked(id).ticket.take().expect("a submission that is answered has left")
    }

    pub(super) fn tracked(&mut self, id: JobId) -> &mut Tracked {
        self.jobs.get_mut(&id).expect("answers come only for jobs in memory")
    }

    /// Records whether the provider last reported a task in flight as queued.
    pub(super) fn queue(&mut self, id: JobId, is_queued: bool) {
        let tracked = self.tracked(id);
        let before = std::mem::replace(&mut tracked.is_queued, is_queued && tracked.is_in_flight);
        let after = tracked.is_queued;
        self.n_queued = self.n_queued + usize::from(after) - usize::from(before);
    }

    /// Frees the slot of a job's task at the provider, if the task holds one.
    pub(super) fn task_ended(&mut self, id: JobId) {
        if std::mem::take(&mut self.tracked(id).is_in_flight) {
            self.queue(id, false);
            self.lane.task_ended();
        }
    }
}
