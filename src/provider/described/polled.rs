//! Judgement of the answer to a poll, and of the answer that has the result of a finished task.

use serde_json::Value;

use crate::description::error_row::ErrorRow;
use crate::description::format::Description;
use crate::description::pointer::{first_said, says};
use crate::description::words::{AnswerStage, FaultWord, TaskWord};
use crate::model::escape::excerpt;
use crate::model::outcome::{Fault, FaultKind, Status, TaskId, Url};
use crate::provider::described::fault::{Asked, fault, quoted, row, silence};
use crate::provider::described::ids::{self, IdSearch};
use crate::provider::described::images::{self, ImageSearch, ImageText, NO_LINK};
use crate::provider::described::reading::{JsonReading, words};
use crate::provider::http::api_response::ApiResponse;

/// Status of a failed task whose error names none, where errors name one.
const STATUS_OF_FAILURE: u16 = 500;

/// Words about a finished task without an image.
const WITHOUT_IMAGE: &str = "the task succeeded but has no image that can be fetched";

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
    if is_of_another(api, answer, task) {
        let shown = excerpt(&task.0, 80);
        let words = format!("could not poll: a response about a task other than {shown}, {}", answer.excerpt());
        return Err(answer.fault(FaultKind::Transient, words));
    }
    let reading = JsonReading::of(answer);
    let is_success = (200..300).contains(&answer.status);
    let word = reading.word(&api.poll.status).filter(|_| is_success);
    let asked = Asked::about(AnswerStage::Poll, Some(task));
    let meaning = |word: &str| {
        let known = api.poll.words.iter().find(|(name, _)| name.eq_ignore_ascii_case(word.trim()));
        known.map(|(_, word)| *word)
    };
    // A blank word says nothing, unless the description knows it.
    let word = word.filter(|word| !word.trim().is_empty() || meaning(word).is_some());
    let Some(word) = word else { return error(api, answer, &reading, asked).map(Polled::Status) };
    match meaning(&word).unwrap_or(TaskWord::Running) {
        TaskWord::Queued => Ok(Polled::Status(Status::Queued)),
        TaskWord::Running => Ok(Polled::Status(Status::Running)),
        TaskWord::Done => done(api, answer, &reading, task),
        TaskWord::Failed => failed(api, answer, &reading, task, FaultWord::Transient).map(Polled::Status),
        TaskWord::Moderated => failed(api, answer, &reading, task, FaultWord::Moderated).map(Polled::Status),
        TaskWord::Lost => Err(fault(api, FaultWord::TaskLost, &format!("its status is {word}"), None, answer, "")),
    }
}

/// Judges the answer that has the result of a finished task.
pub(crate) fn result(api: &Description, answer: &ApiResponse) -> Result<Status, Fault> {
    let reading = JsonReading::of(answer);
    if (200..300).contains(&answer.status) && reading.whole().is_some() {
        return Ok(with_images(api, answer, &reading));
    }
    error(api, answer, &reading, Asked::about(AnswerStage::Result, None))
}

/// Returns whether an answer is about another task than the polled one.
fn is_of_another(api: &Description, answer: &ApiResponse, task: &TaskId) -> bool {
    match ids::find(&answer.body, &api.poll.id) {
        IdSearch::Nothing | IdSearch::Unusable => false,
        // The address of a task has its id as a part.
        IdSearch::One(id) if !api.accepted.status_url.is_empty() => !task.0.contains(id.trim()),
        IdSearch::One(id) => id.trim() != task.0.trim(),
        IdSearch::Several => true,
    }
}

/// Returns the conclusion from a task that is done: its images, the address of its result, or the error beside its status.
fn done(api: &Description, answer: &ApiResponse, reading: &JsonReading, task: &TaskId) -> Result<Polled, Fault> {
    let has_error = reading.whole().is_some_and(|body| error_beside(api, body).is_some());
    if has_error {
        return failed(api, answer, reading, task, FaultWord::Transient).map(Polled::Status);
    }
    if let IdSearch::One(address) = ids::find_address(&answer.body, &api.poll.result) {
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
            if links.iter().any(|link| link.0 != NO_LINK) {
                return Status::Done(links);
            }
            (FaultWord::BadOutput, WITHOUT_IMAGE.to_owned())
        }
        ImageSearch::Refused(kind, word) => (kind, format!("the task ended with {word}")),
        ImageSearch::Empty(kind) => (kind, WITHOUT_IMAGE.to_owned()),
        ImageSearch::Nothing => {
            let kind = api.answer.empty.unwrap_or(FaultWord::BadOutput);
            (kind, WITHOUT_IMAGE.to_owned())
        }
    };
    Status::Failed(fault(api, kind, &words, None, &about_task(answer), ""))
}

/// Returns what the headers of an answer say about its task. A wait is about the next poll, and not about the next submission.
fn about_task(answer: &ApiResponse) -> ApiResponse {
    ApiResponse { status: answer.status, date: answer.date, ..ApiResponse::default() }
}

/// Returns the error beside a status.
fn error_beside<'a>(api: &Description, body: &'a Value) -> Option<&'a Value> {
    first_said(&api.poll.error, body).filter(|value| says(value))
}

/// Returns the fault of a failed task. A row of the table names its kind; otherwise it is `default`.
fn failed(
    api: &Description,
    answer: &ApiResponse,
    reading: &JsonReading,
    task: &TaskId,
    default: FaultWord,
) -> Result<Status, Fault> {
    let mut envelope = reading.envelope(api, answer.status);
    if envelope.message.is_empty()
        && let Some(value) = reading.whole().and_then(|body| error_beside(api, body))
    {
        envelope.message = words(value);
    }
    let is_told = !api.errors.status.is_empty();
    let status = if is_told { envelope.status.unwrap_or(STATUS_OF_FAILURE) } else { answer.status };
    let asked = Asked::about(AnswerStage::Failed, Some(task));
    let found = row(api, asked, status, answer, &envelope).filter(|row| row.kind != FaultWord::InDoubt);
    // A limit on the pace of requests is no fault of a task that was accepted, unless the description says so: it is worth another try.
    let is_meant = found.is_some_and(|row| row.stage.contains(&AnswerStage::Failed));
    let kind = found.map_or(default, |row| row.kind);
    let kind = if kind == FaultWord::Throttled && !is_meant { FaultWord::Transient } else { kind };
    let told = match (envelope.message.as_str(), envelope.code.as_str()) {
        ("", "") => "the task failed without a reason".to_owned(),
        ("", code) => format!("the task failed: {code}"),
        (message, "") => message.to_owned(),
        (message, code) => format!("{message} ({code})"),
    };
    let told = if is_told && kind != FaultWord::TaskLost { format!("{told} ({status})") } else { told };
    let fault = fault(api, kind, &told, found, &about_task(answer), "");
    // Some services say with a failed status that they do not know the task.
    if kind == FaultWord::TaskLost { Err(fault) } else { Ok(Status::Failed(fault)) }
}

/// Judges an answer without a status. Only a row of the table in the API's own envelope ends a task; everything else is silence.
fn error(api: &Description, answer: &ApiResponse, reading: &JsonReading, asked: Asked<'_>) -> Result<Status, Fault> {
    let envelope = reading.envelope(api, answer.status);
    let told = quoted(answer.status, &envelope);
    let found = row(api, asked, answer.status, answer, &envelope).filter(|_| envelope.is_own);
    let refuse = |kind: FaultWord, row: Option<&ErrorRow>| fault(api, kind, &told, row, answer, "");
    // A poll costs nothing, so the 429 of a gateway or proxy is believed too.
    if answer.status == 429 {
        return Err(refuse(FaultWord::Throttled, None));
    }
    if let Some(row) = found {
        match ending(row, asked.stage) {
            Some(Ending::Lost) => {
                let told = if envelope.message.is_empty() { &told } else { &envelope.message };
                return Err(fault(api, FaultWord::TaskLost, told, Some(row), answer, ""));
            }
            Some(Ending::Refused(kind)) => return Err(refuse(kind, Some(row))),
            Some(Ending::Failed(kind)) => return Ok(Status::Failed(refuse(kind, Some(row)))),
            None => {}
        }
    }
    if matches!(answer.status, 401 | 403) && envelope.is_own {
        return Err(refuse(FaultWord::Unauthorized, None));
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
