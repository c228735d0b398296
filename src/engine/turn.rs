//! Inputs and outputs of the engine, as plain data.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::spending::CostLimitReached;
use crate::model::amount::Amount;
use crate::model::event::{Event, Stage};
use crate::model::job::{Job, JobId};
use crate::model::more::More;
use crate::model::outcome::{Acceptance, Artifact, Fault, Found, Status, TaskId, Url};
use crate::model::phase::JobRecord;
use crate::model::provenance::Provenance;
use crate::model::shared_rate::{Reservation, ReserveRequest, SharedRate};
use crate::model::time::{Moment, Timestamp};

/// Work for the driver. Its result returns as the [`Input`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Loads more jobs from the ledger: unfinished ones first, then pending ones in manifest order.
    Load {
        /// Maximum number of jobs.
        max: usize,
        /// Says whether no job is in memory. Jobs that were handed out and have not ended are then left to the user.
        is_idle: bool,
    },
    /// Submits this job, as the submission with this [number](crate::model::phase::JobState::submission_number). The event
    /// `SubmitStarted` is recorded before the submission leaves.
    Submit(Arc<Job>, u32),
    /// Reserves times for submissions, under limits that other processes of the run keep too.
    Reserve(ReserveRequest),
    /// Finds these submissions, whose answers are lost.
    Find(Vec<FindRequest>),
    /// Polls the status of these tasks.
    Poll(Vec<(JobId, TaskId)>),
    /// Downloads, verifies and stores the images of this job.
    Download(Provenance, Vec<Url>),
}

/// Submission whose answer is lost.
#[derive(Clone, Debug, PartialEq)]
pub struct FindRequest {
    /// Job that was submitted.
    pub job: Arc<Job>,
    /// Number of the submission.
    pub number: u32,
    /// Time at which it left.
    pub sent_at: Timestamp,
}

/// Result of an action, or a report from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Answer of the ledger to `Load`.
    Loaded {
        /// Jobs that were not handed out before.
        jobs: Vec<JobRecord>,
        /// Says whether the ledger has more jobs.
        more: More,
    },
    /// Answer of the provider to `Submit`.
    Submitted(JobId, Result<Acceptance, Fault>),
    /// Report that a `Submit` was not sent, because the lease of this process was not certain. The job is not at fault.
    Unsent(JobId),
    /// Answers of the provider to `Find`, one for every submission.
    Found(Vec<(JobId, Result<Found, Fault>)>),
    /// Answers of the provider to `Poll`, one for every polled task.
    Polled(Vec<(JobId, Result<Status, Fault>)>),
    /// Result of a `Download`.
    Downloaded(JobId, Result<Vec<Artifact>, Fault>),
    /// Failure of the image store (local disk or object storage) to save the images of a `Download`. The job is not at fault, and no other
    /// job could continue either.
    Unsaved(JobId),
    /// Progress of the downloads under way.
    Received(Received),
    /// Request of another process of the run: nothing is submitted for this time.
    Hold(Duration),
    /// Rate of all processes of the run together, from now on.
    Rate(SharedRate),
    /// Maximum number of tasks in flight of all processes of the run together, from now on.
    Places(NonZeroU32),
    /// Limit on the cost of all processes of the run together, from now on.
    CostMax(Amount),
    /// Report that the server of the processes may have forgotten what was reserved.
    Forgotten,
    /// Answer to `Reserve`; `None` if it is not known.
    Reserved(Option<Reservation>),
    /// Request to stop before the end.
    Stop(StopReason),
}

/// Progress of all downloads together since the previous report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of images.
    pub n_bytes: u64,
    /// Transfers that broke off after a period without data.
    pub n_stalled: usize,
}

/// Reason why a run stops before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// Request of the user.
    Interrupted(Signal),
    /// Refusal of the token by the provider.
    Unauthorized(Fault),
    /// Refusal of every job for the same reason, with the indexes of the jobs that met it. The address or the model is wrong, or something
    /// on the network path to the API refuses.
    Refused(Fault, Vec<u64>),
    /// Quota or credit that is used up.
    Quota(Fault),
    /// Failure limit that was reached, with the number of failed jobs.
    Failures(u64),
    /// Outage of the provider, for requests of this kind, that has lasted longer than the limit.
    Unreachable(Stage, Fault),
    /// Image store (local disk or object storage) that cannot save the images, or local disk that cannot read the jobs. The driver knows
    /// the cause.
    Disk,
    /// Cost limit that the next submission could exceed.
    Cost(Box<CostLimitReached>),
    /// Duration limit that was reached, after which nothing more is submitted.
    Duration(Duration),
    /// Stop of another process of the same run, with its reason.
    Elsewhere(String),
    /// Job limit of the process that was reached, with others outstanding. It is reported at the end only.
    Limit(u64),
}

/// Signal by which the user requested the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal was closed.
    Hangup,
}

impl StopReason {
    /// Returns whether the jobs in flight are still completed. If not, only the answers under way are awaited.
    pub const fn drains(&self) -> bool {
        match self {
            Self::Interrupted(_) | Self::Unauthorized(_) | Self::Disk => false,
            Self::Refused(..)
            | Self::Quota(_)
            | Self::Failures(_)
            | Self::Cost(_)
            | Self::Duration(_)
            | Self::Elsewhere(_)
            | Self::Limit(_) => true,
            // The tasks in flight complete as long as polls are answered.
            Self::Unreachable(stage, _) => matches!(stage, Stage::Submit),
        }
    }
}

/// Result of one step of the engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// Events to record before any action begins.
    pub events: Vec<Event>,
    /// Actions to perform.
    pub actions: Vec<Action>,
    /// Moment of the next step if no input arrives earlier; `None` means no such moment.
    pub wake_at: Option<Moment>,
    /// Says whether the run is over.
    pub is_last: bool,
}
