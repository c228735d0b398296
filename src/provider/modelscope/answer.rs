//! Reads the API's answers, without any input or output: what is not known is never taken for "it worked", nor for "it was refused".
//!
//! [`verdicts`](crate::provider::modelscope::verdicts) holds the table that decides; here it is asked, and its verdicts become results.

use std::time::Duration;

use serde_json::Value;

use crate::model::link;
use crate::model::outcome::{Acceptance, Fault, FaultKind, IMAGES_COUNTED_MAX, Status, TaskId, Url};
use crate::model::text::excerpt;
use crate::model::time::Timestamp;
use crate::provider::modelscope::envelope::Envelope;
use crate::provider::modelscope::fault::{self, Hints, quota_spent};
use crate::provider::modelscope::ids::{self, Found};
use crate::provider::modelscope::rate::RateTold;
use crate::provider::modelscope::token::Token;
use crate::provider::modelscope::verdicts::{Asked, Reason, Seen, Verdict};
use crate::provider::modelscope::waits;

/// The longest link that is followed, as in browsers and servers.
const LINK_BYTES_MAX: usize = 8192;

/// What stands where an image has no link that can be followed.
const NO_LINK: &str = "(none that can be followed)";

/// Characters of a link that a message shows.
const LINK_CHARS_MAX: usize = 200;

/// An answer of the API, or of what stands before it.
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
    /// What the rate-limit headers say of the pace.
    pub rate: RateTold,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// Why the body is not whole; `None` if it is.
    pub cut: Option<String>,
}

impl Answer {
    /// The answer without the token that went along with its request, however the token is written there.
    #[must_use]
    pub fn without(mut self, token: &Token) -> Self {
        self.body = token.hide(&self.body);
        // An escaped token shows only once it is read.
        if self.body.contains(&b'\\')
            && let Some(json) = self.json()
        {
            let (told, hidden) = (json.to_string(), token.hide(json.to_string().as_bytes()));
            if told.as_bytes() != hidden {
                self.body = hidden;
            }
        }
        self
    }

    /// The body, if it is a whole JSON object.
    fn json(&self) -> Option<Value> {
        if self.cut.is_some() {
            return None;
        }
        serde_json::from_slice(&self.body).ok().filter(Value::is_object)
    }

    /// How long `Retry-After` asks to wait, with any status.
    fn retry_after(&self) -> Option<Duration> {
        waits::retry_after(self.retry_after.as_ref()?, self.date)
    }

    /// How long to wait after a refusal.
    fn hints(&self) -> Hints {
        Hints { retry_after: self.retry_after().or(self.rate.after_refusal()), date: self.date }
    }

    /// What the body begins with, for the user.
    fn excerpt(&self) -> String {
        match String::from_utf8_lossy(&self.body).trim() {
            "" => "nothing".to_owned(),
            text => format!("{:?}", excerpt(text, 80)),
        }
    }

    /// A fault that says what came, with the wait that the answer asks for.
    fn fault(&self, kind: FaultKind, words: impl Into<String>) -> Fault {
        Fault::new(kind, words).with_retry_after(self.retry_after())
    }
}

/// What of a body counts for its verdict.
struct Parts {
    json: Option<Value>,
    envelope: Option<Envelope>,
    id: Found,
    task_status: Option<String>,
}

impl Parts {
    fn of(answer: &Answer) -> Self {
        let json = answer.json();
        let envelope = json.as_ref().and_then(|json| Envelope::read(answer.status, json));
        let task_status = json.as_ref().and_then(|json| json.get("task_status")?.as_str().map(str::to_uppercase));
        Self { json, envelope, id: ids::find(&answer.body), task_status }
    }

    fn words(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| &envelope.message)
    }

    fn seen<'a>(&'a self, answer: &Answer, model: &'a str, task: Option<&'a TaskId>) -> Seen<'a> {
        Seen {
            status: answer.status,
            id: &self.id,
            task_status: self.task_status.as_deref(),
            is_own: self.envelope.as_ref().is_some_and(|envelope| envelope.is_own),
            words: self.words(),
            task,
            model,
            retry_after: answer.retry_after(),
            is_spent: answer.remaining == Some(0),
        }
    }
}

/// The task that a submission was answered with, and what the answer says of the next one.
///
/// An id that can be read is an accepted task, whatever stands around it. Only a clear refusal promises that nothing was accepted;
/// every other answer leaves doubt.
pub fn submitted(answer: &Answer, model: &str) -> Result<Acceptance, Fault> {
    let parts = Parts::of(answer);
    let verdict = parts.seen(answer, model, None).verdict(Asked::Submit);
    match (verdict, &parts.id) {
        (Verdict::Accepted, Found::One(task)) => Ok(accepted(answer, task.clone())),
        (Verdict::Refused(reason), _) => {
            let fault = fault::refused(reason, answer.status, parts.words(), model, &answer.hints());
            // A throttle carries its wait in its kind.
            let wait = answer.retry_after().filter(|_| reason != Reason::Throttled);
            Err(fault.with_retry_after(wait))
        }
        (Verdict::Redirected, _) => {
            let words = format!(
                "status {}, a redirect, which is not followed, {}: it may have been accepted; check --base-url",
                answer.status,
                answer.excerpt()
            );
            Err(answer.fault(FaultKind::Rejected, words))
        }
        (Verdict::Rejected, _) => {
            let words = format!(
                "status {} not in the form of the API, most likely from a proxy, a firewall or another server, {}: it may have \
                 been accepted behind it; check --base-url and the network",
                answer.status,
                answer.excerpt()
            );
            Err(answer.fault(FaultKind::Rejected, words))
        }
        (_, id) => {
            let what = match (id, &answer.cut) {
                (Found::Several, _) => "an answer with several task ids".to_owned(),
                (_, Some(cut)) => format!("the answer broke off ({cut})"),
                (Found::Unusable, None) => "an answer without a usable task id".to_owned(),
                (Found::Nothing | Found::One(_), None) if (200..300).contains(&answer.status) => {
                    "an answer without a task id".to_owned()
                }
                (Found::Nothing | Found::One(_), None) => format!("status {}", answer.status),
            };
            let words = format!("{what}, {}: it may have been accepted", answer.excerpt());
            Err(answer.fault(FaultKind::InDoubt, words))
        }
    }
}

fn accepted(answer: &Answer, task: TaskId) -> Acceptance {
    let spent = (answer.remaining == Some(0)).then(|| quota_spent("0 requests remaining", answer.date));
    let remaining = [answer.remaining, answer.rate.remaining].into_iter().flatten().min();
    // With a status of success, Retry-After says when to poll.
    let retry_after = answer.retry_after().filter(|_| !(200..300).contains(&answer.status));
    let pause = answer.rate.spent_for.max(retry_after);
    Acceptance { task, spent, pause, remaining, quota_left: answer.remaining }
}

/// How this task stands.
pub fn polled(answer: &Answer, task: &TaskId) -> Result<Status, Fault> {
    let parts = Parts::of(answer);
    let words = parts.words();
    match parts.seen(answer, "", Some(task)).verdict(Asked::Poll) {
        Verdict::Done => Ok(done(parts.json.as_ref())),
        Verdict::Queued => Ok(Status::Queued),
        Verdict::Running => Ok(Status::Running),
        Verdict::Failed => Ok(Status::Failed(failed(answer, parts.envelope.as_ref()))),
        Verdict::Unknown => Err(Fault::new(FaultKind::TaskLost, format!("the API does not know this task: {words}"))),
        Verdict::OtherTask => {
            let words =
                format!("could not poll: an answer about another task than {}, {}", shown_id(task), answer.excerpt());
            Err(answer.fault(FaultKind::Transient, words))
        }
        Verdict::PollUnauthorized => Err(fault::unauthorized(&format!("{words} ({})", answer.status))),
        Verdict::PollThrottled => Err(fault::refused(Reason::Throttled, answer.status, words, "", &answer.hints())),
        Verdict::Accepted
        | Verdict::Refused(_)
        | Verdict::Redirected
        | Verdict::Rejected
        | Verdict::InDoubt
        | Verdict::Silence => Err(silence(answer)),
    }
}

/// An answer to a poll that says nothing of its task.
fn silence(answer: &Answer) -> Fault {
    let what = match (&answer.cut, answer.status) {
        (Some(cut), _) => format!("the answer broke off ({cut})"),
        (None, 200..300) => "an answer without a status".to_owned(),
        (None, status) => format!("status {status}"),
    };
    answer.fault(FaultKind::Transient, format!("could not poll: {what}, {}", answer.excerpt()))
}

/// A task that has failed, by the code that the API gives.
fn failed(answer: &Answer, envelope: Option<&Envelope>) -> Fault {
    let seen = seen_failed(envelope);
    let Verdict::Refused(reason) = seen.verdict(Asked::FailedTask) else { return silence(answer) };
    fault::refused(reason, seen.status, seen.words, "", &Hints::default())
}

fn seen_failed(envelope: Option<&Envelope>) -> Seen<'_> {
    Seen {
        status: envelope.and_then(|envelope| envelope.code).unwrap_or(500),
        id: &Found::Nothing,
        task_status: None,
        is_own: false,
        words: envelope.map_or("the task failed without a reason", |envelope| &envelope.message),
        task: None,
        model: "",
        retry_after: None,
        is_spent: false,
    }
}

/// A task id in words for the user.
fn shown_id(task: &TaskId) -> String {
    excerpt(&task.0, 80)
}

/// An image link that did not answer with an image: a fresh link may.
pub fn image_refused(status: u16, url: &Url) -> Fault {
    Fault::new(FaultKind::Transient, format!("could not download {}: HTTP status {status}", shown(url)))
}

/// As much of a link as a message needs, without what may be secret.
pub fn shown(url: &Url) -> String {
    excerpt(&link::shown(&url.0), LINK_CHARS_MAX)
}

fn done(json: Option<&Value>) -> Status {
    let images = json.and_then(|json| json.get("output_images")).and_then(Value::as_array);
    let is_there = |image: &&Value| !image.is_null() && image.as_str() != Some("");
    let is_usable = |link: &str| link.len() <= LINK_BYTES_MAX;
    let link = |image: &Value| image.as_str().filter(|link| is_usable(link)).map(|link| Url(link.to_owned()));
    let links: Vec<Option<Url>> =
        images.into_iter().flatten().filter(is_there).map(link).take(IMAGES_COUNTED_MAX).collect();
    let has_any = links.iter().any(Option::is_some);
    // An image whose link cannot be followed is one that is missing, and not one fewer.
    let urls: Vec<Url> = links.into_iter().map(|link| link.unwrap_or_else(|| Url(NO_LINK.to_owned()))).collect();
    if !has_any {
        return Status::Failed(Fault::new(
            FaultKind::BadOutput,
            "the task succeeded and has no image that can be fetched",
        ));
    }
    Status::Done(urls)
}

#[cfg(test)]
mod tests;
