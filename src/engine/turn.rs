//! What goes into the engine and what comes out of it, as plain data.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::spending::Capped;
use crate::model::event::{Event, Stage};
use crate::model::job::{Job, JobId};
use crate::model::origin::Origin;
use crate::model::outcome::{Acceptance, Artifact, Fault, Status, TaskId, Url};
use crate::model::phase::Known;
use crate::model::time::Moment;

/// Something for the driver to do. Its result comes back as the [`Input`] of the same name.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ask the ledger for more jobs: unfinished ones first, then pending ones in manifest order.
    Load {
        /// How many at most.
        max: usize,
    },
    /// Submit this job. Its `SubmitStarted` is recorded by then.
    Submit(Arc<Job>),
    /// Ask how these tasks stand.
    Poll(Vec<(JobId, TaskId)>),
    /// Fetch, check and store the images of this job.
    Download(Origin, Vec<Url>),
}

/// Something that came back, or came up.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The ledger's answer to `Load`.
    Loaded {
        /// Jobs that were not handed out before.
        jobs: Vec<Known>,
        /// Whether there are more.
        more: bool,
    },
    /// The provider's answer to `Submit`.
    Submitted(JobId, Result<Acceptance, Fault>),
    /// The provider's answers to `Poll`, one for every task asked for.
    Polled(Vec<(JobId, Result<Status, Fault>)>),
    /// What became of a `Download`.
    Downloaded(JobId, Result<Vec<Artifact>, Fault>),
    /// Our own disk did not take the images of a `Download`. The job has done nothing wrong, and no other could go on either.
    Unsaved(JobId),
    /// What the downloads under way have received.
    Received(Received),
    /// Stop before the end.
    Stop(Stop),
}

/// What all downloads together have received since that was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of images.
    pub n_bytes: u64,
    /// Transfers that broke off after a silence.
    pub n_stalled: usize,
}

/// Why a run stops before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The user asked for it.
    Interrupted(Signal),
    /// The provider does not let us in.
    Unauthorized(Fault),
    /// Every job is refused alike: the address or the model is wrong, or something on the way to the API refuses.
    Refused(Fault),
    /// The allowance or the credit is used up.
    Quota(Fault),
    /// So many jobs have failed that the run is not worth going on with.
    Failures(u64),
    /// The provider has been out of reach for so long, for requests of this kind, that the run waits no longer.
    Unreachable(Stage, Fault),
    /// Our own disk does not take the images, or does not give the jobs. The driver knows why.
    Disk,
    /// The next submission could cost more than the user allows.
    Cost(Box<Capped>),
    /// So much time has passed that the user wants no more submissions.
    Duration(Duration),
    /// So many jobs are what the user wants at a time, and others are outstanding. It is told at the end only.
    Limit(u64),
}

/// How the user asked for the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal has gone.
    Hangup,
}

impl Stop {
    /// Whether the jobs in flight are still seen through. If not, only the answers that are under way are waited for.
    pub const fn drains(&self) -> bool {
        match self {
            Self::Interrupted(_) | Self::Unauthorized(_) | Self::Disk => false,
            Self::Refused(_)
            | Self::Quota(_)
            | Self::Failures(_)
            | Self::Cost(_)
            | Self::Duration(_)
            | Self::Limit(_) => true,
            // As long as polls are answered, the tasks in flight come home.
            Self::Unreachable(stage, _) => matches!(stage, Stage::Submit),
        }
    }
}

/// One beat of the engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// To be recorded before anything below is done.
    pub events: Vec<Event>,
    /// To be done.
    pub actions: Vec<Action>,
    /// When to come again if nothing arrives before.
    pub wake_at: Option<Moment>,
    /// Whether the run is over.
    pub is_last: bool,
}
