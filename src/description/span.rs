//! Span of time as descriptions write it: a whole number and a unit, such as `90s`, `10m`, `24h` or `7d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

/// Longest span of time that a description may name.
const DAYS_MAX: u64 = 366;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];

/// Span of time, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeSpan(pub Duration);

/// Error for a text that is not a [`TimeSpan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a span of time is a whole number of at least 1 and a unit, s, m, h or d: for example 90s, 10m, 24h or 7d")]
pub struct TimeSpanError;

impl FromStr for TimeSpan {
    type Err = TimeSpanError;

    fn from_str(text: &str) -> Result<Self, TimeSpanError> {
        let text = text.trim();
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(TimeSpanError)?;
        let (_, secs) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(TimeSpanError)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 =
            if is_number { number.parse().map_err(|_| TimeSpanError)? } else { return Err(TimeSpanError) };
        let secs =
            number.checked_mul(secs).filter(|secs| (1..=DAYS_MAX * 86400).contains(secs)).ok_or(TimeSpanError)?;
        Ok(Self(Duration::from_secs(secs)))
    }
}

impl TryFrom<String> for TimeSpan {
    type Error = TimeSpanError;

    fn try_from(text: String) -> Result<Self, TimeSpanError> {
        text.parse()
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        let (unit, per) = UNITS.into_iter().rev().find(|(_, per)| secs.is_multiple_of(*per)).unwrap_or(("s", 1));
        write!(f, "{}{unit}", secs / per)
    }
}

/// Time of day in UTC, written `16:05`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeOfDay(pub Duration);

/// Error for a text that is not a [`TimeOfDay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time of day is written HH:MM in UTC, for example 16:05, in quotes")]
pub struct TimeOfDayError;

impl TryFrom<String> for TimeOfDay {
    type Error = TimeOfDayError;

    fn try_from(text: String) -> Result<Self, TimeOfDayError> {
        let part = |text: &str, max: u64| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|number| is_number && *number < max).ok_or(TimeOfDayError)
        };
        let (hours, minutes) = text.split_once(':').ok_or(TimeOfDayError)?;
        Ok(Self(Duration::from_secs(part(hours, 24)? * 3600 + part(minutes, 60)? * 60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_has_hours_and_minutes() {
        let time = |text: &str| TimeOfDay::try_from(text.to_owned()).map(|time| time.0.as_secs());
        assert_eq!((time("16:05"), time("00:00"), time("23:59")), (Ok(57_900), Ok(0), Ok(86_340)));
        for text in ["", "24:00", "1:05", "16:60", "16:5", "16.05", "+1:05", "16:05:00"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, secs) in [("90s", 90), ("10m", 600), ("24h", 86400), ("7d", 604_800)] {
            assert_eq!(text.parse(), Ok(TimeSpan(Duration::from_secs(secs))), "{text}");
        }
        for (text, shown) in [("90s", "90s"), ("600s", "10m"), ("24h", "1d"), ("3601s", "3601s")] {
            assert_eq!(text.parse::<TimeSpan>().unwrap().to_string(), shown);
        }
        for text in ["", "s", "10", "0s", "-1s", "+1s", "1.5h", "10 w", "1y", "10分", "367d", "99999999999999999999d"]
        {
            assert_eq!(text.parse::<TimeSpan>(), Err(TimeSpanError), "{text}");
        }
    }
}
