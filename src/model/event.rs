//! The one event enum: recorded by the ledger, shown by the reporters, folded into a job's state.

use crate::model::job::JobId;
use crate::model::outcome::{Fault, Outcome, TaskId, Url};
use crate::model::time::Timestamp;

/// One thing that happened to one job at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// To which job.
    pub job: JobId,
    /// The job's place in the manifest, for readers who do not hold the job.
    pub index: u64,
    /// When, by the wall clock.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What can happen to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A submission is about to leave. Found last on a resume, it is in doubt.
    SubmitStarted,
    /// The provider has taken it, and from now on it is paid for.
    Accepted(TaskId),
    /// The task is done and its images can be fetched here.
    Ready(Vec<Url>),
    /// Something went wrong and the job goes on.
    Setback(Stage, Fault),
    /// The job has ended.
    Finished(Outcome),
    /// The user wants a job again that had ended: its faults so far no longer count against it.
    Reopened(Again),
}

/// What a reopened job goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// To its last task, which is paid for: its images are fetched again.
    Fetch,
    /// To a new submission, which is paid for again.
    Submit,
}

/// Where a setback befell a job, and so what it goes back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// While submitting: submit again; a job in doubt stays so until then.
    Submit,
    /// While polling: poll again.
    Poll,
    /// While downloading: poll again, for fresh links.
    Download,
    /// The accepted task itself is gone or has failed: submit again, which is paid for again.
    Task,
}

impl Stage {
    /// The word for it in the ledger and on the screen.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::Download => "download",
            Self::Task => "task",
        }
    }
}
