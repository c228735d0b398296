//! Estimates for each kind of task, and the best times to poll its tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::schedule::ages::{AGES, AgePosition, STEPS};
use crate::engine::schedule::durations::{Answer, Durations, PRIOR};
use crate::engine::schedule::optimum;
use crate::model::history::TaskKind;
use crate::model::time::Moment;

/// Maximum number of kinds with their own estimates; all other kinds share one.
const KINDS_MAX: usize = 32;

/// Cost of a poll, in seconds during which a task is done and undetected.
///
/// Compared with a poll every five seconds, polls are fewer and delays shorter, for tasks that take longer than that.
pub const POLL_PRICE: f64 = 0.6;

/// Cost of a poll while jobs wait for slots, as a fraction of the median task duration. Tasks in those slots may be done. A delay then also
/// delays those jobs, and leaves a slot idle for a fraction of a task duration.
const POLL_PART_HURRIED: f64 = 0.003;

/// Time between two estimations of one kind, which limits the cost of learning.
const RELEARN_EVERY: Duration = Duration::from_millis(250);

/// Divisor of the number of answers. While little is known, growth by this fraction starts a new estimation.
const RELEARN_PART: u32 = 8;

/// Fraction of tasks, the shortest ones, from which the mean duration is computed.
const MOST: f64 = 0.98;

/// Maximum number of last tasks that are distinguished. The duration of the slowest of many tasks is not known precisely.
const LAST_MAX: u8 = 50;

/// Relative change below which a plan counts as unchanged.
const MOVE_MIN: f64 = 0.1;

/// Kind of task, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationKind(u8);

/// All kinds together.
const ALL: DurationKind = DurationKind(0);

/// Estimates for every kind.
#[derive(Debug)]
pub(crate) struct Kinds {
    numbers: BTreeMap<TaskKind, DurationKind>,
    /// Estimates, indexed by the number of the kind.
    courses: Vec<KindEstimate>,
    has_seen_an_end: bool,
}

/// Estimates for one kind, and the poll plan that follows from them.
#[derive(Debug)]
struct KindEstimate {
    durations: Durations,
    /// Expected running time in seconds, up to every age of the grid.
    running_for: Vec<f64>,
    /// Best age of the next poll, for every age of the grid at which a task still runs.
    next: Vec<f64>,
    /// Best age of the next poll while jobs wait for slots.
    next_hurried: Vec<f64>,
    learnt_at: Option<Moment>,
    n_answers: u32,
    /// Answers that are not part of the estimate yet.
    n_new: u32,
}

/// Best ages to poll a task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Best {
    /// Age of the next poll, in seconds.
    pub next: f64,
    /// Age of the poll after the next one, in seconds, if the task still runs.
    pub after: f64,
}

impl Default for Kinds {
    /// Creates estimates without any knowledge.
    fn default() -> Self {
        Self { numbers: BTreeMap::new(), courses: vec![KindEstimate::new(&[&PRIOR])], has_seen_an_end: false }
    }
}

impl Kinds {
    /// Returns the number of a kind. A kind keeps its number.
    pub(crate) fn number(&mut self, kind: TaskKind) -> DurationKind {
        if let Some(number) = self.numbers.get(&kind) {
            return *number;
        }
        match u8::try_from(self.courses.len()) {
            Ok(number) if self.courses.len() <= KINDS_MAX => {
                self.courses.push(KindEstimate::new(&[&PRIOR, &PRIOR]));
                self.numbers.insert(kind, DurationKind(number));
                DurationKind(number)
            }
            Ok(_) | Err(_) => ALL,
        }
    }

    /// Processes a poll at age `to` of a task that was last known to run at age `from`, in seconds. Returns whether plans have changed.
    pub(crate) fn observe(&mut self, now: Moment, kind: DurationKind, from: f64, to: f64, is_done: bool) -> bool {
        self.has_seen_an_end |= is_done;
        let answer = Answer { from: AgePosition::of(from), to: AgePosition::of(to), is_done };
        let (all, kinds) = self.courses.split_first_mut().expect("all kinds together are one");
        let mut has_moved = all.observe(now, answer, &[&PRIOR]);
        if let Some(i) = usize::from(kind.0).checked_sub(1) {
            has_moved |= kinds[i].observe(now, answer, &[&PRIOR, all.durations.believed()]);
        }
        has_moved
    }

    /// Returns whether any task was ever found done.
    pub(crate) const fn has_seen_an_end(&self) -> bool {
        self.has_seen_an_end
    }

    /// Returns the best ages to poll a task that still ran at age `running`, in seconds.
    pub(crate) fn best(&self, kind: DurationKind, running: f64, is_hurried: bool) -> Best {
        let course = self.course(kind);
        let plan = if is_hurried { &course.next_hurried } else { &course.next };
        let next = AgePosition::of(running).value(plan);
        Best { next, after: AgePosition::of(next).value(plan) }
    }

    /// Returns the expected time, in seconds, for which a task has been done undetected. The task was last known to run at age `from`, and
    /// is not polled before age `to`.
    ///
    /// The result grows without bound, and ever faster. Every task is therefore polled at some time, whatever else is due.
    pub(crate) fn delay(&self, kind: DurationKind, from: f64, to: f64) -> f64 {
        let course = self.course(kind);
        let (from_place, to_place) = (AgePosition::of(from), AgePosition::of(to));
        let running = 1.0 - from_place.value(course.durations.believed());
        let running_for = to_place.value(&course.running_for) - from_place.value(&course.running_for);
        (to - from - running_for / running.max(f64::MIN_POSITIVE)).max(0.0)
    }

    /// Returns the mean task duration in seconds, without the few longest tasks, of which hardly anything is known.
    pub(crate) fn mean(&self) -> f64 {
        let KindEstimate { durations, running_for, .. } = &self.courses[0];
        running_for[quantile(durations.believed(), MOST)]
    }

    /// Returns the expected time, in seconds, until the last of `n` tasks of this age or older is done.
    pub(crate) fn left(&self, age: f64, n: usize) -> f64 {
        let done = self.courses[0].durations.believed();
        let n = f64::from(u8::try_from(n).unwrap_or(u8::MAX).clamp(1, LAST_MAX));
        let running = 1.0 - AgePosition::of(age).value(done);
        // A task may be older than any age in the estimate, for example after the machine has slept.
        (AGES[quantile(done, 1.0 - running / (n + 1.0))] - age).max(0.0)
    }

    /// Returns the age by which half of all tasks are done, in seconds.
    #[cfg(test)]
    pub(crate) fn median(&self) -> f64 {
        median(self.courses[0].durations.believed())
    }

    /// Returns the estimates for a kind; for a kind without answers, the estimates for all kinds.
    fn course(&self, kind: DurationKind) -> &KindEstimate {
        let course = &self.courses[usize::from(kind.0)];
        if course.n_answers > 0 { course } else { &self.courses[0] }
    }
}

impl KindEstimate {
    fn new(told: &[&[f64]]) -> Self {
        let mut course = Self {
            durations: Durations::new(told),
            running_for: vec![0.0; STEPS + 1],
            next: vec![0.0; STEPS + 1],
            next_hurried: vec![0.0; STEPS + 1],
            learnt_at: None,
            n_answers: 0,
            n_new: 0,
        };
        course.plan();
        course
    }

    /// Processes an answer, and updates the estimate from time to time. Returns whether the plan has changed.
    fn observe(&mut self, now: Moment, answer: Answer, told: &[&[f64]]) -> bool {
        self.durations.observe(answer);
        self.n_answers = self.n_answers.saturating_add(1);
        self.n_new += 1;
        // An hour of experience may arrive in one moment, from the ledger.
        let has_grown = self.n_new.saturating_mul(RELEARN_PART) >= self.n_answers;
        let is_time = self.learnt_at.is_none_or(|moment| now - moment >= RELEARN_EVERY);
        if !has_grown && !is_time {
            return false;
        }
        (self.learnt_at, self.n_new) = (Some(now), 0);
        let before = self.first_polls();
        self.durations.relearn(told);
        self.plan();
        before.iter().zip(self.first_polls()).any(|(before, after)| (after / before - 1.0).abs() > MOVE_MIN)
    }

    fn plan(&mut self) {
        let done = self.durations.believed();
        optimum::next_polls(done, POLL_PRICE, &mut self.next);
        let hurried = (median(done) * POLL_PART_HURRIED).min(POLL_PRICE);
        optimum::next_polls(done, hurried, &mut self.next_hurried);
        for i in 0..STEPS {
            let running = 1.0 - f64::midpoint(done[i], done[i + 1]);
            self.running_for[i + 1] = self.running_for[i] + (AGES[i + 1] - AGES[i]) * running;
        }
    }

    /// Returns the ages of a task's first two polls.
    fn first_polls(&self) -> [f64; 2] {
        let first = self.next[0];
        [first, AgePosition::of(first).value(&self.next)]
    }
}

/// Returns the age by which half of all tasks are done.
fn median(done: &[f64]) -> f64 {
    AGES[quantile(done, 0.5)]
}

/// Returns the index of the first age of the grid by which this share of tasks is done.
fn quantile(done: &[f64], share: f64) -> usize {
    done.partition_point(|done| *done < share).min(STEPS)
}
