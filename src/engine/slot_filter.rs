//! Bayesian filter over numbers of slots: how many tasks in flight the provider accepts.
//!
//! Tasks that have ended undetected make the number in flight seem larger than it is. A submission accepted with a few more tasks may have
//! found such a slot. Its likelihood takes the expected number of undetected ends into account.

/// Numbers of slots that are told apart one by one. Larger ones grow by the ratio `STEP`.
const EXACT: usize = 64;
const STEP: f32 = 1.03;

/// Number of hypotheses: up to 16,000 slots.
const ALL: usize = EXACT + 190;

/// Part of the weight that returns to the prior with every acceptance.
const SHARE: f32 = 0.01;

/// Probability of an answer that a hypothesis excludes.
const UNLIKELY: f32 = 0.01;

/// Expected number of undetected ends from which their distribution counts as normal.
const MANY: f32 = 20.0;

/// Trust in the expected number of undetected ends, for each of them.
const TRUSTED: f32 = 0.7;

/// Tasks in flight when a submission left.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Number of other tasks.
    pub n_others: usize,
    /// Expected number of those that have ended undetected.
    pub unheard: f32,
}

/// Posterior over the number of slots.
#[derive(Clone, Debug)]
pub struct Slots {
    n: Vec<f32>,
    prior: Vec<f32>,
    weights: Vec<f32>,
}

impl Slots {
    /// Creates the prior: all numbers are equally likely on a logarithmic scale.
    pub fn new() -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let exact = (1..=EXACT).map(|n| n as f32);
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let more = std::iter::successors(Some(EXACT as f32 * STEP), |n| Some(n * STEP)).take(ALL - EXACT);
        let n: Vec<f32> = exact.chain(more).map(f32::round).collect();
        let mut prior: Vec<f32> = (0..ALL).map(|i| (n[(i + 1).min(ALL - 1)] / n[i]).ln().max(0.01)).collect();
        let sum: f32 = prior.iter().sum();
        prior.iter_mut().for_each(|weight| *weight /= sum);
        Self { n, weights: prior.clone(), prior }
    }

    /// Returns the probability that a submission is accepted.
    pub fn likely(&self, in_flight: InFlight) -> f32 {
        let accepts = Accepts::new(in_flight);
        self.n.iter().zip(&self.weights).map(|(n, weight)| weight * accepts.of(*n)).sum()
    }

    /// Weighs the hypotheses by an acceptance.
    pub fn accepted(&mut self, in_flight: InFlight) {
        self.weigh(in_flight, SHARE, |accepts| accepts.max(UNLIKELY));
    }

    /// Weighs the hypotheses by a refusal. `others` is the probability that nothing else would have refused.
    /// Its evidence counts for the part `news`.
    pub fn refused(&mut self, in_flight: InFlight, others: f32, news: f32) {
        self.weigh(in_flight, 0.0, |accepts| (1.0 - others * accepts).max(UNLIKELY).powf(news));
    }

    fn weigh(&mut self, in_flight: InFlight, share: f32, likelihood: impl Fn(f32) -> f32) {
        let accepts = Accepts::new(in_flight);
        let mut sum = 0.0;
        for (weight, n) in self.weights.iter_mut().zip(&self.n) {
            *weight *= likelihood(accepts.of(*n));
            sum += *weight;
        }
        for (weight, prior) in self.weights.iter_mut().zip(&self.prior) {
            *weight = *weight * (1.0 - share) / sum.max(f32::MIN_POSITIVE) + share * prior;
        }
    }

    /// Returns the number below which this share of the weight lies.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some thousands")]
    pub fn count(&self, share: f32) -> usize {
        let mut sum = 0.0;
        let nth = self.weights.iter().position(|weight| {
            sum += weight;
            sum >= share
        });
        self.n[nth.unwrap_or(ALL - 1)] as usize
    }
}

/// Probability that so many tasks have ended undetected that a submission is accepted, for any number of slots.
struct Accepts {
    n_others: f32,
    unheard: f32,
    /// Probability of more than so many undetected ends, if few are expected.
    more_than: [f32; 64],
}

impl Accepts {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    fn new(InFlight { n_others, unheard }: InFlight) -> Self {
        let mut more_than = [0.0; 64];
        let (mut term, mut sum) = ((-unheard).exp(), 0.0);
        for (nth, slot) in more_than.iter_mut().enumerate() {
            sum += term;
            *slot = (1.0_f32 - sum).max(0.0);
            term *= unheard / (nth as f32 + 1.0);
        }
        Self { n_others: n_others as f32, unheard, more_than }
    }

    fn of(&self, n: f32) -> f32 {
        let missing = self.n_others - n;
        if missing < 0.0 {
            return 1.0;
        }
        // The estimate itself may be wrong, and the more so the more ended tasks an acceptance requires.
        let trusted = TRUSTED.powf(missing + 1.0);
        if self.unheard < MANY {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
            return trusted * self.more_than.get(missing as usize).copied().unwrap_or(0.0);
        }
        let deviations = (self.unheard - missing - 0.5) / self.unheard.sqrt();
        trusted / (1.0 + (-1.7 * deviations).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn in_flight(n_others: usize, unheard: f32) -> InFlight {
        InFlight { n_others, unheard }
    }

    #[test]
    fn refusals_beyond_acceptances_show_the_number() {
        for n in [1_usize, 4, 50, 300] {
            let mut slots = Slots::new();
            (0..n).for_each(|n_others| slots.accepted(in_flight(n_others, 0.0)));
            for _ in 0..8 {
                slots.refused(in_flight(n, 0.0), 1.0, 1.0);
                slots.accepted(in_flight(n - 1, 0.0));
            }
            let found = slots.count(0.5);
            assert!(found.abs_diff(n) <= n / 30, "{n}: {found}");
            assert!(
                slots.likely(in_flight(n - n / 20 - 1, 0.0)) > 0.9 && slots.likely(in_flight(n + n / 20, 0.0)) < 0.1
            );
        }
    }

    /// An acceptance with a few more tasks in flight may have found the slot of a task that has ended undetected.
    #[test]
    fn undetected_ends_explain_an_acceptance() {
        let found = |unheard: f32| {
            let mut slots = Slots::new();
            (0..50).for_each(|n_others| slots.accepted(in_flight(n_others, 0.0)));
            for _ in 0..3 {
                slots.refused(in_flight(50, 0.0), 1.0, 1.0);
                slots.accepted(in_flight(49, 0.0));
            }
            slots.accepted(in_flight(51, unheard));
            slots.likely(in_flight(52, 0.0))
        };
        assert!(found(0.0) > 3.0 * found(10.0) && found(10.0) < 0.2, "{} {}", found(0.0), found(10.0));
    }
}
