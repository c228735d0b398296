//! Estimator of task durations from the answers of polls, as a weighted mixture of experts.
//!
//! A poll shows only that a task ended between two ages, or still runs at one. Several experts derive a distribution from that. Each has
//! its own memory and resolution, and one of them never learns. The estimate is their mixture, weighted by how well each expert predicted
//! the last answers. No expert is ever given up (fixed share: Herbster and Warmuth, 1998). A change in either direction is therefore
//! noticed as soon as answers are unexpected. An age beyond all experience is left to the expert without experience.

use std::collections::VecDeque;
use std::sync::LazyLock;

use crate::engine::schedule::ages::{AGES, AgePosition, STEPS};

/// Maximum number of tasks that are remembered.
const TASKS_MAX: usize = 256;

/// Memory and resolution of an expert.
struct ExpertParams {
    /// Memory in tasks: each newer task reduces the weight of the tasks before it by one part in `memory`.
    memory: f64,
    /// Steps of the grid, to either side, over which an observation at one age applies to other ages.
    width: usize,
}

/// A short memory that follows a change within a few tasks, and long ones for smooth and for sharp distributions.
const MANNERS: [ExpertParams; 3] = [
    ExpertParams { memory: 8.0, width: 10 },
    ExpertParams { memory: 100.0, width: 6 },
    ExpertParams { memory: 100.0, width: 2 },
];

/// Weight of an expert's initial belief, as a fraction of one task.
const BASE_WEIGHT: f64 = 0.1;

/// Fraction of the total weight that is redistributed equally after every answer.
const SHARE: f64 = 0.002;

/// Minimum likelihood of an answer: a single unexpected answer must not overturn the weights.
const LIKELIHOOD_MIN: f64 = 1e-4;

/// Rounds of estimation per update. Each update begins from the previous result, so that few are needed.
const ROUNDS: usize = 2;

/// Prior median of the task duration, in seconds.
const PRIOR_MEDIAN: f64 = 3.0;

/// Prior share of tasks done by every age of the grid. The longer a task runs, the longer it may still run.
pub(crate) static PRIOR: LazyLock<Vec<f64>> =
    LazyLock::new(|| AGES.iter().map(|age| age / (age + PRIOR_MEDIAN)).collect());

/// Answer of a poll about a task that still ran at `from`: done by `to`, or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Age at which the task was last known to run.
    pub from: AgePosition,
    /// Age at which the task was polled.
    pub to: AgePosition,
    /// Says whether the task was done.
    pub is_done: bool,
}

/// Steps of the grid between which a task has ended.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: usize,
    to: usize,
}

/// One estimate of the task duration.
#[derive(Debug)]
struct Expert {
    /// Part of the total weight, from 0 to 1.
    weight: f64,
    /// Share of tasks that are done by every age of the grid.
    done: Vec<f64>,
}

/// Learns the durations of tasks of one kind.
#[derive(Debug)]
pub(crate) struct Durations {
    /// Last tasks that were found done, newest first.
    tasks: VecDeque<Span>,
    /// Experts with a given estimate, followed by one expert for each manner of learning.
    experts: Vec<Expert>,
    believed: Vec<f64>,
}

impl Durations {
    /// Creates an estimator from given estimates, which it trusts before its first task.
    pub(crate) fn new(told: &[&[f64]]) -> Self {
        let base = told.last().expect("it is told something");
        let views = told.iter().chain(std::iter::repeat_n(base, MANNERS.len()));
        let mut experts: Vec<_> = views.map(|done| Expert { weight: 1.0, done: done.to_vec() }).collect();
        share_out(&mut experts, 1.0);
        let mut durations = Self { tasks: VecDeque::new(), experts, believed: vec![] };
        durations.believed = durations.mixture();
        durations
    }

    /// Returns the estimated share of tasks that are done by every age of the grid.
    pub(crate) fn believed(&self) -> &[f64] {
        &self.believed
    }

    /// Processes the answer of a poll. The estimate changes only with [`Durations::relearn`].
    pub(crate) fn observe(&mut self, answer: Answer) {
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

    /// Updates the estimate from all answers so far, and from the estimates that are given now.
    pub(crate) fn relearn(&mut self, told: &[&[f64]]) {
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
    /// Performs one round of smoothed expectation maximisation (Silverman, Jones, Wilson and Nychka, 1990). The ends of the tasks are known
    /// to lie between two ages. Each task is spread over its span by the estimate so far, and the sum is smoothed.
    fn relearn(&mut self, tasks: &VecDeque<Span>, manner: &ExpertParams, base: &[f64]) {
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

/// Normalises the weights to a sum of one, of which `share` is divided equally.
fn share_out(experts: &mut [Expert], share: f64) {
    let sum: f64 = experts.iter().map(|expert| expert.weight).sum();
    #[expect(clippy::cast_precision_loss, reason = "a few experts")]
    let equal = share / experts.len() as f64;
    for expert in experts {
        expert.weight = (1.0 - share) * expert.weight / sum + equal;
    }
}

/// Replaces each value by the mean of the values within a distance of `width`.
fn smooth(values: &mut [f64; STEPS], width: usize) {
    let mut sums = [0.0; STEPS + 1];
    for i in 0..STEPS {
        sums[i + 1] = sums[i] + values[i];
    }
    for (i, value) in values.iter_mut().enumerate() {
        let (first, last) = (i.saturating_sub(width), (i + width + 1).min(STEPS));
        #[expect(clippy::cast_precision_loss, reason = "at most some hundreds")]
        let n = (last - first) as f64;
        *value = (sums[last] - sums[first]) / n;
    }
}
