//! Judgement of the answer to a submission: accepted, clearly refused, or in doubt.
//!
//! An id or an image that can be read is an accepted submission, whatever else the answer says. A clear refusal needs a row of the table
//! that promises it, and an envelope that was read. Everything else leaves doubt: any other status, a timeout, a page, a redirect.

use crate::description::error_row::ErrorRow;
use crate::description::format::Description;
use crate::description::words::{Exchange, FaultWord};
use crate::model::outcome::{Fault, FaultKind, TaskId};
use crate::provider::described::fault::{Asked, fault, quoted, row};
use crate::provider::described::ids::{self, IdSearch};
use crate::provider::described::images::{self, ImageSearch, ImageText, is_billed};
use crate::provider::described::reading::{Envelope, JsonReading};
use crate::provider::http::api_response::ApiResponse;

/// Longest address of a task, in bytes.
const STATUS_URL_BYTES_MAX: usize = 2048;

/// Accepted submission: everything here is paid for.
#[derive(Debug, PartialEq)]
pub(crate) struct Submitted {
    /// What the submission became.
    pub what: SubmittedAs,
}

/// What a submission became.
#[derive(Debug, PartialEq)]
pub(crate) enum SubmittedAs {
    /// Task.
    Task(TaskId),
    /// Images, at least one.
    Images(Vec<ImageText>),
    /// Nothing: it ended without a usable image.
    Failed(Fault),
}

/// Statuses for timeouts, too early, throttling, and closed clients. The request may have continued behind the sender of such a status.
const UNSURE: [u16; 5] = [408, 425, 429, 460, 499];

/// Judges the answer to a submission for this model.
pub(crate) fn submitted(
    api: &Description,
    answer: &ApiResponse,
    submission_id: &str,
    model: &str,
) -> Result<Submitted, Fault> {
    let is_by_id = api.exchange == Exchange::Task && api.accepted.conflict.is_empty();
    // An id is found without its JSON, which is read only for what follows.
    if is_by_id && let Some(what) = as_task(api, answer)? {
        return Ok(Submitted { what });
    }
    let reading = JsonReading::of(answer);
    let envelope = reading.envelope(api, answer.status);
    let accepted = match api.exchange {
        Exchange::Task if conflict(api, answer, &envelope) => Some(SubmittedAs::Task(TaskId(submission_id.to_owned()))),
        Exchange::Task if is_by_id => None,
        Exchange::Task => as_task(api, answer)?,
        Exchange::Answer => as_images(api, &reading, answer, &envelope, model)?,
    };
    accepted.map(|what| Submitted { what }).ok_or_else(|| refused(api, answer, &envelope, model))
}

/// Returns whether an answer says that a submission with the same id was accepted before.
fn conflict(api: &Description, answer: &ApiResponse, envelope: &Envelope) -> bool {
    let codes = &api.accepted.conflict;
    answer.status < 500 && envelope.is_own && codes.iter().any(|code| code.eq_ignore_ascii_case(&envelope.code))
}

/// Returns the task of the answer; `None` if it has no id.
fn as_task(api: &Description, answer: &ApiResponse) -> Result<Option<SubmittedAs>, Fault> {
    let odd = |what: &str| {
        let words = format!("{what}, {}: it may have been accepted", answer.excerpt());
        Err(answer.fault(FaultKind::InDoubt, words))
    };
    let unusable = |what: &str| match &answer.cut {
        Some(cut) => odd(&format!("the response broke off ({cut})")),
        None => odd(what),
    };
    let id = ids::find(&answer.body, &api.accepted.id);
    let urls = &api.accepted.status_url;
    if !urls.is_empty() {
        return match ids::find_address(&answer.body, urls) {
            IdSearch::One(url) if url.len() <= STATUS_URL_BYTES_MAX && is_web(&url) => {
                Ok(Some(SubmittedAs::Task(TaskId(url))))
            }
            IdSearch::One(_) | IdSearch::Several => odd("a response without a usable address of its task"),
            IdSearch::Unusable => unusable("a response without a usable address of its task"),
            // An id without an address is a task that cannot be polled.
            IdSearch::Nothing if id == IdSearch::Nothing => Ok(None),
            IdSearch::Nothing => odd("a response with a task id and without the address of the task"),
        };
    }
    match id {
        IdSearch::One(id) => Ok(Some(SubmittedAs::Task(TaskId(id)))),
        IdSearch::Several => odd("a response with several task ids"),
        IdSearch::Unusable => unusable("a response without a usable task id"),
        IdSearch::Nothing => Ok(None),
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Returns the images of the answer, or the paid end without one; `None` if the answer says nothing about images.
fn as_images(
    api: &Description,
    reading: &JsonReading,
    answer: &ApiResponse,
    envelope: &Envelope,
    model: &str,
) -> Result<Option<SubmittedAs>, Fault> {
    let is_success = (200..300).contains(&answer.status);
    let (kind, words) = match images::find(api, reading) {
        ImageSearch::Found(found) => return Ok(Some(SubmittedAs::Images(found))),
        ImageSearch::Refused(FaultWord::BadOutput, word) if is_success => {
            (FaultWord::BadOutput, format!("there is no usable image: the answer says {word}"))
        }
        ImageSearch::Refused(kind, word) if is_success => (kind, format!("the answer says {word}")),
        ImageSearch::Empty(kind) if is_success => match clear_row(api, answer, envelope, model) {
            Some(_) => return Ok(None),
            None => (kind, "the answer has no image".to_owned()),
        },
        ImageSearch::Refused(..) | ImageSearch::Empty(_) | ImageSearch::Nothing => return Ok(None),
    };
    let fault = fault(api, kind, &words, None, answer, model);
    if is_billed(api, kind) { Ok(Some(SubmittedAs::Failed(fault))) } else { Err(fault) }
}

/// Returns the row that makes an answer a clear refusal.
fn clear_row<'a>(api: &'a Description, answer: &ApiResponse, envelope: &Envelope, model: &str) -> Option<&'a ErrorRow> {
    let found = row(api, Asked::submission(model), answer.status, answer, envelope);
    found.filter(|row| row.clear && envelope.is_own)
}

/// Returns the fault of an answer without an id and without an image.
fn refused(api: &Description, answer: &ApiResponse, envelope: &Envelope, model: &str) -> Fault {
    let found = row(api, Asked::submission(model), answer.status, answer, envelope);
    let told = || quoted(answer.status, envelope);
    if let Some(row) = found.filter(|row| row.clear && envelope.is_own) {
        return fault(api, row.kind, &told(), Some(row), answer, model);
    }
    let (status, excerpt) = (answer.status, answer.excerpt());
    let is_sure = !UNSURE.contains(&status);
    let (kind, words) = match (status, &answer.cut) {
        (300..400, _) => (
            FaultKind::Rejected,
            format!(
                "status {status}, a redirect, which is not followed, {excerpt}: it may have been accepted; check --base-url"
            ),
        ),
        (400..500, None) if is_sure && envelope.is_own => (
            FaultKind::Rejected,
            format!(
                "{}: {} is not known to refuse with such an answer, so it may have been accepted; check --base-url and the network",
                told(),
                api.name
            ),
        ),
        (400..500, _) if is_sure => (
            FaultKind::Rejected,
            format!(
                "status {status} not in the API's format, most likely from a proxy, a firewall or another server, {excerpt}: \
                 it may have been accepted behind it; check --base-url and the network"
            ),
        ),
        (_, Some(cut)) => {
            (FaultKind::InDoubt, format!("the response broke off ({cut}), {excerpt}: it may have been accepted"))
        }
        (200..300, None) => {
            let what = match api.exchange {
                Exchange::Task => "a response without a task id",
                Exchange::Answer => "a response without an image",
            };
            (FaultKind::InDoubt, format!("{what}, {excerpt}: it may have been accepted"))
        }
        (_, None) => (FaultKind::InDoubt, format!("status {status}, {excerpt}: it may have been accepted")),
    };
    // What a clear refusal advises is no advice if another server most likely sent it.
    let say = found.filter(|row| !row.clear).map(|row| row.say.as_str()).filter(|say| !say.is_empty());
    answer.fault(kind, say.map_or(words.clone(), |say| format!("{words}; {say}")))
}
