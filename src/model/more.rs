//! Answer to the question whether more jobs follow: now, later, or never.

use std::time::Duration;

/// Whether a ledger may hand out more jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum More {
    /// More jobs may follow now.
    Now,
    /// No job can be handed out now. Jobs that other processes work on may come back, so that it is worth asking again after this time.
    Later(Duration),
    /// Every job was handed out, here or elsewhere, and none comes back.
    #[default]
    Done,
}

impl More {
    /// Returns [`More::Now`] if there are more jobs, and otherwise [`More::Done`]: the answer of a ledger with one process.
    pub const fn now_if(has_more: bool) -> Self {
        if has_more { Self::Now } else { Self::Done }
    }
}
