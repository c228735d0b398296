//! Job limit of one process: the maximum number of jobs, including those that an earlier process has begun.
//!
//! Jobs that are held for the user are not worked on, and do not count. Once the limit is reached, a further job is loaded only to learn
//! whether others are outstanding.

use crate::engine::turn::StopReason;

/// Number of jobs loaded at once to find an outstanding one behind those that are held.
const PROBE_MAX: usize = 32;

/// Share of the batch that this process works on.
#[derive(Debug)]
pub(super) struct JobLimit {
    /// Jobs that may still be added; `None` means all.
    left: Option<u64>,
    n_taken: u64,
    has_others: bool,
}

impl JobLimit {
    /// Creates a share of at most `jobs_max` jobs; `None` means all.
    pub(super) const fn new(jobs_max: Option<u64>) -> Self {
        Self { left: jobs_max, n_taken: 0, has_others: false }
    }

    /// Returns whether no further job is added.
    pub(super) const fn is_full(&self) -> bool {
        matches!(self.left, Some(0))
    }

    /// Returns how many jobs to load if there is room for `max`.
    pub(super) fn ask(&self, max: usize) -> usize {
        match self.left {
            None => max,
            Some(0) => PROBE_MAX,
            Some(left) => max.min(usize::try_from(left).unwrap_or(usize::MAX)),
        }
    }

    pub(super) const fn take(&mut self) {
        self.n_taken += 1;
        if let Some(left) = self.left.as_mut() {
            *left = left.saturating_sub(1);
        }
    }

    /// Takes note that other jobs are outstanding.
    pub(super) const fn note_others(&mut self) {
        self.has_others = true;
    }

    /// Returns the reason for the end of this part; `None` if no other jobs are outstanding.
    pub(super) fn stop(&self) -> Option<StopReason> {
        self.has_others.then_some(StopReason::Limit(self.n_taken))
    }
}
