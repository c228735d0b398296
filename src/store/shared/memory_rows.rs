//! Rows of blocks and workers, as the server in memory keeps them.

use std::time::Duration;

use crate::model::time::Moment;
use crate::store::shared::backend::{WorkerId, WorkerNumbers};
use crate::store::totals::Totals;

#[derive(Clone, Default)]
pub(super) struct BlockRow {
    pub(super) owner: Option<WorkerId>,
    pub(super) is_done: bool,
    pub(super) rests_until: Option<Moment>,
}

#[derive(Clone, Default)]
pub(super) struct WorkerEntry {
    pub(super) is_live: bool,
    pub(super) numbers: WorkerNumbers,
    pub(super) totals: Totals,
    /// Submissions that it may still send, or whose answers are not recorded.
    pub(super) n_held: u32,
    /// Number of its last request for times.
    pub(super) n_requests: u64,
}

impl BlockRow {
    pub(super) const fn is_free(&self) -> bool {
        self.owner.is_none() && !self.is_done
    }

    pub(super) fn rests_for(&self, now: Moment) -> Duration {
        self.rests_until.map_or(Duration::ZERO, |until| until - now)
    }
}
