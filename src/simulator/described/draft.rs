//! Draft of an answer, which begins as a recorded one if the description has it.

use serde_json::Value;

use crate::description::examples::Example;
use crate::description::format::Description;
use crate::description::pointer::{first_said, scalar};
use crate::description::words::{AnswerStage, Expectation};

/// Shortest recorded id that is replaced inside other texts.
const ID_CHARS_MIN: usize = 6;

/// Answer before it is sent.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulator) struct Draft {
    /// HTTP status.
    pub(in crate::simulator) status: u16,
    /// Body.
    pub(in crate::simulator) body: Value,
}

impl Draft {
    /// Success without a word.
    pub(in crate::simulator) const fn empty() -> Self {
        Self { status: 200, body: Value::Null }
    }
}

/// Returns the first recorded answer that is wanted and whose body is JSON.
pub(in crate::simulator) fn template(api: &Description, is_wanted: impl Fn(&Example) -> bool) -> Option<Draft> {
    let wanted =
        |example: &&Example| matches!(example.body, Some(Value::Object(_) | Value::Array(_))) && is_wanted(example);
    let example = api.examples.iter().find(wanted)?;
    Some(Draft { status: example.status, body: example.body.clone()? })
}

/// Returns the recorded success with this conclusion, or an empty one.
pub(in crate::simulator) fn success(api: &Description, stage: AnswerStage, expect: Expectation) -> Draft {
    let is_wanted =
        |example: &Example| example.stage == stage && example.expect == expect && (200..300).contains(&example.status);
    template(api, is_wanted).unwrap_or(Draft::empty())
}

/// Leads every address in a body to this machine, and replaces the recorded id. No client that follows an address of a simulated answer
/// reaches the real service.
pub(in crate::simulator) fn localize(api: &Description, body: &mut Value, origin: &str, id: &str) {
    let recorded = success(api, AnswerStage::Submit, Expectation::Accepted);
    let recorded = first_said(&api.accepted.id, &recorded.body).and_then(scalar);
    let recorded = recorded.filter(|text| text.len() >= ID_CHARS_MIN);
    rewrite(body, &|text| {
        let own = recorded.as_ref().map_or_else(|| text.to_owned(), |recorded| text.replace(recorded, id));
        let rest = own.strip_prefix("https://").or_else(|| own.strip_prefix("http://"));
        match rest {
            Some(rest) => format!("{origin}{}", rest.find('/').map_or("", |at| &rest[at..])),
            None => own,
        }
    });
}

fn rewrite(value: &mut Value, change: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rewrite(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
