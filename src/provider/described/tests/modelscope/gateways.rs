//! Property tests of the classification: whatever a gateway responds, every paid submission is reported.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::provider::described::ids::{self, IdSearch};
use crate::simulator::pages;
use crate::test_effort::cases;

/// Statuses in the closed list of clear refusals, written down independently of the table.
const CLEAR: [u16; 10] = [400, 401, 402, 403, 404, 405, 413, 415, 422, 429];

/// Returns true for the API's own refusal; decided without the code under test.
fn is_own_refusal(status: u16, body: &[u8]) -> bool {
    let Ok(json) = serde_json::from_slice::<Value>(body) else { return false };
    let says = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    let is_code = |value: &Value| value == &json!(status) || value == &json!(status.to_string());
    let is_images = says(&json["errors"]["message"]) && (says(&json["request_id"]) || is_code(&json["errors"]["code"]));
    let chat = &json["error"];
    let has_code = !chat["code"].is_null() || !chat["http_code"].is_null();
    CLEAR.contains(&status) && (is_images || (says(&chat["message"]) && says(&json["request_id"]) && has_code))
}

fn page() -> impl Strategy<Value = (u16, String)> {
    let pages: Vec<_> = pages::all().map(|page| (page.status, page.body.to_owned())).collect();
    proptest::sample::select(pages)
}

fn status() -> impl Strategy<Value = u16> {
    let usual =
        vec![200, 201, 202, 204, 301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 413, 425, 429, 499];
    let broken = vec![500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 525, 526, 529, 530, 598, 599];
    prop_oneof![proptest::sample::select(usual), proptest::sample::select(broken), 100..1000_u16]
}

fn words() -> impl Strategy<Value = String> {
    let stock = [
        "Server is busy, please try again later",
        "Service temporarily unavailable",
        "overloaded",
        "You have exceeded today's quota for model a/b, please try again tomorrow",
        "insufficient balance (1008)",
        "Input data may contain inappropriate content.",
        "has no provider supported",
        "please use synchronous calls",
        "task not found",
        "no Route matched",
        "",
    ];
    prop_oneof![proptest::sample::select(stock.map(str::to_owned).to_vec()), any::<String>()]
}

/// Generates JSON as frameworks and the API send it, with various parts missing.
fn envelope() -> impl Strategy<Value = Value> {
    let code = prop_oneof![Just(Value::Null), status().prop_map(|status| json!(status)), Just(json!("x"))];
    let parts = (words(), code, option::of("[a-z0-9-]{0,9}"), 0..9_u8);
    parts.prop_map(|(message, code, request_id, shape)| {
        let mut json = match shape {
            0 => json!({ "errors": { "code": code, "message": message } }),
            1 => json!({ "errors": { "message": message } }),
            2 => json!({ "error": { "code": code, "message": message, "type": "t" } }),
            3 => json!({ "error": message, "status": code }),
            4 => json!({ "message": message, "code": code }),
            5 => json!({ "detail": message }),
            6 => json!({ "errors": [{ "code": code, "message": message }] }),
            7 => json!({ "errors": { "prompt": [message] } }),
            _ => json!({ "task_status": message, "request_id": code }),
        };
        if let Some(request_id) = request_id {
            json["request_id"] = json!(request_id);
        }
        json
    })
}

/// Generates JSON with an id in a place that counts, and ids in places that do not. The second value is the id that counts, if any.
fn with_ids() -> impl Strategy<Value = (Value, Option<String>)> {
    (envelope(), option::of("[a-z0-9-]{1,30}"), 0..3_u8, words()).prop_map(|(mut json, id, place, words)| {
        json["prompt"] = json!(format!("{words}\",\"task_id\":\"999\""));
        json["errors_of"] = json!([{ "task_id": "999" }]);
        match (&id, place) {
            (Some(id), 0) => json["task_id"] = json!(id),
            (Some(id), 1) => json["data"] = json!({ "task_id": id }),
            (Some(id), _) => json["output"] = json!({ "task_id": id, "task_status": "PENDING" }),
            (None, _) => (),
        }
        (json, id)
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let garbled =
        (with_ids(), vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3), any::<proptest::sample::Index>());
    prop_oneof![
        page().prop_map(|(_, body)| body.into_bytes()),
        envelope().prop_map(|json| json.to_string().into_bytes()),
        with_ids().prop_map(|(json, _)| json.to_string().into_bytes()),
        garbled.prop_map(|((json, _), changes, cut)| {
            let mut body = json.to_string().into_bytes();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body.truncate(cut.index(body.len() + 1));
            body
        }),
        any::<String>().prop_map(String::into_bytes),
        vec(any::<u8>(), 0..200),
    ]
}

fn any_answer(body: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = ApiResponse> {
    let header = option::of(prop_oneof![Just("3".to_owned()), Just("86400".to_owned()), any::<String>()]);
    (status(), body, header, option::of(0..3_u64), option::weighted(0.1, Just("reset".to_owned()))).prop_map(
        |(status, body, retry_after, remaining, cut)| ApiResponse {
            retry_after,
            remaining,
            cut,
            ..answer_of(status, body)
        },
    )
}

fn answer_of(status: u16, body: Vec<u8>) -> ApiResponse {
    ApiResponse { status, body, ..ApiResponse::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(3000)))]

    /// Goal: only the API's own refusal gives a fault that leaves no doubt. A job with such a fault is submitted again without any report.
    #[test]
    fn an_answer_that_proves_nothing_leaves_doubt(answer in any_answer(body())) {
        match submitted(&answer, "a/b") {
            Ok(_) => prop_assert_ne!(ids::find(&answer.body, &api().accepted.id), IdSearch::Nothing),
            Err(fault) if fault.kind.leaves_doubt() => (),
            Err(fault) => prop_assert!(is_own_refusal(answer.status, &answer.body) && answer.cut.is_none(), "{}", fault),
        }
    }

    /// Goal: a received id is kept, whatever the status and the envelope, and no id is invented.
    #[test]
    fn an_id_in_a_whole_answer_is_an_acceptance((json, id) in with_ids(), status in status()) {
        let answer = answer_of(status, json.to_string().into_bytes());
        prop_assert_eq!(submitted(&answer, "a/b").ok().map(|acceptance| acceptance.task.0), id);
    }

    /// Goal: only the API's own form makes a task count as lost, and no response causes a panic.
    #[test]
    fn a_poll_gives_no_task_up_for_a_page(answer in any_answer(body())) {
        let is_lost = matches!(polled(&answer, &TaskId("5".into())), Err(Fault { kind: FaultKind::TaskLost, .. }));
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let is_about_tasks = json.as_ref().is_some_and(|json| json["errors"]["message"].as_str().or(json["error"]["message"].as_str()).is_some_and(|words| words.to_lowercase().contains("task")));
        prop_assert!(!is_lost || is_about_tasks, "{:?}", answer);
    }
}

/// Goal: every page of the corpus leaves doubt. A page that would most likely repeat is rejected; the others are in doubt.
#[test]
fn no_page_of_others_is_a_refusal() {
    for page in pages::all() {
        let fault = submit(page.status, page.body).unwrap_err();
        let expected = match page.status {
            408 | 425 | 429 | 460 | 499 => FaultKind::InDoubt,
            300..500 => FaultKind::Rejected,
            _ => FaultKind::InDoubt,
        };
        assert_eq!(fault, expected, "{}", page.name);
    }
}
