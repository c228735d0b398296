//! Decides everything and does nothing: no tokio, no clock, no files, no requests.
//!
//! The driver tells the engine what came back ([`Engine::handle`]) and asks it what to do ([`Engine::turn`]). Both are
//! given the time. The engine holds the jobs in flight and a small look-ahead; all others stay in the ledger until it
//! asks for them. Its concerns have a file each: [`lane`] (budgets), [`pacer`] (gate), [`known_rate`] and [`learner`] (the limits that
//! the user tells, and those that nobody tells, from `window`, `learnt_rate`, `unheard` and `chance`), `remaining` (what the provider says
//! of its allowance), `spending` and `part` (what the user allows), `gain` (how many tasks are worth while), [`schedule`] (polls, and how
//! long tasks take), `listening` (time that counts as evidence), `fifo` (tasks that wait in a queue), `recovery` (what an earlier process
//! left), `refusals` (refusals that all jobs meet), `brake` (mass resubmission), `downloads` (which image first), `parallel` (how many of them
//! at a time), `plans` (what may leave now), [`retry`] (verdicts), `setback` (what follows a fault), `ending` (when a run is over, and why
//! before its end) and `pace` (what is told of all that).

mod brake;
mod chance;
mod downloads;
mod ending;
mod fifo;
mod gain;
pub mod known_rate;
pub mod lane;
pub mod learner;
mod learnt_rate;
mod listening;
mod pace;
pub mod pacer;
mod parallel;
mod part;
mod plans;
mod recovery;
mod refusals;
mod remaining;
pub mod retry;
pub mod schedule;
mod setback;
pub mod spending;
mod tracked;
pub mod turn;
mod unheard;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::engine::brake::{Proof, ResubmitBrake};
use crate::engine::downloads::Downloads;
use crate::engine::fifo::FifoDetector;
use crate::engine::lane::Lane;
use crate::engine::learner::Ticket;
use crate::engine::listening::{AwakeClock, ListeningTime};
use crate::engine::part::Part;
use crate::engine::plans::sooner;
use crate::engine::refusals::RefusalStreak;
use crate::engine::retry::{Backoff, RetryPolicy};
use crate::engine::schedule::Schedule;
use crate::engine::spending::{Settled, Spending};
use crate::engine::tracked::Tracked;
use crate::engine::turn::{Input, Stop, Turn};
use crate::model::event::{Event, EventKind, Stage};
use crate::model::history::History;
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::outcome::{Acceptance, Artifact, Fault, FaultKind, Outcome, Status, TaskId};
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
    /// The time in which this process was running.
    awake: AwakeClock,
    /// The time in which it heard from the provider.
    listening: ListeningTime,
    /// Refusals since the last success.
    refusals: RefusalStreak,
    /// Holds back mass resubmission.
    brake: ResubmitBrake,
    /// Jobs whose task seems lost at present.
    suspects: BTreeSet<JobId>,
    /// Which job in memory has which task.
    owners: HashMap<TaskId, JobId>,
    /// Polls one after the other that were refused for the token, with no answer of another kind in between.
    n_polls_unauthorized: u32,
    /// Whether any submission of the whole run was ever accepted.
    has_accepted: bool,
    /// Whether this process has had one accepted.
    has_accepted_here: bool,
    jobs: BTreeMap<JobId, Tracked>,
    /// Jobs that may be submitted, in manifest order.
    to_submit: VecDeque<JobId>,
    /// Jobs whose next submission waits out a setback.
    to_submit_later: BTreeSet<(Moment, JobId)>,
    /// Jobs whose images can be fetched.
    to_download: Downloads,
    /// What has happened since the last turn.
    events: Vec<Event>,
    loading: Loading,
    /// Whether all is loaded that an earlier process left on its way.
    is_past_known: bool,
    stop: Option<Stop>,
    /// When the answers under way became all that is waited for.
    stopped_at: Option<Moment>,
    /// The fault that the next submission would meet: the provider said that the allowance is used up.
    spent: Option<Fault>,
    n_failures: u64,
    /// Jobs that have ended, the failed ones included.
    n_ended: u64,
    /// Tasks in flight that wait at the provider for their turn.
    n_queued: usize,
    /// When the task was accepted that was accepted last.
    last_accepted_at: Option<Moment>,
    /// Submissions that the provider said are left of the allowance.
    quota_left: Option<u64>,
    /// What was paid for so far, and the limit on it.
    spending: Spending,
    /// How much of the batch this process works on.
    part: Part,
    /// When the time is up after which nothing more is submitted, if it ever is.
    ends_at: Option<Moment>,
}

/// Where the engine stands with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loading {
    /// There may be more jobs.
    More,
    /// An answer is awaited.
    Asked,
    /// Every job was handed out.
    Done,
}

impl Engine {
    /// An engine that knows no job yet; its first turn asks for some.
    pub fn new(limits: Limits) -> Self {
        Self {
            lane: Lane::new(&limits),
            schedule: Schedule::new(limits.seed, limits.task_timeout),
            fifo: FifoDetector::default(),
            awake: AwakeClock::default(),
            listening: ListeningTime::default(),
            refusals: RefusalStreak::default(),
            brake: ResubmitBrake::new(Backoff::new(limits.seed ^ 0xb4)),
            suspects: BTreeSet::new(),
            owners: HashMap::new(),
            n_polls_unauthorized: 0,
            has_accepted: false,
            has_accepted_here: false,
            retry: RetryPolicy::new(&limits),
            spending: Spending::new(&limits),
            part: Part::new(limits.jobs_max),
            limits,
            jobs: BTreeMap::new(),
            to_submit: VecDeque::new(),
            to_submit_later: BTreeSet::new(),
            to_download: Downloads::default(),
            events: Vec::new(),
            loading: Loading::More,
            is_past_known: false,
            stop: None,
            stopped_at: None,
            spent: None,
            n_failures: 0,
            n_ended: 0,
            n_queued: 0,
            last_accepted_at: None,
            quota_left: None,
            ends_at: None,
        }
    }

    /// Takes in what earlier processes of the run have learnt, before the first turn.
    pub fn remember(&mut self, now: Moment, history: &History) {
        self.has_accepted |= !history.tasks.is_empty();
        self.lane.remember(now, history);
        self.schedule.remember(now, history);
    }

    /// Takes in what came back.
    pub fn handle(&mut self, now: Moment, input: Input) {
        self.awake.look(now);
        match input {
            Input::Loaded { jobs, more } => {
                self.loading = if more { Loading::More } else { Loading::Done };
                // What an earlier process left comes first, and after it what is pending.
                self.is_past_known |= !more || jobs.iter().any(|known| known.state.phase == Phase::Pending);
                for known in jobs {
                    self.take_in(now, known);
                }
            }
            Input::Submitted(id, Ok(acceptance)) => match self.other_owner(id, &acceptance.task) {
                None => self.accepted(now, id, acceptance),
                Some(fault) => self.submit_failed(now, id, fault),
            },
            Input::Submitted(id, Err(fault)) => self.submit_failed(now, id, fault),
            Input::Polled(answers) => {
                self.lane.poll_answered();
                for (id, answer) in answers {
                    self.polled(now, id, answer);
                }
            }
            Input::Downloaded(id, result) => {
                self.lane.download_answered(now, id, result.is_ok());
                self.downloaded(now, id, result);
            }
            // The job stays where it is, for a run with a better disk.
            Input::Unsaved(id) => {
                self.lane.download_answered(now, id, false);
                self.stop_with(now, Stop::Disk);
            }
            Input::Received(received) => self.lane.received(now, received),
            Input::Stop(stop) => self.stop_with(now, stop),
        }
    }

    /// What is to be recorded and done now.
    pub fn turn(&mut self, now: Moment) -> Turn {
        self.awake.look(now);
        let mut actions = Vec::new();
        let mut wake_at = None;
        if self.stop.as_ref().is_none_or(Stop::drains) {
            self.plan_downloads(now, &mut actions);
            sooner(&mut wake_at, self.plan_polls(now, &mut actions));
        }
        if self.stop.is_none() {
            // A place at the provider is free only when every task there has been counted.
            if self.is_past_known {
                sooner(&mut wake_at, self.plan_submits(now, &mut actions));
            }
        }
        if self.stop.is_none() {
            self.plan_load(&mut actions);
        }
        if self.suspects.is_empty() {
            self.brake.rest();
        }
        self.schedule.hurry(!self.to_submit.is_empty() && self.lane.is_full(now));
        // Once that has passed, only a submission is awaited.
        sooner(&mut wake_at, self.gives_up_at().filter(|moment| *moment > now));
        let is_last = self.is_over(now);
        if is_last {
            self.close_part();
        }
        Turn { events: std::mem::take(&mut self.events), actions, wake_at, is_last }
    }

    /// Why the run stops before its end, if it does.
    pub const fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    fn accepted(&mut self, now: Moment, id: JobId, acceptance: Acceptance) {
        let ticket = self.ticket(id);
        self.lane.submit_accepted(now, ticket, acceptance.remaining);
        self.listening.answered(self.awake.total());
        (self.has_accepted, self.has_accepted_here, self.n_polls_unauthorized) = (true, true, 0);
        self.brake.proved(id, Proof::Accepted);
        self.owners.insert(acceptance.task.clone(), id);
        if let Some(pause) = acceptance.pause {
            self.lane.pause_submits(now, pause);
        }
        self.spent = acceptance.spent;
        self.quota_left = acceptance.quota_left;
        self.last_accepted_at = Some(now);
        self.settle(id, Settled::Paid);
        self.emit(now, id, EventKind::Accepted(acceptance.task));
        let (awake, order) = (self.awake.total(), self.fifo.accepted());
        let tracked = self.tracked(id);
        tracked.watch = tracked.watch.again(now);
        tracked.accepted(awake, order);
        let watch = tracked.watch;
        self.schedule.plan(now, id, watch);
        self.settle_refusals(now, ticket.left_at());
    }

    fn polled(&mut self, now: Moment, id: JobId, answer: Result<Status, Fault>) {
        match answer {
            Ok(status) => {
                self.lane.poll_succeeded(now);
                let n_unauthorized = self.n_polls_unauthorized;
                self.poll_answered(id);
                match status {
                    Status::Queued => self.still_running(now, id, true),
                    Status::Running => self.still_running(now, id, false),
                    Status::Done(urls) => {
                        self.brake.proved(id, Proof::Ended);
                        self.seen_ended(now, id);
                        self.to_download.push(now, id, &urls);
                        self.emit(now, id, EventKind::Ready(urls));
                    }
                    Status::Failed(fault) => {
                        if fault.kind == FaultKind::Unauthorized {
                            self.n_polls_unauthorized = n_unauthorized;
                        }
                        self.seen_ended(now, id);
                        self.set_back(now, id, Stage::Task, fault);
                    }
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

    fn downloaded(&mut self, now: Moment, id: JobId, result: Result<Vec<Artifact>, Fault>) {
        match result {
            Ok(artifacts) => self.finish(now, id, Outcome::Succeeded(artifacts)),
            Err(fault) => self.set_back(now, id, Stage::Download, fault),
        }
    }

    /// Records an event and folds it in, with the same function that the ledger folds with.
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
        self.brake.proved(id, Proof::Ended);
        self.forget(id);
        self.ended(now, is_failure);
    }

    /// The API says that a task is at an end. Asked for once more, as its links are wanted again, it has nothing new to teach.
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

    /// Frees the place of a job's task at the provider, if it holds one.
    fn task_ended(&mut self, id: JobId) {
        if std::mem::take(&mut self.tracked(id).is_in_flight) {
            self.queue(id, false);
            self.lane.task_ended();
        }
    }

    fn ticket(&mut self, id: JobId) -> Ticket {
        self.tracked(id).ticket.take().expect("a submission that is answered has left")
    }

    fn tracked(&mut self, id: JobId) -> &mut Tracked {
        self.jobs.get_mut(&id).expect("answers come only for jobs in memory")
    }
}

#[cfg(test)]
mod tests;
