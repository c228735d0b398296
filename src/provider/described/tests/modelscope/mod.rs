//! Tests of the description of ModelScope, with responses of every kind.

mod body;
mod envelope;
mod faults;
mod gateways;
mod limits;
mod polls;
mod quota;
mod table;

use std::time::Duration;

use serde_json::{Value, json};

use crate::description::format::Description;
use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use crate::provider::default_provider::DEFAULT;
use crate::provider::described::acceptance::acceptance;
use crate::provider::described::polled::{Polled, polled as judged};
use crate::provider::http::api_response::ApiResponse;
use crate::provider::http::image_link::image_refused;
use crate::provider::http::rate_limit_headers::RateLimitHeaders;
use crate::provider::http::retry_after::http_date;
use crate::provider::http::token::Token;

fn api() -> &'static Description {
    DEFAULT.description.unwrap()
}

fn submitted(answer: &ApiResponse, model: &str) -> Result<Acceptance, Fault> {
    acceptance(api(), answer, "the-submission", model)
}

fn polled(answer: &ApiResponse, task: &TaskId) -> Result<Status, Fault> {
    judged(api(), answer, task).map(|polled| match polled {
        Polled::Status(status) => status,
        Polled::Result(address) => panic!("the images have no address of their own: {address}"),
    })
}

fn answer(status: u16, body: &str) -> ApiResponse {
    ApiResponse { status, body: body.into(), ..ApiResponse::default() }
}

fn submit(status: u16, body: &str) -> Result<String, FaultKind> {
    submitted(&answer(status, body), "a/b").map(|acceptance| acceptance.task.0).map_err(|fault| fault.kind)
}

fn poll(status: u16, body: &str) -> Result<Status, FaultKind> {
    polled(&answer(status, body), &TaskId("5".into())).map_err(|fault| fault.kind)
}

fn failed_kind(body: &str) -> FaultKind {
    match poll(200, body) {
        Ok(Status::Failed(fault)) => fault.kind,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn an_accepted_submission_gives_its_task() {
    assert_eq!(submit(200, r#"{"task_id":"5075521","request_id":"r"}"#), Ok("5075521".into()));
    assert_eq!(submit(200, r#"{"task_id":5075521,"task_status":"SUCCEED"}"#), Ok("5075521".into()));
}

/// Goal: an unreadable response is never guessed to be "not accepted". A wrong guess pays twice.
#[test]
fn an_answer_that_cannot_be_read_is_in_doubt() {
    for body in ["", "<html>", "{", "[]", "{}", r#"{"task_id":""}"#, r#"{"task_id":null}"#, r#"{"request_id":"r"}"#] {
        assert_eq!(submit(200, body), Err(FaultKind::InDoubt), "{body}");
    }
    for (status, body) in [(500, ""), (502, "<html>Bad Gateway</html>"), (504, ""), (503, "")] {
        assert_eq!(submit(status, body), Err(FaultKind::InDoubt), "{status} {body}");
    }
}

/// Goal: a gateway that stopped waiting proves nothing about the request behind it, whatever its message says.
#[test]
fn a_server_error_in_any_words_is_in_doubt() {
    let busy = "Server is busy, please try again later";
    for (status, body) in [
        (500, r#"{"errors":{"code":500,"message":"Internal Server Error"},"request_id":"r"}"#.to_owned()),
        (500, json!({ "errors": { "code": 500, "message": busy }, "request_id": "r" }).to_string()),
        (502, json!({ "errors": { "code": 502, "message": busy }, "request_id": "r" }).to_string()),
        (503, json!({ "errors": { "code": 503, "message": busy }, "request_id": "r" }).to_string()),
        (503, "busy".to_owned()),
        (503, "The service is temporarily unavailable".to_owned()),
        (504, r#"{"error":{"message":"upstream request timeout"}}"#.to_owned()),
        (524, r#"{"error":"overload, try again later"}"#.to_owned()),
        (200, r#"{"error":"upstream closed the connection"}"#.to_owned()),
        (200, json!({ "errors": { "code": 429, "message": "limit_requests" }, "request_id": "r" }).to_string()),
        (200, json!({ "errors": { "code": 400, "message": "bad size" }, "request_id": "r" }).to_string()),
    ] {
        assert_eq!(submit(status, &body), Err(FaultKind::InDoubt), "{status} {body}");
    }
}

/// Goal: the wait that a response requests is kept, whatever its status.
#[test]
fn retry_after_is_kept_with_any_status() {
    let own = r#"{"errors":{"message":"m"},"request_id":"r"}"#;
    let wait = Some(Duration::from_secs(30));
    for (status, body) in
        [(503, ""), (529, "{}"), (403, "<html>"), (302, ""), (200, ""), (429, ""), (400, own), (401, own), (500, own)]
    {
        let answer = ApiResponse { retry_after: Some("30".into()), ..answer(status, body) };
        assert_eq!(submitted(&answer, "a/b").unwrap_err().retry_after, wait, "{status}");
        let poll = polled(&answer, &TaskId("5".into())).unwrap_err();
        let kept = if let FaultKind::Throttled { retry_after } = poll.kind { retry_after } else { poll.retry_after };
        assert!(kept == wait || poll.kind == FaultKind::Unauthorized, "{status}: {poll:?}");
    }
    let throttled = ApiResponse { retry_after: Some("30".into()), ..answer(429, own) };
    let fault = submitted(&throttled, "a/b").unwrap_err();
    assert_eq!((fault.kind, fault.retry_after), (FaultKind::Throttled { retry_after: wait }, None), "in its kind");
    // An acceptance with an odd status delays the next submissions. With a 2xx status, the wait is about the next poll.
    let accepted = |status| {
        let answer = ApiResponse { retry_after: Some("30".into()), ..answer(status, r#"{"task_id":"5"}"#) };
        submitted(&answer, "a/b").unwrap().pause
    };
    assert_eq!((accepted(503), accepted(429), accepted(202)), (wait, wait, None));
}

#[test]
fn the_last_of_an_allowance_says_so() {
    let spent = |remaining| {
        let answer = ApiResponse {
            remaining,
            date: http_date("Tue, 24 Nov 2026 12:00:00 GMT"),
            ..answer(200, r#"{"task_id":1}"#)
        };
        submitted(&answer, "a/b").unwrap().spent.map(|fault| fault.kind)
    };
    let resets_at = http_date("Tue, 24 Nov 2026 16:05:00 GMT");
    assert_eq!(spent(Some(0)), Some(FaultKind::QuotaExhausted { resets_at }));
    assert_eq!((spent(Some(1)), spent(None)), (None, None));
}

/// Goal: the wait in rate-limit headers is obeyed before any refusal, and after a refusal that names no time.
#[test]
fn rate_limit_headers_say_how_long_to_wait() {
    let half = Some(Duration::from_secs(30));
    let rate = RateLimitHeaders { spent_for: half, ..RateLimitHeaders::default() };
    let accepted = submitted(&ApiResponse { rate, ..answer(200, r#"{"task_id":1}"#) }, "a/b").unwrap();
    assert_eq!(accepted.pause, half);
    let refused = |retry_after: Option<&str>, rate| {
        let own = r#"{"errors":{"message":"limit_requests"},"request_id":"r"}"#;
        let answer = ApiResponse { retry_after: retry_after.map(str::to_owned), rate, ..answer(429, own) };
        submitted(&answer, "a/b").unwrap_err().kind
    };
    let throttled = |retry_after| FaultKind::Throttled { retry_after };
    assert_eq!(refused(None, rate), throttled(half));
    assert_eq!(refused(None, RateLimitHeaders { reset_after: half, ..RateLimitHeaders::default() }), throttled(half));
    assert_eq!(refused(Some("7"), rate), throttled(Some(Duration::from_secs(7))), "plain words count more");
}

#[test]
fn every_other_status_is_running() {
    for status in ["PENDING", "QUEUED", "pending"] {
        let body = format!(r#"{{"task_status":"{status}"}}"#);
        assert_eq!(poll(200, &body), Ok(Status::Queued), "{status}");
    }
    for status in ["PROCESSING", "RUNNING", "BREWING", ""] {
        let body = format!(r#"{{"task_status":"{status}","outputs":{{}},"task_id":"","request_id":""}}"#);
        assert_eq!(poll(200, &body), Ok(Status::Running), "{status}");
    }
}

#[test]
fn a_done_task_gives_its_links() {
    let body =
        r#"{"task_status":"SUCCEED","output_images":["https://x/1.png","https://x/2.png"],"time_taken":18812.86}"#;
    assert_eq!(poll(200, body), Ok(Status::Done(vec![Url("https://x/1.png".into()), Url("https://x/2.png".into())])));
}

/// Goal: no image is dropped silently. Method: more images than are fetched, and entries that are not links.
#[test]
fn every_image_of_a_task_is_counted() {
    let links = |images: &str| match poll(200, &format!(r#"{{"task_status":"SUCCEED","output_images":{images}}}"#)) {
        Ok(Status::Done(urls)) => urls.into_iter().map(|url| url.0).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let many = (1..=40).map(|n| format!("https://x/{n}")).collect::<Vec<_>>();
    assert_eq!(links(&format!("{many:?}")), many[..32], "more are not kept in memory");
    assert_eq!(links(r#"["https://x/1", null, ""]"#), ["https://x/1"]);
    assert_eq!(links(r#"[7, "https://x/2", {}]"#).len(), 3);
}

#[test]
fn success_without_an_image_is_no_success() {
    for images in ["[]", "null", "[\"\"]", "[null]", "\"https://x\""] {
        let body = format!(r#"{{"task_status":"SUCCEED","output_images":{images}}}"#);
        assert_eq!(failed_kind(&body), FaultKind::BadOutput, "{images}");
    }
    assert_eq!(failed_kind(r#"{"task_status":"SUCCEED"}"#), FaultKind::BadOutput);
}

#[test]
fn a_failed_task_says_why() {
    let moderated =
        r#"{"task_status":"FAILED","errors":{"code":422,"message":"Output data may contain inappropriate content."}}"#;
    assert_eq!(failed_kind(moderated), FaultKind::Moderated);
    assert_eq!(failed_kind(r#"{"task_status":"FAILED","errors":{"code":500,"message":"x"}}"#), FaultKind::Transient);
    assert_eq!(failed_kind(r#"{"task_status":"FAILED"}"#), FaultKind::Transient);
}

#[test]
fn an_unknown_task_is_told_apart_from_a_failed_one() {
    let body = r#"{"task_status":"FAILED","errors":{"code":500,"message":"task not found"}}"#;
    assert_eq!(poll(200, body), Err(FaultKind::TaskLost));
    assert_eq!(poll(500, r#"{"errors":{"code":500,"message":"Task not found"}}"#), Err(FaultKind::TaskLost));
}

#[test]
fn a_poll_that_tells_nothing_is_transient() {
    for (status, body) in [(200, ""), (200, "{}"), (200, "<html>"), (500, ""), (502, "<html>"), (503, "busy")] {
        assert_eq!(poll(status, body), Err(FaultKind::Transient), "{status} {body}");
    }
    assert_eq!(poll(429, ""), Err(FaultKind::Throttled { retry_after: None }));
}

/// Goal: no 2xx response counts as a refusal. After a refusal the job would be submitted and paid for again.
#[test]
fn an_absurd_answer_of_success_is_in_doubt() {
    let long = format!(r#"{{"task_id":"{}"}}"#, "9".repeat(513));
    for body in [
        &long,
        r#"{"task_id":".."}"#,
        r#"{"task_id":"\t.."}"#,
        r#"{"task_id":"5\u0000"}"#,
        r#"{"task_id":1e400}"#,
        r#"{"task_id":1.5}"#,
        r#"{"task_id":-1}"#,
        r#"{"task_id":["5"]}"#,
        r#"{"task_id":"5","task_id":"6"}"#,
        r#"{"errors":{"code":200,"message":"no"},"request_id":"r"}"#,
        r#"{"errors":{"code":200,"message":"ok"}}"#,
        r#"{"errors":{"code":0}}"#,
        r#"{"errors":{}}"#,
    ] {
        for status in [200, 201, 202, 299] {
            assert_eq!(submit(status, body), Err(FaultKind::InDoubt), "{status} {body}");
        }
    }
    assert_eq!(submit(999, ""), Err(FaultKind::InDoubt));
}

#[test]
fn an_acceptance_may_have_another_status_and_an_empty_error() {
    assert_eq!(submit(202, r#"{"task_id":"5075521"}"#), Ok("5075521".into()));
    for errors in ["null", "{}", "[]", "\"\"", "false"] {
        let body = format!(r#"{{"task_id":"5075521","errors":{errors},"error":{errors}}}"#);
        assert_eq!(submit(200, &body), Ok("5075521".into()), "{body}");
    }
}

/// Goal: a received id is never discarded.
#[test]
fn an_id_is_an_acceptance_under_any_status() {
    for status in [200, 202, 301, 400, 401, 403, 404, 422, 429, 500, 502, 503, 504, 524, 999] {
        for body in [
            r#"{"task_id":"5"}"#,
            r#"{"task_id":5,"errors":{"code":429,"message":"try again later"},"request_id":"r"}"#,
            r#"{"errors":{"code":400,"message":"bad size"},"request_id":"r","task_id":"5"}"#,
            r#"{"data":{"task_id":"5"}}"#,
            r#"{"output":{"task_id":"5","task_status":"PENDING"},"request_id":"r"}"#,
            r#"{"task_id":"5","trunc"#,
        ] {
            assert_eq!(submit(status, body), Ok("5".into()), "{status} {body}");
        }
    }
    let large = r#"{"task_id":99999999999999999999}"#;
    assert_eq!(submit(200, large), Ok("99999999999999999999".into()), "no digit is rounded away");
}

#[test]
fn what_the_api_says_is_kept_within_bounds() {
    let body = format!(r#"{{"errors":{{"code":401,"message":"{}"}}}}"#, "猫".repeat(300_000));
    let fault = submitted(&answer(401, &body), "a/b").unwrap_err();
    assert!(fault.message.chars().count() < 2000, "{} characters", fault.message.chars().count());
    assert!(fault.message.contains("modelscope.cn/my"), "the remedy is not cut off");
    let link = format!("https://x/{}", "a".repeat(1 << 20));
    let body = format!(r#"{{"task_status":"SUCCEED","output_images":["{link}","https://x/1.png"]}}"#);
    let missing = Url("(none that can be followed)".into());
    assert_eq!(poll(200, &body), Ok(Status::Done(vec![missing, Url("https://x/1.png".into())])));
    assert_eq!(
        image_refused(404, None, &Url(link)).message.chars().count(),
        "could not download : HTTP status 404".len() + 200
    );
}

#[test]
fn a_token_that_an_answer_repeats_is_hidden_escaped_or_not() {
    let token = Token::new("geheim-4711").unwrap();
    let told = |body: &str| String::from_utf8(answer(200, body).without(&token).body).unwrap();
    assert_eq!(told("<html>Bearer geheim-4711"), "<html>Bearer (the token)");
    assert_eq!(told(r#"{"task_id":"\u0067eheim-4711"}"#), r#"{"task_id":"(the token)"}"#);
    assert_eq!(told(r#"{"b":"\u0067", "a":1}"#), r#"{"b":"\u0067", "a":1}"#, "else left as it came");
}

#[test]
fn a_deep_body_is_refused_and_not_followed() {
    let body = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(submit(200, &body), Err(FaultKind::InDoubt));
    assert_eq!(poll(200, &body), Err(FaultKind::Transient));
}
