//! Reads the API's answers, without any input or output: what is not known is never taken for "it worked".

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use crate::model::text::excerpt;
use crate::model::time::Timestamp;
use crate::provider::modelscope::fault::{Hints, Refusal, quota_spent};
use crate::provider::modelscope::token::Token;

/// Images of one task that are followed; more than one has never been seen.
const IMAGES_MAX: usize = 16;

/// The longest link that is followed, as in browsers and servers.
const LINK_BYTES_MAX: usize = 8192;

/// The longest task id that makes sense in an address.
const TASK_ID_BYTES_MAX: usize = 512;

/// Characters of a link that a message shows.
const LINK_CHARS_MAX: usize = 200;

/// A whole answer of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, as it came.
    pub retry_after: Option<String>,
    /// The `Date` header: what time it is over there, which is what their days go by.
    pub date: Option<Timestamp>,
    /// Submissions that are left of the allowance, the least of what the rate-limit headers say.
    pub remaining: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The answer without the token that went along with its request, however the token is written there.
    #[must_use]
    pub fn without(mut self, token: &Token) -> Self {
        self.body = token.hide(&self.body);
        // An escaped token shows only once it is read.
        if let Some(json) = self.json().filter(|_| self.body.contains(&b'\\')) {
            let (told, hidden) = (json.to_string(), token.hide(json.to_string().as_bytes()));
            if told.as_bytes() != hidden {
                self.body = hidden;
            }
        }
        self
    }

    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok().filter(Value::is_object)
    }

    /// `Retry-After`, in seconds or as a date.
    fn retry_after(&self) -> Option<Duration> {
        let text = self.retry_after.as_ref()?.trim();
        if let Ok(secs) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(secs).ok();
        }
        Some(http_date(text)?.since(self.date?))
    }

    fn hints(&self) -> Hints {
        Hints { retry_after: self.retry_after(), date: self.date }
    }

    /// What an unreadable answer begins with, for the user.
    fn excerpt(&self) -> String {
        match String::from_utf8_lossy(&self.body).trim() {
            "" => "nothing".to_owned(),
            text => format!("{:?}", excerpt(text, 80)),
        }
    }

    /// The refusal in this answer. An error status needs no readable body to be one.
    fn refusal(&self, json: Option<&Value>) -> Option<Refusal> {
        let told = json.and_then(|json| Refusal::read(self.status, json));
        told.or_else(|| (!(200..300).contains(&self.status)).then(|| Refusal::of_status(self.status)))
    }

    fn in_doubt(&self, what: &str) -> Fault {
        let words = format!("{what}, {}: it may have been accepted", self.excerpt());
        Fault::new(FaultKind::InDoubt, words)
    }
}

/// A date as HTTP writes it.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok().map(Timestamp::from_millis)
}

/// The task that a submission was answered with, and whether it was the last that the allowance allows.
///
/// Only a clear refusal promises that nothing was accepted. A server error without the API's own words comes from a gateway,
/// behind which the request may have been carried out: that is in doubt. So is every answer of success without one task that
/// can be asked for, whatever else it says.
pub fn submitted(answer: &Answer, model: &str) -> Result<Acceptance, Fault> {
    let json = answer.json();
    let told = json.as_ref().and_then(|json| Refusal::read(answer.status, json));
    match (answer.status, told, json.as_ref().and_then(task_id)) {
        (200..300, None, Some(task)) => {
            let spent = (answer.remaining == Some(0)).then(|| quota_spent("0 requests remaining", answer.date));
            Ok(Acceptance { task, spent })
        }
        (200..300, Some(told), None) if told.status >= 400 => Err(told.fault(model, &answer.hints())),
        (200..300, Some(_), _) => Err(answer.in_doubt("an answer that is neither a task nor a refusal")),
        (200..300, None, None) => Err(answer.in_doubt("an answer without a usable task id")),
        (_, Some(told), _) => Err(told.fault(model, &answer.hints())),
        (503, None, _) if !answer.body.is_empty() => Err(Refusal::of_status(503).fault(model, &answer.hints())),
        (..500, None, _) => Err(Refusal::of_status(answer.status).fault(model, &answer.hints())),
        (500.., None, _) => Err(answer.in_doubt(&format!("status {}", answer.status))),
    }
}

/// How a task stands.
pub fn polled(answer: &Answer) -> Result<Status, Fault> {
    let json = answer.json();
    let status = json.as_ref().and_then(|json| json.get("task_status")).and_then(Value::as_str).map(str::to_uppercase);
    match (answer.status, status.as_deref()) {
        (200..300, Some("SUCCEED" | "SUCCEEDED" | "SUCCESS")) => Ok(done(json.as_ref())),
        (200..300, Some("FAILED" | "FAILURE")) => failed(json.as_ref()),
        (200..300, Some(_)) => Ok(Status::Running),
        (200..300, None) if answer.refusal(json.as_ref()).is_none() => {
            let words = format!("could not poll: an answer without a status, {}", answer.excerpt());
            Err(Fault::new(FaultKind::Transient, words))
        }
        (404, _) => Err(Fault::new(FaultKind::TaskLost, "the API does not know this task (404)")),
        _ => {
            let refusal = answer.refusal(json.as_ref()).unwrap_or(Refusal::of_status(500));
            if is_unknown(&refusal) {
                return Err(Fault::new(
                    FaultKind::TaskLost,
                    format!("the API does not know this task: {}", refusal.message),
                ));
            }
            Err(refusal.fault("", &answer.hints()))
        }
    }
}

/// An image link that did not answer with an image: a fresh link may.
pub fn image_refused(status: u16, url: &Url) -> Fault {
    Fault::new(FaultKind::Transient, format!("could not download {}: HTTP status {status}", shown(url)))
}

/// As much of a link as a message needs.
pub fn shown(url: &Url) -> String {
    excerpt(&url.0, LINK_CHARS_MAX)
}

/// Whether a task can be asked for by this id: not one that is endless, or of which an address would make another.
pub fn is_usable(task: &TaskId) -> bool {
    let TaskId(id) = task;
    let is_dots = matches!(id.trim(), "." | "..");
    !id.trim().is_empty() && id.len() <= TASK_ID_BYTES_MAX && !is_dots && !id.contains(char::is_control)
}

/// The task id of an accepted submission, a string or a whole number.
fn task_id(json: &Value) -> Option<TaskId> {
    let id = match json.get("task_id")? {
        Value::String(text) => text.clone(),
        // A larger number has been rounded on the way, and so names another task.
        Value::Number(number) => number.as_u64()?.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(TaskId(id)).filter(is_usable)
}

fn done(json: Option<&Value>) -> Status {
    let images = json.and_then(|json| json.get("output_images")).and_then(Value::as_array);
    let links = images
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|link| (1..=LINK_BYTES_MAX).contains(&link.len()));
    let urls: Vec<Url> = links.take(IMAGES_MAX).map(|link| Url(link.to_owned())).collect();
    if urls.is_empty() {
        return Status::Failed(Fault::new(
            FaultKind::BadOutput,
            "the task succeeded and has no image that can be fetched",
        ));
    }
    Status::Done(urls)
}

/// A task that the API calls failed: unknown, which may pass, or really failed.
fn failed(json: Option<&Value>) -> Result<Status, Fault> {
    let told = json.and_then(|json| Refusal::read(200, json));
    let refusal = told.unwrap_or(Refusal { status: 500, message: "the task failed without a reason".into() });
    if is_unknown(&refusal) {
        return Err(Fault::new(FaultKind::TaskLost, format!("the API does not know this task: {}", refusal.message)));
    }
    Ok(Status::Failed(refusal.fault("", &Hints::default())))
}

fn is_unknown(refusal: &Refusal) -> bool {
    refusal.message.to_lowercase().contains("task not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    fn submit(status: u16, body: &str) -> Result<String, FaultKind> {
        submitted(&answer(status, body), "a/b").map(|acceptance| acceptance.task.0).map_err(|fault| fault.kind)
    }

    fn poll(status: u16, body: &str) -> Result<Status, FaultKind> {
        polled(&answer(status, body)).map_err(|fault| fault.kind)
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

    /// Never guess in favour of "it was not accepted": that pays twice.
    #[test]
    fn an_answer_that_cannot_be_read_is_in_doubt() {
        for body in ["", "<html>", "{", "[]", "{}", r#"{"task_id":""}"#, r#"{"task_id":null}"#, r#"{"request_id":"r"}"#]
        {
            assert_eq!(submit(200, body), Err(FaultKind::InDoubt), "{body}");
        }
        for (status, body) in [(500, ""), (502, "<html>Bad Gateway</html>"), (504, ""), (503, "")] {
            assert_eq!(submit(status, body), Err(FaultKind::InDoubt), "{status} {body}");
        }
    }

    #[test]
    fn a_clear_refusal_is_not_in_doubt() {
        let envelope = r#"{"errors":{"code":500,"message":"Server is busy, please try again later"}}"#;
        for (status, body, kind) in [
            (500, envelope, FaultKind::Transient),
            (502, envelope, FaultKind::Transient),
            (503, "busy", FaultKind::Transient),
            (400, "", FaultKind::InvalidRequest),
            (401, "<html>", FaultKind::Unauthorized),
            (429, "", FaultKind::Throttled { retry_after: None }),
            (200, r#"{"errors":{"code":429,"message":"limit_requests"}}"#, FaultKind::Throttled { retry_after: None }),
        ] {
            assert_eq!(submit(status, body), Err(kind), "{status} {body}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let wait = |text: &str| Answer { retry_after: Some(text.into()), ..answer(429, "") }.retry_after();
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(" 0.5 "), Some(Duration::from_millis(500)));
        for text in ["", "soon", "-1", "inf", "NaN", "1e300"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_is_read_as_a_date_by_the_clock_over_there() {
        let wait = |text: &str, date| Answer { retry_after: Some(text.into()), date, ..answer(429, "") }.retry_after();
        let noon = http_date("Tue, 24 Nov 2026 12:00:00 GMT");
        assert_eq!(wait("Tue, 24 Nov 2026 12:01:30 GMT", noon), Some(Duration::from_secs(90)));
        assert_eq!(wait("Tue, 24 Nov 2026 11:00:00 GMT", noon), Some(Duration::ZERO), "it has passed");
        assert_eq!(wait("Tue, 24 Nov 2026 12:01:30 GMT", None), None, "nobody knows how long that is");
    }

    #[test]
    fn the_last_of_an_allowance_says_so() {
        let spent = |remaining| {
            let answer = Answer {
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

    #[test]
    fn every_other_status_is_running() {
        for status in ["PENDING", "PROCESSING", "RUNNING", "QUEUED", "pending", "BREWING", ""] {
            let body = format!(r#"{{"task_status":"{status}","outputs":{{}},"task_id":"","request_id":""}}"#);
            assert_eq!(poll(200, &body), Ok(Status::Running), "{status}");
        }
    }

    #[test]
    fn a_done_task_gives_its_links() {
        let body =
            r#"{"task_status":"SUCCEED","output_images":["https://x/1.png","https://x/2.png"],"time_taken":18812.86}"#;
        assert_eq!(
            poll(200, body),
            Ok(Status::Done(vec![Url("https://x/1.png".into()), Url("https://x/2.png".into())]))
        );
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
        let moderated = r#"{"task_status":"FAILED","errors":{"code":422,"message":"Output data may contain inappropriate content."}}"#;
        assert_eq!(failed_kind(moderated), FaultKind::Moderated);
        assert_eq!(
            failed_kind(r#"{"task_status":"FAILED","errors":{"code":500,"message":"x"}}"#),
            FaultKind::Transient
        );
        assert_eq!(failed_kind(r#"{"task_status":"FAILED"}"#), FaultKind::Transient);
    }

    #[test]
    fn an_unknown_task_is_told_apart_from_a_failed_one() {
        let body = r#"{"task_status":"FAILED","errors":{"code":500,"message":"task not found"}}"#;
        assert_eq!(poll(200, body), Err(FaultKind::TaskLost));
        assert_eq!(poll(404, ""), Err(FaultKind::TaskLost));
        assert_eq!(poll(500, r#"{"errors":{"code":500,"message":"Task not found"}}"#), Err(FaultKind::TaskLost));
    }

    #[test]
    fn a_poll_that_tells_nothing_is_transient() {
        for (status, body) in [(200, ""), (200, "{}"), (200, "<html>"), (500, ""), (502, "<html>"), (503, "busy")] {
            assert_eq!(poll(status, body), Err(FaultKind::Transient), "{status} {body}");
        }
        assert_eq!(poll(401, ""), Err(FaultKind::Unauthorized));
        assert_eq!(poll(429, ""), Err(FaultKind::Throttled { retry_after: None }));
    }

    /// Goal: no answer of success is taken for a refusal, after which the job would be submitted and paid for again.
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
            r#"{"task_id":99999999999999999999}"#,
            r#"{"task_id":["5"]}"#,
            r#"{"task_id":"5","errors":{"code":400,"message":"no"}}"#,
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

    #[test]
    fn what_the_api_says_is_kept_within_bounds() {
        let body = format!(r#"{{"errors":{{"code":401,"message":"{}"}}}}"#, "猫".repeat(300_000));
        let fault = submitted(&answer(401, &body), "a/b").unwrap_err();
        assert!(fault.message.chars().count() < 2000, "{} characters", fault.message.chars().count());
        assert!(fault.message.contains("modelscope.cn/my"), "the remedy is not cut off");
        let link = format!("https://x/{}", "a".repeat(1 << 20));
        let body = format!(r#"{{"task_status":"SUCCEED","output_images":["{link}","https://x/1.png"]}}"#);
        assert_eq!(poll(200, &body), Ok(Status::Done(vec![Url("https://x/1.png".into())])));
        assert_eq!(
            image_refused(404, &Url(link)).message.chars().count(),
            "could not download : HTTP status 404".len() + 200
        );
    }

    #[test]
    fn a_token_that_an_answer_repeats_is_hidden_escaped_or_not() {
        let token = Token::new("geheim-4711", "x").unwrap();
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
}
