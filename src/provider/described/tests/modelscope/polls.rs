//! Tests of poll responses: only the API's own message about the polled task ends the task.

use super::*;
use crate::provider::described::request::poll_path;
use crate::simulator::pages;

fn lost(status: u16, body: &str) -> bool {
    poll(status, body) == Err(FaultKind::TaskLost)
}

#[test]
fn the_api_says_that_a_task_is_unknown_in_its_own_form() {
    for message in [
        "task not found",
        "Task not found.",
        "The task does not exist",
        "task 5 not found",
        "Task[5] has expired",
        "task_id 5 was not found",
        "taskId: 5 not exist",
        "no such task",
        "unknown task 5",
        "the task id has expired",
        "task with id 5 could not be found",
        "task doesn't exist",
        "任务不存在",
    ] {
        for (status, body) in [
            (404, json!({ "errors": { "message": message }, "request_id": "r" })),
            (404, json!({ "errors": { "code": 404, "message": message } })),
            (400, json!({ "errors": { "code": 400, "message": message } })),
            (500, json!({ "errors": { "code": 500, "message": message } })),
            (200, json!({ "errors": { "message": message }, "request_id": "r" })),
            (200, json!({ "task_status": "FAILED", "errors": { "code": 500, "message": message } })),
            (200, json!({ "task_id": "5", "task_status": "FAILED", "errors": { "message": message } })),
        ] {
            assert!(lost(status, &body.to_string()), "{status} {body}");
        }
    }
}

#[test]
fn words_about_something_else_say_nothing_of_the_task() {
    for message in [
        "no Route matched",
        "Not Found",
        "gone",
        "model not found",
        "task queue not found on this server",
        "the model of the task was not found",
        "task service expired its lease",
        "token expired",
        "task 6 not found",
        "route /v1/tasks/5 not found",
        "multitask not found",
    ] {
        for (status, body) in [
            (404, json!({ "errors": { "message": message }, "request_id": "r" })),
            (410, json!({ "errors": { "code": 410, "message": message } })),
        ] {
            assert_eq!(poll(status, &body.to_string()), Err(FaultKind::Transient), "{status} {body}");
        }
    }
}

#[test]
fn the_form_of_others_is_silence_whatever_it_says() {
    for body in [
        r#"{"status":404,"error":"task not found"}"#,
        r#"{"errors":{"message":"task not found"}}"#,
        r#"{"message":"task not found","request_id":"r"}"#,
        r#"{"detail":"task not found"}"#,
        r#"{"error":{"code":404,"message":"task not found"}}"#,
        r#"{"errors":["task not found"],"request_id":"r"}"#,
        "task not found",
        "<html>task not found</html>",
        r#"{"errors":{"code":404,"message":"task not found"}"#,
    ] {
        for status in [400, 404, 410, 500, 502] {
            assert_eq!(poll(status, body), Err(FaultKind::Transient), "{status} {body}");
        }
    }
}

#[test]
fn no_page_of_others_says_anything_of_a_task() {
    for page in pages::all() {
        let expected =
            if page.status == 429 { FaultKind::Throttled { retry_after: None } } else { FaultKind::Transient };
        assert_eq!(poll(page.status, page.body), Err(expected), "{}", page.name);
    }
}

/// Goal: a response about another task never gives one job the image of another job.
#[test]
fn an_answer_that_names_another_task_is_none_about_this_one() {
    for body in [
        r#"{"task_id":"6","task_status":"SUCCEED","output_images":["https://x/6.png"]}"#,
        r#"{"task_id":6,"task_status":"PENDING"}"#,
        r#"{"task_id":"6","task_status":"FAILED","errors":{"code":500,"message":"task not found"}}"#,
        r#"{"task_id":"6","task_status":"FAILED","errors":{"code":422,"message":"inappropriate content"}}"#,
        r#"{"output":{"task_id":"6"},"task_status":"SUCCEED","output_images":["https://x/6.png"]}"#,
        r#"{"task_id":"5","task_status":"RUNNING","data":{"task_id":"6"}}"#,
        r#"{"task_id":"50","task_status":"RUNNING"}"#,
    ] {
        assert_eq!(poll(200, body), Err(FaultKind::Transient), "{body}");
        let fault = polled(&answer(200, body), &TaskId("5".into())).unwrap_err();
        assert!(fault.message.contains("a task other than 5"), "{fault}");
    }
    assert_eq!(
        poll(404, r#"{"task_id":"6","errors":{"code":404,"message":"task not found"}}"#),
        Err(FaultKind::Transient)
    );
    for body in [
        r#"{"task_id":"5","task_status":"RUNNING"}"#,
        r#"{"task_id":5,"task_status":"RUNNING"}"#,
        r#"{"task_id":" 5 ","task_status":"RUNNING"}"#,
        r#"{"task_id":"","task_status":"RUNNING"}"#,
        r#"{"task_id":null,"task_status":"RUNNING"}"#,
        r#"{"task_id":["6"],"task_status":"RUNNING"}"#,
        r#"{"task_status":"RUNNING"}"#,
    ] {
        assert_eq!(poll(200, body), Ok(Status::Running), "{body}");
    }
    let request_kind = |id: &str, body: &str| polled(&answer(200, body), &TaskId(id.into()));
    let large = r#"{"task_id":99999999999999999999,"task_status":"RUNNING"}"#;
    assert_eq!(request_kind("99999999999999999999", large), Ok(Status::Running));
    assert!(request_kind("99999999999999999998", large).is_err(), "no digit is rounded away");
}

#[test]
fn only_the_api_refuses_the_token_of_a_poll() {
    let own = r#"{"errors":{"message":"bad token"},"request_id":"r"}"#;
    for status in [401, 403] {
        assert_eq!(poll(status, own), Err(FaultKind::Unauthorized));
        for body in ["", "<html>", r#"{"message":"Forbidden"}"#, r#"{"errors":{"message":"m"}}"#] {
            assert_eq!(poll(status, body), Err(FaultKind::Transient), "{status} {body}");
        }
    }
}

#[test]
fn a_task_id_cannot_leave_its_place_in_the_path() {
    let path = |id: &str| poll_path(api(), &TaskId(id.into()));
    assert_eq!(path("5075521").as_deref(), Some("/v1/tasks/5075521"));
    assert_eq!(path("a/../b?c#d").as_deref(), Some("/v1/tasks/a%2F..%2Fb%3Fc%23d"));
    assert_eq!((path(".."), path(".")), (None, None));
}
