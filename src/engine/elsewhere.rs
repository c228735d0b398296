//! What the engines of a run's other providers do, as far as the limits of the whole run count it.

use crate::model::amount::Amount;

/// Counts of the engines of other providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// Cost that is paid, in doubt or reserved; `None` if a price is unknown.
    pub cost: Option<Amount>,
    /// Jobs that failed.
    pub n_failures: u64,
    /// Jobs that ended, including those that failed.
    pub n_ended: u64,
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self { cost: Some(Amount::ZERO), n_failures: 0, n_ended: 0 }
    }
}

impl Elsewhere {
    /// Returns the counts of two engines together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            cost: self.cost.zip(other.cost).map(|(one, other)| one + other),
            n_failures: self.n_failures + other.n_failures,
            n_ended: self.n_ended + other.n_ended,
        }
    }
}
