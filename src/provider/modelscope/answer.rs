//! Parser of the API's responses, without I/O.
//! A response of unknown meaning counts neither as success nor as refusal.
//!
//! [`verdicts`](crate::provider::modelscope::decision_table) holds the decision table. This module queries the table and converts its verdicts to
//! results.

use serde_json::Value;

use crate::model::escape::excerpt;
use crate::model::outcome::{Acceptance, Fault, FaultKind, IMAGES_COUNTED_MAX, Status, TaskId, Url};
use crate::provider::http::api_response::ApiResponse;
use crate::provider::modelscope::decision_table::{RefusalReason, RequestKind, ResponseFeatures, ResponseVerdict};
use crate::provider::modelscope::envelope::ErrorEnvelope;
use crate::provider::modelscope::fault::{self, ResponseMeta, quota_spent};
use crate::provider::modelscope::ids::{self, TaskIdSearch};

/// Longest image link that is followed, in bytes; a limit that is usual in browsers and servers.
const LINK_BYTES_MAX: usize = 8192;

/// Placeholder for the link of an image that has no usable link.
const NO_LINK: &str = "(none that can be followed)";

/// Returns the wait after a refusal, and the server time.
fn hints(answer: &ApiResponse) -> ResponseMeta {
    ResponseMeta { retry_after: answer.retry_after().or(answer.rate.after_refusal()), date: answer.date }
}

/// Parts of a body that determine its verdict.
struct ParsedBody {
    json: Option<Value>,
    envelope: Option<ErrorEnvelope>,
    id: TaskIdSearch,
    task_status: Option<String>,
}

impl ParsedBody {
    fn of(answer: &ApiResponse) -> Self {
        let json = answer.json();
        let envelope = json.as_ref().and_then(|json| ErrorEnvelope::read(answer.status, json));
        let task_status = json.as_ref().and_then(|json| json.get("task_status")?.as_str().map(str::to_uppercase));
        Self { json, envelope, id: ids::find(&answer.body), task_status }
    }

    fn words(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| &envelope.message)
    }

    fn seen<'a>(&'a self, answer: &ApiResponse, model: &'a str, task: Option<&'a TaskId>) -> ResponseFeatures<'a> {
        ResponseFeatures {
            status: answer.status,
            id: &self.id,
            task_status: self.task_status.as_deref(),
            is_own: self.envelope.as_ref().is_some_and(|envelope| envelope.is_own),
            words: self.words(),
            task,
            model,
            retry_after: answer.retry_after(),
            is_spent: [answer.remaining, answer.model_remaining].contains(&Some(0)),
        }
    }
}

/// Returns the task that a submission created, and the response's information about the next submission.
///
/// A readable task id proves an accepted task, whatever else the response contains. Only a clear refusal guarantees that nothing was
/// accepted. Every other response leaves doubt.
pub fn submitted(answer: &ApiResponse, model: &str) -> Result<Acceptance, Fault> {
    let parts = ParsedBody::of(answer);
    let verdict = parts.seen(answer, model, None).verdict(RequestKind::Submit);
    match (verdict, &parts.id) {
        (ResponseVerdict::Accepted, TaskIdSearch::One(task)) => Ok(accepted(answer, task.clone())),
        (ResponseVerdict::Refused(reason), _) => {
            let fault = fault::refused(reason, answer.status, parts.words(), model, &hints(answer));
            // A throttling fault carries its wait in its kind.
            let wait = answer.retry_after().filter(|_| reason != RefusalReason::Throttled);
            Err(fault.with_retry_after(wait))
        }
        (ResponseVerdict::Redirected, _) => {
            let words = format!(
                "status {}, a redirect, which is not followed, {}: it may have been accepted; check --base-url",
                answer.status,
                answer.excerpt()
            );
            Err(answer.fault(FaultKind::Rejected, words))
        }
        (ResponseVerdict::Rejected, _) => {
            let words = format!(
                "status {} not in the API's format, most likely from a proxy, a firewall or another server, {}: it may have \
                 been accepted behind it; check --base-url and the network",
                answer.status,
                answer.excerpt()
            );
            Err(answer.fault(FaultKind::Rejected, words))
        }
        (_, id) => {
            let what = match (id, &answer.cut) {
                (TaskIdSearch::Several, _) => "a response with several task ids".to_owned(),
                (_, Some(cut)) => format!("the response broke off ({cut})"),
                (TaskIdSearch::Unusable, None) => "a response without a usable task id".to_owned(),
                (TaskIdSearch::Nothing | TaskIdSearch::One(_), None) if (200..300).contains(&answer.status) => {
                    "a response without a task id".to_owned()
                }
                (TaskIdSearch::Nothing | TaskIdSearch::One(_), None) => format!("status {}", answer.status),
            };
            let words = format!("{what}, {}: it may have been accepted", answer.excerpt());
            Err(answer.fault(FaultKind::InDoubt, words))
        }
    }
}

fn accepted(answer: &ApiResponse, task: TaskId) -> Acceptance {
    let spent = match (answer.remaining, answer.model_remaining) {
        (Some(0), _) => Some(quota_spent("0 requests remaining", answer.date)),
        (_, Some(0)) => {
            let spent = quota_spent("0 requests of this model remaining", answer.date);
            Some(Fault { is_model_quota: true, ..spent })
        }
        _ => None,
    };
    let remaining = [answer.remaining, answer.rate.remaining].into_iter().flatten().min();
    // With a 2xx status, Retry-After is about the next poll, not about the next submission.
    let retry_after = answer.retry_after().filter(|_| !(200..300).contains(&answer.status));
    let pause = answer.rate.spent_for.max(retry_after);
    let quota_left = [answer.remaining, answer.model_remaining].into_iter().flatten().min();
    Acceptance {
        task,
        spent,
        pause,
        remaining,
        quota_left,
        model_quota_left: answer.model_remaining,
        images: Vec::new(),
        cost: None,
    }
}

/// Returns the status of `task`, from the response to its poll.
pub fn polled(answer: &ApiResponse, task: &TaskId) -> Result<Status, Fault> {
    let parts = ParsedBody::of(answer);
    let words = parts.words();
    match parts.seen(answer, "", Some(task)).verdict(RequestKind::Poll) {
        ResponseVerdict::Done => Ok(done(parts.json.as_ref())),
        ResponseVerdict::Queued => Ok(Status::Queued),
        ResponseVerdict::Running => Ok(Status::Running),
        ResponseVerdict::Failed => Ok(Status::Failed(failed(answer, parts.envelope.as_ref()))),
        ResponseVerdict::Unknown => {
            Err(Fault::new(FaultKind::TaskLost, format!("the API does not know this task: {words}")))
        }
        ResponseVerdict::OtherTask => {
            let words =
                format!("could not poll: a response about a task other than {}, {}", shown_id(task), answer.excerpt());
            Err(answer.fault(FaultKind::Transient, words))
        }
        ResponseVerdict::PollUnauthorized => Err(fault::unauthorized(&format!("{words} ({})", answer.status))),
        ResponseVerdict::PollThrottled => {
            Err(fault::refused(RefusalReason::Throttled, answer.status, words, "", &hints(answer)))
        }
        ResponseVerdict::Accepted
        | ResponseVerdict::Refused(_)
        | ResponseVerdict::Redirected
        | ResponseVerdict::Rejected
        | ResponseVerdict::InDoubt
        | ResponseVerdict::Silence => Err(silence(answer)),
    }
}

/// Creates the fault for a poll response that says nothing about its task.
fn silence(answer: &ApiResponse) -> Fault {
    let what = match (&answer.cut, answer.status) {
        (Some(cut), _) => format!("the response broke off ({cut})"),
        (None, 200..300) => "a response without a status".to_owned(),
        (None, status) => format!("status {status}"),
    };
    answer.fault(FaultKind::Transient, format!("could not poll: {what}, {}", answer.excerpt()))
}

/// Creates the fault of a failed task, from the code that the API gives.
fn failed(answer: &ApiResponse, envelope: Option<&ErrorEnvelope>) -> Fault {
    let seen = seen_failed(envelope);
    let ResponseVerdict::Refused(reason) = seen.verdict(RequestKind::FailedTask) else { return silence(answer) };
    fault::refused(reason, seen.status, seen.words, "", &ResponseMeta::default())
}

fn seen_failed(envelope: Option<&ErrorEnvelope>) -> ResponseFeatures<'_> {
    ResponseFeatures {
        status: envelope.and_then(|envelope| envelope.code).unwrap_or(500),
        id: &TaskIdSearch::Nothing,
        task_status: None,
        is_own: false,
        words: envelope.map_or("the task failed without a reason", |envelope| &envelope.message),
        task: None,
        model: "",
        retry_after: None,
        is_spent: false,
    }
}

/// Shortens a task id to at most 80 characters, for messages.
fn shown_id(task: &TaskId) -> String {
    excerpt(&task.0, 80)
}

fn done(json: Option<&Value>) -> Status {
    let images = json.and_then(|json| json.get("output_images")).and_then(Value::as_array);
    let is_there = |image: &&Value| !image.is_null() && image.as_str() != Some("");
    let is_usable = |link: &str| link.len() <= LINK_BYTES_MAX;
    let link = |image: &Value| image.as_str().filter(|link| is_usable(link)).map(|link| Url(link.to_owned()));
    let links: Vec<Option<Url>> =
        images.into_iter().flatten().filter(is_there).map(link).take(IMAGES_COUNTED_MAX).collect();
    let has_any = links.iter().any(Option::is_some);
    // An image without a usable link counts as a missing image. It stays in the number of images.
    let urls: Vec<Url> = links.into_iter().map(|link| link.unwrap_or_else(|| Url(NO_LINK.to_owned()))).collect();
    if !has_any {
        return Status::Failed(Fault::new(
            FaultKind::BadOutput,
            "the task succeeded but has no image that can be fetched",
        ));
    }
    Status::Done(urls)
}

#[cfg(test)]
mod tests;
