//! Parser of the rate-limit headers of a response, in their common dialects; implausible values are ignored.

use std::time::Duration;

use crate::model::time::Timestamp;
use crate::provider::http::retry_after::{seconds, span};

/// Pairs of headers: the number of remaining requests, and the time of the reset.
const PAIRS: [(&str, &str); 4] = [
    // IETF drafts, up to the sixth.
    ("ratelimit-remaining", "ratelimit-reset"),
    // Convention that the drafts are based on.
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
    // OpenAI and compatible services.
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
];

/// Rate limit that the headers of a response describe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitHeaders {
    /// Time until the next request is accepted, if the headers say that no request remains; `None` otherwise.
    pub spent_for: Option<Duration>,
    /// Time until the reset, if the headers do not give the number of remaining requests; `None` otherwise.
    pub reset_after: Option<Duration>,
    /// Number of requests that are accepted before the reset; `None` if the headers do not give it.
    pub remaining: Option<u64>,
}

impl RateLimitHeaders {
    /// Parses all rate-limit headers; the longest wait counts. `date` is the server time.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, date: Option<Timestamp>) -> Self {
        let pairs = PAIRS.iter().filter_map(|(remaining, reset)| {
            let reset = span(header(reset)?, date)?;
            Some(Self::of(header(remaining), reset))
        });
        let list = header("ratelimit").into_iter().flat_map(|text| listed(text, header("ratelimit-policy")));
        pairs.chain(list).fold(Self::default(), |all, told| Self {
            spent_for: all.spent_for.max(told.spent_for),
            reset_after: all.reset_after.max(told.reset_after),
            remaining: [all.remaining, told.remaining].into_iter().flatten().min(),
        })
    }

    /// Returns the wait after a refusal; `None` if the headers give none.
    pub fn after_refusal(&self) -> Option<Duration> {
        self.spent_for.or(self.reset_after)
    }

    fn of(remaining: Option<&str>, reset: Duration) -> Self {
        let nothing = Self::default();
        match remaining.map(|text| text.trim().parse::<f64>()) {
            None => Self { reset_after: Some(reset), ..nothing },
            // A fraction of a request cannot be sent.
            Some(Ok(remaining)) if (0.0..1.0).contains(&remaining) => {
                Self { spent_for: Some(reset), remaining: Some(0), ..nothing }
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the value is at least 1, and the cast saturates"
            )]
            Some(Ok(remaining)) if remaining >= 1.0 => Self { remaining: Some(remaining as u64), ..nothing },
            Some(_) => nothing,
        }
    }
}

/// Parses the header `RateLimit`. The later drafts write `"name";r=0;t=30, ...`; without `t`, the policy of that name gives the window. The
/// seventh draft writes `limit=100, remaining=0, reset=30`.
fn listed<'a>(text: &'a str, policy: Option<&'a str>) -> Vec<RateLimitHeaders> {
    let members: Vec<&str> = text.split(',').map(str::trim).collect();
    let number = |text: Option<&str>| text.and_then(|text| seconds(text.trim()));
    if let Some(reset) = number(value(&members, "reset")) {
        return vec![RateLimitHeaders::of(value(&members, "remaining"), reset)];
    }
    let told = members.iter().filter_map(|member| {
        let parts: Vec<&str> = member.split(';').map(str::trim).collect();
        let window = || {
            let mut policies = policy?.split(',').map(|policy| policy.split(';').map(str::trim).collect::<Vec<_>>());
            number(value(&policies.find(|policy| policy[0] == parts[0])?, "w"))
        };
        let reset = number(value(&parts, "t")).or_else(window)?;
        Some(RateLimitHeaders::of(Some(value(&parts, "r")?), reset))
    });
    told.collect()
}

/// Returns the value of `key=value` among these parts.
fn value<'a>(parts: &[&'a str], key: &str) -> Option<&'a str> {
    parts.iter().filter_map(|part| part.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::http::retry_after::{SPAN_MAX, http_date};

    const NOON: &str = "Tue, 24 Nov 2026 12:00:00 GMT";

    fn read(headers: &[(&str, &str)]) -> RateLimitHeaders {
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        RateLimitHeaders::read(header, http_date(NOON))
    }

    fn spent_for(headers: &[(&str, &str)]) -> Option<u128> {
        read(headers).spent_for.map(|span| span.as_millis())
    }

    #[test]
    fn every_dialect_says_when_nothing_is_left() {
        let noon = http_date(NOON).unwrap().millis() / 1000;
        let (epoch, epoch_millis) = ((noon + 30).to_string(), ((noon + 30) * 1000).to_string());
        for headers in [
            &[("ratelimit", "\"default\";r=0;t=30")][..],
            &[("ratelimit", "\"day\";r=70;t=3600, \"minute\";r=0;t=30")],
            &[("ratelimit", "\"default\"; r=0"), ("ratelimit-policy", "\"x\";q=1;w=9, \"default\";q=100; w=30")],
            &[("ratelimit", "limit=100, remaining=0, reset=30")],
            &[("ratelimit-limit", "100"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "30")],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", " 30.0 ")],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &epoch)],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &epoch_millis)],
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "Tue, 24 Nov 2026 12:00:30 GMT")],
            &[("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "30")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "30s")],
            &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "0m29.5s500ms")],
        ] {
            assert_eq!(spent_for(headers), Some(30_000), "{headers:?}");
        }
        let headers = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")];
        assert_eq!(spent_for(&headers), Some(360_000));
    }

    #[test]
    fn while_something_is_left_nobody_waits() {
        for headers in [
            &[("ratelimit", "\"default\";r=1;t=30")][..],
            &[("x-ratelimit-remaining", "1.5"), ("x-ratelimit-reset", "30")],
            &[("ratelimit", "\"day\";r=70;t=3600, \"minute\";r=1;t=30")],
        ] {
            let told = read(headers);
            assert_eq!((told.spent_for, told.reset_after, told.remaining), (None, None, Some(1)), "{headers:?}");
        }
        for headers in [
            &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")][..],
            &[("x-ratelimit-remaining", "0")],
            &[("x-ratelimit-remaining", "many"), ("x-ratelimit-reset", "30")],
            &[],
        ] {
            assert_eq!(read(headers), RateLimitHeaders::default(), "{headers:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_not_heard() {
        for (remaining, reset) in [
            ("0", "soon"),
            ("0", "-5"),
            ("0", "NaN"),
            ("0", "inf"),
            ("0", ""),
            ("-1", "30"),
            ("many", "30"),
            ("0", "5x"),
        ] {
            let headers = [("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", reset)];
            assert_eq!(read(&headers), RateLimitHeaders::default(), "{headers:?}");
        }
        for text in ["", ";;;", "\"a\";r=0", "\"a\";t=3", "r=0;t=", "\"a\";r=0;t=-1", "remaining=0, reset=x"] {
            assert_eq!(read(&[("ratelimit", text)]), RateLimitHeaders::default(), "{text}");
        }
    }

    #[test]
    fn a_refusal_is_waited_out_where_only_the_reset_is_told() {
        let told = read(&[("x-ratelimit-reset", "30")]);
        assert_eq!((told.spent_for, told.after_refusal()), (None, Some(Duration::from_secs(30))));
    }

    proptest! {
        #[test]
        fn no_header_breaks_anything(text in ".*", policy in ".*", shaped in "[\"a;=,rtw0-9. mshd]{0,40}") {
            for value in [&*text, &*shaped] {
                let names = PAIRS.iter().flat_map(|(remaining, reset)| [*remaining, *reset]);
                for name in names.chain(["ratelimit"]) {
                    read(&[(name, value), ("ratelimit-policy", &policy), ("x-ratelimit-remaining", "0")]);
                }
            }
        }

        #[test]
        fn seconds_are_what_they_are(secs in 0..=SPAN_MAX.as_secs()) {
            let text = secs.to_string();
            let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &*text)];
            prop_assert_eq!(spent_for(&headers), Some(u128::from(secs) * 1000));
        }
    }
}
