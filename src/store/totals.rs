//! Totals of a run: jobs by phase, and incidents, as the sum of what each job contributes.

use std::ops::{AddAssign, Sub};

use crate::model::counts::{RunStats, StatusCounts};
use crate::model::phase::JobState;
use crate::store::format;

/// Names of the totals in the ledgers: the phases in their order, then the incidents.
pub const TOTAL_NAMES: [&str; 13] = [
    "pending",
    "submitting",
    "running",
    "downloading",
    "succeeded",
    "moderated",
    "failed",
    "submits",
    "submits_in_doubt",
    "doubts_held",
    "doubts_failed",
    "tasks_lost",
    "reopened",
];

/// Totals, or changes of totals, in the order of [`TOTAL_NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals(pub [i64; TOTAL_NAMES.len()]);

impl Totals {
    /// Returns the contribution of one job of the present manifest.
    pub fn of(state: &JobState) -> Self {
        let phase = format::phase_number(&state.phase);
        let is_doubtful = state.last_fault.as_ref().is_some_and(|fault| fault.kind.leaves_doubt());
        let is = |number| i64::from(phase == number);
        Self([
            is(format::phase::PENDING),
            is(format::phase::SUBMITTING),
            is(format::phase::RUNNING),
            is(format::phase::DOWNLOADING),
            is(format::phase::SUCCEEDED),
            is(format::phase::MODERATED),
            is(format::phase::FAILED),
            state.n_submits.into(),
            state.n_in_doubt.into(),
            i64::from(is_doubtful) * is(format::phase::SUBMITTING),
            i64::from(is_doubtful) * is(format::phase::FAILED),
            state.n_lost.into(),
            state.n_reopened.into(),
        ])
    }

    /// Returns the number of jobs of the present manifest by status, if these are the totals of a whole ledger.
    pub fn counts(&self) -> StatusCounts {
        let [n_pending, n_in_doubt, n_polled, n_downloading, n_succeeded, n_moderated, n_failed, ..] = self.unsigned();
        StatusCounts { n_pending, n_in_doubt, n_running: n_polled + n_downloading, n_succeeded, n_moderated, n_failed }
    }

    /// Returns the incidents of a run, if these are the totals of a whole ledger.
    pub fn incidents(&self) -> RunStats {
        let [.., n_submits, n_in_doubt, n_doubts_held, n_doubts_failed, n_lost, n_reopened] = self.unsigned();
        RunStats { n_submits, n_in_doubt, n_doubts_held, n_doubts_failed, n_lost, n_reopened }
    }

    fn unsigned(&self) -> [u64; TOTAL_NAMES.len()] {
        self.0.map(|n| u64::try_from(n).unwrap_or(0))
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(n, other)| *n += other);
    }
}

impl Sub for Totals {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}
