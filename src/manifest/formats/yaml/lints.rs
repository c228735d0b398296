//! YAML lints: words and numbers that YAML interprets differently from their author, reported as they are written in the file.

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::expand::options::{SYNTAX, VARS};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldValue, Spanned};
use crate::manifest::fields::missing::meant_whole;
use crate::manifest::fields::value::{UnparsedValue, Value, shown, shown_text};
use crate::manifest::formats::yaml::context::Context;
use crate::manifest::formats::yaml::line_index::{LineIndex, TextPosition};
use crate::manifest::formats::yaml::spanned::{YamlKind, YamlNode};
use crate::manifest::template::parsed::is_name;

/// Words that YAML 1.1 reads as true or false, and YAML 1.2 as text.
const WORDS_OF_ELSEWHERE: [&str; 4] = ["yes", "no", "on", "off"];

/// Most words of an item of a list that was written without its brackets.
const LIST_WORDS_MAX: usize = 2;

/// Checks a value of a field before it is read. Returns whether a mistake was reported.
pub(crate) fn surprises(context: &mut Context, field: Field, node: &YamlNode, name: Location) -> bool {
    let YamlKind::Scalar(value) = &node.kind else { return false };
    let place = context.place_of_value(node.mark, value, name);
    if matches!(field, Field::Prompt | Field::NegativePrompt) {
        warn_of_text(context, node.mark, value, place);
    }
    let Some(written) = written(context.lines, node.mark, value) else { return false };
    let found = match field {
        Field::Seed | Field::Steps | Field::N => whole(field, written, value),
        Field::Guidance => decimal(field, written, value),
        Field::Prompt | Field::NegativePrompt | Field::Provider | Field::Model | Field::Id => {
            text(field, written, value)
        }
        Field::Size | Field::ImageUrl | Field::Loras | Field::Params | Field::Skip => None,
    };
    let Some(wrong) = found else { return false };
    context.findings.mistakes.push(place, wrong);
    true
}

/// Warns about a text that a comment cuts short, or that other YAML readers do not read as text.
pub(crate) fn warn_of_text(context: &mut Context, mark: Option<TextPosition>, value: &Value, place: Location) {
    let (Some(at), Value::Text(text)) = (mark, value) else { return };
    if let Some(lost) = context.lines.lost_hash(at, text) {
        let what = format!("the prompt ends at {}, because ` #` begins a comment", shown_text(tail(text)));
        let wrong = wrong(what, "put the prompt in quotes if `#` belongs to it");
        context.findings.warnings.push(lost, wrong);
    }
    if WORDS_OF_ELSEWHERE.contains(&text.to_lowercase().as_str()) && written(context.lines, mark, value).is_some() {
        let what = format!("`{text}` is text here, but true or false to other YAML parsers");
        context.findings.warnings.push(place, wrong(what, format!("put it in quotes: \"{text}\"")));
    }
}

/// Warns about the only value of a var if it looks like a list without its brackets, such as `red, blue`.
pub(crate) fn warn_of_list(
    context: &mut Context,
    name: &str,
    mark: Option<TextPosition>,
    value: &Value,
    place: Location,
) {
    let Value::Text(text) = value else { return };
    let parts: Vec<&str> = text.split([',', '，', '、', '|', ';']).map(str::trim).collect();
    let is_item = |part: &&str| !part.is_empty() && part.split_whitespace().count() <= LIST_WORDS_MAX;
    if parts.len() < 2 || !parts.iter().all(is_item) || written(context.lines, mark, value).is_none() {
        return;
    }
    let what = format!("the var {} has one value, {}", shown_text(name), shown_text(text));
    let list = shown_text(&format!("[{}]", parts.join(", ")));
    let remedy = format!("write {list} for a prompt with each; put it in quotes if it is one text");
    context.findings.warnings.push(context.place_of_value(mark, value, place), wrong(what, remedy));
}

/// Returns the value as it is written. `None` if it is in quotes, or has an anchor, an alias or a tag.
pub(crate) fn written<'a>(lines: &LineIndex<'a>, mark: Option<TextPosition>, value: &Value) -> Option<&'a str> {
    let text = if let Value::Text(text) = value { text } else { "" };
    let token = lines.token(mark?, text);
    let is_plain = match value {
        Value::Text(text) => token == text,
        // Position of an empty value is that of the next token, so only a written null counts.
        Value::Null => matches!(token, "~" | "null" | "Null" | "NULL"),
        Value::Bool(flag) => token.eq_ignore_ascii_case(&flag.to_string()),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            token.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
                && !token.contains(char::is_whitespace)
        }
        Value::List(_) | Value::Map(_) => false,
    };
    is_plain.then_some(token)
}

/// Returns a number as it is written: `1.10`, not 1.1.
pub(crate) fn number(lines: &LineIndex, mark: Option<TextPosition>, value: &Value) -> Option<String> {
    let read = match value {
        Value::Int(number) => number.to_string(),
        Value::BigInt(digits) => digits.clone(),
        Value::Float(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => return None,
    };
    Some(written(lines, mark, value).map_or(read, str::to_owned))
}

/// Warns about the first prompt that looks like a template, among entries without vars. Returns whether there is one.
pub(crate) fn warn_of_placeholder(entries: &[Entry], warnings: &mut DiagnosticList) -> bool {
    let is_plain = |entry: &&Entry| entry.ways.as_ref().is_none_or(|ways| !ways.names_vars());
    let first = entries.iter().filter(is_plain).flat_map(|entry| &entry.given).find_map(|given| {
        let located = match (given.field, &given.said) {
            (Field::Prompt, FieldValue::One(located)) => std::slice::from_ref(located),
            (Field::Prompt, FieldValue::Many(all)) => all,
            _ => &[],
        };
        located.iter().find_map(placeholder)
    });
    let Some((place, name)) = first else { return false };
    let what = format!("{} is sent as it is: there are no vars", shown_text(&format!("{{{name}}}")));
    let remedy = format!("name it under `{VARS}:`, or write `{SYNTAX}: plain` if it is meant");
    warnings.push(place, wrong(what, remedy));
    true
}

/// Finds the first `{name}` of a text, and its location.
fn placeholder(Spanned { raw, place }: &Spanned) -> Option<(Location, &str)> {
    let (UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text))) = raw else { return None };
    text.match_indices('{').find_map(|(begin, _)| {
        let (name, _) = text[begin + 1..].split_once('}')?;
        is_name(name).then(|| (place.within(text, begin, begin + name.len() + 2), name))
    })
}

/// Detects a number that YAML reads as text, or a whole number that YAML reads as a float.
fn whole(field: Field, written: &str, value: &Value) -> Option<Issue> {
    let meant = match value {
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number}"),
        Value::Text(text) => meant_whole(text)?.to_string(),
        Value::Float(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::List(_)
        | Value::Map(_) => return None,
    };
    Some(wrong(read_as(field, written, value), format!("write {meant}")))
}

fn decimal(field: Field, written: &str, value: &Value) -> Option<Issue> {
    let Value::Text(text) = value else { return None };
    let meant: f64 = text.replace('_', "").replace(',', ".").parse().ok()?;
    meant.is_finite().then(|| wrong(read_as(field, written, value), format!("write {meant}")))
}

/// Detects a text that YAML reads as another type, if the value differs from what is written.
fn text(field: Field, written: &str, value: &Value) -> Option<Issue> {
    let is_as_it_looks = match value {
        Value::Text(_) | Value::Null | Value::List(_) | Value::Map(_) => true,
        Value::Bool(flag) => written == flag.to_string(),
        Value::Int(number) => written == number.to_string(),
        Value::BigInt(digits) => written == digits,
        Value::Float(number) => written == format!("{number:?}"),
    };
    let remedy = || format!("put it in quotes: {}: \"{written}\"", field.name());
    (!is_as_it_looks).then(|| wrong(read_as(field, written, value), remedy()))
}

fn read_as(field: Field, written: &str, value: &Value) -> String {
    let read = if let Value::Text(_) = value { "text".to_owned() } else { shown(value) };
    format!("`{}` is {}, which is read as {read}", field.name(), shown_text(written))
}

/// Returns the end of a text, short enough for a message.
fn tail(text: &str) -> &str {
    const CHARS_MAX: usize = 24;
    match text.char_indices().rev().nth(CHARS_MAX - 1) {
        Some((i, _)) => text[i..].split_once(' ').map_or(&text[i..], |(_, words)| words),
        None => text,
    }
}
