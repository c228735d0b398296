//! Value parser of each field: rejects wrong types, sizes and ranges that no provider accepts.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::big_integer::{is_above, is_rounded, is_whole, large_digits};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::json;
use crate::manifest::fields::missing::{is_missing, meant_decimal, meant_list, meant_whole};
use crate::manifest::fields::range;
use crate::manifest::fields::value::{UnparsedValue, Value, shown, shown_text};
use crate::manifest::fields::yes_or_no::meaning;
use crate::model::escape::excerpt;
use crate::model::request::{Json, Size};
use crate::model::request_limits::FieldRanges;

/// Limit of the provider: it accepts texts of fewer than 2000 characters.
const TEXT_CHARS_MAX: usize = 1_999;

/// Limit on the length of an id, because the id becomes part of file names.
const ID_CHARS_MAX: usize = 200;

/// Limit on the length of a column name, because the ledger stores the name with every row.
const COLUMN_CHARS_MAX: usize = 200;

const SEED: RangeInclusive<i64> = 0..=SEED_MAX;
const N: RangeInclusive<i64> = 1..=10_000;

/// Highest seed that the provider accepts.
pub(crate) const SEED_MAX: i64 = (1 << 31) - 1;

/// Parses a prompt: not empty, not too long, otherwise exactly as written.
pub(crate) fn prompt(raw: UnparsedValue) -> Result<String, Issue> {
    let text = long_text(Field::Prompt, raw)?;
    if text.chars().all(is_invisible) {
        let what = if text.trim().is_empty() {
            "`prompt` is empty"
        } else {
            "`prompt` has only characters that cannot be seen"
        };
        return Err(wrong(what, "describe the image, or remove the entry"));
    }
    Ok(text)
}

/// Returns whether a character shows nothing: white space, zero-width characters, marks of direction, fillers.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{115f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Parses a negative prompt. An empty text is valid: it cancels the negative prompt of the defaults.
pub(crate) fn negative_prompt(raw: UnparsedValue) -> Result<String, Issue> {
    long_text(Field::NegativePrompt, raw)
}

fn long_text(field: Field, raw: UnparsedValue) -> Result<String, Issue> {
    let name = field.name();
    let text = text(field, raw)?;
    let n_chars = text.chars().count();
    if n_chars > TEXT_CHARS_MAX {
        let what = format!("`{name}` has {n_chars} characters");
        return Err(wrong(what, format!("shorten it to at most {TEXT_CHARS_MAX}")));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        Some(c) => Err(control(field, c)),
        None => Ok(text),
    }
}

pub(crate) fn model(raw: UnparsedValue) -> Result<String, Issue> {
    short_text(Field::Model, raw)
}

/// Parses the provider of an entry: a name, or the path of a description beside the manifest.
pub(crate) fn provider(raw: UnparsedValue) -> Result<String, Issue> {
    short_text(Field::Provider, raw)
}

/// Returns whether the text has the form `org/name`. All model ids so far have this form.
pub(crate) fn is_repo_id(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.contains(['/', ' ', '\t']);
    text.split_once('/').is_some_and(|(org, name)| is_part(org) && is_part(name))
}

/// Parses the user's own id of an entry. A number is accepted as text.
pub(crate) fn id(raw: UnparsedValue) -> Result<String, Issue> {
    let id = short_text(Field::Id, number_as_text(raw))?;
    match id.chars().count() {
        0..=ID_CHARS_MAX => Ok(id),
        n_chars => {
            Err(wrong(format!("`id` has {n_chars} characters"), format!("shorten it to at most {ID_CHARS_MAX}")))
        }
    }
}

fn number_as_text(raw: UnparsedValue) -> UnparsedValue {
    match raw {
        UnparsedValue::Typed(Value::Int(number)) => UnparsedValue::Cell(number.to_string()),
        UnparsedValue::Typed(Value::BigInt(digits)) => UnparsedValue::Cell(digits),
        other => other,
    }
}

/// Parses a non-empty text on one line. Removes the white space around it.
pub(crate) fn short_text(field: Field, raw: UnparsedValue) -> Result<String, Issue> {
    let name = field.name();
    let text = text(field, raw)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(wrong(format!("`{name}` is empty"), format!("write its value, or leave `{name}` out")));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(control(field, c)),
        None => Ok(text.to_owned()),
    }
}

/// Returns a text without checks. The checks follow when the template is rendered.
pub(crate) fn loose(field: Field, raw: UnparsedValue) -> Result<String, Issue> {
    match field {
        Field::Id => text(field, number_as_text(raw)),
        _ => text(field, raw),
    }
}

fn text(field: Field, raw: UnparsedValue) -> Result<String, Issue> {
    let name = field.name();
    let value = match raw {
        UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text)) => return Ok(text),
        UnparsedValue::Typed(value) => value,
    };
    let remedy = match &value {
        Value::Null => "write the text, in quotes if it is meant to be the word null".to_owned(),
        Value::Bool(flag) => format!("put it in quotes: {name}: \"{flag}\""),
        Value::Int(number) => format!("put it in quotes: {name}: \"{number}\""),
        Value::BigInt(digits) => format!("put it in quotes: {name}: \"{}\"", excerpt(digits, 40)),
        Value::Float(number) => format!("put it in quotes: {name}: \"{number:?}\""),
        Value::Text(_) | Value::List(_) | Value::Map(_) => {
            "write one text; put it in quotes if it begins with a bracket or holds a colon".to_owned()
        }
    };
    Err(wrong(format!("`{name}` is {}, not text", shown(&value)), remedy))
}

/// Parses width and height in pixels.
pub(crate) fn size(raw: &UnparsedValue, ranges: FieldRanges) -> Result<Size, Issue> {
    let written = match raw {
        UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text)) => text.clone(),
        UnparsedValue::Typed(Value::Int(side)) => side.to_string(),
        UnparsedValue::Typed(Value::List(sides)) => sides.iter().map(number_text).collect::<Vec<_>>().join(", "),
        UnparsedValue::Typed(
            value @ (Value::Null | Value::Bool(_) | Value::BigInt(_) | Value::Float(_) | Value::Map(_)),
        ) => {
            return Err(wrong(format!("`size` is {}", shown(value)), SIZE_REMEDY));
        }
    };
    let Ok(size) = written.parse::<Size>() else {
        let remedy = meant_size(&written, ranges).map_or_else(|| size_remedy(raw), |size| format!("write {size}"));
        return Err(wrong(format!("`size` is `{}`, not WIDTHxHEIGHT", excerpt(&written, 40)), remedy));
    };
    if !is_drawable(size, ranges) {
        let pixels = ranges.side();
        let what = format!("`size` is {size}, and a side is outside {} to {} pixels", pixels.start(), pixels.end());
        return Err(wrong(what, SIZE_REMEDY));
    }
    Ok(size)
}

const SIZE_REMEDY: &str = "write width and height in pixels, from 64x64 to 2048x2048, for example 1024x768";

/// Returns the remedy for a text that is no size.
fn size_remedy(raw: &UnparsedValue) -> String {
    match raw {
        UnparsedValue::Cell(text) if is_missing(text) => "leave the cell empty".to_owned(),
        // A table of clothes has sizes of its own.
        UnparsedValue::Cell(text) if !text.contains(|c: char| c.is_ascii_digit()) => {
            format!("{SIZE_REMEDY}, or keep a column of your own with --carry size")
        }
        UnparsedValue::Cell(_) | UnparsedValue::Typed(_) => SIZE_REMEDY.to_owned(),
    }
}

fn is_drawable(size: Size, ranges: FieldRanges) -> bool {
    ranges.side().contains(&size.width) && ranges.side().contains(&size.height)
}

/// Guesses the size that the user meant by `1024`, `1024*768`, `1024×768` or `1024 x 768 px`.
fn meant_size(written: &str, ranges: FieldRanges) -> Option<Size> {
    let mut sides = written.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let width = sides.next()?.parse().ok()?;
    let height = sides.next().map_or(Some(width), |side| side.parse().ok())?;
    let size = Size { width, height };
    (sides.next().is_none() && is_drawable(size, ranges)).then_some(size)
}

fn number_text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        other => shown(other),
    }
}

/// Stands for a seed that is drawn for each job, until it is drawn. No provider accepts such a number.
pub(crate) const RANDOM_SEED: u64 = u64::MAX;

/// Word for such a seed.
const RANDOM: &str = "random";

pub(crate) fn seed(raw: &UnparsedValue) -> Result<u64, Issue> {
    const REMEDY: &str = ", or `random` to have one drawn and recorded, or leave it out";
    if let UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text)) = raw
        && text.trim().eq_ignore_ascii_case(RANDOM)
    {
        return Ok(RANDOM_SEED);
    }
    whole(Field::Seed, raw, SEED, REMEDY).map(i64::cast_unsigned).map_err(|Issue { what, remedy }| {
        let fold = if is_above(raw, SEED_MAX) { ", or add --fold-seeds for a remainder" } else { "" };
        wrong(what, remedy + fold)
    })
}

pub(crate) fn steps(raw: &UnparsedValue, ranges: FieldRanges) -> Result<u32, Issue> {
    whole(Field::Steps, raw, ranges.steps(), "").map(small)
}

/// Parses the number of images.
pub(crate) fn n(raw: &UnparsedValue) -> Result<u32, Issue> {
    let is_none = match raw {
        UnparsedValue::Cell(text) => matches!(text.trim(), "0" | "0.0"),
        UnparsedValue::Typed(value) => *value == Value::Int(0),
    };
    let remedy = if is_none { "; to leave the entry out, write `skip: yes`" } else { "" };
    whole(Field::N, raw, N, remedy).map(small)
}

pub(crate) const SKIP_REMEDY: &str = "write yes to leave the entry out, and no or nothing to run it";

/// Parses whether an entry is to be left out.
pub(crate) fn skip(raw: &UnparsedValue) -> Result<bool, Issue> {
    let (meant, shown) = match raw {
        UnparsedValue::Cell(text) => (meaning(text), shown_text(text)),
        UnparsedValue::Typed(Value::Text(text)) => (meaning(text), shown_text(text)),
        UnparsedValue::Typed(Value::Bool(flag)) => (Some(*flag), String::new()),
        UnparsedValue::Typed(Value::Int(number @ 0..=1)) => (Some(*number == 1), String::new()),
        UnparsedValue::Typed(value) => (None, shown(value)),
    };
    let remedy = match raw {
        UnparsedValue::Cell(_) => format!("{SKIP_REMEDY}, or keep a column of your own with --carry skip"),
        UnparsedValue::Typed(_) => SKIP_REMEDY.to_owned(),
    };
    meant.ok_or_else(|| wrong(format!("`skip` is {shown}, not yes or no"), remedy))
}

fn small(number: i64) -> u32 {
    u32::try_from(number).expect("the ranges of `steps` and `n` are within u32")
}

fn whole(field: Field, raw: &UnparsedValue, range: RangeInclusive<i64>, or_else: &str) -> Result<i64, Issue> {
    let name = field.name();
    let remedy = || format!("write a whole number from {} to {}{or_else}", range.start(), range.end());
    if let Some(digits) = large_digits(raw) {
        let what = format!("`{name}` is {}, outside {} to {}", excerpt(digits, 40), range.start(), range.end());
        return Err(wrong(what, remedy()));
    }
    let (number, shown) = match raw {
        // Spreadsheets and data frames write whole numbers as 42.0 as soon as one cell of the column is empty.
        UnparsedValue::Cell(text) => {
            let text = text.trim();
            (text.strip_suffix(".0").unwrap_or(text).parse().ok(), shown_text(text))
        }
        UnparsedValue::Typed(Value::Int(number)) => (Some(*number), String::new()),
        UnparsedValue::Typed(Value::Text(text)) if is_whole(text) => {
            return Err(wrong(
                format!("`{name}` is the text {}, not a number", shown_text(text)),
                "write it without quotes",
            ));
        }
        UnparsedValue::Typed(value) => (None, shown(value)),
    };
    match number {
        None => {
            let remedy = of_cell(raw, |text| meant_whole(text).map(|number| number.to_string()))
                .or_else(|| of_list(raw).filter(|_| field != Field::N))
                .or_else(|| of_range(raw).filter(|_| field != Field::N))
                .or_else(|| {
                    is_rounded(raw).then(|| "write all of its digits: as a float it has lost the last ones".to_owned())
                })
                .unwrap_or_else(remedy);
            Err(wrong(format!("`{name}` is {shown}, not a whole number"), remedy))
        }
        Some(number) if range.contains(&number) => Ok(number),
        Some(number) => {
            Err(wrong(format!("`{name}` is {number}, outside {} to {}", range.start(), range.end()), remedy()))
        }
    }
}

/// Parses the guidance scale: how closely the image follows the prompt.
pub(crate) fn guidance(raw: &UnparsedValue, ranges: FieldRanges) -> Result<f64, Issue> {
    let range = ranges.guidance();
    let remedy = format!("write a number from {} to {}", range.start(), range.end());
    let (number, shown) = match raw {
        UnparsedValue::Cell(text) => {
            (text.trim().parse().ok().filter(|number: &f64| !number.is_nan()), shown_text(text))
        }
        UnparsedValue::Typed(Value::Float(number)) => (Some(*number), String::new()),
        #[expect(clippy::cast_precision_loss, reason = "any number that loses precision is far out of range")]
        UnparsedValue::Typed(Value::Int(number)) => (Some(*number as f64), String::new()),
        UnparsedValue::Typed(Value::BigInt(digits)) => (digits.parse().ok(), String::new()),
        UnparsedValue::Typed(Value::Text(text)) if text.parse::<f64>().is_ok() => {
            return Err(wrong(
                format!("`guidance` is the text {}, not a number", shown_text(text)),
                "write it without quotes",
            ));
        }
        UnparsedValue::Typed(value) => (None, shown(value)),
    };
    match number {
        None => {
            let remedy = of_cell(raw, |text| meant_decimal(text).map(|number| number.to_string()))
                .or_else(|| of_list(raw))
                .or_else(|| of_range(raw))
                .unwrap_or(remedy);
            Err(wrong(format!("`guidance` is {shown}, not a number"), remedy))
        }
        Some(number) if range.contains(&number) => Ok(number),
        Some(number) => {
            let what = format!("`guidance` is {number}, outside {} to {}", range.start(), range.end());
            Err(wrong(what, remedy))
        }
    }
}

/// Returns the remedy for a cell with a word for a missing value, or with a number in another spelling.
fn of_cell(raw: &UnparsedValue, meant: impl Fn(&str) -> Option<String>) -> Option<String> {
    let UnparsedValue::Cell(text) = raw else { return None };
    if is_missing(text) {
        return Some("leave the cell empty".to_owned());
    }
    meant(text).map(|number| format!("write {number}"))
}

/// Returns the remedy for a text that is a list of numbers in another notation.
fn of_list(raw: &UnparsedValue) -> Option<String> {
    let list = match raw {
        // In CSV the commas need the quotes.
        UnparsedValue::Cell(text) => format!("\"{}\"", meant_list(text)?),
        UnparsedValue::Typed(Value::Text(text)) => meant_list(text)?,
        UnparsedValue::Typed(_) => return None,
    };
    Some(format!("write {list} for one image of each"))
}

/// Returns the remedy for a text that is a range in another notation.
fn of_range(raw: &UnparsedValue) -> Option<String> {
    match raw {
        UnparsedValue::Cell(text) | UnparsedValue::Typed(Value::Text(text)) => range::meant(text),
        UnparsedValue::Typed(_) => None,
    }
}

/// Serializes parameters as they are sent.
pub(crate) fn sent(params: &BTreeMap<String, Value>) -> BTreeMap<String, Json> {
    params.iter().map(|(name, value)| (name.clone(), Json(json::write(value)))).collect()
}

/// Checks the length of a passthrough column's name.
pub(crate) fn column(name: &str) -> Result<(), Issue> {
    match name.chars().count() {
        0..=COLUMN_CHARS_MAX => Ok(()),
        n_chars => {
            let what = format!("the name {} has {n_chars} characters", shown_text(name));
            Err(wrong(what, format!("shorten it to at most {COLUMN_CHARS_MAX}")))
        }
    }
}

fn control(field: Field, c: char) -> Issue {
    let code = u32::from(c);
    wrong(format!("`{}` holds the control character U+{code:04X}", field.name()), "remove it")
}
