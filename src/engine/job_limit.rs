//! Job limit of one process: the maximum number of jobs, including those that an earlier process has begun.
//!
//! Jobs that are held for the user are not worked on, and do not count. Once the limit is reached, a further job is loaded only to learn
//! whether others are outstanding.

use crate::engine::turn::StopReason;
use crate::engine::{Engine, Loading};
use crate::model::limits::InDoubtPolicy;
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Moment;

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
}

impl JobLimit {
    /// Takes note that other jobs are outstanding.
    pub(super) const fn note_others(&mut self) {
        self.has_others = true;
    }

    /// Returns the reason for the end of this part; `None` if no other jobs are outstanding.
    pub(super) fn stop(&self) -> Option<StopReason> {
        self.has_others.then_some(StopReason::Limit(self.n_taken))
    }
}

impl Engine {
    /// Adds a job from the ledger, or notes that it is outstanding.
    pub(super) fn take_in(&mut self, now: Moment, known: JobRecord) {
        if self.part.is_full() {
            // Submissions do not wait for any other job.
            self.is_past_known = true;
            if !self.is_held(&known) {
                self.part.has_others = true;
                self.loading = Loading::Done;
            }
            return;
        }
        let (id, n_ended) = (known.job.id, self.n_ended);
        self.loaded(now, known);
        if self.jobs.contains_key(&id) || self.n_ended > n_ended {
            self.part.take();
        }
    }

    /// Returns whether an earlier process left this job to the user, and this process does too.
    pub(super) fn is_held(&self, known: &JobRecord) -> bool {
        match known.state.phase {
            Phase::Pending => !self.limits.is_submitting,
            Phase::Submitting if !self.limits.is_submitting => true,
            Phase::Submitting => known.state.is_doubt_counted() && self.limits.in_doubt == InDoubtPolicy::Hold,
            Phase::Running(_) | Phase::Downloading(_) => false,
            Phase::Finished(_) => true,
        }
    }

    /// Records at the end of the run that other jobs are outstanding, if there are any.
    pub(super) fn close_part(&mut self) {
        self.stop = self.stop.take().or_else(|| self.part.stop());
    }
}
