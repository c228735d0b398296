//! Tells refusals by chance from those of a limit: a limit that is kept refuses little, and chance refuses as before, whatever is cut.
//!
//! Both ways it is Wald's sequential test: every answer adds the logarithm of how much likelier one explanation makes it than the other,
//! what speaks for the present one is not saved up, and the other is believed at odds that an accident hardly ever reaches.

/// The part of submissions that a kept limit refuses at most, as a refusal is paid for with more that are taken than that.
const KEPT: f64 = 0.04;

/// The part that chance is suspected to refuse at least.
const SUSPECTED: f64 = 0.1;

/// A hundred thousand to one.
const PROOF: f64 = 11.5;

/// Chance is proven anew after so many answers, as limits may have come meanwhile.
const RENEWED: u32 = 20_000;

/// Whether refusals are chance.
#[derive(Clone, Debug)]
pub struct Chance {
    /// The part that it refuses, once it is proven, and how many answers it is believed for.
    proven: Option<(f64, u32)>,
    /// What speaks against what is believed.
    evidence: f64,
    /// Answers since something does, and refusals among them.
    n_answers: u32,
    n_refused: u32,
    was_refused: bool,
}

impl Chance {
    /// No refusal is chance until that is proven.
    pub const fn new() -> Self {
        Self { proven: None, evidence: 0.0, n_answers: 0, n_refused: 0, was_refused: false }
    }

    /// Whether refusals are chance.
    pub const fn is_proven(&self) -> bool {
        self.proven.is_some()
    }

    /// Takes in an answer.
    pub fn heard(&mut self, is_refused: bool) {
        let follows_refusal = std::mem::replace(&mut self.was_refused, is_refused);
        match &mut self.proven {
            // A limit that fell refuses one after the other until it is kept, and that is no chance.
            None if follows_refusal => (),
            None => {
                self.weigh(is_refused, KEPT, SUSPECTED);
                if self.evidence > PROOF {
                    let share = f64::from(self.n_refused + 1) / f64::from(self.n_answers + 2);
                    *self = Self { proven: Some((share, RENEWED)), ..Self::new() };
                }
            }
            Some((share, n_left)) => {
                *n_left -= 1;
                let (share, is_old) = (*share, *n_left == 0);
                // More is in flight than when it was proven. Chance does not mind.
                self.weigh(is_refused, share, (2.0 * share).min(f64::midpoint(share, 1.0)));
                if self.evidence > PROOF || is_old {
                    *self = Self::new();
                }
            }
        }
    }

    /// Weighs an answer by two explanations, each of which has a part refused.
    fn weigh(&mut self, is_refused: bool, believed: f64, other: f64) {
        let odds = if is_refused { other / believed } else { (1.0 - other) / (1.0 - believed) };
        self.evidence += odds.ln();
        self.n_answers += 1;
        self.n_refused += u32::from(is_refused);
        if self.evidence <= 0.0 {
            (self.evidence, self.n_answers, self.n_refused) = (0.0, 0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers by lot until what is believed changes, or so many.
    fn until_changed(chance: &mut Chance, share: f64, most: u32, rng: &mut fastrand::Rng) -> Option<u32> {
        let before = chance.is_proven();
        (1..=most).find(|_| {
            chance.heard(rng.f64() < share);
            chance.is_proven() != before
        })
    }

    #[test]
    fn a_tenth_by_lot_is_proven_and_what_a_kept_limit_refuses_is_not() {
        for seed in 0..20 {
            let mut rng = fastrand::Rng::with_seed(seed);
            assert!(until_changed(&mut Chance::new(), 0.1, 5000, &mut rng).is_some(), "seed {seed}");
            assert!(until_changed(&mut Chance::new(), 0.4, 200, &mut rng).is_some(), "seed {seed}");
            assert_eq!(until_changed(&mut Chance::new(), 0.035, 20_000, &mut rng), None, "seed {seed}");
        }
    }

    #[test]
    fn a_limit_that_falls_is_no_chance() {
        let mut chance = Chance::new();
        (0..1000).for_each(|_| chance.heard(true));
        assert!(!chance.is_proven());
    }

    /// Goal: a limit is found though chance is believed. Method: chance of a tenth, and then a limit that refuses half.
    #[test]
    fn what_refuses_more_when_more_is_in_flight_is_a_limit() {
        for seed in 0..20 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut chance = Chance::new();
            until_changed(&mut chance, 0.1, 5000, &mut rng).unwrap();
            let found = until_changed(&mut chance, 0.5, RENEWED, &mut rng);
            assert!(found.is_some_and(|n| n < 500), "seed {seed}: {found:?}");
        }
    }

    #[test]
    fn chance_stays_proven_for_a_while_and_not_for_ever() {
        let (mut chance, mut rng) = (Chance::new(), fastrand::Rng::with_seed(1));
        until_changed(&mut chance, 0.2, 5000, &mut rng).unwrap();
        assert_eq!(until_changed(&mut chance, 0.2, 50_000, &mut rng), Some(RENEWED));
    }
}
