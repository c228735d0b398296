//! How many: the jobs of a run by status, and what came up along the way.

use std::ops::Sub;

/// How many jobs of the present manifest have each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nothing is under way for them yet.
    pub n_pending: u64,
    /// A submission may have been accepted, and nobody knows.
    pub n_in_doubt: u64,
    /// Accepted, their images not on disk yet.
    pub n_running: u64,
    /// Their images are on disk.
    pub n_succeeded: u64,
    /// Refused for their content.
    pub n_moderated: u64,
    /// Ended without an image for any other reason.
    pub n_failed: u64,
}

impl Counts {
    /// All jobs.
    pub const fn n_jobs(&self) -> u64 {
        self.n_unfinished() + self.n_succeeded + self.n_without_image()
    }

    /// Those that a run would go on with.
    pub const fn n_unfinished(&self) -> u64 {
        self.n_pending + self.n_in_doubt + self.n_running
    }

    /// Those that ended without an image, for whatever reason.
    pub const fn n_without_image(&self) -> u64 {
        self.n_moderated + self.n_failed
    }
}

/// What came up along the way, for the summary: each costs money or is worth knowing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incidents {
    /// Submissions that have left.
    pub n_submits: u64,
    /// Submissions whose answer was lost. What became of them: held, failed, and all others submitted again.
    pub n_in_doubt: u64,
    /// Those that are held for the user.
    pub n_doubts_held: u64,
    /// Those that failed their job.
    pub n_doubts_failed: u64,
    /// Accepted tasks that were given up.
    pub n_lost: u64,
    /// Jobs that were wanted again after they had ended.
    pub n_reopened: u64,
}

impl Incidents {
    /// The submissions in doubt that were followed by another of the same job.
    pub const fn n_doubts_resubmitted(&self) -> u64 {
        self.n_in_doubt.saturating_sub(self.n_doubts_held).saturating_sub(self.n_doubts_failed)
    }
}

impl Sub for Incidents {
    type Output = Self;

    /// What came up since `before`.
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
