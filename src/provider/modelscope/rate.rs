//! Reads the rate-limit headers of an answer, in the dialects that are spoken; what makes no sense is not heard.

use std::time::Duration;

use crate::model::time::Timestamp;
use crate::provider::modelscope::waits::{seconds, span};

/// Headers that come in pairs: how many requests are left, and when there will be more.
const PAIRS: [(&str, &str); 4] = [
    // Drafts of the IETF, up to the sixth.
    ("ratelimit-remaining", "ratelimit-reset"),
    // The custom that they grew from.
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
    // OpenAI, and those who do as it does.
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
];

/// What the rate-limit headers of an answer say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateTold {
    /// How long nothing more is taken: they say that nothing is left.
    pub spent_for: Option<Duration>,
    /// How long until more is taken, where they do not say how much is left.
    pub reset_after: Option<Duration>,
    /// How many more requests are taken before that.
    pub remaining: Option<u64>,
}

impl RateTold {
    /// Reads them all; the longest wait counts. `date` is what time it is over there.
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

    /// How long to wait after a refusal.
    pub fn after_refusal(&self) -> Option<Duration> {
        self.spent_for.or(self.reset_after)
    }

    fn of(remaining: Option<&str>, reset: Duration) -> Self {
        let nothing = Self::default();
        match remaining.map(|text| text.trim().parse::<f64>()) {
            None => Self { reset_after: Some(reset), ..nothing },
            // Half a request cannot be sent.
            Some(Ok(remaining)) if (0.0..1.0).contains(&remaining) => {
                Self { spent_for: Some(reset), remaining: Some(0), ..nothing }
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 1 on, and too many are all"
            )]
            Some(Ok(remaining)) if remaining >= 1.0 => Self { remaining: Some(remaining as u64), ..nothing },
            Some(_) => nothing,
        }
    }
}

/// The field `RateLimit` of the later drafts: `"name";r=0;t=30, ...`, where the policy of that name gives its window if there is no `t`;
/// or of the seventh, `limit=100, remaining=0, reset=30`.
fn listed<'a>(text: &'a str, policy: Option<&'a str>) -> Vec<RateTold> {
    let members: Vec<&str> = text.split(',').map(str::trim).collect();
    let number = |text: Option<&str>| text.and_then(|text| seconds(text.trim()));
    if let Some(reset) = number(value(&members, "reset")) {
        return vec![RateTold::of(value(&members, "remaining"), reset)];
    }
    let told = members.iter().filter_map(|member| {
        let parts: Vec<&str> = member.split(';').map(str::trim).collect();
        let window = || {
            let mut policies = policy?.split(',').map(|policy| policy.split(';').map(str::trim).collect::<Vec<_>>());
            number(value(&policies.find(|policy| policy[0] == parts[0])?, "w"))
        };
        let reset = number(value(&parts, "t")).or_else(window)?;
        Some(RateTold::of(Some(value(&parts, "r")?), reset))
    });
    told.collect()
}

/// The value of `key=value` among these.
fn value<'a>(parts: &[&'a str], key: &str) -> Option<&'a str> {
    parts.iter().filter_map(|part| part.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::modelscope::waits::{SPAN_MAX, http_date};

    const NOON: &str = "Tue, 24 Nov 2026 12:00:00 GMT";

    fn read(headers: &[(&str, &str)]) -> RateTold {
        let header = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        RateTold::read(header, http_date(NOON))
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
            assert_eq!(read(headers), RateTold::default(), "{headers:?}");
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
            assert_eq!(read(&headers), RateTold::default(), "{headers:?}");
        }
        for text in ["", ";;;", "\"a\";r=0", "\"a\";t=3", "r=0;t=", "\"a\";r=0;t=-1", "remaining=0, reset=x"] {
            assert_eq!(read(&[("ratelimit", text)]), RateTold::default(), "{text}");
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
