//! How fast a run goes at one moment, what holds it back, and what it is known to take: for those who show it.

use std::time::Duration;

use crate::model::cost::Cost;
use crate::model::time::Moment;

/// What is under way at one moment, and what more may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Submissions whose answer is awaited.
    pub n_submitting: usize,
    /// Tasks that wait at the provider for their turn, by its own last word.
    pub n_queued: usize,
    /// All other tasks at the provider.
    pub n_running: usize,
    /// Jobs whose images are being fetched, or wait for that.
    pub n_downloading: usize,
    /// Jobs that wait out a setback before their next submission.
    pub n_waiting: usize,
    /// How fast submissions may leave, where anybody says or it was found.
    pub allowed: Option<Allowed>,
    /// How many tasks may be in flight, where anybody says or it was found.
    pub places: Option<usize>,
    /// How long tasks take, once any was seen to end.
    pub latency: Option<Latency>,
    /// Submissions that are left of the allowance, where the provider says so.
    pub quota_left: Option<u64>,
    /// What all submissions cost, those of earlier processes included, where the price is known.
    pub cost: Option<Cost>,
    /// Why and until when no submission leaves, if none does.
    pub hold: Option<Hold>,
    /// How long the provider has been out of reach, if it is.
    pub down_for: Option<Duration>,
    /// Why no more submissions leave than do, if jobs wait for theirs.
    pub slow: Option<Slow>,
    /// Why the run stops before its end, if it does.
    pub stopping: Option<Stopping>,
}

impl Pace {
    /// Jobs being submitted or running at the provider.
    pub const fn n_in_flight(&self) -> usize {
        self.n_submitting + self.n_queued + self.n_running
    }
}

/// A rate of submissions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowed {
    /// Submissions a second.
    pub per_second: f64,
    /// Whether the user says so; else the provider's refusals have taught it.
    pub is_told: bool,
}

/// How long tasks take, from their acceptance until their end is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// On average.
    pub mean: Duration,
    /// Until the last one of those in flight, from now on, as is to be expected; where jobs wait to be submitted, of those that are
    /// submitted last, from then on.
    pub tail: Duration,
}

/// Submissions are held back, for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Why.
    pub why: HoldReason,
    /// Until when.
    pub until: Moment,
}

/// Why submissions are held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// The provider says that they come too fast.
    Throttled,
    /// The provider does not take any, or cannot be reached.
    Down,
    /// The allowance or the credit is used up.
    Quota,
}

/// What keeps the next submission from leaving now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// The rate.
    Rate,
    /// As many tasks are in flight as may be.
    Places,
    /// As many submissions are under way as may be.
    Answers,
    /// Images come home so much slower than tasks end that another one would only wait.
    Downloads,
}

/// Why a run stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopping {
    /// The user asked for it.
    Asked,
    /// The provider does not let us in.
    Unauthorized,
    /// Every job is refused alike.
    Refused,
    /// The allowance or the credit is used up.
    Quota,
    /// So many jobs have failed that the run is not worth going on with.
    Failures,
    /// The provider has been out of reach for too long.
    Unreachable,
    /// Our own disk does not take the images.
    Disk,
    /// The next submission could cost more than the user allows.
    Cost,
    /// The time is up after which the user wants no more submissions.
    Duration,
    /// As many jobs as the user wants at a time have ended, and others are outstanding.
    Limit,
}

impl Stopping {
    /// The word for scripts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "interrupted",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::Quota => "quota",
            Self::Failures => "failures",
            Self::Unreachable => "unreachable",
            Self::Disk => "disk",
            Self::Cost => "cost",
            Self::Duration => "duration",
            Self::Limit => "limit",
        }
    }
}
