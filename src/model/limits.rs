//! Limits of a run: a number with a name and a unit for everything that could grow.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::model::cost::CostLimit;
use crate::model::percentage::Percentage;
use crate::model::price::Price;

/// Limits and policies that the engine applies.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Maximum number of tasks in flight at the provider.
    pub concurrency: Concurrency,
    /// Submissions per unit of time; `None` means as fast as the provider allows.
    pub rate: Option<Rate>,
    /// Submissions that may leave at once under `rate`. `None` means one by one, where the lateness of a timer is compensated.
    pub burst: Option<NonZeroU32>,
    /// Says whether other processes work on the run. `rate` and `burst` are then those of all together, and nothing leaves before the ledger has
    /// reserved a time for it.
    pub is_shared: bool,
    /// Polls per unit of time; `None` means no rate limit.
    pub poll_rate: Option<Rate>,
    /// Maximum number of submissions whose answer is awaited.
    pub submits_max: usize,
    /// Maximum number of polls whose answer is awaited.
    pub polls_max: usize,
    /// Maximum number of tasks in one poll.
    pub poll_batch_max: usize,
    /// Maximum number of downloads under way.
    pub downloads_max: usize,
    /// Maximum number of jobs in memory that wait for their submission.
    pub look_ahead_max: usize,
    /// Maximum number of consecutive setbacks that a job survives while submitting or downloading.
    pub retries_max: u32,
    /// Maximum number of resubmissions after a submission that is or may be paid for: in doubt, or task lost.
    pub resubmits_max: u32,
    /// Time for which the API may report a task as running before it is given up as lost. Time offline or in the provider's queue does not
    /// count.
    pub task_timeout: Duration,
    /// Maximum wait that is accepted from a provider's Retry-After or rate-limit header.
    pub wait_max: Duration,
    /// Policy for a submission whose answer was lost.
    pub in_doubt: InDoubtPolicy,
    /// Policy for a used-up quota.
    pub on_quota: QuotaPolicy,
    /// Maximum duration of an outage of the provider, after which the run stops.
    pub outage_max: Duration,
    /// Says whether anything is submitted at all. If not, only paid images are fetched, and the rest is left pending.
    pub is_submitting: bool,
    /// Cost of a submission that repeats one in doubt.
    pub repeats: RepeatCost,
    /// Time after a submission from which the provider can tell whether it was accepted; `None` if it never can.
    pub settles_after: Option<Duration>,
    /// Says whether the token belongs to the account of the tasks on record. If not, a task that the API does not know may exist for the
    /// other account.
    pub is_same_account: bool,
    /// Failed jobs at which the run stops; `None` means no limit.
    pub failures_max: Option<FailureLimit>,
    /// Maximum number of jobs for this process, including those that an earlier process has begun; `None` means all unfinished jobs.
    pub jobs_max: Option<u64>,
    /// Time from the beginning of this process after which nothing more is submitted; `None` means no end.
    pub duration_max: Option<Duration>,
    /// Maximum cost of all processes of the run together; `None` means no limit. Submissions in doubt count as paid. It requires a `price`.
    pub cost_max: Option<CostLimit>,
    /// Price of an image, from which the cost is computed; `None` if it is unknown.
    pub price: Option<Price>,
    /// Seed of the jitter, so that a simulated run repeats exactly.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::Auto,
            rate: None,
            burst: None,
            is_shared: false,
            poll_rate: None,
            submits_max: 64,
            polls_max: 64,
            poll_batch_max: 1,
            downloads_max: 64,
            look_ahead_max: 256,
            retries_max: 8,
            resubmits_max: 2,
            task_timeout: Duration::from_secs(30 * 60),
            wait_max: Duration::from_secs(15 * 60),
            in_doubt: InDoubtPolicy::Auto,
            on_quota: QuotaPolicy::Stop,
            outage_max: Duration::from_secs(3600),
            is_submitting: true,
            repeats: RepeatCost::Again,
            settles_after: None,
            is_same_account: true,
            failures_max: None,
            jobs_max: None,
            duration_max: None,
            cost_max: None,
            price: None,
            seed: 0,
        }
    }
}

/// Limit on the number of tasks in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// Starts low, grows while the provider accepts more, and learns from refusals.
    Auto,
    /// Maximum that the user sets.
    Fixed(NonZeroU32),
}

/// Error for a text that is not a [`Concurrency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("concurrency is `auto` or a whole number of at least 1")]
pub struct ConcurrencyError;

impl FromStr for Concurrency {
    type Err = ConcurrencyError;

    fn from_str(text: &str) -> Result<Self, ConcurrencyError> {
        match text {
            "auto" => Ok(Self::Auto),
            number => number.parse().map(Self::Fixed).map_err(|_| ConcurrencyError),
        }
    }
}

/// Failed jobs that stop a run: a number, or a percentage of the jobs that have ended in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureLimit {
    /// Number of failed jobs.
    Count(u64),
    /// Percentage of failed jobs, once [`FailureLimit::ENDED_MIN`] jobs have ended. At 0 %, the first failure is too much.
    Share(Percentage),
}

impl FailureLimit {
    /// Minimum number of ended jobs before a percentage counts: the first failure must not count as a hundred per cent.
    pub const ENDED_MIN: u64 = 20;

    /// Returns whether `n_failed` failures among `n_ended` ended jobs are too many.
    pub fn is_reached(self, n_failed: u64, n_ended: u64) -> bool {
        let is_reached = match self {
            Self::Count(max) => n_failed >= max,
            Self::Share(share) => {
                let is_enough = n_ended >= Self::ENDED_MIN || share.is_zero();
                is_enough && share.is_reached(n_failed, n_ended)
            }
        };
        n_failed > 0 && is_reached
    }
}

/// Error for a text that is not a [`FailureLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write a whole number of jobs, or a percentage of those that have ended, from 0% to 100%: for example 20 or 5%"
)]
pub struct FailuresMaxError;

impl FromStr for FailureLimit {
    type Err = FailuresMaxError;

    fn from_str(text: &str) -> Result<Self, FailuresMaxError> {
        let text = text.trim();
        let count = || text.parse().map(Self::Count).map_err(|_| FailuresMaxError);
        text.parse().map_or_else(|_| count(), |share| Ok(Self::Share(share)))
    }
}

impl fmt::Display for FailureLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => n.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

/// Policy for a submission that may have been accepted and whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubtPolicy {
    /// Asks the provider, if it can tell. Otherwise submits the job again: once, if that may be paid for twice, and then leaves it to the
    /// user; like any other setback, if not.
    Auto,
    /// Submits the job again and counts it: the job may be paid for twice.
    Resubmit,
    /// Leaves the job to the user.
    Hold,
    /// Fails the job.
    Fail,
}

/// Cost of a submission that repeats one in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RepeatCost {
    /// No submission costs anything.
    Nothing,
    /// The provider recognises the repetition by its id, and takes the two as one.
    Once,
    /// Both submissions may be paid for.
    Again,
}

/// Policy for a used-up quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaPolicy {
    /// Completes the tasks in flight, and stops.
    Stop,
    /// Waits for the next quota, and then probes with one submission.
    Wait,
}

/// Rate: a number per span of time, written `10/s`, `30/m`, `500/h` or `125/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Number per span.
    pub count: NonZeroU32,
    /// Length of the span.
    pub per: Duration,
}

impl Rate {
    /// Returns the time between two requests at an even pace.
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }

    /// Returns the mean number of requests in a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.count.get()) / self.per.as_secs_f64()
    }
}

/// Error for a text that is not a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate is a whole number of at least 1 and a unit, s, m, h or d: for example 10/s, 30/m, 500/h or 125/d")]
pub struct RateError;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, unit) = text.trim().split_once('/').ok_or(RateError)?;
        let (_, secs) = UNITS.into_iter().find(|(name, _)| *name == unit.trim()).ok_or(RateError)?;
        let count = count.trim().parse().map_err(|_| RateError)?;
        Ok(Self { count, per: Duration::from_secs(secs) })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.into_iter().find(|(_, secs)| *secs == self.per.as_secs());
        match unit {
            Some((name, _)) => write!(f, "{}/{name}", self.count),
            None => write!(f, "{}/{:?}", self.count, self.per),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for text in ["10/s", "30/m", "500/h", "125/d", "1/s"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("30/m".parse::<Rate>().unwrap().interval(), Duration::from_secs(2));
        assert_eq!(" 5 / s ".parse::<Rate>().unwrap().to_string(), "5/s");
    }

    #[test]
    fn what_is_not_a_rate_is_refused() {
        for text in ["", "10", "10/", "/s", "0/s", "-1/s", "1.5/s", "10/w", "10/s/s", "99999999999/s"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text:?}");
        }
    }

    #[test]
    fn concurrency_is_auto_or_a_number() {
        assert_eq!("auto".parse(), Ok(Concurrency::Auto));
        assert_eq!("3".parse(), Ok(Concurrency::Fixed(NonZeroU32::new(3).unwrap())));
        for text in ["", "0", "-1", "many", "1.5"] {
            assert_eq!(text.parse::<Concurrency>(), Err(ConcurrencyError), "{text:?}");
        }
    }
    #[test]
    fn failures_are_a_number_or_a_part_of_those_that_have_ended() {
        for text in ["0", "1", "20", "5%", "0.5%", "100%", "0%"] {
            assert_eq!(text.parse::<FailureLimit>().unwrap().to_string(), text);
        }
        assert_eq!(" 5 % ".parse::<FailureLimit>().unwrap().to_string(), "5%");
        for text in ["", "-1", "1.5", "101%", "%", "many", "0.05"] {
            assert_eq!(text.parse::<FailureLimit>(), Err(FailuresMaxError), "{text:?}");
        }
    }

    /// Goal: a percentage is meaningful after the first few jobs, but one early failure is not a hundred per cent.
    #[test]
    fn a_part_of_few_jobs_says_nothing_yet() {
        let is_reached =
            |text: &str, n_failed, n_ended| text.parse::<FailureLimit>().unwrap().is_reached(n_failed, n_ended);
        let table = [
            ("3", 2, 100, false),
            ("3", 3, 3, true),
            ("0", 0, 1, false),
            ("0", 1, 1, true),
            ("5%", 1, 1, false),
            ("5%", 19, 19, false),
            ("5%", 1, 20, true),
            ("5%", 1, 21, false),
            ("5%", 5, 100, true),
            ("0.5%", 1, 200, true),
            ("0.5%", 1, 201, false),
            ("100%", 19, 19, false),
            ("100%", 19, 20, false),
            ("100%", 20, 20, true),
            ("0%", 0, 100, false),
            ("0%", 1, 1, true),
        ];
        for (text, n_failed, n_ended, expected) in table {
            assert_eq!(is_reached(text, n_failed, n_ended), expected, "{n_failed} of {n_ended} under {text}");
        }
    }
}
