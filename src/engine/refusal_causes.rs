//! Bayesian comparison of the causes of refusals: no limit, a rate, a number of slots, or both, each besides random refusals.
//!
//! An answer is likely under an assumption if its limits expected it. A refusal that no limit expected is random, and more likely with a
//! larger share of random refusals. A small part of the probability returns to the prior with every answer, because limits come and go.

/// Shares of random refusals, and their probabilities before any refusal.
const CHANCES: [(f32, f32); 4] = [(0.001, 0.7), (0.01, 0.15), (0.04, 0.1), (0.12, 0.05)];

/// Probabilities of the assumptions before any refusal, in the order of [`ASSUMPTIONS`].
const ASSUMED: [f32; 4] = [0.2, 0.35, 0.35, 0.1];

/// Part of the probability that returns to the prior with every answer.
const SHARE: f32 = 0.002;

/// Assumption about the limits of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assumption {
    None,
    Rate,
    Slots,
    Both,
}

/// All assumptions.
pub const ASSUMPTIONS: [Assumption; 4] = [Assumption::None, Assumption::Rate, Assumption::Slots, Assumption::Both];

/// Probabilities that no limit refuses a submission: by the rate and by the slots, each as the only limit and as one of two.
#[derive(Clone, Copy, Debug)]
pub struct Likely {
    pub rate: [f32; 2],
    pub slots: [f32; 2],
}

impl Likely {
    const fn under(self, assumption: Assumption) -> f32 {
        match assumption {
            Assumption::None => 1.0,
            Assumption::Rate => self.rate[0],
            Assumption::Slots => self.slots[0],
            Assumption::Both => self.rate[1] * self.slots[1],
        }
    }
}

/// Probability of every assumption with every share of random refusals.
#[derive(Clone, Debug)]
pub struct RefusalCauses([[f32; CHANCES.len()]; ASSUMPTIONS.len()]);

impl RefusalCauses {
    /// Creates the prior.
    pub fn new() -> Self {
        Self(ASSUMED.map(|assumed| CHANCES.map(|(_, likely)| assumed * likely)))
    }

    /// Returns the probability of an assumption.
    pub fn probability(&self, assumption: Assumption) -> f32 {
        self.0[assumption as usize].iter().sum()
    }

    /// Returns the expected share of random refusals under an assumption.
    pub fn chance(&self, assumption: Assumption) -> f32 {
        let causes = &self.0[assumption as usize];
        let sum: f32 = causes.iter().zip(CHANCES).map(|(cause, (chance, _))| cause * chance).sum();
        sum / causes.iter().sum::<f32>()
    }

    /// Returns the probability that no limit refuses.
    pub fn accepts(&self, likely: Likely) -> f32 {
        ASSUMPTIONS.iter().map(|assumption| self.probability(*assumption) * likely.under(*assumption)).sum()
    }

    /// Weighs the assumptions by an acceptance.
    pub fn accepted(&mut self, likely: Likely) {
        self.weigh(likely, |accepts, chance| (1.0 - chance) * accepts);
    }

    /// Weighs the assumptions by a refusal, whose evidence counts for the part `news`. Returns the probability that it was random.
    pub fn refused(&mut self, likely: Likely, news: f32) -> f32 {
        let [mut by_chance, mut by_all] = [0.0; 2];
        for assumption in ASSUMPTIONS {
            for (cause, (chance, _)) in self.0[assumption as usize].iter().zip(CHANCES) {
                by_chance += cause * chance;
                by_all += cause * (1.0 - (1.0 - chance) * likely.under(assumption));
            }
        }
        self.weigh(likely, |accepts, chance| (1.0 - (1.0 - chance) * accepts).powf(news));
        by_chance / by_all
    }

    fn weigh(&mut self, likely: Likely, likelihood: impl Fn(f32, f32) -> f32) {
        let mut sum = 0.0;
        for assumption in ASSUMPTIONS {
            let accepts = likely.under(assumption);
            for (cause, (chance, _)) in self.0[assumption as usize].iter_mut().zip(CHANCES) {
                *cause *= likelihood(accepts, chance);
                sum += *cause;
            }
        }
        for (causes, assumed) in self.0.iter_mut().zip(ASSUMED) {
            for (cause, (_, likely)) in causes.iter_mut().zip(CHANCES) {
                *cause = *cause / sum * (1.0 - SHARE) + SHARE * assumed * likely;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: Likely = Likely { rate: [1.0; 2], slots: [1.0; 2] };

    /// Goal: refusals that no limit expected are random, and their share is found. Method: one refusal in 25 answers.
    #[test]
    fn refusals_that_nothing_expected_are_random() {
        let mut causes = RefusalCauses::new();
        for _ in 0..20 {
            (0..24).for_each(|_| causes.accepted(SURE));
            causes.refused(SURE, 1.0);
        }
        let chance = causes.chance(Assumption::None);
        assert!((0.02..0.06).contains(&chance), "{chance}");
    }

    /// Goal: the limit that expected the refusals is their cause. Method: refusals that only one of the two expected.
    #[test]
    fn the_limit_that_expected_a_refusal_is_its_cause() {
        for (likely, cause) in [
            (Likely { rate: [0.1; 2], ..SURE }, Assumption::Rate),
            (Likely { slots: [0.1; 2], ..SURE }, Assumption::Slots),
        ] {
            let mut causes = RefusalCauses::new();
            let chance = (0..3).map(|_| causes.refused(likely, 1.0)).last().unwrap();
            (0..20).for_each(|_| causes.accepted(SURE));
            assert!(causes.probability(cause) > 0.6 && chance < 0.1, "{cause:?}: {causes:?}, {chance}");
        }
    }
}
