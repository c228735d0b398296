//! The limits of a run: a number with a name and a unit for everything that could grow.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::model::cost::CostLimit;
use crate::model::price::Price;
use crate::model::share::Share;

/// Every limit that the engine keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Tasks in flight at the provider.
    pub concurrency: Concurrency,
    /// Submissions per unit of time; none means as fast as the provider lets us.
    pub rate: Option<Rate>,
    /// Submissions that may leave at once under `rate`; by default they leave one by one, and what a timer was late is made up for.
    pub burst: Option<NonZeroU32>,
    /// Polls per unit of time.
    pub poll_rate: Option<Rate>,
    /// Submissions whose answer is awaited.
    pub submits_max: usize,
    /// Polls whose answer is awaited.
    pub polls_max: usize,
    /// Tasks that one poll may ask for.
    pub poll_batch_max: usize,
    /// Downloads under way.
    pub downloads_max: usize,
    /// Jobs held in memory that wait for their turn to be submitted.
    pub look_ahead_max: usize,
    /// Setbacks in a row that a job survives while submitting or downloading.
    pub retries_max: u32,
    /// How often a job may be submitted again although an earlier submission is or may be paid for: in doubt, or its task lost.
    pub resubmits_max: u32,
    /// How long a task may take from its acceptance.
    pub task_timeout: Duration,
    /// The longest wait that a provider's Retry-After or rate-limit header is followed for.
    pub wait_max: Duration,
    /// What becomes of a submission whose answer was lost.
    pub in_doubt: InDoubt,
    /// What a used-up allowance does to the run.
    pub on_quota: OnQuota,
    /// How long the provider may be out of reach before the run stops.
    pub outage_max: Duration,
    /// Whether anything is submitted at all. If not, only what is paid for is fetched, and the rest is left pending.
    pub is_submitting: bool,
    /// Whether the token is of the account that the tasks on record were submitted with. If not, a task that the API does not know may
    /// be there for the other account.
    pub is_same_account: bool,
    /// Jobs that may fail before the run stops.
    pub failures_max: Option<FailuresMax>,
    /// Jobs that this process works on, those included that an earlier process has begun; `None` means all that are not finished.
    pub jobs_max: Option<u64>,
    /// The time after which nothing more is submitted, from the begin of this process; `None` means no end.
    pub duration_max: Option<Duration>,
    /// The most that all processes of the run may pay together. What is in doubt counts as paid. It needs a `price`.
    pub cost_max: Option<CostLimit>,
    /// What an image costs, by which what is paid for is counted.
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
            in_doubt: InDoubt::Resubmit,
            on_quota: OnQuota::Stop,
            outage_max: Duration::from_secs(3600),
            is_submitting: true,
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

/// How many tasks may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// Start low, grow while the provider takes it, and learn from what it refuses.
    Auto,
    /// This many at most.
    Fixed(NonZeroU32),
}

/// Why a text is not a [`Concurrency`].
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

/// How many failed jobs stop a run: a number, or a part of the jobs that have ended in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailuresMax {
    /// This many.
    Count(u64),
    /// This part, once [`FailuresMax::ENDED_MIN`] jobs have ended. Of nothing at all, the first failure is too much.
    Share(Share),
}

impl FailuresMax {
    /// Jobs that must have ended before a part of them tells anything: the first failure is no hundred per cent.
    pub const ENDED_MIN: u64 = 20;

    /// Whether so many failures among so many jobs that have ended are too many.
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

/// Why a text is not a [`FailuresMax`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number of jobs, or a part of those that have ended, from 0% to 100%: for example 20 or 5%")]
pub struct FailuresMaxError;

impl FromStr for FailuresMax {
    type Err = FailuresMaxError;

    fn from_str(text: &str) -> Result<Self, FailuresMaxError> {
        let text = text.trim();
        let count = || text.parse().map(Self::Count).map_err(|_| FailuresMaxError);
        text.parse().map_or_else(|_| count(), |share| Ok(Self::Share(share)))
    }
}

impl fmt::Display for FailuresMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => n.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

/// What becomes of a submission that may have been accepted and whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InDoubt {
    /// Submit it again and count it: it may be paid for twice.
    Resubmit,
    /// Leave it to the user.
    Hold,
    /// Fail the job.
    Fail,
}

/// What a used-up allowance does to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnQuota {
    /// See the tasks in flight through, and stop.
    Stop,
    /// Wait for the next allowance, and then try with one submission.
    Wait,
}

/// So many in a span of time, written `10/s`, `30/m`, `500/h` or `125/d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In which span.
    pub per: Duration,
}

impl Rate {
    /// The time between two at an even pace.
    pub fn interval(self) -> Duration {
        self.per / self.count.get()
    }
}

/// Why a text is not a [`Rate`].
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
            assert_eq!(text.parse::<FailuresMax>().unwrap().to_string(), text);
        }
        assert_eq!(" 5 % ".parse::<FailuresMax>().unwrap().to_string(), "5%");
        for text in ["", "-1", "1.5", "101%", "%", "many", "0.05"] {
            assert_eq!(text.parse::<FailuresMax>(), Err(FailuresMaxError), "{text:?}");
        }
    }

    /// Goal: a part means something from the first few jobs on, and no single failure at the start is a hundred per cent.
    #[test]
    fn a_part_of_few_jobs_says_nothing_yet() {
        let is_reached =
            |text: &str, n_failed, n_ended| text.parse::<FailuresMax>().unwrap().is_reached(n_failed, n_ended);
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
