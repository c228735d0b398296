//! Events of jobs: recorded by the ledger, shown by the reporters, and folded into a job's state.

use crate::model::job::JobId;
use crate::model::money::Charge;
use crate::model::outcome::{Artifact, Fault, Outcome, TaskId, Url};
use crate::model::time::Timestamp;

/// Event of one job at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Job to which the event belongs.
    pub job: JobId,
    /// Position of the job in the manifest, for readers without access to the job.
    pub index: u64,
    /// Time of the event by the wall clock.
    pub at: Timestamp,
    /// Content of the event.
    pub kind: EventKind,
}

/// Kind of an event, with its data.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// Submission that is about to leave. As the last event found on a resume, it means that the submission is in doubt.
    SubmitStarted,
    /// Acceptance by the provider. From now on the task is paid for.
    Accepted(TaskId),
    /// Cost of an accepted submission, as an answer says it. Until then the known price counts.
    Charged(Charge),
    /// Completion of the task, with the addresses of its images.
    Ready(Vec<Url>),
    /// Fault at a stage, after which the job continues.
    Setback(Stage, Fault),
    /// End of the job.
    Finished(Outcome),
    /// Reopening of an ended job by the user. Its faults so far no longer count against it.
    Reopened(ReopenTarget),
    /// Wish of the user for another image of a job that succeeded. It is submitted again, which is paid for again.
    Redone(Redo),
    /// Return of a job to the images that it had before it was made again, as that gave no other image.
    Restored(Restored),
}

/// Data of a job that is made again although it succeeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redo {
    /// Seed that was drawn for the new submission, and replaces that of the request; `None` keeps the request as it is.
    pub seed: Option<u64>,
    /// Seed that the request had before; `None` if it had none, or if no seed was drawn.
    pub seed_before: Option<u64>,
    /// Images that the job had.
    pub replaced: Vec<ReplacedImage>,
}

/// Facts of a job's last success, which are current again after its repetition failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Seed of the request; `None` if it had none.
    pub seed: Option<u64>,
    /// Task that made the images; `None` if the provider gave none.
    pub task: Option<TaskId>,
    /// Time of the submission that made them.
    pub submitted_at: Option<Timestamp>,
    /// Time of that success.
    pub finished_at: Option<Timestamp>,
    /// Images under their present names, each with the name under which it was kept.
    pub images: Vec<ReplacedImage>,
}

/// Image of a job that was made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedImage {
    /// Record of the image, with the name that it had.
    pub artifact: Artifact,
    /// Path below OUT under which the image is kept.
    pub kept_as: String,
}

impl ReplacedImage {
    /// Returns the record of the image under its present name.
    pub fn kept(&self) -> Artifact {
        Artifact { file_name: self.kept_as.clone(), ..self.artifact.clone() }
    }
}

/// Point to which a reopened job returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReopenTarget {
    /// Last task of the job, which is paid for: its images are fetched again.
    Fetch,
    /// New submission, which is paid for again.
    Submit,
}

/// Stage at which a job met a fault, and thus the stage to which it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Submission: the job is submitted again. A job in doubt stays so until then.
    Submit,
    /// Poll: the task is polled again.
    Poll,
    /// Download: the task is polled again, for fresh links.
    Download,
    /// Accepted task, which is gone or has failed: the job is submitted again, which is paid for again.
    Task,
}

impl Stage {
    /// Returns the name of the stage in the ledger and on the screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::Download => "download",
            Self::Task => "task",
        }
    }
}
