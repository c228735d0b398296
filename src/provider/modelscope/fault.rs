//! The API's refusals, classified: one place for the whole table of statuses and words.

use std::time::Duration;

use serde_json::Value;

use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Timestamp;
use crate::provider::modelscope::token::PAGE;

/// Characters of the API's own words that are kept: it may say as much as it likes, and each job keeps them.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Allowances come back at midnight in Asia/Shanghai, which has no summer time, or up to five minutes later: 16:05 UTC.
const RESET_OF_DAY_MILLIS: i64 = (16 * 60 + 5) * 60 * 1000;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// What the headers of an answer say about time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// What time it is over there.
    pub date: Option<Timestamp>,
}

/// A used-up daily allowance, by these words of the API, at this time over there.
pub fn quota_spent(quoted: &str, date: Option<Timestamp>) -> Fault {
    let resets_at = date.map(|date| {
        let n_days = (date.millis() - RESET_OF_DAY_MILLIS).div_euclid(DAY_MILLIS) + 1;
        Timestamp::from_millis(n_days * DAY_MILLIS + RESET_OF_DAY_MILLIS)
    });
    let words = format!("the daily quota is used up: {quoted}; it is back five minutes after midnight, Asia/Shanghai");
    Fault::new(FaultKind::QuotaExhausted { resets_at }, words)
}

/// A refusal in the API's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status, or the code inside an answer of status 200.
    pub status: u16,
    /// What the API said; empty when it said nothing that can be read.
    pub message: String,
}

impl Refusal {
    /// The refusal in a body, in either of the two envelopes: `errors` (images) or `error` (a gateway, chat).
    pub fn read(status: u16, body: &Value) -> Option<Self> {
        let errors =
            ["errors", "error"].into_iter().filter_map(|name| body.get(name)).find(|errors| !says_nothing(errors))?;
        let code = errors.get("code").or_else(|| errors.get("http_code")).and_then(number);
        let message = errors.get("message").and_then(Value::as_str).or_else(|| errors.as_str()).unwrap_or_default();
        let status = if (200..300).contains(&status) { code.unwrap_or(500) } else { status };
        Some(Self { status, message: message.chars().take(MESSAGE_CHARS_MAX).collect() })
    }

    /// Whether it promises that the request was not carried out: a mistake of ours, or a server that says it takes nothing at present.
    /// Any other failure of a server may have come after the request was taken.
    pub fn is_clear(&self) -> bool {
        let message = self.message.to_lowercase();
        let is_turned_away = ["busy", "overload", "try again later", "temporarily unavailable"];
        matches!(self.status, 400..500) || is_turned_away.iter().any(|words| message.contains(words))
    }

    /// A refusal without a word.
    pub const fn of_status(status: u16) -> Self {
        Self { status, message: String::new() }
    }

    /// What it means, for a request that was surely not carried out.
    pub fn fault(&self, model: &str, hints: &Hints) -> Fault {
        let Self { status, message } = self;
        let quoted = if message.is_empty() { format!("HTTP status {status}") } else { format!("{message} ({status})") };
        let says = |words: &str| message.to_lowercase().contains(words);
        if *status == 429 && says("quota") && !says("insufficient balance") {
            return quota_spent(&quoted, hints.date);
        }
        let (kind, words) = self.classify(model, hints.retry_after, quoted);
        Fault::new(kind, words)
    }

    fn classify(&self, model: &str, retry_after: Option<Duration>, quoted: String) -> (FaultKind, String) {
        let Self { status, message } = self;
        let says = |words: &str| message.to_lowercase().contains(words);
        match status {
            401 | 403 => (FaultKind::Unauthorized, unauthorized(&quoted)),
            402 => (FaultKind::QuotaExhausted { resets_at: None }, format!("out of credit: {quoted}")),
            429 if says("insufficient balance") => {
                (FaultKind::InvalidRequest, format!("the model {model} seems to be retired: {quoted}"))
            }
            429 => (FaultKind::Throttled { retry_after }, format!("too many requests: {quoted}")),
            400 | 422 if says("inappropriate content") => (FaultKind::Moderated, quoted),
            400 if says("has no provider supported") => {
                let words = format!("the model {model} is retired or misspelt: {quoted}; see modelscope.cn/models");
                (FaultKind::InvalidRequest, words)
            }
            400 if says("synchronous calls") => {
                (FaultKind::InvalidRequest, format!("this is a bug of promptbatch, please report it: {quoted}"))
            }
            404 => {
                (FaultKind::InvalidRequest, format!("the API does not know this address: {quoted}; check --base-url"))
            }
            408 => (FaultKind::Transient, quoted),
            300..400 => (
                FaultKind::InvalidRequest,
                format!("the API redirects, which is not followed: {quoted}; check --base-url"),
            ),
            400..500 if says("server is busy") => (FaultKind::Transient, quoted),
            400..500 => (FaultKind::InvalidRequest, quoted),
            _ => (FaultKind::Transient, quoted),
        }
    }
}

fn unauthorized(quoted: &str) -> String {
    format!(
        "the token was refused: {quoted}. Bind your Alibaba Cloud account (with real-name verification) to your \
         ModelScope account, then make or renew the token at {PAGE} and set it as MODELSCOPE_API_KEY"
    )
}

/// Some services send the field of an error with every success.
fn says_nothing(errors: &Value) -> bool {
    match errors {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// A whole number, whether it is written as one or as a string.
fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, message: &str) -> FaultKind {
        Refusal { status, message: message.into() }.fault("a/b", &Hints::default()).kind
    }

    /// The error table of the API, row by row.
    #[test]
    fn every_row_of_the_table_has_its_kind() {
        let quota = FaultKind::QuotaExhausted { resets_at: None };
        let throttled = FaultKind::Throttled { retry_after: None };
        let busy = "Server is busy, please try again later";
        let spent = "You have exceeded today's quota for model a/b, please try again tomorrow";
        let rows = [
            (400, "The model does not support synchronous calls, please set the header", FaultKind::InvalidRequest),
            (400, "Model id : a/b , has no provider supported", FaultKind::InvalidRequest),
            (400, "Input data may contain inappropriate content.", FaultKind::Moderated),
            (422, "Output data may contain inappropriate content.", FaultKind::Moderated),
            (400, "size is out of range", FaultKind::InvalidRequest),
            (401, "Please bind your Alibaba Cloud account before use.", FaultKind::Unauthorized),
            (403, "forbidden", FaultKind::Unauthorized),
            (402, "no credit", quota),
            (429, spent, quota),
            (429, "limit_burst_rate", throttled),
            (429, "limit_requests", throttled),
            (429, "Too many requests", throttled),
            (429, "", throttled),
            (429, "insufficient balance (1008)", FaultKind::InvalidRequest),
            (500, "", FaultKind::Transient),
            (502, "", FaultKind::Transient),
            (503, busy, FaultKind::Transient),
            (400, busy, FaultKind::Transient),
            (404, "", FaultKind::InvalidRequest),
            (408, "", FaultKind::Transient),
            (302, "", FaultKind::InvalidRequest),
            (413, "", FaultKind::InvalidRequest),
        ];
        for (status, message, expected) in rows {
            assert_eq!(kind(status, message), expected, "{status} {message}");
        }
    }

    #[test]
    fn a_401_says_what_to_do_and_where() {
        let refusal = Refusal { status: 401, message: "Please bind your Alibaba Cloud account before use.".into() };
        let words = refusal.fault("a/b", &Hints::default()).message;
        for part in
            ["bind your Alibaba Cloud account before use", "real-name", "renew", "modelscope.cn/my/myaccesstoken"]
        {
            assert!(words.contains(part), "{part:?} is missing in: {words}");
        }
    }

    #[test]
    fn a_retired_model_is_named() {
        for (status, message) in [(400, "has no provider supported"), (429, "insufficient balance (1008)")] {
            let fault = Refusal { status, message: message.into() }.fault("a/b", &Hints::default());
            assert!(fault.message.contains("a/b"), "{fault}");
        }
    }

    #[test]
    fn both_envelopes_are_read() {
        let read = |status, text: &str| Refusal::read(status, &serde_json::from_str(text).unwrap());
        let refusal = |status, message: &str| Some(Refusal { status, message: message.into() });
        assert_eq!(read(400, r#"{"errors":{"code":1,"message":"m"},"request_id":"r"}"#), refusal(400, "m"));
        assert_eq!(read(429, r#"{"error":{"http_code":"429","message":"m","type":"t"}}"#), refusal(429, "m"));
        assert_eq!(read(200, r#"{"errors":{"code":422,"message":"m"}}"#), refusal(422, "m"));
        assert_eq!(read(200, r#"{"error":{"code":"429","message":"m"}}"#), refusal(429, "m"));
        assert_eq!(read(200, r#"{"error":"plain"}"#), refusal(500, "plain"));
        assert_eq!(read(500, r#"{"errors":null,"x":1}"#), None);
        assert_eq!(read(500, "[]"), None);
    }

    #[test]
    fn a_throttle_keeps_the_time_that_the_provider_named() {
        let wait = Some(Duration::from_secs(7));
        let hints = Hints { retry_after: wait, date: None };
        let fault = Refusal { status: 429, message: "limit_requests".into() }.fault("a/b", &hints);
        assert_eq!(fault.kind, FaultKind::Throttled { retry_after: wait });
    }

    #[test]
    fn a_daily_quota_is_back_after_the_next_midnight_in_shanghai() {
        let resets_at = |date: i64| match quota_spent("", Some(Timestamp::from_millis(date))).kind {
            FaultKind::QuotaExhausted { resets_at } => resets_at.unwrap().millis(),
            other => panic!("{other:?}"),
        };
        let (minute, hour) = (60_000, 3_600_000);
        let midnight = 20_000 * DAY_MILLIS + 16 * hour;
        for (date, reset) in [
            (midnight - 12 * hour, midnight + 5 * minute),
            (midnight - 1, midnight + 5 * minute),
            (midnight + 4 * minute, midnight + 5 * minute),
            (midnight + 5 * minute, midnight + 5 * minute + DAY_MILLIS),
            (midnight + 23 * hour, midnight + 5 * minute + DAY_MILLIS),
        ] {
            assert_eq!(resets_at(date), reset, "{}", (date - midnight) / minute);
        }
    }
}
