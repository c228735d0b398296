//! Rate that several processes keep together, and the times that are reserved for the submissions of one of them.
//!
//! Each time is for one submission of one process. It is never used early, and expires if it is not used soon. In every span, the
//! submissions of all processes are therefore at most those of the rate, and a burst.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use crate::model::amount::Amount;
use crate::model::limits::{Rate, RateError};
use crate::model::shared_cost::{CostReached, CostRequest};
use crate::model::time::Moment;

/// Divisor of the span of a rate that gives how late a reserved time may be used, and the bounds of that lateness.
const LATE_PART: u32 = 20;
const LATE_MIN: Duration = Duration::from_millis(50);
const LATE_MAX: Duration = Duration::from_secs(1);

/// Rate of submissions of all processes of a run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedRate {
    /// Submissions per span.
    pub rate: Rate,
    /// Submissions that may leave at once; `None` means one by one.
    pub burst: Option<NonZeroU32>,
}

impl SharedRate {
    /// Returns the time between two reserved times. Without a burst it is a little longer than that of the rate, so that no span has
    /// more than its count, although times may be used late. In whole microseconds.
    pub fn interval(self) -> Duration {
        let span = self.rate.per + if self.burst.is_some() { Duration::ZERO } else { self.lateness() };
        let micros = span.as_micros().div_ceil(u128::from(self.rate.count.get()));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Returns the time by which reserved times may lie in the past: that of a burst.
    pub fn reach_back(self) -> Duration {
        self.interval() * (self.burst.map_or(1, NonZeroU32::get) - 1)
    }

    /// Returns how long a reserved time can be used.
    pub fn usable_for(self) -> Duration {
        self.reach_back() + self.lateness()
    }

    fn lateness(self) -> Duration {
        (self.rate.per / LATE_PART).clamp(LATE_MIN, LATE_MAX)
    }
}

impl fmt::Display for SharedRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.burst {
            None => self.rate.fmt(f),
            Some(burst) => write!(f, "{} with bursts of {burst}", self.rate),
        }
    }
}

impl FromStr for SharedRate {
    type Err = RateError;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let (rate, burst) =
            text.split_once(" with bursts of ").map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let burst = burst.map(|burst| burst.parse().map_err(|_| RateError)).transpose()?;
        Ok(Self { rate: rate.parse()?, burst })
    }
}

/// Request for times for the submissions of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveRequest {
    /// Maximum number of times. 0 reserves none, and tells what the process has.
    pub max: u32,
    /// Number of submissions that the process may still send, or whose answers are not recorded.
    pub held: u32,
    /// Amounts of money, in case that the cost of all processes is limited.
    pub cost: CostRequest,
}

/// Times reserved for submissions of this process, evenly spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// First of the times. Each is a little later than at the clock that all processes share, and never earlier.
    pub first: Moment,
    /// Time between two of them.
    pub interval: Duration,
    /// Number of times.
    pub count: u32,
    /// How long each can be used.
    pub usable_for: Duration,
    /// Time from now until the next request, if `count` is 0.
    pub again_in: Duration,
    /// Amount that is reserved for each.
    pub each: Amount,
    /// Says whether the limit on the cost leaves room for fewer than were asked for.
    pub is_short: bool,
    /// Limit on the cost, if it is reached; `None` as long as it is not, or something under way may leave room.
    pub reached: Option<CostReached>,
}

impl Reservation {
    /// Returns the amount that is reserved for all of these times.
    pub fn amount(&self) -> Amount {
        self.each.times(self.count.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(rate: &str, burst: Option<u32>) -> SharedRate {
        SharedRate { rate: rate.parse().unwrap(), burst: burst.and_then(NonZeroU32::new) }
    }

    /// Goal: a rate at a server is the one that was written there. Method: rates with and without a burst, and texts that are none.
    #[test]
    fn a_shared_rate_is_read_as_it_is_written() {
        for rate in [shared("20/s", None), shared("30/m", Some(5)), shared("125/d", Some(1))] {
            assert_eq!(rate.to_string().parse(), Ok(rate));
        }
        for text in ["", "20", "20/s with bursts of 0", "20/s with bursts of ", "20/s with bursts of many"] {
            assert_eq!(text.parse::<SharedRate>(), Err(RateError), "{text:?}");
        }
    }

    /// Goal: no span has more than its count, however late each time is used. Method: the most times that can fall into one span, for rates
    /// of every unit; a burst adds what it says, and no more.
    #[test]
    fn no_span_has_more_than_its_count() {
        for (text, burst) in [
            ("1/s", None),
            ("20/s", None),
            ("1000/s", None),
            ("60/m", None),
            ("500/h", None),
            ("125/d", None),
            ("20/s", Some(5)),
        ] {
            let rate = shared(text, burst);
            let reach = rate.rate.per + rate.usable_for();
            let most = reach.as_micros().div_ceil(rate.interval().as_micros());
            let allowed = u128::from(rate.rate.count.get()) + burst.map_or(0, |burst| u128::from(burst) + 1);
            assert!(most <= allowed + 1, "{text}: {most} in one span");
            assert!(rate.interval() <= rate.rate.interval().mul_f64(1.0501), "{text}: at most a twentieth is given up");
        }
    }
}
