//! Deterministic state machine that decides what a run does next: no tokio, no clock, no files, no requests.
//!
//! The driver passes results in ([`Engine::handle`]) and requests the next work ([`Engine::turn`]). Both calls receive the time. The
//! engine holds the jobs in flight and a small look-ahead. All others stay in the ledger until they are loaded. Each concern has its file:
//!
//! - [`lane`], [`pacer`] and `dispatch`: budgets of one provider's API, the gate of one kind of request, and what leaves now.
//! - [`configured_rate`] and `reserved_rate`: configured limits, of one process and of several together. `limit_learner`: hidden ones, at
//!   the start ([`limit_search`], [`limit_posterior`], [`submission_order`]) and later ([`adaptive_limiter`], `concurrency_window`,
//!   `estimated_rate`, `detection_lag`, `refusal_cause`, `random_refusals`, `throughput_probe`).
//! - `quota_hint`, `model_quotas`, [`spending`] and `job_limit`: quotas of the account and of single models, the user's cost limit and job
//!   limit.
//! - `image_hosts`, `downloads` and `download_concurrency`: hosts that images come from, the order of downloads, and how many at a time.
//! - [`schedule`], `fifo` and `listening`: poll times and task durations, queues at the provider, and time that counts as evidence.
//! - [`retry`], `failures`, `refusals` and `resubmit_limiter`: verdicts on faults, their consequences, shared refusals, and mass resubmission.
//! - [`fleet`] and `elsewhere`: the engines of several providers as one, and what they share.
//! - `acceptance`: accepted submissions, and what they cost.
//! - `loading`: requests to the ledger for further jobs.
//! - `recovery`, `lost`, `unsent`, `shutdown` and `snapshot`: jobs of an earlier process, submissions whose answer is lost or that were not
//!   sent, the end of a run, and the progress snapshot.

mod acceptance;
pub(crate) mod adaptive_limiter;
mod concurrency_window;
pub(crate) mod configured_rate;
mod detection_lag;
mod dispatch;
mod download_concurrency;
mod downloads;
mod elsewhere;
mod estimated_rate;
mod failures;
mod fifo;
pub(crate) mod fleet;
mod image_hosts;
mod job_limit;
pub(crate) mod lane;
mod limit_learner;
pub(crate) mod limit_posterior;
pub(crate) mod limit_search;
mod listening;
mod loading;
mod lost;
mod model_quotas;
pub(crate) mod pacer;
mod quota_hint;
mod random_refusals;
mod recovery;
mod refusal_cause;
mod refusals;
mod reserved_rate;
mod resubmit_limiter;
pub(crate) mod retry;
pub(crate) mod schedule;
mod shutdown;
mod snapshot;
pub(crate) mod spending;
pub(crate) mod submission_order;
pub(crate) mod submit_permit;
mod throughput_probe;
mod tracked;
pub(crate) mod turn;
mod unsent;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::engine::dispatch::sooner;
use crate::engine::elsewhere::Elsewhere;
use crate::engine::fifo::FifoDetector;
use crate::engine::image_hosts::ImageHosts;
use crate::engine::job_limit::JobLimit;
use crate::engine::lane::Lane;
use crate::engine::listening::{AwakeClock, EvidenceTime};
use crate::engine::loading::Loading;
use crate::engine::lost::LostSubmissions;
use crate::engine::model_quotas::ModelQuotas;
use crate::engine::refusals::RefusalStreak;
use crate::engine::resubmit_limiter::{ResubmitLimiter, TrialEvidence};
use crate::engine::retry::{Backoff, RetryPolicy};
use crate::engine::schedule::Schedule;
use crate::engine::spending::Spending;
use crate::engine::submit_permit::SubmitPermit;
use crate::engine::tracked::Tracked;
use crate::engine::turn::{Input, StopReason, Turn};
use crate::model::event::{Event, EventKind, Stage};
use crate::model::history::History;
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::more::More;
use crate::model::outcome::{Fault, FaultKind, Outcome, Status, TaskId};
use crate::model::phase::Phase;
use crate::model::time::Moment;

/// Decides what a run does next.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    lane: Lane,
    schedule: Schedule,
    fifo: FifoDetector,
    retry: RetryPolicy,
    /// Time in which this process was running.
    awake: AwakeClock,
    /// Time between consecutive answers of the provider, without a failed request in between.
    listening: EvidenceTime,
    /// Refusals since the last success.
    refusals: RefusalStreak,
    brake: ResubmitLimiter,
    /// Submissions whose answer is lost, if the provider can be asked about them.
    lost: LostSubmissions,
    /// Jobs whose task may be lost at present.
    suspects: BTreeSet<JobId>,
    /// Owner of each task id, for jobs in memory.
    owners: HashMap<TaskId, JobId>,
    /// Consecutive polls refused for the token, with no answer of another kind in between.
    n_polls_unauthorized: u32,
    /// Says whether any process of this run has had a submission accepted.
    has_accepted: bool,
    /// Says whether this process has had a submission accepted.
    has_accepted_here: bool,
    jobs: BTreeMap<JobId, Tracked>,
    /// Jobs ready for submission, in manifest order.
    to_submit: VecDeque<JobId>,
    /// Jobs in backoff before their next submission, with the end of the backoff.
    to_submit_later: BTreeSet<(Moment, JobId)>,
    /// Jobs whose images can be downloaded, by host.
    images: ImageHosts,
    /// Events since the last turn.
    events: Vec<Event>,
    loading: Loading,
    /// Says whether every job that an earlier process left unfinished is loaded.
    is_past_known: bool,
    stop: Option<StopReason>,
    /// Moment from which only the answers under way are awaited; `None` without such a stop.
    stopped_at: Option<Moment>,
    /// Fault that the next submission would meet: the provider reported a used-up quota.
    spent: Option<Fault>,
    /// Models whose own quota ends, and their jobs.
    model_quotas: ModelQuotas,
    /// Counts of the engines of other providers.
    elsewhere: Elsewhere,
    n_failures: u64,
    /// Finished jobs, including failed ones.
    n_ended: u64,
    /// Tasks in flight that the provider reports as queued.
    n_queued: usize,
    /// Acceptance time of the most recently accepted task.
    last_accepted_at: Option<Moment>,
    /// Time of the first turn; `None` before it.
    begun_at: Option<Moment>,
    /// Submissions left in the quota, as the provider last reported.
    quota_left: Option<u64>,
    spending: Spending,
    /// Share of the batch that this process works on.
    part: JobLimit,
    /// Moment after which nothing more is submitted; `None` means no limit.
    ends_at: Option<Moment>,
}

impl Engine {
    /// Creates an engine without jobs; its first turn requests some from the ledger.
    pub fn new(limits: Limits) -> Self {
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

    /// Applies the experience of earlier processes of the run. Call this before the first turn.
    pub fn remember(&mut self, now: Moment, history: &History) {
        self.has_accepted |= !history.tasks.is_empty();
        self.lane.remember(now, history);
        self.schedule.remember(now, history);
    }

    /// Processes a result or a request from the driver.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.awake.look(now);
        match input {
            Input::Loaded { jobs, more } => {
                self.loading = match more {
                    More::Now => Loading::More,
                    More::Later(wait) => Loading::Later { at: now + wait, was_idle: self.loading.was_idle() },
                    More::Done => Loading::Done,
                };
                // Jobs that an earlier process left come first, and pending jobs follow.
                self.is_past_known |= more != More::Now || jobs.iter().any(|known| known.state.phase == Phase::Pending);
                for known in jobs {
                    self.take_in(now, known);
                }
            }
            Input::Submitted(id, Ok(acceptance)) => match self.other_owner(id, &acceptance.task) {
                None => self.accepted(now, id, acceptance),
                Some(fault) => self.submit_failed(now, id, fault),
            },
            Input::Submitted(id, Err(fault)) => self.submit_failed(now, id, fault),
            Input::Unsent(id) => self.unsent(now, id),
            Input::Found(answers) => {
                for (id, answer) in answers {
                    self.found(now, id, answer);
                }
            }
            Input::Polled(answers) => {
                self.lane.poll_answered();
                for (id, answer) in answers {
                    self.polled(now, id, answer);
                }
            }
            Input::Downloaded(id, result) => {
                let urls = self.links(id).to_vec();
                self.images.ended(now, id, &urls, result.is_ok());
                self.downloaded(now, id, &urls, result);
            }
            // The job keeps its phase, for a run with a working disk.
            Input::Unsaved(id) => {
                let urls = self.links(id).to_vec();
                self.images.ended(now, id, &urls, false);
                self.stop_with(now, StopReason::Disk);
            }
            Input::Received(received) => self.images.received(now, received),
            Input::Hold(span) => self.lane.hold_submits(now, span),
            Input::Rate(rate) => self.lane.share_rate(rate),
            Input::Places(_) => self.lane.share_places(),
            Input::Reserved(answer) => self.lane.reserved(now, answer),
            Input::Stop(stop) => self.stop_with(now, stop),
        }
    }

    /// Returns what the driver has to record and to do now.
    pub fn turn(&mut self, now: Moment) -> Turn {
        self.awake.look(now);
        self.begun_at.get_or_insert(now);
        let mut actions = Vec::new();
        let mut wake_at = None;
        if self.stop.as_ref().is_none_or(StopReason::drains) {
            sooner(&mut wake_at, self.plan_downloads(now, &mut actions));
            sooner(&mut wake_at, self.plan_polls(now, &mut actions));
            sooner(&mut wake_at, self.plan_finds(now, &mut actions));
        }
        if self.stop.is_none() {
            // A slot at the provider is known to be free only after every task there has been counted.
            if self.is_past_known {
                sooner(&mut wake_at, self.plan_submits(now, &mut actions));
            }
        }
        if self.stop.is_none() {
            sooner(&mut wake_at, self.plan_load(now, &mut actions));
        }
        if self.suspects.is_empty() {
            self.brake.rest();
        }
        self.schedule.hurry(!self.to_submit.is_empty() && self.lane.is_full(now));
        sooner(&mut wake_at, self.schedule.end_soon(now, self.tail_wait(now)));
        // After this moment, only the answer to a submission is awaited.
        sooner(&mut wake_at, self.gives_up_at().filter(|moment| *moment > now));
        let is_last = self.is_over(now);
        if is_last {
            self.close_part();
        }
        Turn { events: std::mem::take(&mut self.events), actions, wake_at, is_last }
    }

    /// Returns why the run stops before its end; `None` if it does not.
    pub const fn stop(&self) -> Option<&StopReason> {
        self.stop.as_ref()
    }

    fn polled(&mut self, now: Moment, id: JobId, answer: Result<Status, Fault>) {
        match answer {
            Ok(status) => {
                self.lane.poll_succeeded(now);
                let n_unauthorized = self.n_polls_unauthorized;
                self.poll_answered(id);
                match self.charged_first(now, id, status) {
                    Status::Queued => self.still_running(now, id, true),
                    Status::Running => self.still_running(now, id, false),
                    Status::Done(urls) => {
                        self.brake.proved(id, TrialEvidence::Ended);
                        self.seen_ended(now, id);
                        self.images.push(now, id, &urls);
                        self.emit(now, id, EventKind::Ready(urls));
                    }
                    Status::Failed(fault) => {
                        if fault.kind == FaultKind::Unauthorized {
                            self.n_polls_unauthorized = n_unauthorized;
                        }
                        self.seen_ended(now, id);
                        self.set_back(now, id, Stage::Task, fault);
                    }
                    Status::Charged(_) => unreachable!("the charge was taken out of the status"),
                }
            }
            Err(mut fault) => {
                self.lane.poll_refused(now, &fault);
                self.listening.failed();
                if let Some(wait) = fault.retry_after.take() {
                    self.lane.pause_polls(now, wait);
                }
                self.poll_failed(now, id, fault);
            }
        }
    }

    /// Records an event and folds it into the job's state, with the same function that the ledger uses.
    fn emit(&mut self, now: Moment, id: JobId, kind: EventKind) {
        let tracked = self.tracked(id);
        let at = now.wall();
        tracked.state.apply(at, &kind);
        let index = tracked.job.index;
        self.events.push(Event { job: id, index, at, kind });
    }

    fn finish(&mut self, now: Moment, id: JobId, outcome: Outcome) {
        let is_failure = matches!(outcome, Outcome::Failed(_));
        self.task_ended(id);
        self.emit(now, id, EventKind::Finished(outcome));
        self.brake.proved(id, TrialEvidence::Ended);
        self.forget(id);
        self.ended(now, is_failure);
    }

    /// Processes the end of a task, as reported by the API. A task polled again for fresh links has nothing new to teach.
    fn seen_ended(&mut self, now: Moment, id: JobId) {
        let tracked = &self.jobs[&id];
        if tracked.is_in_flight {
            self.schedule.ended(now, &tracked.watch);
            if !tracked.watch.is_restored() {
                self.lane.task_done(now, now - tracked.watch.accepted_at, tracked.watch.unheard(now));
            }
            self.fifo.ended(self.listening.total(), tracked.order);
        }
        self.task_ended(id);
    }

    /// Frees the slot of a job's task at the provider, if the task holds one.
    fn task_ended(&mut self, id: JobId) {
        if std::mem::take(&mut self.tracked(id).is_in_flight) {
            self.queue(id, false);
            self.lane.task_ended();
        }
    }

    fn ticket(&mut self, id: JobId) -> SubmitPermit {
        self.tracked(id).ticket.take().expect("a submission that is answered has left")
    }

    fn tracked(&mut self, id: JobId) -> &mut Tracked {
        self.jobs.get_mut(&id).expect("answers come only for jobs in memory")
    }
}

#[cfg(test)]
mod tests;
