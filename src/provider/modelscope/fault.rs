//! Construction of faults from verdicts: the kind, and a message that says what the user can do.

use std::time::Duration;

use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Timestamp;
use crate::provider::modelscope::decision_table::RefusalReason;
use crate::provider::modelscope::token::TOKEN;

/// Time of day of the quota reset, in milliseconds after midnight UTC: 16:05. The quota resets at midnight in Asia/Shanghai, or up to five
/// minutes later. Asia/Shanghai has no summer time.
const RESET_OF_DAY_MILLIS: i64 = (16 * 60 + 5) * 60 * 1000;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// Timing information in the headers of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseMeta {
    /// Wait before the next request; `None` if the headers give none.
    pub retry_after: Option<Duration>,
    /// Server time; `None` if the headers give none.
    pub date: Option<Timestamp>,
}

/// Creates the fault of an exhausted daily quota. `quoted` is the API's message, and `date` the server time. Without `date`, the time of
/// the reset is unknown.
pub(crate) fn quota_spent(quoted: &str, date: Option<Timestamp>) -> Fault {
    let resets_at = date.map(|date| {
        let n_days = (date.millis() - RESET_OF_DAY_MILLIS).div_euclid(DAY_MILLIS) + 1;
        Timestamp::from_millis(n_days * DAY_MILLIS + RESET_OF_DAY_MILLIS)
    });
    let words = format!("the daily quota is used up: {quoted}; it resets five minutes after midnight, Asia/Shanghai");
    let resets_in = resets_at.zip(date).map(|(resets_at, date)| resets_at.since(date));
    Fault { resets_in, ..Fault::new(FaultKind::QuotaExhausted { resets_at }, words) }
}

/// Creates the fault of a refusal for this reason. `message` is the API's message, empty if it gave none, and `status` its HTTP status.
pub(crate) fn refused(reason: RefusalReason, status: u16, message: &str, model: &str, hints: &ResponseMeta) -> Fault {
    let quoted = if message.is_empty() { format!("HTTP status {status}") } else { format!("{message} ({status})") };
    let invalid = |words: String| Fault::new(FaultKind::InvalidRequest, words);
    match reason {
        RefusalReason::Unauthorized => unauthorized(&quoted),
        RefusalReason::OutOfCredit => {
            Fault::new(FaultKind::QuotaExhausted { resets_at: None }, format!("out of credit: {quoted}"))
        }
        RefusalReason::DaySpent => {
            Fault { is_model_quota: names_model(message, model), ..quota_spent(&quoted, hints.date) }
        }
        RefusalReason::Throttled => {
            let kind = FaultKind::Throttled { retry_after: hints.retry_after };
            Fault::new(kind, format!("too many requests: {quoted}"))
        }
        RefusalReason::ModelRetired => invalid(format!("the model {model} seems to be retired: {quoted}")),
        RefusalReason::ModelUnknown => {
            invalid(format!("the model {model} is retired or misspelt: {quoted}; see modelscope.cn/models"))
        }
        RefusalReason::Moderated => Fault::new(FaultKind::Moderated, quoted),
        RefusalReason::OurBug => invalid(format!("this is a bug of promptbatch, please report it: {quoted}")),
        RefusalReason::AddressUnknown => {
            invalid(format!("the API does not know this address: {quoted}; check --base-url"))
        }
        RefusalReason::Invalid => invalid(quoted),
        RefusalReason::Busy | RefusalReason::Internal => Fault::new(FaultKind::Transient, quoted),
    }
}

/// Returns whether a message about a used-up quota is about that of this model: "today's quota for model X".
fn names_model(message: &str, model: &str) -> bool {
    let (message, model) = (message.to_lowercase(), model.to_lowercase());
    let named = message.split_once("for model ").map(|(_, named)| named);
    named.is_some_and(|named| !model.is_empty() && named.starts_with(&model))
}

/// Creates the fault of a token that the API refused.
pub(crate) fn unauthorized(quoted: &str) -> Fault {
    let words = format!(
        "the token was refused: {quoted}. Bind your Alibaba Cloud account (with real-name verification) to your \
         ModelScope account, then make or renew the token at {} and set it as {}",
        TOKEN.page, TOKEN.variables[0]
    );
    Fault::new(FaultKind::Unauthorized, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(reason: RefusalReason, message: &str) -> Fault {
        refused(reason, 400, message, "a/b", &ResponseMeta::default())
    }

    #[test]
    fn a_401_says_what_to_do_and_where() {
        let words = fault(RefusalReason::Unauthorized, "Please bind your Alibaba Cloud account before use.").message;
        for part in
            ["bind your Alibaba Cloud account before use", "real-name", "renew", "modelscope.cn/my/myaccesstoken"]
        {
            assert!(words.contains(part), "{part:?} is missing in: {words}");
        }
    }

    #[test]
    fn a_retired_model_is_named() {
        for reason in [RefusalReason::ModelUnknown, RefusalReason::ModelRetired] {
            let fault = fault(reason, "words");
            assert!(fault.kind == FaultKind::InvalidRequest && fault.message.contains("a/b"), "{fault}");
        }
    }

    /// Goal: a clear refusal never leaves doubt. A response that leaves doubt must therefore get none of these reasons.
    #[test]
    fn every_reason_has_its_kind() {
        let quota = FaultKind::QuotaExhausted { resets_at: None };
        for (reason, kind) in [
            (RefusalReason::Unauthorized, FaultKind::Unauthorized),
            (RefusalReason::OutOfCredit, quota),
            (RefusalReason::DaySpent, quota),
            (RefusalReason::Throttled, FaultKind::Throttled { retry_after: None }),
            (RefusalReason::ModelRetired, FaultKind::InvalidRequest),
            (RefusalReason::ModelUnknown, FaultKind::InvalidRequest),
            (RefusalReason::Moderated, FaultKind::Moderated),
            (RefusalReason::OurBug, FaultKind::InvalidRequest),
            (RefusalReason::Busy, FaultKind::Transient),
            (RefusalReason::AddressUnknown, FaultKind::InvalidRequest),
            (RefusalReason::Invalid, FaultKind::InvalidRequest),
            (RefusalReason::Internal, FaultKind::Transient),
        ] {
            let fault = fault(reason, "");
            assert_eq!(fault.kind, kind);
            assert!(!fault.kind.leaves_doubt() && fault.message.contains("HTTP status 400"), "{fault}");
        }
    }

    #[test]
    fn a_quota_is_the_models_own_only_if_the_message_names_it() {
        for (message, model, expected) in [
            (
                "You have exceeded today's quota for model Qwen/Qwen-Image, please try again tomorrow",
                "Qwen/Qwen-Image",
                true,
            ),
            ("You have exceeded today's quota for model qwen/qwen-image", "Qwen/Qwen-Image", true),
            ("You have exceeded today's quota for model Other/Model", "Qwen/Qwen-Image", false),
            ("You have exceeded today's quota, please try again tomorrow", "Qwen/Qwen-Image", false),
            ("You have exceeded today's quota for model ", "", false),
        ] {
            let fault = refused(RefusalReason::DaySpent, 429, message, model, &ResponseMeta::default());
            assert_eq!(fault.is_model_quota, expected, "{message}");
        }
    }

    #[test]
    fn a_throttle_keeps_the_time_that_the_provider_named() {
        let wait = Some(Duration::from_secs(7));
        let hints = ResponseMeta { retry_after: wait, date: None };
        let fault = refused(RefusalReason::Throttled, 429, "limit_requests", "a/b", &hints);
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
