//! What is known of each kind of task, and when its tasks are best asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::schedule::ages::{AGES, Place, STEPS};
use crate::engine::schedule::durations::{Answer, Durations, PRIOR};
use crate::engine::schedule::optimum;
use crate::model::history::TaskKind;
use crate::model::time::Moment;

/// Kinds that are told apart; all others are taken together.
const KINDS_MAX: usize = 32;

/// What a poll costs: as much as so many seconds in which a task is done and nobody knows.
///
/// At this price polls are fewer and delays shorter than with a poll every five seconds, for tasks that take longer than that.
pub const POLL_PRICE: f64 = 0.6;

/// What it costs while jobs wait for the place of a task that may be done, as a part of the time that half of all tasks take: a delay is
/// theirs too, and keeps a place idle for a part of what a task takes.
const POLL_PART_HURRIED: f64 = 0.003;

/// Between two estimations of one kind, which bounds what learning costs.
const RELEARN_EVERY: Duration = Duration::from_millis(250);

/// While little is known, each growth of the experience by one part in so many changes what is made of it.
const RELEARN_PART: u32 = 8;

/// The part of tasks whose times say how long tasks take.
const MOST: f64 = 0.98;

/// More of the last tasks than this are not told apart: how long the slowest of many takes is not known so well.
const LAST_MAX: u8 = 50;

/// A plan that moves by less than this part is the same plan.
const MOVE_MIN: f64 = 0.1;

/// A kind of task, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(u8);

/// All kinds together.
const ALL: Kind = Kind(0);

/// What is known of every kind.
#[derive(Debug)]
pub struct Kinds {
    numbers: BTreeMap<TaskKind, Kind>,
    /// By number.
    courses: Vec<Course>,
    has_seen_an_end: bool,
}

/// What is known of one kind, and what follows for its polls.
#[derive(Debug)]
struct Course {
    durations: Durations,
    /// Seconds that a task runs on average until every age of the grid.
    running_for: Vec<f64>,
    /// The best age of the next poll for every age of the grid at which a task still runs.
    next: Vec<f64>,
    /// The same while jobs wait for places.
    next_hurried: Vec<f64>,
    learnt_at: Option<Moment>,
    n_answers: u32,
    /// Answers that what is believed does not know of yet.
    n_new: u32,
}

/// When a task is best asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// At this age, in seconds.
    pub next: f64,
    /// And if it runs on, at this one.
    pub after: f64,
}

impl Default for Kinds {
    /// Nothing is known of any kind.
    fn default() -> Self {
        Self { numbers: BTreeMap::new(), courses: vec![Course::new(&[&PRIOR])], has_seen_an_end: false }
    }
}

impl Kinds {
    /// The number of a kind, which it keeps.
    pub fn number(&mut self, kind: TaskKind) -> Kind {
        if let Some(number) = self.numbers.get(&kind) {
            return *number;
        }
        match u8::try_from(self.courses.len()) {
            Ok(number) if self.courses.len() <= KINDS_MAX => {
                self.courses.push(Course::new(&[&PRIOR, &PRIOR]));
                self.numbers.insert(kind, Kind(number));
                Kind(number)
            }
            Ok(_) | Err(_) => ALL,
        }
    }

    /// Takes in what a poll said of a task that was last known to run at age `from` and was asked for at `to`, in seconds.
    /// Returns whether plans have moved by it.
    pub fn observe(&mut self, now: Moment, kind: Kind, from: f64, to: f64, is_done: bool) -> bool {
        self.has_seen_an_end |= is_done;
        let answer = Answer { from: Place::of(from), to: Place::of(to), is_done };
        let (all, kinds) = self.courses.split_first_mut().expect("all kinds together are one");
        let mut has_moved = all.observe(now, answer, &[&PRIOR]);
        if let Some(i) = usize::from(kind.0).checked_sub(1) {
            has_moved |= kinds[i].observe(now, answer, &[&PRIOR, all.durations.believed()]);
        }
        has_moved
    }

    /// Whether any task was ever found done.
    pub const fn has_seen_an_end(&self) -> bool {
        self.has_seen_an_end
    }

    /// When a task is best asked for that still ran at this age.
    pub fn best(&self, kind: Kind, running: f64, is_hurried: bool) -> Best {
        let course = self.course(kind);
        let plan = if is_hurried { &course.next_hurried } else { &course.next };
        let next = Place::of(running).value(plan);
        Best { next, after: Place::of(next).value(plan) }
    }

    /// For how long, in seconds, a task has been done without our knowing, as is to be expected of one that was last known to run at age
    /// `from` and is not asked for before `to`.
    ///
    /// It grows without bound, ever faster: whatever else there is to ask for, this task's turn comes.
    pub fn delay(&self, kind: Kind, from: f64, to: f64) -> f64 {
        let course = self.course(kind);
        let (from_place, to_place) = (Place::of(from), Place::of(to));
        let running = 1.0 - from_place.value(course.durations.believed());
        let running_for = to_place.value(&course.running_for) - from_place.value(&course.running_for);
        (to - from - running_for / running.max(f64::MIN_POSITIVE)).max(0.0)
    }

    /// How long tasks take on average, in seconds, but for the few that take longest: of those hardly anything is known.
    pub fn mean(&self) -> f64 {
        let Course { durations, running_for, .. } = &self.courses[0];
        running_for[quantile(durations.believed(), MOST)]
    }

    /// In how many seconds the last of `n` tasks is done of this age or older, as is to be expected.
    pub fn left(&self, age: f64, n: usize) -> f64 {
        let done = self.courses[0].durations.believed();
        let n = f64::from(u8::try_from(n).unwrap_or(u8::MAX).clamp(1, LAST_MAX));
        let running = 1.0 - Place::of(age).value(done);
        // A task may be older than any that is believed in: after a machine has slept, for one.
        (AGES[quantile(done, 1.0 - running / (n + 1.0))] - age).max(0.0)
    }

    /// The age by which half of all tasks are done, in seconds.
    pub fn median(&self) -> f64 {
        median(self.courses[0].durations.believed())
    }

    /// What is known of a kind: of a new one, what is known of all.
    fn course(&self, kind: Kind) -> &Course {
        let course = &self.courses[usize::from(kind.0)];
        if course.n_answers > 0 { course } else { &self.courses[0] }
    }
}

impl Course {
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

    /// Takes in an answer, and now and then makes something of it. Returns whether the plan has moved.
    fn observe(&mut self, now: Moment, answer: Answer, told: &[&[f64]]) -> bool {
        self.durations.observe(answer);
        self.n_answers = self.n_answers.saturating_add(1);
        self.n_new += 1;
        // An hour of experience may come in one moment, out of the ledger.
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

    /// The ages of a task's first two polls.
    fn first_polls(&self) -> [f64; 2] {
        let first = self.next[0];
        [first, Place::of(first).value(&self.next)]
    }
}

/// The age by which half of all tasks are done.
fn median(done: &[f64]) -> f64 {
    AGES[quantile(done, 0.5)]
}

/// The first age of the grid by which this share of tasks is done.
fn quantile(done: &[f64], share: f64) -> usize {
    done.partition_point(|done| *done < share).min(STEPS)
}
