//! What the earlier processes of a run have learnt, and a later one need not learn again.

use std::time::Duration;

use crate::model::request::{Request, Size};
use crate::model::time::Timestamp;

/// The recent past of a run, as its ledger tells it. Empty for a first run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How long the last tasks took, in the order in which they were found done.
    pub tasks: Vec<PastTask>,
    /// When the last submissions left, in their order.
    pub submitted_at: Vec<Timestamp>,
}

/// A task that was found done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastTask {
    /// What kind of task it was.
    pub kind: TaskKind,
    /// From its acceptance to the poll that found it done.
    pub took: Duration,
}

/// Tasks of one kind take about as long as each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKind {
    /// The model.
    pub model: String,
    /// The size, if one was asked for.
    pub size: Option<Size>,
}

impl TaskKind {
    /// The kind of task that this request becomes.
    pub fn of(request: &Request) -> Self {
        Self { model: request.model.clone(), size: request.size }
    }
}
