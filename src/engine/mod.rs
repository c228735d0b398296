//! Decides everything and does nothing: no tokio, no clock, no files, no requests.
//!
//! The driver tells the engine what came back ([`Engine::handle`]) and asks it what to do ([`Engine::turn`]). Both are
//! given the time. The engine holds the jobs in flight and a small look-ahead; all others stay in the ledger until it
//! asks for them. Its concerns have a file each: [`lane`] (budgets), [`pacer`] (gate), [`known_rate`] and [`learner`] (the limits that
//! the user tells, and those that nobody tells, from `window`, `learnt_rate`, `unheard` and `chance`), `remaining` (what the provider says
//! of its allowance), `gain` (how many tasks are worth while), [`schedule`] (polls, and how long tasks take), `line` (who waits his turn),
//! `downloads` (which image first), `plans` (what may leave now), [`retry`] (verdicts), `ending` (when a run is over, and why before its
//! end) and `pace` (what is told of all that).

mod chance;
mod downloads;
mod ending;
mod gain;
pub mod known_rate;
pub mod lane;
pub mod learner;
mod learnt_rate;
mod line;
mod pace;
pub mod pacer;
mod plans;
mod remaining;
pub mod retry;
pub mod schedule;
mod setback;
pub mod turn;
mod unheard;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::engine::downloads::Downloads;
use crate::engine::lane::Lane;
use crate::engine::learner::Ticket;
use crate::engine::line::Line;
use crate::engine::plans::sooner;
use crate::engine::retry::RetryPolicy;
use crate::engine::schedule::{Schedule, Watch};
use crate::engine::turn::{Input, Stop, Turn};
use crate::model::event::{Event, EventKind, Stage};
use crate::model::history::{History, TaskKind};
use crate::model::job::{Job, JobId};
use crate::model::limits::Limits;
use crate::model::outcome::{Acceptance, Artifact, Fault, Outcome, Status, TaskId};
use crate::model::phase::{JobState, Known, Phase};
use crate::model::time::Moment;

/// Decides what a run does next.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    lane: Lane,
    schedule: Schedule,
    line: Line,
    retry: RetryPolicy,
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
    /// Tasks in flight that wait at the provider for their turn.
    n_queued: usize,
    /// When the task was accepted that was accepted last.
    last_accepted_at: Option<Moment>,
    /// Submissions that the provider said are left of the allowance.
    quota_left: Option<u64>,
    /// What was paid for so far, where prices are known.
    cost: Option<f64>,
}

/// A job in memory.
#[derive(Debug)]
struct Tracked {
    job: Arc<Job>,
    state: JobState,
    /// What the polls of its task have said.
    watch: Watch,
    /// Its submission under way.
    ticket: Option<Ticket>,
    /// Whether its task counts as in flight at the provider.
    is_in_flight: bool,
    /// Whether it waits there for its turn.
    is_queued: bool,
    /// Failed polls in a row.
    n_poll_faults: u32,
    /// Answers in a row that its task is unknown.
    n_unknown: u32,
    /// When the first of them came.
    unknown_since: Option<Moment>,
}

impl Tracked {
    /// Its task is asked for now, if it has one.
    fn ask(&mut self, now: Moment) -> Option<TaskId> {
        self.watch.asked(now);
        self.state.task.clone()
    }
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
            line: Line::default(),
            retry: RetryPolicy::new(&limits),
            cost: limits.price.as_ref().map(|_| 0.0),
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
            n_queued: 0,
            last_accepted_at: None,
            quota_left: None,
        }
    }

    /// Takes in what earlier processes of the run have learnt, before the first turn.
    pub fn remember(&mut self, now: Moment, history: &History) {
        self.lane.remember(now, history);
        self.schedule.remember(now, history);
    }

    /// Takes in what came back.
    pub fn handle(&mut self, now: Moment, input: Input) {
        match input {
            Input::Loaded { jobs, more } => {
                self.loading = if more { Loading::More } else { Loading::Done };
                // What an earlier process left comes first, and after it what is pending.
                self.is_past_known |= !more || jobs.iter().any(|known| known.state.phase == Phase::Pending);
                for known in jobs {
                    self.loaded(now, known);
                }
            }
            Input::Submitted(id, Ok(acceptance)) => self.accepted(now, id, acceptance),
            Input::Submitted(id, Err(fault)) => {
                let ticket = self.ticket(id);
                let wait = self.lane.submit_refused(now, ticket, &fault);
                self.tracked(id).is_in_flight = false;
                self.set_back(now, id, Stage::Submit, fault);
                self.wait_alone(now, id, wait);
            }
            Input::Polled(answers) => {
                self.lane.poll_answered();
                for (id, answer) in answers {
                    self.polled(now, id, answer);
                }
            }
            Input::Downloaded(id, result) => {
                self.lane.download_answered();
                self.downloaded(now, id, result);
            }
            // The job stays where it is, for a run with a better disk.
            Input::Unsaved(_) => {
                self.lane.download_answered();
                self.stop_with(now, Stop::Disk);
            }
            Input::Stop(stop) => self.stop_with(now, stop),
        }
    }

    /// What is to be recorded and done now.
    pub fn turn(&mut self, now: Moment) -> Turn {
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
        self.schedule.hurry(!self.to_submit.is_empty() && self.lane.is_full(now));
        // Once that has passed, only a submission is awaited.
        sooner(&mut wake_at, self.gives_up_at().filter(|moment| *moment > now));
        Turn { events: std::mem::take(&mut self.events), actions, wake_at, is_last: self.is_over(now) }
    }

    /// Why the run stops before its end, if it does.
    pub const fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    /// A job from the ledger: a new one, or one that an earlier process left somewhere on its way.
    fn loaded(&mut self, now: Moment, known: Known) {
        let Known { job, state } = known;
        let id = job.id;
        let accepted_at = state.submitted_at.map_or(now, |wall| now.at_wall(wall));
        let watch = Watch::new(self.schedule.kind(TaskKind::of(&job.request)), accepted_at);
        let phase = state.phase.clone();
        let (is_in_flight, is_queued) = (false, false);
        let tracked = Tracked {
            job,
            state,
            watch,
            ticket: None,
            is_in_flight,
            is_queued,
            n_poll_faults: 0,
            n_unknown: 0,
            unknown_since: None,
        };
        let is_counted = tracked.state.is_doubt_counted();
        let before = self.jobs.insert(id, tracked);
        assert!(before.is_none(), "the ledger hands out each job once");
        match phase {
            Phase::Pending | Phase::Submitting if !self.limits.is_submitting => drop(self.jobs.remove(&id)),
            Phase::Pending => self.to_submit.push_back(id),
            Phase::Submitting if is_counted => self.doubt_remembered(now, id),
            Phase::Submitting => self.set_back(now, id, Stage::Submit, Fault::unanswered()),
            Phase::Running(_) => {
                self.lane.task_found();
                self.tracked(id).is_in_flight = true;
                self.last_accepted_at = self.last_accepted_at.max(Some(accepted_at));
                self.schedule.plan_at(now, id, watch);
            }
            Phase::Downloading(urls) => self.to_download.push(now, id, &urls),
            Phase::Finished(_) => drop(self.jobs.remove(&id)),
        }
    }

    fn accepted(&mut self, now: Moment, id: JobId, acceptance: Acceptance) {
        let ticket = self.ticket(id);
        self.lane.submit_accepted(now, ticket, acceptance.remaining);
        if let Some(pause) = acceptance.pause {
            self.lane.pause_submits(now, pause);
        }
        self.spent = acceptance.spent;
        self.quota_left = acceptance.quota_left;
        self.last_accepted_at = Some(now);
        self.pay(id);
        self.emit(now, id, EventKind::Accepted(acceptance.task));
        let tracked = self.tracked(id);
        tracked.watch = tracked.watch.again(now);
        tracked.poll_answered();
        let watch = tracked.watch;
        self.schedule.plan(now, id, watch);
    }

    fn polled(&mut self, now: Moment, id: JobId, answer: Result<Status, Fault>) {
        match answer {
            Ok(status) => {
                self.lane.poll_succeeded(now);
                self.tracked(id).poll_answered();
                match status {
                    Status::Queued => self.still_running(now, id, true),
                    Status::Running => self.still_running(now, id, false),
                    Status::Done(urls) => {
                        self.seen_ended(now, id);
                        self.to_download.push(now, id, &urls);
                        self.emit(now, id, EventKind::Ready(urls));
                    }
                    Status::Failed(fault) => {
                        self.seen_ended(now, id);
                        self.set_back(now, id, Stage::Task, fault);
                    }
                }
            }
            Err(fault) => {
                self.lane.poll_refused(now, &fault);
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
        self.jobs.remove(&id);
        if is_failure {
            self.n_failures += 1;
            if self.limits.failures_max.is_some_and(|max| self.n_failures >= max) {
                self.stop_with(now, Stop::Failures(self.n_failures));
            }
        }
    }

    /// The API says that a task is at an end. Asked for once more, as its links are wanted again, it has nothing new to teach.
    fn seen_ended(&mut self, now: Moment, id: JobId) {
        let tracked = &self.jobs[&id];
        if tracked.is_in_flight {
            self.schedule.ended(now, &tracked.watch);
            self.lane.task_done(now, now - tracked.watch.accepted_at, tracked.watch.unheard(now));
            self.line.ended(now, tracked.watch.accepted_at);
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
