//! Fuzz target for API answers: none creates a task that does not exist, and none that may cost something is a refusal.

use promptbatch::internals::model::escape;
use promptbatch::internals::provider::ApiResponse;
use promptbatch::internals::provider::answer::{polled, submitted};
use promptbatch::model::outcome::{Fault, Status, TaskId};
use promptbatch::provider::http::token::Token;
use serde_json::Value;

use crate::{Target, assert_safe, outline};

const TOKEN: &str = "geheim-4711";

pub const TARGET: Target = Target {
    name: "answers",
    seeds: || SEEDS.map(Into::into).to_vec(),
    words: &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "true",
        "\"",
        "\\u0000",
        "\\ud800",
        "\\u0067eheim-4711",
        TOKEN,
        "\x1b[2J",
        "\"task_id\":",
        "\"data\":{",
        "\"output\":{",
        "\"request_id\":\"r\"",
        "5.075521e6",
        "\u{feff}",
        "\"task_status\":",
        "\"errors\":",
        "\"error\":",
        "\"code\":",
        "\"http_code\":",
        "\"message\":",
        "\"output_images\":",
        "\"SUCCEED\"",
        "\"FAILED\"",
        "\"RUNNING\"",
        "\"https://x/1.png\"",
        "\"5075521\"",
        "\"..\"",
        "task not found",
        "quota",
        "inappropriate content",
        "200 ",
        "202 ",
        "429 7",
        "503 ",
        "<html>",
    ],
    mend: |_, _| (),
    check,
};

/// Inputs to start with. The first line is the status and the Retry-After, and the rest is the body.
const SEEDS: [&str; 14] = [
    "200 \n{\"task_id\":\"5075521\",\"task_status\":\"SUCCEED\",\"request_id\":\"r\"}",
    "200 \n{\"task_status\":\"SUCCEED\",\"output_images\":[\"https://x/1.png\",\"https://x/2.png\"],\"time_taken\":18812.86}",
    "200 \n{\"task_status\":\"FAILED\",\"errors\":{\"code\":422,\"message\":\"Output data may contain inappropriate content.\"}}",
    "200 \n{\"task_status\":\"FAILED\",\"errors\":{\"code\":500,\"message\":\"task not found\"}}",
    "200 \n{\"task_status\":\"PROCESSING\",\"outputs\":{},\"task_id\":\"\",\"request_id\":\"\"}",
    "401 \n{\"errors\":{\"code\":401,\"message\":\"Please bind your Alibaba Cloud account before use.\"}}",
    "429 7\n{\"error\":{\"http_code\":\"429\",\"message\":\"limit_requests\",\"type\":\"t\"}}",
    "429 \n{\"errors\":{\"code\":429,\"message\":\"You have exceeded today's quota for model a/b\"},\"request_id\":\"r\"}",
    "502 \n<html>Bad Gateway: Bearer geheim-4711</html>",
    "503 1e9\nServer is busy",
    "400 \n{\"errors\":{\"message\":\"Model id : a/b , has no provider supported\"},\"request_id\":\"r\"}",
    "500 \n{\"output\":{\"task_id\":5075521,\"x\":[[{}]]},\"errors\":{\"message\":\"busy\"}}",
    "404 \n{\"errors\":{\"code\":404,\"message\":\"task 5075521 not found\"},\"request_id\":\"r\"}",
    "200 \n{\"task_id\":\"5075522\",\"task_status\":\"SUCCEED\",\"output_images\":[\"https://x/1.png\"]}",
];

fn check(input: &[u8]) -> String {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let head = String::from_utf8_lossy(&input[..end]).into_owned();
    let (status, retry_after) = head.split_once(' ').unwrap_or((&head, ""));
    // HTTP itself allows no other status.
    let status = status.parse().unwrap_or(200).clamp(100, 999);
    let retry_after = (!retry_after.is_empty()).then(|| retry_after.to_owned());
    let body = input.get(end + 1..).unwrap_or_default().to_vec();
    let token = Token::new(TOKEN).unwrap();
    let answer = ApiResponse { status, retry_after, body, ..ApiResponse::default() }.without(&token);

    let submission = submitted(&answer, "a/b");
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let has = |name: &str| json.as_ref().and_then(|json| json.get(name)).is_some_and(|value| !value.is_null());
    match &submission {
        Ok(accepted) => {
            assert!(String::from_utf8_lossy(&plain(&answer.body)).contains("task"), "an id out of nothing");
            assert!((1..=512).contains(&accepted.task.0.len()) && !accepted.task.0.contains(char::is_control));
            assert!(!accepted.task.0.contains(TOKEN));
        }
        Err(fault) => {
            let is_told = has("errors") || (has("error") && has("request_id"));
            let may_be_clear = (400..500).contains(&status) && is_told;
            assert!(fault.kind.leaves_doubt() || may_be_clear, "{fault:?} would be submitted again");
            words(fault);
        }
    }
    let poll = polled(&answer, &TaskId("5075521".into()));
    let came = match &poll {
        Ok(Status::Done(urls)) => {
            assert!((1..=16).contains(&urls.len()) && urls.iter().all(|url| (1..=8192).contains(&url.0.len())));
            assert!(!urls.iter().any(|url| url.0.contains(TOKEN)));
            format!("{} links", urls.len())
        }
        Ok(Status::Queued | Status::Running) => {
            assert!(has("task_status"));
            "running".to_owned()
        }
        Ok(Status::Charged(charged)) => panic!("no answer of this API says its cost: {charged:?}"),
        Ok(Status::Failed(fault)) | Err(fault) => words(fault),
    };
    format!(
        "{}; {came}",
        submission.map_or_else(|fault| words(&fault), |accepted| format!("task of {}", accepted.task.0.len().min(20)))
    )
}

/// Returns the body without the zeros of UTF-16 and UTF-32.
fn plain(body: &[u8]) -> Vec<u8> {
    body.iter().copied().filter(|byte| *byte != 0).collect()
}

/// Formats a fault. Checks that its text is bounded, contains no secret, and can be made safe to show.
fn words(fault: &Fault) -> String {
    let words = fault.to_string();
    assert!(words.chars().count() < 2500, "{} characters", words.chars().count());
    assert!(!words.contains(TOKEN));
    assert_safe(&escape(&words));
    outline(&words).chars().take(60).collect()
}
