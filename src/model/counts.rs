//! Counts of a run: jobs by status, and incidents for the summary.

use std::ops::{Add, AddAssign, Sub};

use crate::model::outcome::{FaultKind, Outcome};
use crate::model::phase::{JobState, Phase};

/// Number of jobs of the present manifest with each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusCounts {
    /// Jobs for which nothing is under way yet.
    pub n_pending: u64,
    /// Jobs with a submission that may have been accepted; that is not known.
    pub n_in_doubt: u64,
    /// Jobs that were accepted, and whose images are not on disk yet.
    pub n_running: u64,
    /// Jobs whose images are on disk.
    pub n_succeeded: u64,
    /// Jobs that were refused for their content.
    pub n_moderated: u64,
    /// Jobs that ended without an image for any other reason.
    pub n_failed: u64,
}

impl StatusCounts {
    /// Counts one job in this state.
    pub fn of(state: &JobState) -> Self {
        let mut counts = Self::default();
        *match &state.phase {
            Phase::Pending => &mut counts.n_pending,
            Phase::Submitting => &mut counts.n_in_doubt,
            Phase::Running(_) | Phase::Downloading(_) => &mut counts.n_running,
            Phase::Finished(Outcome::Succeeded(_)) => &mut counts.n_succeeded,
            Phase::Finished(Outcome::Failed(fault)) if fault.kind == FaultKind::Moderated => &mut counts.n_moderated,
            Phase::Finished(Outcome::Failed(_)) => &mut counts.n_failed,
        } += 1;
        counts
    }

    /// Returns the number of all jobs.
    pub const fn n_jobs(&self) -> u64 {
        self.n_unfinished() + self.n_succeeded + self.n_without_image()
    }

    /// Returns the number of jobs with which a run would continue.
    pub const fn n_unfinished(&self) -> u64 {
        self.n_pending + self.n_in_doubt + self.n_running
    }

    /// Returns the number of jobs that ended without an image, for any reason.
    pub const fn n_without_image(&self) -> u64 {
        self.n_moderated + self.n_failed
    }
}

impl Add for StatusCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            n_pending: self.n_pending + other.n_pending,
            n_in_doubt: self.n_in_doubt + other.n_in_doubt,
            n_running: self.n_running + other.n_running,
            n_succeeded: self.n_succeeded + other.n_succeeded,
            n_moderated: self.n_moderated + other.n_moderated,
            n_failed: self.n_failed + other.n_failed,
        }
    }
}

impl AddAssign for StatusCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Incidents for the summary: each costs money or is worth knowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// Submissions that have left.
    pub n_submits: u64,
    /// Submissions whose answer was lost: those held, those failed, and all others, which were submitted again.
    pub n_in_doubt: u64,
    /// Submissions in doubt that are held for the user.
    pub n_doubts_held: u64,
    /// Submissions in doubt that failed their job.
    pub n_doubts_failed: u64,
    /// Accepted tasks that were given up.
    pub n_lost: u64,
    /// Jobs that were reopened after they had ended.
    pub n_reopened: u64,
}

impl RunStats {
    /// Returns the number of submissions in doubt that were followed by another submission of the same job.
    pub const fn n_doubts_resubmitted(&self) -> u64 {
        self.n_in_doubt.saturating_sub(self.n_doubts_held).saturating_sub(self.n_doubts_failed)
    }
}

impl Sub for RunStats {
    type Output = Self;

    /// Returns the incidents since `before`.
    fn sub(self, before: Self) -> Self {
        Self {
            n_submits: self.n_submits.saturating_sub(before.n_submits),
            n_in_doubt: self.n_in_doubt.saturating_sub(before.n_in_doubt),
            n_doubts_held: self.n_doubts_held.saturating_sub(before.n_doubts_held),
            n_doubts_failed: self.n_doubts_failed.saturating_sub(before.n_doubts_failed),
            n_lost: self.n_lost.saturating_sub(before.n_lost),
            n_reopened: self.n_reopened.saturating_sub(before.n_reopened),
        }
    }
}
