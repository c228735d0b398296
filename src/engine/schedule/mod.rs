//! Poll scheduler for all tasks: which task is polled next, and when.
//!
//! It learns how long tasks take ([`durations`], for each of the [`kinds`]). It polls when the cost of a second of delay and the cost of a
//! poll balance ([`optimum`]). One ordered set holds all tasks; no job has its own timer. If more polls are due than may leave, those tasks
//! go first whose undetected end costs most by now.

pub(crate) mod ages;
pub(crate) mod durations;
pub(crate) mod kinds;
pub(crate) mod optimum;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::schedule::kinds::{Best, DurationKind, Kinds};
use crate::model::history::{History, TaskKind};
use crate::model::job::JobId;
use crate::model::snapshot::Latency;
use crate::model::time::Moment;

/// Minimum wait between two polls of a task.
const INTERVAL_MIN: Duration = Duration::from_millis(2);

/// First wait before an early poll.
const SCOUT_FIRST: Duration = Duration::from_millis(20);

/// Maximum wait between two polls of a task.
const INTERVAL_MAX: Duration = Duration::from_secs(300);

/// Jitter of a poll, as a fraction of the time to the poll after it. Tasks accepted together must not be polled together for ever, and ages
/// without polls teach nothing.
const JITTER: f64 = 0.2;

/// Number of early polls while no task has been seen to end. The first one comes after `SCOUT_FIRST`, and each further one after four times
/// as long. A few polls show whether tasks take some milliseconds or many seconds.
const SCOUTS: u32 = 4;

/// Number of tasks that are polled more often for their slots while no task has been seen to end. The first end shows when to poll the others.
const HURRIED_SCOUTS: usize = 8;

/// Fraction of its recorded duration for which a task of an earlier process surely ran. It ended somewhere in the remaining part.
const PAST_PART: f64 = 0.8;

/// Time between two rankings of the tasks that are due.
const RANK_EVERY: Duration = Duration::from_millis(100);

/// Time between two replannings of all tasks, and the extra time for each of them. Replanning costs a few per cent of the time at most.
const REPLAN_EVERY: Duration = Duration::from_millis(100);
const REPLAN_EACH: Duration = Duration::from_micros(50);

/// Poll state of one task.
#[derive(Clone, Copy, Debug)]
pub struct PollState {
    /// Moment at which the task was accepted, or its submission left.
    pub accepted_at: Moment,
    kind: DurationKind,
    /// Moment of the last poll after which the task still ran.
    running_at: Moment,
    /// Moment of the last poll.
    asked_at: Moment,
    /// Time since the acceptance that does not count against the task's deadline.
    pub not_counted: Duration,
    /// Says whether an earlier process had the task accepted. Its age is then only as precise as two wall clocks, and is not learnt from.
    is_restored: bool,
}

impl PollState {
    /// Creates the poll state of a task that was accepted at that moment.
    pub const fn new(kind: DurationKind, accepted_at: Moment) -> Self {
        let (running_at, asked_at) = (accepted_at, accepted_at);
        Self { accepted_at, kind, running_at, asked_at, not_counted: Duration::ZERO, is_restored: false }
    }

    /// Creates the poll state of a task that an earlier process had accepted, most likely at that moment.
    pub(crate) const fn restored(kind: DurationKind, accepted_at: Moment) -> Self {
        Self { is_restored: true, ..Self::new(kind, accepted_at) }
    }

    /// Returns whether an earlier process had the task accepted.
    pub(crate) const fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// Returns the poll state of the next task of the same kind, accepted at that moment.
    #[must_use]
    pub const fn again(self, accepted_at: Moment) -> Self {
        Self::new(self.kind, accepted_at)
    }

    /// Records a poll that leaves.
    pub const fn asked(&mut self, now: Moment) {
        self.asked_at = now;
    }

    /// Returns the expected time for which the task has been done undetected, now that its end is known.
    pub(crate) fn unheard(&self, now: Moment) -> Duration {
        (now - self.asked_at) + (self.asked_at - self.running_at) / 2
    }

    fn age(&self, moment: Moment) -> f64 {
        (moment - self.accepted_at).as_secs_f64()
    }
}

/// Schedule of the next poll of each task.
#[derive(Debug)]
pub struct Schedule {
    due: BTreeMap<(Moment, JobId), Planned>,
    /// Polls that are due and have not left, the most urgent last.
    late: Vec<OverduePoll>,
    ranked_at: Option<Moment>,
    kinds: Kinds,
    n_scouts: u32,
    /// Tasks that are polled more often for their slots while no task has been seen to end.
    hurried_scouts: Vec<JobId>,
    /// Says whether tasks are planned by outdated estimates.
    is_outdated: bool,
    replanned_at: Option<Moment>,
    /// Says whether jobs wait for the slots of tasks.
    is_hurried: bool,
    /// Maximum wait between two polls while the run waits for its last tasks; `None` before that.
    tail_wait: Option<Duration>,
    task_timeout: Duration,
    jitter: fastrand::Rng,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    watch: PollState,
    /// Says whether the moment follows from the estimates.
    is_learnt: bool,
}

/// Poll that is due.
#[derive(Clone, Copy, Debug)]
struct OverduePoll {
    /// Expected time, in seconds, for which the task has been done undetected.
    delay: f64,
    since: Moment,
    job: JobId,
    watch: PollState,
}

impl Schedule {
    /// Creates an empty schedule, whose jitter repeats for the same seed. Every task is polled at its deadline, if not before.
    pub fn new(seed: u64, task_timeout: Duration) -> Self {
        Self {
            due: BTreeMap::new(),
            late: vec![],
            ranked_at: None,
            kinds: Kinds::default(),
            n_scouts: 0,
            hurried_scouts: vec![],
            is_outdated: false,
            replanned_at: None,
            is_hurried: false,
            tail_wait: None,
            task_timeout,
            jitter: fastrand::Rng::with_seed(seed),
        }
    }

    /// Learns from the tasks of earlier processes.
    pub fn remember(&mut self, now: Moment, history: &History) {
        for task in &history.tasks {
            let kind = self.kinds.number(task.kind.clone());
            let took = task.took.as_secs_f64();
            self.is_outdated |= self.kinds.observe(now, kind, 0.0, took * PAST_PART, false);
            self.is_outdated |= self.kinds.observe(now, kind, took * PAST_PART, took, true);
        }
    }

    /// Returns the number of a kind, for the poll states of its tasks.
    pub fn kind(&mut self, kind: TaskKind) -> DurationKind {
        self.kinds.number(kind)
    }

    /// Turns more frequent polls on or off. They are on while jobs wait for slots of tasks that may be done.
    pub(crate) const fn hurry(&mut self, is_hurried: bool) {
        self.is_hurried = is_hurried;
    }

    /// Limits the wait between two polls, because the run waits for its last tasks; `None` means no such limit. Returns the moment of the next
    /// poll if that moves polls.
    pub(crate) fn end_soon(&mut self, now: Moment, tail_wait: Option<Duration>) -> Option<Moment> {
        let has_begun = self.tail_wait.is_none() && tail_wait.is_some();
        self.tail_wait = tail_wait;
        if !has_begun {
            return None;
        }
        self.replan(now);
        self.due.keys().map(|(moment, _)| *moment).find(|moment| *moment > now)
    }

    /// Plans the next poll of a task that is not done.
    pub fn plan(&mut self, now: Moment, job: JobId, watch: PollState) {
        let moment = if self.n_scouts < SCOUTS && !self.kinds.has_seen_an_end() {
            self.n_scouts += 1;
            now + SCOUT_FIRST * 4_u32.pow(self.n_scouts - 1)
        } else {
            self.best_moment(now, job, &watch)
        };
        self.due.insert((moment, job), Planned { watch, is_learnt: true });
    }

    /// Plans a poll for that moment.
    pub(crate) fn plan_at(&mut self, moment: Moment, job: JobId, watch: PollState) {
        self.due.insert((moment, job), Planned { watch, is_learnt: false });
    }

    /// Records that a task still ran at its last poll.
    pub fn still_running(&mut self, now: Moment, watch: &mut PollState) {
        self.observe(now, watch, false);
        watch.running_at = watch.asked_at;
    }

    /// Records that a task had ended at its last poll.
    pub fn ended(&mut self, now: Moment, watch: &PollState) {
        self.observe(now, watch, true);
    }

    /// Takes the most urgent of the jobs whose poll is due.
    pub fn take_due(&mut self, now: Moment) -> Option<JobId> {
        let is_time = self.ranked_at.is_none_or(|moment| now - moment >= RANK_EVERY);
        if self.late.is_empty() || is_time {
            self.rank(now);
        }
        self.late.pop().map(|late| late.job)
    }

    /// Returns when the next poll is due, or was due; `None` without a planned poll.
    pub fn next(&self) -> Option<Moment> {
        let late = self.late.last().map(|late| late.since);
        late.or_else(|| self.due.first_key_value().map(|((moment, _), _)| *moment))
    }

    /// Returns the mean task duration, and the expected time from now until the last of `n` tasks ends. The youngest of these tasks was
    /// accepted at `accepted_at`. `None` means that no task has been seen to end.
    pub(crate) fn latency(&self, accepted_at: Moment, now: Moment, n: usize) -> Option<Latency> {
        let seconds = Duration::from_secs_f64;
        let age = (now - accepted_at).as_secs_f64();
        let latency = || Latency { mean: seconds(self.kinds.mean()), tail: seconds(self.kinds.left(age, n)) };
        self.kinds.has_seen_an_end().then(latency)
    }

    /// Returns the median task duration, as far as is known.
    #[cfg(test)]
    pub(crate) fn median(&self) -> Duration {
        Duration::from_secs_f64(self.kinds.median())
    }

    fn observe(&mut self, now: Moment, watch: &PollState, is_done: bool) {
        if watch.is_restored {
            return;
        }
        let (from, to) = (watch.age(watch.running_at), watch.age(watch.asked_at));
        self.is_outdated |= self.kinds.observe(now, watch.kind, from, to, is_done);
        let n_planned = u32::try_from(self.due.len()).unwrap_or(u32::MAX);
        let pause = REPLAN_EVERY + REPLAN_EACH * n_planned;
        if self.is_outdated && self.replanned_at.is_none_or(|moment| now - moment >= pause) {
            (self.is_outdated, self.replanned_at) = (false, Some(now));
            self.replan(now);
        }
    }

    /// Replans all polls whose moment follows from the estimates.
    fn replan(&mut self, now: Moment) {
        for ((moment, job), planned) in std::mem::take(&mut self.due) {
            let moment = if planned.is_learnt { self.best_moment(now, job, &planned.watch) } else { moment };
            self.due.insert((moment, job), planned);
        }
    }

    /// Returns whether this is one of the first few tasks that are polled while jobs wait for slots.
    fn is_scout(&mut self, job: JobId) -> bool {
        let is_scout = self.hurried_scouts.contains(&job);
        if !is_scout && self.hurried_scouts.len() < HURRIED_SCOUTS {
            self.hurried_scouts.push(job);
            return true;
        }
        is_scout
    }

    fn best_moment(&mut self, now: Moment, job: JobId, watch: &PollState) -> Moment {
        let running = watch.age(watch.running_at);
        let is_hurried = self.is_hurried && (self.kinds.has_seen_an_end() || self.is_scout(job));
        let Best { next, after } = self.kinds.best(watch.kind, running, is_hurried);
        let aim = next + (self.jitter.f64() - 0.5) * JITTER * (after - next).min(next - running);
        let wait = Duration::from_secs_f64((aim - watch.age(now)).max(0.0))
            .clamp(INTERVAL_MIN, self.tail_wait.map_or(INTERVAL_MAX, |wait| wait.min(INTERVAL_MAX)));
        let deadline = watch.accepted_at + self.task_timeout + watch.not_counted;
        // A task is given up only after an answer of the API, so it is polled at its deadline.
        if deadline > now { deadline.min(now + wait) } else { now + wait }
    }

    /// Sorts the due polls into the order in which they leave.
    fn rank(&mut self, now: Moment) {
        self.ranked_at = Some(now);
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let ((since, job), Planned { watch, .. }) = entry.remove_entry();
            self.late.push(OverduePoll { delay: 0.0, since, job, watch });
        }
        if self.late.len() > 1 {
            for late in &mut self.late {
                let (from, to) = (late.watch.age(late.watch.running_at), late.watch.age(now));
                late.delay = self.kinds.delay(late.watch.kind, from, to);
            }
            self.late.sort_unstable_by(|a, b| a.delay.total_cmp(&b.delay).then_with(|| b.job.cmp(&a.job)));
        }
    }
}

#[cfg(test)]
mod tests;
