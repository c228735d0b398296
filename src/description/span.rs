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
pub struct Span(pub Duration);

/// Error for a text that is not a [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a span of time is a whole number of at least 1 and a unit, s, m, h or d: for example 90s, 10m, 24h or 7d")]
pub struct SpanError;

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let text = text.trim();
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(SpanError)?;
        let (_, secs) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(SpanError)?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u64 = if is_number { number.parse().map_err(|_| SpanError)? } else { return Err(SpanError) };
        let secs = number.checked_mul(secs).filter(|secs| (1..=DAYS_MAX * 86400).contains(secs)).ok_or(SpanError)?;
        Ok(Self(Duration::from_secs(secs)))
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        let (unit, per) = UNITS.into_iter().rev().find(|(_, per)| secs.is_multiple_of(*per)).unwrap_or(("s", 1));
        write!(f, "{}{unit}", secs / per)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written() {
        for (text, secs) in [("90s", 90), ("10m", 600), ("24h", 86400), ("7d", 604_800)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(secs))), "{text}");
        }
        for (text, shown) in [("90s", "90s"), ("600s", "10m"), ("24h", "1d"), ("3601s", "3601s")] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), shown);
        }
        for text in ["", "s", "10", "0s", "-1s", "+1s", "1.5h", "10 w", "1y", "10分", "367d", "99999999999999999999d"]
        {
            assert_eq!(text.parse::<Span>(), Err(SpanError), "{text}");
        }
    }
}
