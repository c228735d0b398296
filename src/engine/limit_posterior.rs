//! Bayesian filter over the limits that a provider may have: every combination of a token bucket and a number of slots.
//!
//! Every answer weighs all combinations at once, by the probability that each of them gives it. A refusal that one limit explains is no
//! evidence for another one, and an answer that rules several combinations out needs no tests of its own for each.

use crate::engine::submission_order::Trial;
use crate::model::time::Moment;

/// Minimum probability of any answer: refusals may be random, and neither clocks nor ends of tasks are known exactly.
const STRAY: f64 = 0.02;

/// Lowest and highest rate, in submissions per second, and the first ratio of two neighbours.
const RATE_MIN: f64 = 1.0 / 120.0;
const RATE_MAX: f64 = 3000.0;
const STEP: f64 = 1.2;

/// Prior distribution of the rate: its median, and the standard deviation of its logarithm.
const RATE_MEDIAN: f64 = 10.0;
const RATE_SIGMA: f64 = 2.0;

/// Ratio of two neighbours that is not refined any further.
const STEP_MIN: f64 = 1.008;

/// Number of rates from which the ratio is refined, and the share of the likeliest one below which a rate is dropped then.
const REFINED_MAX: usize = 24;
const DROPPED: f64 = 0.002;

/// Probability that any of the rates is left, below which they are not refined.
const RATES_MIN: f64 = 0.001;

/// Sizes of a bucket, and the content at the first refusal of a bucket of more than one token.
const SIZES: [f64; 4] = [1.0, 2.0, 4.0, 16.0];
const CONTENTS: [f64; 3] = [0.15, 0.5, 0.85];

/// Prior probabilities of a bucket for a single token, and of each of the other sizes.
const SINGLE: f64 = 0.4;
const SEVERAL: f64 = 0.2;

/// Prior probabilities: a rate alone, slots alone, both, and random refusals without a limit.
const BY_RATE: f64 = 0.5;
const BY_SLOTS: f64 = 0.45;
const BY_BOTH: f64 = 0.02;
const BY_NONE: f64 = 0.02;

/// Share of the rate times the shortest accepted gap, below which a bucket of a single token would have refused.
const GAP_SHARE: f64 = 0.9;

/// Uncertainty of the time at which a submission arrives, in seconds, and the bounds of its effect, in tokens.
const JITTER: f64 = 0.002;
const SOFT_MIN: f64 = 0.01;
const SOFT_MAX: f64 = 0.3;

/// Tasks in flight of which one more may have ended undetected before the first refusal, and the maximum of these.
const MANY: usize = 16;
const SPREAD_MAX: usize = 6;

/// Probability that slots are free again: a task ended while the submission was under way, one may have ended undetected, and none should.
const ENDED: f64 = 0.5;
const UNDETECTED: f64 = 0.4;
const EARLY: f64 = 0.1;
/// Factor for each undetected end more than expected.
const MORE: f64 = 0.15;

/// What is known at the first refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstRefusal {
    /// When the refused submission left.
    pub at: Moment,
    /// When the last accepted submission left; `None` before the first.
    pub last_accepted: Option<Moment>,
    /// Shortest time between two accepted submissions, in seconds; infinite before the second.
    pub gap_accepted: f64,
    /// Number of accepted tasks in flight.
    pub n_busy: usize,
}

/// Token bucket that a provider may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenBucket {
    /// Rate in tokens per second; infinite without a limit.
    rate: f64,
    size: f64,
    prior: f64,
    /// Tokens at the moment `at`.
    tokens: f64,
    at: Moment,
}

impl TokenBucket {
    /// Returns whether it limits submissions.
    pub(crate) const fn is_limit(&self) -> bool {
        self.rate.is_finite()
    }

    /// Returns the number of tokens at that moment, as if the bucket were not limited in size.
    fn filled_at(&self, at: Moment) -> f64 {
        self.tokens + self.rate * (at - self.at).as_secs_f64()
    }

    /// Returns how many tokens have not fitted since the last submission.
    pub(crate) fn lost_at(&self, at: Moment) -> f64 {
        if self.is_limit() { (self.filled_at(at) - self.size).max(0.0) } else { 0.0 }
    }

    /// Returns the time until there is a token, in seconds.
    pub(crate) fn wait(&self, now: Moment) -> f64 {
        if self.is_limit() { ((1.0 - self.filled_at(now)) / self.rate).max(0.0) } else { 0.0 }
    }

    /// Returns the probability that a submission at that moment is accepted.
    pub(crate) fn accepts(&self, at: Moment) -> f64 {
        if !self.is_limit() {
            return 1.0;
        }
        let soft = (self.rate * JITTER).clamp(SOFT_MIN, SOFT_MAX);
        ((self.filled_at(at).min(self.size) - 1.0 + soft) / soft).clamp(0.0, 1.0)
    }

    /// Records a submission, which takes a token if it `is_accepted`.
    pub(crate) fn submitted(&mut self, at: Moment, is_accepted: bool) {
        if self.is_limit() {
            self.tokens = self.filled_at(at).min(self.size);
            self.at = self.at.max(at);
            if is_accepted {
                self.tokens = (self.tokens - 1.0).max(0.0);
            }
        }
    }
}

/// Number of slots that a provider may have; `usize::MAX` without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots(pub usize);

impl Slots {
    /// Returns whether they limit submissions.
    pub(crate) const fn is_limit(self) -> bool {
        self.0 != usize::MAX
    }

    /// Returns the probability that a submission with so many tasks in flight finds a slot.
    pub(crate) fn accepts(self, trial: &Trial) -> f64 {
        if trial.n_busy_max < self.0 {
            return 1.0;
        }
        if trial.n_busy_min < self.0 {
            return ENDED;
        }
        let n_more = (trial.n_busy_min + 1 - self.0).saturating_sub(trial.n_undetected).min(4);
        let first = if trial.n_undetected == 0 { EARLY } else { UNDETECTED };
        (0..n_more).fold(first, |product, _| product * MORE)
    }
}

/// Posterior distribution over the combinations of buckets and slots.
#[derive(Debug)]
pub(crate) struct LimitPosterior {
    first: FirstRefusal,
    /// Ratio of two neighbouring rates.
    step: f64,
    /// Buckets, the last of which limits nothing.
    buckets: Vec<TokenBucket>,
    /// Numbers of slots, the last of which limits nothing.
    slots: Vec<Slots>,
    /// Weight of each bucket with each number of slots, which follow each other.
    weights: Vec<f64>,
    trials: Vec<Trial>,
}

impl LimitPosterior {
    /// Creates the prior distribution at a first refusal. Slots are `favour` times as likely as by default.
    pub(crate) fn new(first: FirstRefusal, favour: f64) -> Self {
        let rates: Vec<f64> = std::iter::successors(Some(RATE_MIN), |rate| Some(rate * STEP))
            .take_while(|rate| *rate <= RATE_MAX)
            .collect();
        let prior = |rate: &f64| (-((rate / RATE_MEDIAN).ln() / RATE_SIGMA).powi(2) / 2.0).exp();
        let sum: f64 = rates.iter().map(prior).sum();
        let rates: Vec<(f64, f64)> = rates.iter().map(|rate| (*rate, prior(rate) / sum)).collect();
        let n_slots = first.n_busy.max(1);
        let least = n_slots.saturating_sub((n_slots / MANY).min(SPREAD_MAX)).max(1);
        let slots: Vec<Slots> = (least..=n_slots).chain([usize::MAX]).map(Slots).collect();
        let buckets = buckets(&first, &rates);
        let each = 1.0 / float(slots.len() - 1);
        let weight = |bucket: &TokenBucket, slots: &Slots| match (bucket.is_limit(), slots.is_limit()) {
            (true, false) => BY_RATE * bucket.prior,
            (false, true) => favour * BY_SLOTS * each,
            (true, true) => BY_BOTH * bucket.prior * each,
            (false, false) => BY_NONE,
        };
        let weights = buckets.iter().flat_map(|bucket| slots.iter().map(move |slots| weight(bucket, slots))).collect();
        let mut posterior = Self { first, step: STEP, buckets, slots, weights, trials: vec![] };
        posterior.exclude_slow();
        posterior
    }

    /// Returns the numbers of slots.
    pub(crate) fn slots(&self) -> &[Slots] {
        &self.slots
    }

    /// Returns each bucket with its weights, one for each number of slots. They sum up to 1.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&TokenBucket, &[f64])> {
        self.buckets.iter().zip(self.weights.chunks(self.slots.len()))
    }

    /// Returns the probability that a submission is accepted, before its answer is weighed.
    pub(crate) fn accepts(&self, trial: &Trial) -> f64 {
        let by_slots: Vec<f64> = self.slots.iter().map(|slots| slots.accepts(trial)).collect();
        let accepts = |(bucket, weights): (&TokenBucket, &[f64])| {
            let free: f64 = weights.iter().zip(&by_slots).map(|(weight, by_slots)| weight * by_slots).sum();
            bucket.accepts(trial.left_at) * free
        };
        self.rows().map(accepts).sum()
    }

    /// Weighs every combination by an answer.
    pub(crate) fn observe(&mut self, trial: Trial) {
        self.trials.push(trial);
        self.weigh(&trial);
        self.refine();
    }

    fn weigh(&mut self, trial: &Trial) {
        let by_slots: Vec<f64> = self.slots.iter().map(|slots| slots.accepts(trial)).collect();
        for (bucket, weights) in self.buckets.iter_mut().zip(self.weights.chunks_mut(self.slots.len())) {
            let by_rate = bucket.accepts(trial.left_at);
            for (weight, by_slots) in weights.iter_mut().zip(&by_slots) {
                let likely = (by_rate * by_slots).clamp(STRAY, 1.0 - STRAY);
                *weight *= if trial.is_accepted { likely } else { 1.0 - likely };
            }
            bucket.submitted(trial.left_at, trial.is_accepted);
        }
        self.normalise();
    }

    fn normalise(&mut self) {
        let sum: f64 = self.weights.iter().sum();
        if sum > 0.0 {
            self.weights.iter_mut().for_each(|weight| *weight /= sum);
        }
    }

    /// Lowers the weights of the buckets for a single token that would have refused what was accepted before the first refusal.
    fn exclude_slow(&mut self) {
        let gap = self.first.gap_accepted;
        for (bucket, weights) in self.buckets.iter().zip(self.weights.chunks_mut(self.slots.len())) {
            if bucket.size <= 1.0 && bucket.rate * gap < GAP_SHARE {
                for weight in weights {
                    *weight *= STRAY;
                }
            }
        }
        self.normalise();
    }

    /// Refines the rates that are left, if they are few. All answers are then weighed again.
    fn refine(&mut self) {
        let mut rates: Vec<(f64, f64, f64)> = vec![];
        for (bucket, weights) in self.rows().filter(|(bucket, _)| bucket.is_limit()) {
            let weight = weights.iter().sum::<f64>();
            match rates.last_mut().filter(|(rate, ..)| rate.total_cmp(&bucket.rate).is_eq()) {
                Some((_, sum, prior)) => (*sum, *prior) = (*sum + weight, *prior + bucket.prior),
                None => rates.push((bucket.rate, weight, bucket.prior)),
            }
        }
        let most = rates.iter().map(|(_, weight, _)| *weight).fold(0.0, f64::max);
        let sum: f64 = rates.iter().map(|(_, weight, _)| weight).sum();
        rates.retain(|(_, weight, _)| *weight > DROPPED * most);
        if sum < RATES_MIN || self.step <= STEP_MIN || rates.len() > REFINED_MAX {
            return;
        }
        let before = self.by_slots();
        let quarter = self.step.sqrt().sqrt();
        self.step = self.step.sqrt();
        let halves =
            |(rate, _, prior): &(f64, f64, f64)| [(rate / quarter, prior / 2.0), (rate * quarter, prior / 2.0)];
        self.buckets = buckets(&self.first, &rates.iter().flat_map(halves).collect::<Vec<_>>());
        let n_slots = self.slots.len();
        self.weights = self.buckets.iter().flat_map(|bucket| vec![bucket.prior; n_slots]).collect();
        self.exclude_slow();
        for trial in std::mem::take(&mut self.trials) {
            self.weigh(&trial);
            self.trials.push(trial);
        }
        self.restore(&before);
    }

    /// Returns the probability of each number of slots with any rate, and without one.
    fn by_slots(&self) -> Vec<[f64; 2]> {
        let mut sums = vec![[0.0; 2]; self.slots.len()];
        for (bucket, weights) in self.rows() {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                sum[usize::from(!bucket.is_limit())] += weight;
            }
        }
        sums
    }

    /// Scales the weights to these probabilities, which finer rates do not change.
    fn restore(&mut self, before: &[[f64; 2]]) {
        let now = self.by_slots();
        for (bucket, weights) in self.buckets.iter().zip(self.weights.chunks_mut(self.slots.len())) {
            let kind = usize::from(!bucket.is_limit());
            for (weight, (now, before)) in weights.iter_mut().zip(now.iter().zip(before)) {
                *weight *= if now[kind] > 0.0 { before[kind] / now[kind] } else { 0.0 };
            }
        }
        self.normalise();
    }

    /// Returns the probability that a rate is a limit.
    pub(crate) fn by_rate(&self) -> f64 {
        self.rows().filter(|(bucket, _)| bucket.is_limit()).flat_map(|(_, weights)| weights).sum()
    }

    /// Returns the probability that slots are a limit.
    pub(crate) fn by_any_slots(&self) -> f64 {
        self.by_slots().iter().rev().skip(1).flatten().sum()
    }

    /// Returns the likeliest number of slots, if slots are a limit.
    pub(crate) fn likeliest_slots(&self) -> usize {
        let sums = self.by_slots();
        let limits = self.slots.iter().zip(&sums).filter(|(slots, _)| slots.is_limit());
        let likeliest = limits.max_by(|(_, a), (_, b)| (a[0] + a[1]).total_cmp(&(b[0] + b[1])));
        likeliest.map_or(1, |(slots, _)| slots.0)
    }

    /// Returns the mean and the standard deviation of the logarithm of the rate, if a rate is a limit.
    pub(crate) fn log_rate(&self) -> (f64, f64) {
        let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
        for (bucket, weights) in self.rows().filter(|(bucket, _)| bucket.is_limit()) {
            let (weight, log): (f64, f64) = (weights.iter().sum(), bucket.rate.ln());
            (sum, mean, square) = (sum + weight, mean + weight * log, square + weight * log * log);
        }
        if sum <= 0.0 {
            return (RATE_MEDIAN.ln(), f64::INFINITY);
        }
        mean /= sum;
        (mean, (square / sum - mean * mean).max(0.0).sqrt())
    }
}

/// Returns the buckets for these rates, each with its prior probability, and one without a limit.
fn buckets(first: &FirstRefusal, rates: &[(f64, f64)]) -> Vec<TokenBucket> {
    let mut buckets = vec![];
    for (rate, prior) in rates.iter().copied() {
        for size in SIZES {
            if size <= 1.0 {
                // The last acceptance has emptied it.
                let at = first.last_accepted.unwrap_or(first.at);
                buckets.push(TokenBucket { rate, size, prior: prior * SINGLE, tokens: 0.0, at });
            } else {
                let prior = prior * SEVERAL / float(CONTENTS.len());
                buckets.extend(CONTENTS.map(|tokens| TokenBucket { rate, size, prior, tokens, at: first.at }));
            }
        }
    }
    buckets.push(TokenBucket { rate: f64::INFINITY, size: f64::INFINITY, prior: 1.0, tokens: 0.0, at: first.at });
    buckets
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
const fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
