//! Tests of the faults of refusals: their kinds, their times, and what they tell the user.

use super::*;
use crate::model::time::Timestamp;
use crate::provider::described::fault::spent_by_headers;

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// Returns the fault of a refusal in the API's own form, for the model `a/b`.
fn refused(status: u16, message: &str) -> Fault {
    let body = json!({ "errors": { "message": message }, "request_id": "r" }).to_string();
    submitted(&answer(status, &body), "a/b").unwrap_err()
}

#[test]
fn a_401_says_what_to_do_and_where() {
    let words = refused(401, "Please bind your Alibaba Cloud account before use.").message;
    assert_eq!(
        words,
        "the token was refused: Please bind your Alibaba Cloud account before use. (401). Bind your Alibaba Cloud account \
         (with real-name verification) to your ModelScope account, then make or renew the token at \
         https://modelscope.cn/my/myaccesstoken and set it as MODELSCOPE_API_KEY"
    );
}

/// Goal: what a user reads does not change. Method: the whole message of every reason.
#[test]
fn every_reason_has_its_kind_and_its_words() {
    let quota = FaultKind::QuotaExhausted { resets_at: None };
    let throttled = FaultKind::Throttled { retry_after: None };
    for (status, message, kind, words) in [
        (402, "m", quota, "out of credit: m (402)"),
        (
            429,
            "today's quota",
            quota,
            "the daily quota is used up: today's quota (429); it resets five minutes after midnight, Asia/Shanghai",
        ),
        (429, "m", throttled, "too many requests: m (429)"),
        (
            429,
            "insufficient balance",
            FaultKind::InvalidRequest,
            "the model a/b seems to be retired: insufficient balance (429)",
        ),
        (
            400,
            "has no provider supported",
            FaultKind::InvalidRequest,
            "the model a/b is retired or misspelt: has no provider supported (400); see modelscope.cn/models",
        ),
        (400, "inappropriate content", FaultKind::Moderated, "inappropriate content (400)"),
        (
            400,
            "synchronous calls",
            FaultKind::InvalidRequest,
            "this is a bug of promptbatch, please report it: synchronous calls (400)",
        ),
        (400, "Server is busy", FaultKind::Transient, "Server is busy (400)"),
        (404, "m", FaultKind::InvalidRequest, "the API does not know this address: m (404); check --base-url"),
        (422, "m", FaultKind::InvalidRequest, "m (422)"),
    ] {
        let fault = refused(status, message);
        assert_eq!((fault.kind, fault.message.as_str()), (kind, words));
        assert!(!fault.kind.leaves_doubt(), "{fault}");
    }
}

#[test]
fn a_quota_is_the_models_own_only_if_the_message_names_it() {
    for (message, expected) in [
        ("You have exceeded today's quota for model a/b, please try again tomorrow", true),
        ("You have exceeded today's quota for model A/B", true),
        ("You have exceeded today's quota for model Other/Model", false),
        ("You have exceeded today's quota, please try again tomorrow", false),
    ] {
        assert_eq!(refused(429, message).is_model_quota, expected, "{message}");
    }
}

#[test]
fn a_throttle_keeps_the_time_that_the_provider_named() {
    let body = json!({ "errors": { "message": "limit_requests" }, "request_id": "r" }).to_string();
    let answer = ApiResponse { retry_after: Some("7".into()), ..answer(429, &body) };
    let wait = Some(Duration::from_secs(7));
    assert_eq!(submitted(&answer, "a/b").unwrap_err().kind, FaultKind::Throttled { retry_after: wait });
}

#[test]
fn a_daily_quota_is_back_after_the_next_midnight_in_shanghai() {
    let resets_at = |date: i64| {
        let answer = ApiResponse { date: Some(Timestamp::from_millis(date)), ..ApiResponse::default() };
        match spent_by_headers(api(), "", &answer).kind {
            FaultKind::QuotaExhausted { resets_at } => resets_at.unwrap().millis(),
            other => panic!("{other:?}"),
        }
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
