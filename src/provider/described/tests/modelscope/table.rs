//! Tests of the decision table, with one example response per row.

use super::*;
use crate::description::words::AnswerStage;
use crate::provider::described::fault::{Asked, row};
use crate::provider::described::reading::JsonReading;

/// Request whose answer is an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestKind {
    Submit,
    Poll,
    FailedTask,
}

/// Expected result of a response.
#[derive(Debug)]
enum End {
    Task(&'static str),
    Fault(FaultKind),
    Stands(Status),
    Fails(FaultKind),
}

use End::{Fails, Fault as Ends, Stands, Task};

const THROTTLED: FaultKind = FaultKind::Throttled { retry_after: None };
const QUOTA: FaultKind = FaultKind::QuotaExhausted { resets_at: None };

/// Responses to submissions, in the order of the rows.
const SUBMITS: &[(u16, &str, End)] = &[
    (503, r#"{"errors":{"code":503,"message":"busy"},"task_id":"5"}"#, Task("5")),
    (200, r#"{"task_id":".."}"#, Ends(FaultKind::InDoubt)),
    (
        401,
        r#"{"errors":{"message":"Please bind your Alibaba Cloud account before use."},"request_id":"r"}"#,
        Ends(FaultKind::Unauthorized),
    ),
    (402, r#"{"errors":{"message":"no credit"},"request_id":"r"}"#, Ends(QUOTA)),
    (429, r#"{"errors":{"message":"insufficient balance (1008)"},"request_id":"r"}"#, Ends(FaultKind::InvalidRequest)),
    (
        429,
        r#"{"errors":{"message":"You have exceeded today's quota for model a/b, please try again tomorrow"},"request_id":"r"}"#,
        Ends(QUOTA),
    ),
    (429, r#"{"errors":{"code":429,"message":"limit_burst_rate"}}"#, Ends(THROTTLED)),
    (
        400,
        r#"{"errors":{"message":"Input data may contain inappropriate content."},"request_id":"r"}"#,
        Ends(FaultKind::Moderated),
    ),
    (
        400,
        r#"{"errors":{"message":"Model id : a/b , has no provider supported"},"request_id":"r"}"#,
        Ends(FaultKind::InvalidRequest),
    ),
    (
        400,
        r#"{"errors":{"message":"The model does not support synchronous calls"},"request_id":"r"}"#,
        Ends(FaultKind::InvalidRequest),
    ),
    (
        400,
        r#"{"errors":{"message":"Server is busy, please try again later"},"request_id":"r"}"#,
        Ends(FaultKind::Transient),
    ),
    (404, r#"{"errors":{"message":"there is nothing at /v2"},"request_id":"r"}"#, Ends(FaultKind::InvalidRequest)),
    (422, r#"{"errors":{"message":"size is out of range"},"request_id":"r"}"#, Ends(FaultKind::InvalidRequest)),
    (301, r#"{"errors":{"message":"moved"},"request_id":"r"}"#, Ends(FaultKind::Rejected)),
    (408, r#"{"errors":{"message":"timed out"},"request_id":"r"}"#, Ends(FaultKind::InDoubt)),
    (409, r#"{"errors":{"message":"conflict"},"request_id":"r"}"#, Ends(FaultKind::Rejected)),
    (
        500,
        r#"{"errors":{"code":500,"message":"Server is busy, please try again later"},"request_id":"r"}"#,
        Ends(FaultKind::InDoubt),
    ),
];

/// Responses to a poll of task 5, in the order of the rows.
const POLLS: &[(u16, &str, End)] = &[
    (200, r#"{"task_id":"6","task_status":"SUCCEED","output_images":["https://x/6.png"]}"#, Ends(FaultKind::Transient)),
    (200, r#"{"task_id":"5","task_status":"SUCCEED","output_images":[]}"#, Fails(FaultKind::BadOutput)),
    (200, r#"{"task_status":"FAILED","errors":{"code":500,"message":"task not found"}}"#, Ends(FaultKind::TaskLost)),
    (200, r#"{"task_status":"FAILED"}"#, Fails(FaultKind::Transient)),
    (200, r#"{"task_id":"5","task_status":"PENDING"}"#, Stands(Status::Queued)),
    (200, r#"{"task_id":"","task_status":"BREWING"}"#, Stands(Status::Running)),
    (404, r#"{"errors":{"code":404,"message":"the task 5 does not exist"}}"#, Ends(FaultKind::TaskLost)),
    (401, r#"{"errors":{"message":"bad token"},"request_id":"r"}"#, Ends(FaultKind::Unauthorized)),
    (429, "<html>", Ends(THROTTLED)),
    (404, "<html>", Ends(FaultKind::Transient)),
];

/// Codes and messages of failed tasks, in the order of the rows.
const FAILED: &[(u16, &str, End)] = &[
    (422, "Output data may contain inappropriate content.", Fails(FaultKind::Moderated)),
    (403, "forbidden", Fails(FaultKind::Unauthorized)),
    (402, "no credit", Fails(QUOTA)),
    (429, "today's quota", Fails(QUOTA)),
    (429, "limit_requests", Fails(THROTTLED)),
    (408, "timed out", Fails(FaultKind::Transient)),
    (400, "bad size", Fails(FaultKind::InvalidRequest)),
    (500, "x", Fails(FaultKind::Transient)),
];

fn assert_end(answer: &ApiResponse, request_kind: RequestKind, end: &End) {
    let task = TaskId("5".into());
    let came = match request_kind {
        RequestKind::Submit => match submitted(answer, "a/b") {
            Ok(acceptance) => format!("task {}", acceptance.task),
            Err(fault) => format!("{:?}", fault.kind),
        },
        RequestKind::Poll | RequestKind::FailedTask => match polled(answer, &task) {
            Ok(Status::Failed(fault)) => format!("failed {:?}", fault.kind),
            Ok(status) => format!("{status:?}"),
            Err(fault) => format!("{:?}", fault.kind),
        },
    };
    let expected = match end {
        Task(id) => format!("task {id}"),
        Ends(kind) => format!("{kind:?}"),
        Stands(status) => format!("{status:?}"),
        Fails(kind) => format!("failed {kind:?}"),
    };
    assert_eq!(came, expected, "{request_kind:?} {answer:?}");
}

/// Returns the place of the row that decides about an answer; `None` if none does.
fn place(answer: &ApiResponse, asked: Asked<'_>) -> Option<usize> {
    let envelope = JsonReading::of(answer).envelope(api(), answer.status);
    let is_failed = asked.stage == AnswerStage::Failed;
    let status = if is_failed { envelope.status.unwrap_or(500) } else { answer.status };
    let row = row(api(), asked, status, answer, &envelope).filter(|_| is_failed || envelope.is_own)?;
    api().errors.table.iter().position(|other| std::ptr::eq(other, row))
}

/// Goal: every row is needed, and every row is tested. Method: each row decides an example, in the order of the table.
#[test]
fn every_row_decides_the_answer_that_it_is_there_for() {
    let task = TaskId("5".into());
    let mut places = Vec::new();
    for (status, body, end) in SUBMITS {
        let answer = answer(*status, body);
        assert_end(&answer, RequestKind::Submit, end);
        places.extend(place(&answer, Asked::submission("a/b")).filter(|_| !matches!(end, Task(_))));
    }
    let body = r#"{"errors":{"message":"You have exceeded your quota"},"request_id":"r"}"#;
    let spent = ApiResponse { remaining: Some(0), ..answer(429, body) };
    assert_end(&spent, RequestKind::Submit, &Ends(QUOTA));
    places.extend(place(&spent, Asked::submission("a/b")));
    for (status, body, end) in POLLS {
        let answer = answer(*status, body);
        assert_end(&answer, RequestKind::Poll, end);
        places.extend(place(&answer, Asked::about(AnswerStage::Poll, Some(&task))));
    }
    for (code, message, end) in FAILED {
        let body = format!(r#"{{"task_status":"FAILED","errors":{{"code":{code},"message":"{message}"}}}}"#);
        let answer = answer(200, &body);
        assert_end(&answer, RequestKind::FailedTask, end);
        places.extend(place(&answer, Asked::about(AnswerStage::Failed, Some(&task))));
    }
    places.sort_unstable();
    places.dedup();
    let all: Vec<_> = (0..api().errors.table.len()).collect();
    assert_eq!(places, all, "a row without an example");
}

/// Goal: the closed list is closed. Method: the API's own envelope, with every known message, under every status. Only the statuses of the
/// list are clear.
#[test]
fn only_these_statuses_are_clear_refusals() {
    let words = SUBMITS.iter().filter_map(|(_, body, _)| {
        let json: Value = serde_json::from_str(body).unwrap();
        json.get("errors")?.get("message")?.as_str().map(str::to_owned)
    });
    let words: Vec<String> = words.collect();
    for status in 100..1000 {
        for words in &words {
            let body = format!(r#"{{"errors":{{"code":{status},"message":"{words}"}},"request_id":"r"}}"#);
            let fault = submitted(&answer(status, &body), "a/b").unwrap_err();
            let is_listed = matches!(status, 400..=405 | 413 | 415 | 422 | 429);
            assert_eq!(!fault.kind.leaves_doubt(), is_listed, "{status} {words}: {fault}");
        }
    }
}

/// Goal: only the API's own envelope makes a refusal clear. Method: every listed status, with envelopes that lack one feature.
#[test]
fn without_the_envelope_of_the_api_every_refusal_leaves_doubt() {
    for status in [400, 401, 402, 403, 404, 405, 413, 415, 422, 429] {
        for body in [
            "",
            "<html>",
            r#"{"message":"m","request_id":"r"}"#,
            r#"{"errors":{"message":"m"}}"#,
            r#"{"errors":{"code":7,"message":"m"}}"#,
            r#"{"errors":[{"code":400,"message":"m"}],"request_id":"r"}"#,
            r#"{"error":{"code":"m","message":"m","type":"t"}}"#,
            r#"{"errors":{"message":"m"},"request_id":"r"}, {"#,
            r#"[{"errors":{"message":"m"},"request_id":"r"}]"#,
            r#"{"errors":{"message":"m"},"request_id":"r""#,
        ] {
            let fault = submitted(&answer(status, body), "a/b").unwrap_err();
            let expected = if status == 429 { FaultKind::InDoubt } else { FaultKind::Rejected };
            assert_eq!(fault.kind, expected, "{status} {body}");
        }
    }
}

/// Goal: an incomplete body proves nothing, even if it parses as a complete one.
#[test]
fn a_cut_answer_is_no_refusal() {
    let cut = Some("connection reset".to_owned());
    let body = r#"{"errors":{"code":400,"message":"m"},"request_id":"r"}"#;
    let fault = submitted(&ApiResponse { cut: cut.clone(), ..answer(400, body) }, "a/b").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Rejected);
    let whole = r#"{"task_id":"5","task_status":"SUCCEED","output_images":["https://x/1.png"]}"#;
    let task = TaskId("5".into());
    let fault = polled(&ApiResponse { cut: cut.clone(), ..answer(200, whole) }, &task).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transient);
    assert!(fault.message.contains("connection reset"), "{fault}");
    let accepted = submitted(&ApiResponse { cut, ..answer(200, r#"{"task_id":"5","reque"#) }, "a/b").unwrap();
    assert_eq!(accepted.task, task, "its id has come");
}
