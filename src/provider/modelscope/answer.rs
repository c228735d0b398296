//! Reads the API's answers, without any input or output: what is not known is never taken for "it worked".

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use crate::model::text::excerpt;
use crate::model::time::Timestamp;
use crate::provider::modelscope::fault::{Hints, Refusal, quota_spent};

/// Images of one task that are followed; more than one has never been seen.
const IMAGES_MAX: usize = 16;

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
        told.or_else(|| (self.status != 200).then(|| Refusal { status: self.status, message: String::new() }))
    }
}

/// A date as HTTP writes it.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_millis()).ok().map(Timestamp::from_millis)
}

/// The task that a submission was answered with, and whether it was the last that the allowance allows.
///
/// A server error without the API's own words comes from a gateway, behind which the request may have been carried out:
/// that is in doubt, and so is every answer of status 200 without a task.
pub fn submitted(answer: &Answer, model: &str) -> Result<Acceptance, Fault> {
    let json = answer.json();
    let told = json.as_ref().and_then(|json| Refusal::read(answer.status, json));
    let is_clear = told.is_some() || answer.status < 500 || (answer.status == 503 && !answer.body.is_empty());
    if answer.status >= 500 && !is_clear {
        let words = format!("status {} with {}: it may have been accepted", answer.status, answer.excerpt());
        return Err(Fault::new(FaultKind::InDoubt, words));
    }
    if let Some(refusal) = answer.refusal(json.as_ref()) {
        return Err(refusal.fault(model, &answer.hints()));
    }
    let task = json.as_ref().and_then(task_id).ok_or_else(|| {
        let words = format!("an answer without a task id, {}: it may have been accepted", answer.excerpt());
        Fault::new(FaultKind::InDoubt, words)
    })?;
    let spent = (answer.remaining == Some(0)).then(|| quota_spent("0 requests remaining", answer.date));
    Ok(Acceptance { task, spent })
}

/// How a task stands.
pub fn polled(answer: &Answer) -> Result<Status, Fault> {
    let json = answer.json();
    let status = json.as_ref().and_then(|json| json.get("task_status")).and_then(Value::as_str).map(str::to_uppercase);
    match (answer.status, status.as_deref()) {
        (200, Some("SUCCEED" | "SUCCEEDED" | "SUCCESS")) => Ok(done(json.as_ref())),
        (200, Some("FAILED" | "FAILURE")) => failed(json.as_ref()),
        (200, Some(_)) => Ok(Status::Running),
        (200, None) if answer.refusal(json.as_ref()).is_none() => {
            let words = format!("could not poll: an answer without a status, {}", answer.excerpt());
            Err(Fault::new(FaultKind::Transient, words))
        }
        (404, _) => Err(Fault::new(FaultKind::TaskLost, "the API does not know this task (404)")),
        _ => {
            let refusal = answer.refusal(json.as_ref()).unwrap_or(Refusal { status: 500, message: String::new() });
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
    Fault::new(FaultKind::Transient, format!("could not download {url}: HTTP status {status}"))
}

/// The task id of an accepted submission, a string or a number.
fn task_id(json: &Value) -> Option<TaskId> {
    let id = match json.get("task_id")? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!id.trim().is_empty()).then_some(TaskId(id))
}

fn done(json: Option<&Value>) -> Status {
    let images = json.and_then(|json| json.get("output_images")).and_then(Value::as_array);
    let links = images.into_iter().flatten().filter_map(Value::as_str).filter(|link| !link.is_empty());
    let urls: Vec<Url> = links.take(IMAGES_MAX).map(|link| Url(link.to_owned())).collect();
    if urls.is_empty() {
        return Status::Failed(Fault::new(FaultKind::BadOutput, "the task succeeded and has no image"));
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

    #[test]
    fn a_deep_body_is_refused_and_not_followed() {
        let body = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(submit(200, &body), Err(FaultKind::InDoubt));
        assert_eq!(poll(200, &body), Err(FaultKind::Transient));
    }
}
