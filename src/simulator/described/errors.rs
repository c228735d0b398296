//! Errors of a described API: the status, code and message for which its own table says what is meant.

use serde_json::Value;

use crate::description::error_row::{ErrorFacts, ErrorRow};
use crate::description::examples::Example;
use crate::description::format::Description;
use crate::description::pointer::{first_said, scalar};
use crate::description::words::{AnswerStage, FaultWord};
use crate::simulator::described::draft::{Draft, template};
use crate::simulator::described::put::{is_said, put};

/// What an error says in its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    status: u16,
    code: String,
    message: String,
}

/// Error to write.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulator) struct ErrorWish<'a> {
    /// Request that is answered.
    pub(in crate::simulator) stage: AnswerStage,
    /// Meaning.
    pub(in crate::simulator) kind: FaultWord,
    /// Message, if the table allows it.
    pub(in crate::simulator) words: &'a str,
    /// Status if the table does not choose one.
    pub(in crate::simulator) status: u16,
    /// True if no other status is possible.
    pub(in crate::simulator) is_fixed: bool,
}

/// Returns the answer with this error. A recorded answer with the same meaning is its template.
pub(in crate::simulator) fn error(api: &Description, wish: ErrorWish<'_>) -> Draft {
    let is_recorded = |example: &Example| {
        let status = if wish.is_fixed { example.status == wish.status } else { example.status >= 300 };
        status && example.stage == wish.stage && example.expect.word() == word(wish.kind)
    };
    let Some(mut draft) = template(api, is_recorded) else {
        let mut draft = Draft { status: wish.status, body: Value::Null };
        write(api, wish, &mut draft);
        return draft;
    };
    let code = first_said(&api.errors.code, &draft.body).and_then(scalar).unwrap_or_default();
    let words = Words { status: draft.status, code, message: wish.words.to_owned() };
    // The recorded message decides if another message would mean something else.
    if is_said(&draft.body, &api.errors.message) && means(api, wish.stage, &words) == Some(wish.kind) {
        put(&mut draft.body, &api.errors.message, &wish.words.into());
    }
    draft
}

/// Writes an error into an answer, beside what is there.
pub(in crate::simulator) fn write(api: &Description, wish: ErrorWish<'_>, draft: &mut Draft) {
    let words = choose(api, wish);
    draft.status = words.status;
    let is_told = put(&mut draft.body, &api.errors.message, &words.message.as_str().into());
    let code = if is_told {
        words.code
    } else if words.code.is_empty() {
        words.message
    } else {
        words.code
    };
    if !code.is_empty() {
        put(&mut draft.body, &api.errors.code, &code.into());
    }
    let form = api.errors.forms.first();
    for own in api.errors.own.chunks(1).chain(form.into_iter().flat_map(|form| form.texts.chunks(1))) {
        if !is_said(&draft.body, own) {
            put(&mut draft.body, own, &"00000000-0000-4000-8000-000000000000".into());
        }
    }
}

/// Returns the words that mean what is wished, by the first row of the table that can say it.
fn choose(api: &Description, wish: ErrorWish<'_>) -> Words {
    let is_meant = |row: &&ErrorRow| row.kind == wish.kind && (row.stage.is_empty() || row.stage.contains(&wish.stage));
    let mut rows: Vec<_> = api.errors.table.iter().filter(is_meant).collect();
    // A row for this stage alone is more exact, a clear refusal leaves no doubt, and the usual status is the likeliest.
    let has_status =
        |row: &ErrorRow| row.status.is_empty() || row.status.iter().any(|range| range.contains(wish.status));
    rows.sort_by_key(|row| (row.stage.is_empty(), wish.stage == AnswerStage::Submit && !row.clear, !has_status(row)));
    let candidates = rows.iter().flat_map(|row| candidates(row, wish));
    let fits = |words: &Words| means(api, wish.stage, words) == Some(wish.kind);
    candidates.into_iter().find(fits).unwrap_or_else(|| Words {
        status: wish.status,
        code: String::new(),
        message: wish.words.to_owned(),
    })
}

/// Returns the words that this row may match, the best first.
fn candidates(row: &ErrorRow, wish: ErrorWish<'_>) -> Vec<Words> {
    let lows = row.status.iter().map(|statuses| *statuses.0.start());
    let is_free = |status: u16| row.status.is_empty() || row.status.iter().any(|statuses| statuses.contains(status));
    let statuses = [wish.status].into_iter().filter(|status| is_free(*status)).chain(lows);
    let statuses: Vec<_> = statuses.filter(|status| !wish.is_fixed || *status == wish.status).collect();
    let own = row.contains.iter().find(|text| wish.words.to_lowercase().contains(text.as_str()));
    let messages = match (row.contains.first(), own) {
        (None, _) | (_, Some(_)) => vec![wish.words.to_owned()],
        (Some(text), None) => vec![format!("{} ({text})", wish.words), text.clone()],
    };
    let codes = if row.code.is_empty() { vec![String::new()] } else { row.code.to_vec() };
    let mut words = Vec::new();
    for status in statuses {
        for code in &codes {
            for message in &messages {
                words.push(Words { status, code: code.clone(), message: message.clone() });
            }
        }
    }
    words
}

/// Returns what the table says about these words.
fn means(api: &Description, stage: AnswerStage, words: &Words) -> Option<FaultWord> {
    let facts = ErrorFacts::new(stage, words.status, &words.code, &words.message);
    let row = api.errors.table.iter().find(|row| row.matches(&facts));
    row.map(|row| row.kind)
}

/// Returns the word of a fault in an example.
const fn word(kind: FaultWord) -> &'static str {
    match kind {
        FaultWord::Throttled => "throttled",
        FaultWord::QuotaExhausted => "quota_exhausted",
        FaultWord::Transient => "transient",
        FaultWord::InDoubt => "in_doubt",
        FaultWord::TaskLost => "task_lost",
        FaultWord::Moderated => "moderated",
        FaultWord::InvalidRequest => "invalid_request",
        FaultWord::Unauthorized => "unauthorized",
        FaultWord::BadOutput => "bad_output",
    }
}
