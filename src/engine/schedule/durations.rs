//! How long tasks take, learnt from what their polls said.
//!
//! A poll tells only that a task ended between two ages, or still runs at one. Several experts make a distribution of that, each with a
//! memory and a fineness of its own, and one of them never learns. What is believed is their mixture, weighted by how well each has
//! foreseen the last answers, where no expert is ever given up (fixed share: Herbster and Warmuth, 1998). So a change is noticed as soon as
//! answers surprise, in whichever direction, and an age beyond all experience is left to the one who never had any.

use std::collections::VecDeque;
use std::sync::LazyLock;

use crate::engine::schedule::ages::{AGES, Place, STEPS};

/// Tasks that are remembered.
const TASKS_MAX: usize = 256;

/// An expert's memory, and how finely it looks.
struct Manner {
    /// Tasks: each newer one makes those before it count less by one part in so many.
    memory: f64,
    /// Steps of the grid, to either side, over which what is seen of one age says something about others.
    width: usize,
}

/// A short memory that follows a change within a few tasks, and long ones for smooth distributions and for sharp ones.
const MANNERS: [Manner; 3] =
    [Manner { memory: 8.0, width: 10 }, Manner { memory: 100.0, width: 6 }, Manner { memory: 100.0, width: 2 }];

/// What an expert believed before its first task counts for as much as this part of a task.
const BASE_WEIGHT: f64 = 0.1;

/// The part of all trust that is shared out anew after every answer.
const SHARE: f64 = 0.002;

/// The least that an answer is worth: one surprise alone overthrows nobody.
const LIKELIHOOD_MIN: f64 = 1e-4;

/// Rounds of estimation at a time. Each begins where the last one ended, so that few are needed.
const ROUNDS: usize = 2;

/// Before anything is known, half of all tasks are done after so many seconds.
const PRIOR_MEDIAN: f64 = 3.0;

/// The share of tasks that are done by every age of the grid, before anything is known: the longer a task runs, the longer it may go on.
pub static PRIOR: LazyLock<Vec<f64>> = LazyLock::new(|| AGES.iter().map(|age| age / (age + PRIOR_MEDIAN)).collect());

/// What a poll said of a task that still ran at `from`: it was done by `to`, or not.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The age at which it was last known to run.
    pub from: Place,
    /// The age at which it was asked for.
    pub to: Place,
    /// Whether it was done.
    pub is_done: bool,
}

/// The steps of the grid between which a task has ended.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: usize,
    to: usize,
}

/// One view of how long tasks take.
#[derive(Debug)]
struct Expert {
    /// Its part of all trust.
    weight: f64,
    /// The share of tasks that are done by every age of the grid.
    done: Vec<f64>,
}

/// Learns how long tasks of one kind take.
#[derive(Debug)]
pub struct Durations {
    /// The last tasks that were found done, the newest first.
    tasks: VecDeque<Span>,
    /// Those that are told what to believe, and then one for each manner of learning.
    experts: Vec<Expert>,
    believed: Vec<f64>,
}

impl Durations {
    /// What is told is trusted, before its first task.
    pub fn new(told: &[&[f64]]) -> Self {
        let base = told.last().expect("it is told something");
        let views = told.iter().chain(std::iter::repeat_n(base, MANNERS.len()));
        let mut experts: Vec<_> = views.map(|done| Expert { weight: 1.0, done: done.to_vec() }).collect();
        share_out(&mut experts, 1.0);
        let mut durations = Self { tasks: VecDeque::new(), experts, believed: vec![] };
        durations.believed = durations.mixture();
        durations
    }

    /// The share of tasks that are done by every age of the grid, as far as is known.
    pub fn believed(&self) -> &[f64] {
        &self.believed
    }

    /// Takes in what a poll said. What is believed changes only with [`Durations::relearn`].
    pub fn observe(&mut self, answer: Answer) {
        for expert in &mut self.experts {
            let (before, by_then) = (answer.from.value(&expert.done), answer.to.value(&expert.done));
            let ended = if answer.is_done { by_then - before } else { 1.0 - by_then };
            let left = (1.0 - before).max(f64::MIN_POSITIVE);
            expert.weight *= (ended / left).clamp(LIKELIHOOD_MIN, 1.0);
        }
        share_out(&mut self.experts, SHARE);
        if answer.is_done {
            let from = answer.from.nearest().min(STEPS - 1);
            self.tasks.truncate(TASKS_MAX - 1);
            self.tasks.push_front(Span { from, to: answer.to.nearest().max(from + 1) });
        }
    }

    /// Makes a belief of all that was taken in, and of what it is told now.
    pub fn relearn(&mut self, told: &[&[f64]]) {
        let (told_to, learning) = self.experts.split_at_mut(told.len());
        for (expert, done) in told_to.iter_mut().zip(told) {
            expert.done.copy_from_slice(done);
        }
        let base = told.last().expect("it is told something");
        for (expert, manner) in learning.iter_mut().zip(&MANNERS) {
            (0..ROUNDS).for_each(|_| expert.relearn(&self.tasks, manner, base));
        }
        self.believed = self.mixture();
    }

    fn mixture(&self) -> Vec<f64> {
        let at = |i| self.experts.iter().map(|expert: &Expert| expert.weight * expert.done[i]).sum();
        (0..=STEPS).map(at).collect()
    }
}

impl Expert {
    /// One round of estimation from tasks whose ends are known to lie between two ages (smoothed expectation maximisation: Silverman,
    /// Jones, Wilson and Nychka, 1990): each task is spread over its span as is believed so far, and the sum is smoothed.
    fn relearn(&mut self, tasks: &VecDeque<Span>, manner: &Manner, base: &[f64]) {
        let mut density = [0.0; STEPS + 1];
        let mut weight = 1.0;
        for Span { from, to } in tasks {
            let per_share = weight / (self.done[*to] - self.done[*from]).max(f64::MIN_POSITIVE);
            density[*from] += per_share;
            density[*to] -= per_share;
            weight *= 1.0 - 1.0 / manner.memory;
        }
        let mut mass = [0.0; STEPS];
        let mut sum = 0.0;
        for i in 0..STEPS {
            sum += density[i];
            mass[i] = sum * (self.done[i + 1] - self.done[i]);
        }
        smooth(&mut mass, manner.width);
        smooth(&mut mass, manner.width);
        let total = mass.iter().sum::<f64>() + BASE_WEIGHT;
        for i in 0..STEPS {
            let more = (mass[i] + BASE_WEIGHT * (base[i + 1] - base[i])) / total;
            self.done[i + 1] = self.done[i] + more;
        }
    }
}

/// Makes the weights sum to one, of which `share` is divided equally.
fn share_out(experts: &mut [Expert], share: f64) {
    let sum: f64 = experts.iter().map(|expert| expert.weight).sum();
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let equal = share / experts.len() as f64;
    for expert in experts {
        expert.weight = (1.0 - share) * expert.weight / sum + equal;
    }
}

/// Replaces each value by the mean of those no further away than `width`.
fn smooth(values: &mut [f64; STEPS], width: usize) {
    let mut sums = [0.0; STEPS + 1];
    for i in 0..STEPS {
        sums[i + 1] = sums[i] + values[i];
    }
    for (i, value) in values.iter_mut().enumerate() {
        let (first, last) = (i.saturating_sub(width), (i + width + 1).min(STEPS));
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let n = (last - first) as f64;
        *value = (sums[last] - sums[first]) / n;
    }
}
