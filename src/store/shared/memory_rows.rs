//! Rows of blocks and workers, as the server in memory keeps them.

use std::time::Duration;

use crate::model::amount::Amount;
use crate::model::shared_rate::ReserveRequest;
use crate::model::time::Moment;
use crate::store::shared::backend::{Outlook, WorkerId, WorkerNumbers, WorkerRow};
use crate::store::shared::cost::CostTotals;
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
    /// Its share of the cost.
    pub(super) cost: CostTotals,
    /// Amount that it may spend beyond the prices of its recorded submissions.
    pub(super) held_amount: Amount,
}

impl WorkerEntry {
    /// Returns the row of the worker with this id, as every worker reads it.
    pub(super) const fn row(&self, id: WorkerId) -> WorkerRow {
        let Self { is_live, numbers, totals, .. } = self;
        WorkerRow { id, is_live: *is_live, numbers: *numbers, totals: *totals }
    }

    /// Takes note of what a request tells, and of what it has brought.
    pub(super) fn reserved(&mut self, n: u64, request: ReserveRequest, count: u32) {
        let each = request.cost.each.unwrap_or_default();
        (self.n_requests, self.n_held) = (n, request.held + count);
        self.held_amount = request.cost.held + each.times(count.into());
    }
}

impl BlockRow {
    pub(super) const fn is_free(&self) -> bool {
        self.owner.is_none() && !self.is_done
    }

    pub(super) fn rests_for(&self, now: Moment) -> Duration {
        self.rests_until.map_or(Duration::ZERO, |until| until - now)
    }
}

/// Returns what is left of a run with these blocks.
pub(super) fn outlook<'a>(blocks: &(impl Iterator<Item = &'a BlockRow> + Clone), now: Moment) -> Outlook {
    let free = blocks.clone().filter(|block| block.is_free());
    match free.map(|block| block.rests_for(now)).min() {
        None if blocks.clone().all(|block| block.is_done) => Outlook::Done,
        None => Outlook::Owned,
        Some(Duration::ZERO) => Outlook::Free,
        Some(wait) => Outlook::Resting(wait),
    }
}
