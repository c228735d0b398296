//! Faults of a described API: the row of its table that decides, and a message that says what the user can do.

use std::time::Duration;

use crate::description::error_row::{ErrorFacts, ErrorRow};
use crate::description::format::Description;
use crate::description::span::TimeOfDay;
use crate::description::words::{AnswerStage, FaultWord};
use crate::model::outcome::{Fault, FaultKind, TaskId};
use crate::model::time::Timestamp;
use crate::provider::described::reading::Envelope;
use crate::provider::http::api_response::ApiResponse;

/// Shortest wait that may last until the next quota. A shorter one is a limit on the pace.
const QUOTA_WAIT_MIN: Duration = Duration::from_secs(3600);

const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// Places in messages of a description for the page on which a token is made, and for the variable that holds it.
const PAGE: &str = "{page}";
const VARIABLE: &str = "{variable}";

/// Request whose answer is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Kind of the request.
    pub stage: AnswerStage,
    /// Requested model; empty if it is not known.
    pub model: &'a str,
    /// Polled task; `None` for a submission.
    pub task: Option<&'a TaskId>,
}

impl<'a> Asked<'a> {
    /// A submission for this model.
    pub(crate) const fn submission(model: &'a str) -> Self {
        Self { stage: AnswerStage::Submit, model, task: None }
    }

    /// A request of this kind about a task.
    pub(crate) const fn about(stage: AnswerStage, task: Option<&'a TaskId>) -> Self {
        Self { stage, model: "", task }
    }
}

/// Returns the row of the table that decides about an answer with this status; `None` if no row matches.
pub(crate) fn row<'a>(
    api: &'a Description,
    asked: Asked<'_>,
    status: u16,
    answer: &ApiResponse,
    envelope: &Envelope,
) -> Option<&'a ErrorRow> {
    let facts = ErrorFacts {
        model: asked.model,
        task: asked.task.map_or("", |task| &task.0),
        is_spent: [answer.remaining, answer.model_remaining].contains(&Some(0)),
        ..ErrorFacts::new(asked.stage, status, &envelope.code, &envelope.message)
    };
    api.errors.table.iter().find(|row| row.matches(&facts))
}

/// Returns the words of an answer for a message.
pub(crate) fn quoted(status: u16, envelope: &Envelope) -> String {
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
    model: &str,
) -> Fault {
    let retry_after = answer.retry_after();
    let is_credit = row.is_some_and(|row| row.credit);
    let is_pace = kind == FaultWord::QuotaExhausted && retry_after.is_some_and(|wait| wait < QUOTA_WAIT_MIN);
    let say = row.map(|row| row.say.as_str()).filter(|say| !say.is_empty());
    let (kind, row) = if is_pace && !is_credit { (FaultWord::Throttled, None) } else { (kind, row) };
    let is_quota = kind == FaultWord::QuotaExhausted && !is_credit;
    let usual = match kind {
        FaultWord::Throttled => "too many requests",
        FaultWord::QuotaExhausted if is_credit => "out of credit",
        FaultWord::QuotaExhausted if api.quota_words.lead.is_empty() => "the quota or the credit is used up",
        FaultWord::QuotaExhausted => &api.quota_words.lead,
        FaultWord::TaskLost => "the API does not know this task",
        FaultWord::BadOutput if row.is_some() => "there is no usable image",
        FaultWord::Unauthorized => "the token was refused",
        FaultWord::BadOutput
        | FaultWord::InDoubt
        | FaultWord::Transient
        | FaultWord::Moderated
        | FaultWord::InvalidRequest => "",
    };
    let lead = row.and_then(|row| row.lead(model)).unwrap_or_else(|| usual.to_owned());
    let message = if lead.is_empty() { words.to_owned() } else { format!("{lead}: {words}") };
    let message = match kind {
        FaultWord::Unauthorized => message + &token_remedy(api),
        FaultWord::InDoubt => message + ": it may have been accepted",
        _ => message,
    };
    let message = match say.or(Some(&*api.quota_words.say).filter(|say| is_quota && !say.is_empty())) {
        Some(say) => format!("{message}; {say}"),
        None => message,
    };
    match kind {
        FaultWord::Throttled => {
            let wait = retry_after.or(answer.rate.after_refusal());
            Fault::new(FaultKind::Throttled { retry_after: wait }, message)
        }
        FaultWord::QuotaExhausted if is_quota => {
            let is_model_quota = row.is_some_and(|row| row.is_of_model(words, model));
            Fault { is_model_quota, ..quota_spent(api, message, answer) }
        }
        _ => Fault::new(kind.kind(), message).with_retry_after(retry_after),
    }
}

/// Creates the fault of a quota that is used up by the headers of an acceptance.
pub(crate) fn spent_by_headers(api: &Description, words: &str, answer: &ApiResponse) -> Fault {
    let lead = Some(&*api.quota_words.lead).filter(|lead| !lead.is_empty()).unwrap_or("the quota is used up");
    let message = match &*api.quota_words.say {
        "" => format!("{lead}: {words}"),
        say => format!("{lead}: {words}; {say}"),
    };
    // The wait of an acceptance is about the next poll or the next submission, and not about the quota.
    quota_spent(api, message, &ApiResponse { date: answer.date, ..ApiResponse::default() })
}

/// Creates the fault of a used-up quota, with the time of the next one: by the time of day that the description names, or by `Retry-After`.
fn quota_spent(api: &Description, message: String, answer: &ApiResponse) -> Fault {
    let resets_at = api.quota_resets.zip(answer.date).map(|(TimeOfDay(at), date)| {
        let at = i64::try_from(at.as_millis()).unwrap_or_default();
        let n_days = (date.millis() - at).div_euclid(DAY_MILLIS) + 1;
        Timestamp::from_millis(n_days * DAY_MILLIS + at)
    });
    let by_day = resets_at.zip(answer.date).map(|(resets_at, date)| resets_at.since(date));
    let resets_in = by_day.or(answer.retry_after());
    Fault { resets_in, ..Fault::new(FaultKind::QuotaExhausted { resets_at }, message) }
}

/// Returns what to do about a token that was refused, as the end of a message.
fn token_remedy(api: &Description) -> String {
    let page = &api.token.page;
    let variable = api.token.env.first();
    if !api.token.remedy.is_empty() {
        let remedy = api.token.remedy.replace(PAGE, page);
        return format!(". {}", remedy.replace(VARIABLE, variable.map_or("", String::as_str)));
    }
    match (variable, page.as_str()) {
        (Some(variable), "") => format!("; check the variable {variable}"),
        (Some(variable), page) => format!("; check the variable {variable}, or make a new token at {page}"),
        (None, _) => "; the description says that the service needs none; check --base-url".to_owned(),
    }
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
