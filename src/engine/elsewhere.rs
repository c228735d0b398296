//! What the engines of a run's other providers do, as far as the limits of the whole run count it.

use crate::engine::Engine;
use crate::model::amount::Amount;
use crate::model::time::Moment;

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

impl Engine {
    /// Returns the counts of this engine alone.
    pub(super) fn own_share(&self) -> Elsewhere {
        Elsewhere { cost: self.spending.committed(), n_failures: self.n_failures, n_ended: self.n_ended }
    }

    /// Takes the counts of the other engines, which count against the limits of the run.
    pub(super) const fn look_elsewhere(&mut self, elsewhere: Elsewhere) {
        self.spending.look_elsewhere(elsewhere.cost);
        self.elsewhere = elsewhere;
    }

    /// Returns the end of a pause of all submissions that the provider named; `None` without one.
    pub(super) fn named_pause(&self, now: Moment) -> Option<Moment> {
        self.lane.named_pause(now)
    }

    /// Returns whether no job is in memory.
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes note that every job that an earlier process left unfinished is loaded.
    pub(super) const fn know_past(&mut self) {
        self.is_past_known = true;
    }
}
