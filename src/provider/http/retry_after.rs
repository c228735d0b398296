//! Parser of times and durations in headers.
//! It accepts HTTP dates, seconds, seconds or milliseconds since the epoch, and `6m0s`. All results are bounded.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::time::Timestamp;

/// Longest duration that is accepted; longer ones are shortened to it.
pub(crate) const SPAN_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// Range of plausible server dates: from 2020-01-01 up to 2100-01-01. A clock outside this range is ignored.
const DATE_MIN: Timestamp = Timestamp::from_millis(1_577_836_800_000);
const DATE_MAX: Timestamp = Timestamp::from_millis(4_102_444_800_000);

/// Numbers from `EPOCH_SECS_MIN` on are seconds since the epoch, and from `EPOCH_MILLIS_MIN` on milliseconds. A wait never lasts thirty
/// years.
const EPOCH_SECS_MIN: f64 = 1e9;
const EPOCH_MILLIS_MIN: f64 = 1e11;
const NO_MOMENT: f64 = 1e15;

/// Parses an HTTP date; `None` if it is malformed or before 1970.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok().map(Timestamp::from_millis)
}

/// Parses the `Date` header; `None` if its clock is off by decades.
pub(crate) fn server_date(text: &str) -> Option<Timestamp> {
    http_date(text).filter(|date| (DATE_MIN..DATE_MAX).contains(date))
}

/// Returns the wait that `Retry-After` requests: the first readable value of a list. `date` is the server time; without it, a date in the
/// header is ignored.
pub(crate) fn retry_after(text: &str, date: Option<Timestamp>) -> Option<Duration> {
    span(text, date).or_else(|| text.split(',').find_map(|part| span(part, date)))
}

/// Returns the time from now: seconds, a time since the epoch, a date, or `6m0s`. A time in the past gives zero.
pub(crate) fn span(text: &str, date: Option<Timestamp>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        let millis = match number {
            EPOCH_MILLIS_MIN..NO_MOMENT => number,
            EPOCH_SECS_MIN..EPOCH_MILLIS_MIN => number * 1000.0,
            _ => return seconds(text),
        };
        #[expect(clippy::cast_possible_truncation, reason = "below `NO_MOMENT`")]
        return Some(bounded(Timestamp::from_millis(millis as i64).since(date?)));
    }
    let span = match http_date(text) {
        Some(then) => then.since(date?),
        None => compound(text)?,
    };
    Some(bounded(span))
}

/// Parses seconds, with or without a fraction.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok().map(bounded)
}

fn bounded(span: Duration) -> Duration {
    span.min(SPAN_MAX)
}

/// Parses a duration in Go's notation: `6m0s`, `120ms`, `1h2m3.5s`.
fn compound(text: &str) -> Option<Duration> {
    let (mut rest, mut whole) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let number_end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let unit_end = rest[number_end..].find(|letter: char| letter.is_ascii_digit());
        let (number, unit) = rest[..unit_end.map_or(rest.len(), |end| number_end + end)].split_at(number_end);
        let secs = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * secs).ok()?;
        whole = whole.checked_add(part)?;
        rest = &rest[number.len() + unit.len()..];
    }
    (!text.is_empty()).then_some(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: &str = "Tue, 24 Nov 2026 12:00:00 GMT";

    #[test]
    fn retry_after_is_read_in_seconds() {
        for (text, millis) in [
            ("7", 7000),
            (" 0.5 ", 500),
            ("0", 0),
            ("+3", 3000),
            ("3, 5", 3000),
            ("soon, 5", 5000),
            ("2s", 2000),
            ("1m30s", 90_000),
            ("1e2", 100_000),
        ] {
            assert_eq!(retry_after(text, None), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "soon", "-1", "inf", "NaN", "-0.5", "0x10", ",", "1e400", "1e300"] {
            assert_eq!(retry_after(text, http_date(NOON)), None, "{text}");
        }
    }

    #[test]
    fn retry_after_is_read_as_a_date_by_the_clock_of_the_server() {
        let wait = |text: &str| retry_after(text, http_date(NOON));
        assert_eq!(wait("Tue, 24 Nov 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(wait("Tue, 24 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO), "it has passed");
        assert_eq!(wait("Tuesday, 24-Nov-26 12:00:05 GMT"), Some(Duration::from_secs(5)), "the format of RFC 850");
        let epoch = http_date(NOON).unwrap().millis() / 1000 + 30;
        assert_eq!(wait(&epoch.to_string()), Some(Duration::from_secs(30)), "some send a moment instead of a span");
        assert_eq!(retry_after("Tue, 24 Nov 2026 12:01:30 GMT", None), None, "how long that is cannot be known");
    }

    #[test]
    fn no_wait_is_longer_than_a_month() {
        for text in ["99999999", "1e15", "1e18", "Fri, 31 Dec 9999 23:59:59 GMT", "9999d"] {
            assert_eq!(retry_after(text, http_date(NOON)), Some(SPAN_MAX), "{text}");
        }
    }

    #[test]
    fn a_server_clock_that_is_off_by_decades_is_not_believed() {
        assert_eq!(server_date(NOON), http_date(NOON));
        for text in [
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Fri, 01 Jan 2100 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Tue, 31 Dec 2019 23:59:59 GMT",
            "today",
            "",
        ] {
            assert_eq!(server_date(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_header_breaks_anything(text in ".*", shaped in "[0-9.,:eEdhms GMT+-]{0,40}", millis in any::<i64>()) {
            for value in [&text, &shaped] {
                for date in [None, Some(Timestamp::from_millis(millis))] {
                    prop_assert!(retry_after(value, date).is_none_or(|span| span <= SPAN_MAX));
                }
            }
        }
    }
}
