//! Experience of the earlier processes of a run, which a later process need not gain again.

use std::time::Duration;

use crate::model::request::{Request, Size};
use crate::model::time::Timestamp;

/// Recent past of a run, from its ledger; empty for a first run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Durations of the last tasks, in the order in which they were found done.
    pub tasks: Vec<PastTask>,
    /// Times of the last submissions, in order.
    pub submitted_at: Vec<Timestamp>,
}

/// Task that was found done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastTask {
    /// Kind of the task.
    pub kind: TaskKind,
    /// Time from the acceptance of the task to the poll that found it done.
    pub took: Duration,
}

/// Kind of task: tasks of one kind take about the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKind {
    /// Name of the model.
    pub model: String,
    /// Requested size; `None` if the request names none.
    pub size: Option<Size>,
}

impl TaskKind {
    /// Returns the kind of task that this request becomes.
    pub fn of(request: &Request) -> Self {
        Self { model: request.model.clone(), size: request.size }
    }
}
