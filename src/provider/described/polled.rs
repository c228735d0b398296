//! Judgement of the answer to a poll, and of the answer that has the result of a finished task.

use serde_json::Value;

use crate::description::answers::ErrorRow;
use crate::description::format::Description;
use crate::description::pointer::{first_said, says};
use crate::description::words::{AnswerStage, FaultWord, TaskWord};
use crate::model::escape::excerpt;
use crate::model::outcome::{Fault, FaultKind, Status, TaskId, Url};
use crate::provider::described::fault::{fault, quoted, row, silence};
use crate::provider::described::images::{self, ImageSearch, ImageText};
use crate::provider::described::reading::{Envelope, IdSearch, JsonReading, words};
use crate::provider::http::api_response::ApiResponse;

/// Conclusion from a poll.
#[derive(Debug, PartialEq)]
pub(crate) enum Polled {
    /// Status of the task.
    Status(Status),
    /// The task is done, and its result is at this address.
    Result(String),
}

/// Judges the answer to the poll of `task`.
pub(crate) fn polled(api: &Description, answer: &ApiResponse, task: &TaskId) -> Result<Polled, Fault> {
    let reading = JsonReading::of(answer);
    if is_of_another(api, &reading, task) {
        let shown = excerpt(&task.0, 80);
        let words = format!("could not poll: a response about a task other than {shown}, {}", answer.excerpt());
        return Err(answer.fault(FaultKind::Transient, words));
    }
    let is_success = (200..300).contains(&answer.status);
    let word = reading.word(&api.poll.status).filter(|_| is_success);
    let Some(word) = word else { return error(api, answer, &reading, AnswerStage::Poll).map(Polled::Status) };
    let meaning = api.poll.words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.trim())).map(|(_, word)| *word);
    match meaning.unwrap_or(TaskWord::Running) {
        TaskWord::Queued => Ok(Polled::Status(Status::Queued)),
        TaskWord::Running => Ok(Polled::Status(Status::Running)),
        TaskWord::Done => done(api, answer, &reading),
        TaskWord::Failed => failed(api, answer, &reading, FaultWord::Transient).map(Polled::Status),
        TaskWord::Moderated => failed(api, answer, &reading, FaultWord::Moderated).map(Polled::Status),
        TaskWord::Lost => Err(fault(api, FaultWord::TaskLost, &format!("its status is {word}"), None, answer)),
    }
}

/// Judges the answer that has the result of a finished task.
pub(crate) fn result(api: &Description, answer: &ApiResponse) -> Result<Status, Fault> {
    let reading = JsonReading::of(answer);
    if (200..300).contains(&answer.status) && reading.whole().is_some() {
        return Ok(with_images(api, answer, &reading));
    }
    error(api, answer, &reading, AnswerStage::Result)
}

/// Returns whether an answer is about another task than the polled one.
fn is_of_another(api: &Description, reading: &JsonReading, task: &TaskId) -> bool {
    match reading.id(&api.poll.id) {
        IdSearch::Nothing => false,
        // The address of a task has its id as a part.
        IdSearch::One(id) if !api.accepted.status_url.is_empty() => !task.0.contains(id.trim()),
        IdSearch::One(id) => id.trim() != task.0.trim(),
        IdSearch::Odd => true,
    }
}

/// Returns the conclusion from a task that is done: its images, the address of its result, or the error beside its status.
fn done(api: &Description, answer: &ApiResponse, reading: &JsonReading) -> Result<Polled, Fault> {
    let has_error = reading.whole().is_some_and(|body| error_beside(api, body).is_some());
    if has_error {
        return failed(api, answer, reading, FaultWord::Transient).map(Polled::Status);
    }
    if let IdSearch::One(address) = reading.id(&api.poll.result) {
        return Ok(Polled::Result(address));
    }
    if !api.poll.result.is_empty() {
        return Err(silence(answer));
    }
    Ok(Polled::Status(with_images(api, answer, reading)))
}

/// Returns the images of a finished task, or the fault of one without an image.
fn with_images(api: &Description, answer: &ApiResponse, reading: &JsonReading) -> Status {
    let (kind, words) = match images::find(api, reading) {
        ImageSearch::Found(found) => {
            let links: Vec<Url> = found
                .into_iter()
                .filter_map(|image| match image {
                    ImageText::Link(url) => Some(url),
                    ImageText::Base64(_) => None,
                })
                .collect();
            if !links.is_empty() {
                return Status::Done(links);
            }
            (FaultWord::BadOutput, "the task succeeded and has no link to its image".to_owned())
        }
        ImageSearch::Refused(kind, word) => (kind, format!("the task ended with {word}")),
        ImageSearch::Empty(kind) => (kind, "the task succeeded but has no image".to_owned()),
        ImageSearch::Nothing => {
            let kind = api.answer.empty.unwrap_or(FaultWord::BadOutput);
            (kind, "the task succeeded but has no image that can be fetched".to_owned())
        }
    };
    Status::Failed(fault(api, kind, &words, None, answer))
}

/// Returns the error beside a status.
fn error_beside<'a>(api: &Description, body: &'a Value) -> Option<&'a Value> {
    first_said(&api.poll.error, body).filter(|value| says(value))
}

/// Returns the fault of a failed task. A row of the table names its kind; otherwise it is `default`.
fn failed(api: &Description, answer: &ApiResponse, reading: &JsonReading, default: FaultWord) -> Result<Status, Fault> {
    let mut envelope = reading.envelope(api);
    if envelope.message.is_empty()
        && let Some(value) = reading.whole().and_then(|body| error_beside(api, body))
    {
        envelope.message = words(value);
    }
    let found = row(api, AnswerStage::Poll, answer.status, &envelope).filter(|row| row.kind != FaultWord::InDoubt);
    let told = match (envelope.message.as_str(), envelope.code.as_str()) {
        ("", "") => "the task failed without a reason".to_owned(),
        ("", code) => format!("the task failed: {code}"),
        (message, "") => message.to_owned(),
        (message, code) => format!("{message} ({code})"),
    };
    // A limit on the pace of requests is no fault of a task that was accepted: it is worth another try.
    let kind = found.map_or(default, |row| row.kind);
    let kind = if kind == FaultWord::Throttled { FaultWord::Transient } else { kind };
    let fault = Fault { retry_after: None, ..fault(api, kind, &told, found, answer) };
    // Some services say with a failed status that they do not know the task.
    if kind == FaultWord::TaskLost { Err(fault) } else { Ok(Status::Failed(fault)) }
}

/// Judges an answer without a status. Only a row of the table in the API's own envelope ends a task; everything else is silence.
fn error(api: &Description, answer: &ApiResponse, reading: &JsonReading, stage: AnswerStage) -> Result<Status, Fault> {
    let envelope = reading.envelope(api);
    let told = quoted(answer, &envelope);
    let found = row(api, stage, answer.status, &envelope).filter(|_| envelope.is_own);
    // A poll costs nothing, so the 429 of a gateway or proxy is believed too.
    if answer.status == 429 {
        return Err(fault(api, FaultWord::Throttled, &told, None, answer));
    }
    if let Some(row) = found {
        match ending(row, stage) {
            Some(Ending::Lost) => return Err(fault(api, FaultWord::TaskLost, &told, Some(row), answer)),
            Some(Ending::Refused(kind)) => return Err(fault(api, kind, &told, Some(row), answer)),
            Some(Ending::Failed(kind)) => return Ok(Status::Failed(fault(api, kind, &told, Some(row), answer))),
            None => {}
        }
    }
    if matches!(answer.status, 401 | 403) && is_readable(&envelope) {
        return Err(fault(api, FaultWord::Unauthorized, &told, None, answer));
    }
    Err(silence(answer))
}

/// What a row says about a task.
enum Ending {
    Lost,
    Refused(FaultWord),
    Failed(FaultWord),
}

/// Returns what a row says about a task. A row that is not written for this stage cannot end a task that is paid for.
fn ending(row: &ErrorRow, stage: AnswerStage) -> Option<Ending> {
    let is_meant = row.stage.contains(&stage);
    match row.kind {
        FaultWord::TaskLost if is_meant => Some(Ending::Lost),
        FaultWord::Throttled | FaultWord::Unauthorized => Some(Ending::Refused(row.kind)),
        FaultWord::Moderated | FaultWord::InvalidRequest | FaultWord::BadOutput if is_meant => {
            Some(Ending::Failed(row.kind))
        }
        FaultWord::Moderated
        | FaultWord::InvalidRequest
        | FaultWord::BadOutput
        | FaultWord::TaskLost
        | FaultWord::QuotaExhausted
        | FaultWord::Transient
        | FaultWord::InDoubt => None,
    }
}

const fn is_readable(envelope: &Envelope) -> bool {
    envelope.is_own
}
