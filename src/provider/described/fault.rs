//! Faults of a described API: the row of its table that decides, and a message that says what the user can do.

use std::time::Duration;

use crate::description::answers::ErrorRow;
use crate::description::format::Description;
use crate::description::span::TimeOfDay;
use crate::description::words::{AnswerStage, FaultWord};
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Timestamp;
use crate::provider::described::reading::Envelope;
use crate::provider::http::api_response::ApiResponse;

/// Shortest wait that may last until the next quota. A shorter one is a limit on the pace.
const QUOTA_WAIT_MIN: Duration = Duration::from_secs(3600);

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// Returns the row of the table that decides about an answer; `None` if no row matches.
pub(crate) fn row<'a>(
    api: &'a Description,
    stage: AnswerStage,
    status: u16,
    envelope: &Envelope,
) -> Option<&'a ErrorRow> {
    api.errors.table.iter().find(|row| row.matches(stage, status, &envelope.code, &envelope.message))
}

/// Returns the words of an answer for a message.
pub(crate) fn quoted(answer: &ApiResponse, envelope: &Envelope) -> String {
    let status = answer.status;
    match (envelope.message.as_str(), envelope.code.as_str()) {
        ("", "") => format!("HTTP status {status}"),
        ("", words) => format!("{words} ({status})"),
        (words, "") => format!("{words} ({status})"),
        (words, code) => format!("{words} ({status}, {code})"),
    }
}

/// Creates the fault of this kind. `words` are those of the provider, and `row` decided.
pub(crate) fn fault(
    api: &Description,
    kind: FaultWord,
    words: &str,
    row: Option<&ErrorRow>,
    answer: &ApiResponse,
) -> Fault {
    let wait = answer.retry_after().or(answer.rate.after_refusal());
    let is_pace = kind == FaultWord::QuotaExhausted && wait.is_some_and(|wait| wait < QUOTA_WAIT_MIN);
    let kind = if is_pace { FaultWord::Throttled } else { kind };
    let message = match kind {
        FaultWord::Throttled => format!("too many requests: {words}"),
        FaultWord::QuotaExhausted => format!("the quota or the credit is used up: {words}"),
        FaultWord::Unauthorized => unauthorized(api, words),
        FaultWord::TaskLost => format!("the API does not know this task: {words}"),
        FaultWord::BadOutput => format!("there is no usable image: {words}"),
        FaultWord::InDoubt => format!("{words}: it may have been accepted"),
        FaultWord::Transient | FaultWord::Moderated | FaultWord::InvalidRequest => words.to_owned(),
    };
    let say = row.map(|row| row.say.as_str()).filter(|say| !say.is_empty());
    let message = say.map_or(message.clone(), |say| format!("{message}; {say}"));
    if kind == FaultWord::QuotaExhausted {
        let is_model_quota = row.is_some_and(|row| row.model_quota);
        return Fault { is_model_quota, ..quota_spent(api, message, answer) };
    }
    match kind {
        FaultWord::Throttled => Fault::new(FaultKind::Throttled { retry_after: wait }, message),
        _ => Fault::new(kind.kind(), message).with_retry_after(answer.retry_after()),
    }
}

/// Creates the fault of a used-up quota, with the time of the next one: by `Retry-After`, or by the time of day that the description names.
pub(crate) fn quota_spent(api: &Description, message: String, answer: &ApiResponse) -> Fault {
    let resets_at = api.quota_resets.zip(answer.date).map(|(TimeOfDay(at), date)| {
        let at = i64::try_from(at.as_millis()).unwrap_or_default();
        let n_days = (date.millis() - at).div_euclid(DAY_MILLIS) + 1;
        Timestamp::from_millis(n_days * DAY_MILLIS + at)
    });
    let by_day = resets_at.zip(answer.date).map(|(resets_at, date)| resets_at.since(date));
    let resets_in = answer.retry_after().or(by_day);
    Fault { resets_in, ..Fault::new(FaultKind::QuotaExhausted { resets_at }, message) }
}

fn unauthorized(api: &Description, words: &str) -> String {
    let page = &api.token.page;
    let remedy = match (api.token.env.first(), page.as_str()) {
        (Some(variable), "") => format!("check the variable {variable}"),
        (Some(variable), page) => format!("check the variable {variable}, or make a new token at {page}"),
        (None, _) => "the description says that the service needs none; check --base-url".to_owned(),
    };
    format!("the token was refused: {words}; {remedy}")
}

/// Creates the fault for an answer that says nothing about its task.
pub(crate) fn silence(answer: &ApiResponse) -> Fault {
    let what = match (&answer.cut, answer.status) {
        (Some(cut), _) => format!("the response broke off ({cut})"),
        (None, 200..300) => "a response without a status".to_owned(),
        (None, status) => format!("status {status}"),
    };
    answer.fault(FaultKind::Transient, format!("could not poll: {what}, {}", answer.excerpt()))
}
