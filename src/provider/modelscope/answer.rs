//! Reads the API's answers, without any input or output: what is not known is never taken for "it worked".

use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::model::link;
use crate::model::outcome::{Acceptance, Fault, FaultKind, IMAGES_COUNTED_MAX, Status, TaskId, Url};
use crate::model::text::excerpt;
use crate::model::time::Timestamp;
use crate::provider::modelscope::fault::{Hints, Refusal, quota_spent};
use crate::provider::modelscope::rate::RateTold;
use crate::provider::modelscope::token::Token;

/// The longest link that is followed, as in browsers and servers.
const LINK_BYTES_MAX: usize = 8192;

/// What stands where an image has no link that can be followed.
const NO_LINK: &str = "(none that can be followed)";

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
    /// What the rate-limit headers say of the pace.
    pub rate: RateTold,
    /// The body.
    pub body: Vec<u8>,
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

    /// Whether somebody said in plain words that nothing is taken at present, and not that what was taken got lost.
    fn is_turned_away(&self) -> bool {
        let text = String::from_utf8_lossy(&self.body).to_lowercase();
        !text.trim().is_empty() && !["upstream", "reset", "timeout", "timed out"].iter().any(|word| text.contains(word))
    }

    fn hints(&self) -> Hints {
        Hints { retry_after: self.retry_after().or(self.rate.after_refusal()), date: self.date }
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
/// Only a [clear refusal](Refusal::is_clear) promises that nothing was accepted. Any other server error may come from a gateway,
/// behind which the request may have been carried out: that is in doubt. So is every answer of success without one task that
/// can be asked for, whatever else it says.
pub fn submitted(answer: &Answer, model: &str) -> Result<Acceptance, Fault> {
    let json = answer.json();
    let told = json.as_ref().and_then(|json| Refusal::read(answer.status, json));
    match (answer.status, told, json.as_ref().and_then(task_id)) {
        (200..300, None, Some(task)) => {
            let spent = (answer.remaining == Some(0)).then(|| quota_spent("0 requests remaining", answer.date));
            let remaining = [answer.remaining, answer.rate.remaining].into_iter().flatten().min();
            Ok(Acceptance { task, spent, pause: answer.rate.spent_for, remaining, quota_left: answer.remaining })
        }
        (200..300, Some(told), None) if told.is_clear() => Err(told.fault(model, &answer.hints())),
        (200..300, Some(_), _) => Err(answer.in_doubt("an answer that is neither a task nor a refusal")),
        (200..300, None, None) => Err(answer.in_doubt("an answer without a usable task id")),
        (_, Some(told), _) if told.is_clear() => Err(told.fault(model, &answer.hints())),
        (500.., Some(_), _) => Err(answer.in_doubt(&format!("status {}", answer.status))),
        (_, Some(told), _) => Err(told.fault(model, &answer.hints())),
        (503, None, _) if answer.is_turned_away() => Err(Refusal::of_status(503).fault(model, &answer.hints())),
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
        (200..300, Some("PENDING" | "QUEUED")) => Ok(Status::Queued),
        (200..300, Some(_)) => Ok(Status::Running),
        (200..300, None) if answer.refusal(json.as_ref()).is_none() => {
            let words = format!("could not poll: an answer without a status, {}", answer.excerpt());
            Err(Fault::new(FaultKind::Transient, words))
        }
        // Only the API itself can tell that it does not know a task; a gateway that has lost its API says 404 too.
        (404 | 410, _) if json.as_ref().and_then(|json| Refusal::read(answer.status, json)).is_none() => {
            let words = format!("could not poll: status {} with {}", answer.status, answer.excerpt());
            Err(Fault::new(FaultKind::Transient, words))
        }
        _ => {
            let refusal = answer.refusal(json.as_ref()).unwrap_or(Refusal::of_status(500));
            if matches!(refusal.status, 404 | 410) || is_unknown(&refusal) {
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

/// As much of a link as a message needs, without what may be secret.
pub fn shown(url: &Url) -> String {
    excerpt(&link::shown(&url.0), LINK_CHARS_MAX)
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
    let message = refusal.message.to_lowercase();
    let says = |words: &str| message.contains(words);
    says("task") && (says("not found") || says("not exist") || says("expired"))
}

#[cfg(test)]
mod tests;
