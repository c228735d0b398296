//! Progress snapshot: the pace of a run at one moment, what holds the run back, and its known limits.

use std::time::Duration;

use crate::model::cost::Cost;
use crate::model::time::Moment;

/// Work under way at one moment, and the limits on it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunSnapshot {
    /// Submissions whose answer is awaited.
    pub n_submitting: usize,
    /// Tasks that the provider last reported as queued.
    pub n_queued: usize,
    /// All other tasks at the provider.
    pub n_running: usize,
    /// Jobs whose images are being downloaded, or wait for that.
    pub n_downloading: usize,
    /// Jobs in backoff before their next submission.
    pub n_waiting: usize,
    /// Rate limit on submissions; `None` if it is neither configured nor estimated.
    pub allowed: Option<SubmitRateLimit>,
    /// In-flight limit on tasks; `None` if it is neither configured nor found.
    pub places: Option<usize>,
    /// Task durations; `None` before any task was seen to end.
    pub latency: Option<Latency>,
    /// Submissions left in the quota; `None` if the provider does not say.
    pub quota_left: Option<u64>,
    /// Cost of all submissions, including those of earlier processes; `None` if a price is unknown.
    pub cost: Option<Cost>,
    /// Reason and end of a pause in which no submission leaves; `None` without one.
    pub hold: Option<SubmitPause>,
    /// Duration of the provider's outage so far; `None` without one.
    pub down_for: Option<Duration>,
    /// Reason why no more submissions leave; `None` if no job waits.
    pub slow: Option<Bottleneck>,
    /// Reason why the run stops before its end; `None` if it does not.
    pub stopping: Option<StopCode>,
}

impl RunSnapshot {
    /// Returns the number of jobs that are being submitted, or are at the provider.
    pub const fn n_in_flight(&self) -> usize {
        self.n_submitting + self.n_queued + self.n_running
    }
}

/// Rate limit on submissions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubmitRateLimit {
    /// Submissions per second.
    pub per_second: f64,
    /// Says whether the user configured the rate. Otherwise it was estimated from the provider's refusals.
    pub is_told: bool,
}

/// Task durations, from the acceptance until the end is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Mean duration.
    pub mean: Duration,
    /// Expected time from now until the last task in flight ends. If jobs wait for submission, it is the time of the tasks submitted last,
    /// from their submission.
    pub tail: Duration,
}

/// Pause in which all submissions are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitPause {
    /// Reason of the pause.
    pub why: PauseReason,
    /// End of the pause.
    pub until: Moment,
}

/// Reason why submissions are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PauseReason {
    /// Throttling: the provider reports that submissions come too fast.
    Throttled,
    /// Outage: the provider accepts nothing, or cannot be reached.
    Down,
    /// Refusal of every submission: one at a time is tried.
    Refused,
    /// Outage of the image hosts: no image can be downloaded, so nothing more is paid for.
    ImagesDown,
    /// Quota or credit that is used up.
    Quota,
}

/// Reason why the next submission does not leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bottleneck {
    /// Rate limit.
    Rate,
    /// In-flight limit on tasks.
    Places,
    /// Limit on submissions under way.
    Answers,
    /// Downloads that lag so far behind that another task would only wait.
    Downloads,
}

/// Reason why a run stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopCode {
    /// Request of the user.
    Asked,
    /// Refusal of the token by the provider.
    Unauthorized,
    /// Refusal of every job for the same reason.
    Refused,
    /// Quota or credit that is used up.
    Quota,
    /// Failure limit that was reached: continuing is not worthwhile.
    Failures,
    /// Outage of the provider that has lasted too long.
    Unreachable,
    /// Image store (local disk or object storage) that does not save the images.
    Disk,
    /// Cost limit that the next submission could exceed.
    Cost,
    /// Duration limit that was reached: the user wants no more submissions.
    Duration,
    /// Stop of another process of the same run.
    Elsewhere,
    /// Job limit of one process that was reached, with other jobs outstanding.
    Limit,
}

impl StopCode {
    /// Returns the code for scripts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "interrupted",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::Quota => "quota",
            Self::Elsewhere => "elsewhere",
            Self::Failures => "failures",
            Self::Unreachable => "unreachable",
            Self::Disk => "disk",
            Self::Cost => "cost",
            Self::Duration => "duration",
            Self::Limit => "limit",
        }
    }
}
