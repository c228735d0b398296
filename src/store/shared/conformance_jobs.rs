//! Commits for the checks of the conformance suite.

use crate::model::event::{Event, EventKind};
use crate::model::outcome::TaskId;
use crate::model::time::Timestamp;
use crate::store::shared::backend::{BlockNumber, CommittedJob, SharedCommit, SharedJob};
use crate::store::shared::cost::CostTotals;
use crate::store::totals::Totals;

/// Returns the commit of these events of one job.
pub(super) fn commit_of(job: &SharedJob, kinds: &[EventKind], blocks_done: &[BlockNumber]) -> SharedCommit {
    let (id, index, at) = (job.record.job.id, job.record.job.index, Timestamp::from_millis(1_800_000_000_000));
    let mut state = job.record.state.clone();
    for kind in kinds {
        state.apply(at, kind);
    }
    let totals = Totals::of(&state) - Totals::of(&job.record.state);
    let events = kinds.iter().map(|kind| Event { job: id, index, at, kind: kind.clone() }).collect();
    SharedCommit {
        events,
        jobs: vec![CommittedJob { row: job.row, id, state }],
        blocks_done: blocks_done.to_vec(),
        totals,
        cost: CostTotals::default(),
    }
}

pub(super) fn accepted(task: &str) -> [EventKind; 2] {
    [EventKind::SubmitStarted, EventKind::Accepted(TaskId(task.into()))]
}
