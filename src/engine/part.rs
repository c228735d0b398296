//! The part of a batch that one process works on: at most so many jobs, those included that an earlier process has begun.
//!
//! What is held for the user is not worked on, and takes no place in it. Once the part is full, one more job is asked for, only to know
//! whether others are outstanding.

use crate::engine::turn::Stop;
use crate::engine::{Engine, Loading};
use crate::model::limits::InDoubt;
use crate::model::phase::{Known, Phase};
use crate::model::time::Moment;

/// Jobs that are asked for at once, to find one that is outstanding behind those that are held.
const PROBE_MAX: usize = 32;

/// How much of the batch this process has taken.
#[derive(Debug)]
pub struct Part {
    /// Jobs that may still be taken. `None` means all.
    left: Option<u64>,
    n_taken: u64,
    has_others: bool,
}

impl Part {
    /// A part of at most so many jobs. `None` means all.
    pub const fn new(jobs_max: Option<u64>) -> Self {
        Self { left: jobs_max, n_taken: 0, has_others: false }
    }

    /// Whether no further job is taken.
    pub const fn is_full(&self) -> bool {
        matches!(self.left, Some(0))
    }

    /// How many jobs to ask for, where there is room for `max`.
    pub fn ask(&self, max: usize) -> usize {
        match self.left {
            None => max,
            Some(0) => PROBE_MAX,
            Some(left) => max.min(usize::try_from(left).unwrap_or(usize::MAX)),
        }
    }

    const fn take(&mut self) {
        self.n_taken += 1;
        if let Some(left) = self.left.as_mut() {
            *left = left.saturating_sub(1);
        }
    }
}

impl Engine {
    /// Takes in a job from the ledger, or notes that it is outstanding.
    pub(super) fn take_in(&mut self, now: Moment, known: Known) {
        if self.part.is_full() {
            // No other job is waited for before submissions leave.
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

    /// Whether an earlier process has left this job to the user, and this one does too.
    fn is_held(&self, known: &Known) -> bool {
        match known.state.phase {
            Phase::Pending => !self.limits.is_submitting,
            Phase::Submitting if !self.limits.is_submitting => true,
            Phase::Submitting => known.state.is_doubt_counted() && self.limits.in_doubt == InDoubt::Hold,
            Phase::Running(_) | Phase::Downloading(_) => false,
            Phase::Finished(_) => true,
        }
    }

    /// The run is over: says that it was only a part of the batch, if others are outstanding.
    pub(super) fn close_part(&mut self) {
        if self.stop.is_none() && self.part.has_others {
            self.stop = Some(Stop::Limit(self.part.n_taken));
        }
    }
}
