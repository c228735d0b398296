//! JSON Lines reader: one object per line, or one prompt per line as a JSON string.
//!
//! Keys are matched like column titles.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::manifest::columns::{self, Column, ColumnOptions};
use crate::manifest::diagnostic::{Issue, Location, PassDiagnostics, Span, wrong};
use crate::manifest::encoding::Unreadable;
use crate::manifest::entry::{Entry, FieldEntry, FieldValue, Item, Spanned, UnparsedValue, is_axis};
use crate::manifest::expand_options::{self, EXPAND, ExpandMode, ExpandOptions};
use crate::manifest::field::Field;
use crate::manifest::input::ManifestInput;
use crate::manifest::json;
use crate::manifest::lists::ListFiles;
use crate::manifest::read::{shown, shown_text};
use crate::manifest::reader::EntrySource;
use crate::manifest::text_lines::{LineReader, ReadLine};
use crate::manifest::value::Value;
use crate::manifest::yaml::META;
use crate::model::escape::excerpt;

/// Limit on the keys of an object. Each key needs memory, and no results have this many columns.
const KEYS_MAX: usize = 10_000;

/// Limit on the keys whose meaning is cached. A file with more keys has more passthrough columns than are allowed.
const REMEMBERED_MAX: usize = 2_000;

/// Characters of the parser's own message that are shown.
const PROBLEM_CHARS_MAX: usize = 80;

/// Lines of a file as entries.
pub(super) struct Jsonl {
    lines: LineReader<ManifestInput>,
    names: ColumnOptions,
    columns: HashMap<String, Column>,
    n_lines: u64,
    is_done: bool,
}

/// Key of an object and the source text of its value.
struct Pair<'a> {
    name: String,
    value: &'a RawValue,
}

/// Line and its number.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: u64,
    text: &'a str,
}

impl Jsonl {
    pub(super) fn new(input: ManifestInput, names: ColumnOptions) -> Self {
        Self { lines: LineReader::new(input), names, columns: HashMap::new(), n_lines: 0, is_done: false }
    }

    /// Parses a line. Returns `None` if the line has a mistake.
    fn entry(&mut self, line: Line, findings: &mut PassDiagnostics) -> Option<Entry> {
        let place = Location::Line(line.number);
        let mut entry = Entry { place, given: Vec::new(), extras: Vec::new(), ways: None };
        match line.text.trim_start().as_bytes().first() {
            Some(b'{') => match pairs(line.text) {
                Ok(pairs) => return self.object(line, &pairs, entry, findings),
                Err(error) => {
                    // Stops after this line: an incomplete object on the first line probably continues over several lines.
                    self.is_done = error.is_eof() && self.n_lines == 1;
                    findings.mistakes.push(line.place_of(&error), explain(&error));
                }
            },
            Some(b'[') => {
                self.is_done = self.n_lines == 1;
                let remedy = "write one object per line: jq -c '.[]' OLD > NEW";
                findings.mistakes.push(place, wrong("this line is a list, not an object", remedy));
            }
            _ => match json::read(line.text) {
                Ok(value @ Value::Text(_)) => {
                    entry.given.push(FieldEntry::one(Field::Prompt, UnparsedValue::Typed(value), place));
                    return Some(entry);
                }
                Ok(value) => {
                    let what = format!("this line is {}, not an object", shown(&value));
                    findings.mistakes.push(place, wrong(what, OBJECT_REMEDY));
                }
                Err(problem) => {
                    let what = format!("this line is not a JSON object: {}", without_place(&problem));
                    findings.mistakes.push(place, wrong(what, OBJECT_REMEDY));
                }
            },
        }
        None
    }

    fn object(
        &mut self,
        line: Line,
        pairs: &[Pair],
        mut entry: Entry,
        findings: &mut PassDiagnostics,
    ) -> Option<Entry> {
        let n_mistakes = findings.mistakes.n();
        let mut carried = Carried::default();
        for (i, Pair { name, value }) in pairs.iter().enumerate() {
            let place = line.place(value);
            let title = columns::title(i, name);
            let taken = if let Some(combine) = combine(&title, value) {
                entry.ways =
                    Some(Box::new(ExpandOptions { combine: Some((combine, place)), ..ExpandOptions::default() }));
                Ok(())
            } else if title == META && value.get().starts_with('{') {
                meta(value).and_then(|parts| parts.into_iter().try_for_each(|(name, text)| carried.add(name, text)))
            } else {
                match self.column(&title, pairs, place, findings) {
                    Column::Extra(title) => carried.add(title, extra(value)),
                    Column::Known(field) if entry.given.iter().any(|given| given.field == field) => {
                        Err(given_twice(field.name()))
                    }
                    Column::Known(field) => said(field, value, line)
                        .map(|said| entry.given.extend(said.map(|said| FieldEntry { field, place, said }))),
                }
            };
            taken.unwrap_or_else(|wrong| findings.mistakes.push(place, wrong));
        }
        let has_prompt = entry.given.iter().any(|given| given.field == Field::Prompt);
        if !has_prompt && findings.mistakes.n() == n_mistakes {
            findings.mistakes.push(entry.place, no_prompt(pairs, self.names.prompt.as_deref()));
        }
        entry.extras = carried.list;
        (findings.mistakes.n() == n_mistakes).then_some(entry)
    }

    /// Returns the meaning of a key. Warnings about a key are given where it first occurs.
    fn column(&mut self, title: &str, pairs: &[Pair], place: Location, findings: &mut PassDiagnostics) -> Column {
        if let Some(column) = self.columns.get(title) {
            return column.clone();
        }
        let column = Column::of(title, &self.names, &pairs.iter().map(|pair| pair.name.trim()));
        if let Column::Extra(title) = &column {
            columns::warn_of_slip("key", title, place, findings);
        }
        if self.columns.len() < REMEMBERED_MAX {
            self.columns.insert(title.to_owned(), column.clone());
        }
        column
    }
}

/// Reads how the lists of an object combine. Another value under the name `expand` is passed through.
fn combine(title: &str, value: &RawValue) -> Option<ExpandMode> {
    if title != EXPAND {
        return None;
    }
    json::read(value.get()).ok().and_then(|value| expand_options::combine(&value).ok())
}

/// Passthrough values of an object, as pairs of column and text. Names are unique.
#[derive(Default)]
struct Carried {
    list: Vec<(String, String)>,
    names: HashSet<String>,
}

impl Carried {
    fn add(&mut self, name: String, text: String) -> Result<(), Issue> {
        if !self.names.insert(name.clone()) {
            return Err(given_twice(&name));
        }
        self.list.push((name, text));
        Ok(())
    }
}

impl EntrySource for Jsonl {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        let mut bytes = Vec::new();
        while !self.is_done {
            bytes.clear();
            let got = self.lines.next_line(&mut bytes)?;
            let number = self.lines.line();
            match got {
                ReadLine::Line => {}
                ReadLine::End if self.n_lines == 0 => {
                    let remedy = "write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}";
                    findings.mistakes.push(Location::File, wrong("the file is empty", remedy));
                    break;
                }
                ReadLine::End => break,
                ReadLine::TooLong => {
                    let remedy = "write one object per line: jq -c . OLD > NEW";
                    findings.mistakes.push(Location::Line(number), wrong("this line is longer than 32 MiB", remedy));
                    break;
                }
            }
            let text = str::from_utf8(&bytes).map_err(|_| Unreadable::NotUtf8)?;
            if text.trim().is_empty() {
                continue;
            }
            self.n_lines += 1;
            if let Some(entry) = self.entry(Line { number, text }, findings) {
                return Ok(Some(entry));
            }
        }
        self.is_done = true;
        Ok(None)
    }

    fn input(&self) -> &ManifestInput {
        self.lines.input()
    }
}

impl Line<'_> {
    /// Returns the location of a value that was borrowed from this line.
    fn place(self, value: &RawValue) -> Location {
        let begin = value.get().as_ptr().addr() - self.text.as_ptr().addr();
        self.span(begin, begin + value.get().len())
    }

    /// Returns the location at which the parser stopped.
    fn place_of(self, error: &serde_json::Error) -> Location {
        let begin = self.text.floor_char_boundary(error.column().saturating_sub(1));
        let n_bytes = self.text[begin..].chars().next().map_or(0, char::len_utf8);
        self.span(begin, begin + n_bytes)
    }

    fn span(self, begin: usize, end: usize) -> Location {
        match (u32::try_from(begin), u32::try_from(end)) {
            (Ok(begin), Ok(end)) if begin < end => Location::Span(Span { line: self.number, begin, end }),
            _ => Location::Line(self.number),
        }
    }
}

/// Parses a line that is one object, and returns its pairs in their order.
fn pairs(text: &str) -> serde_json::Result<Vec<Pair<'_>>> {
    let mut deserializer = Deserializer::from_str(text);
    let pairs = deserializer.deserialize_map(PairsVisitor)?;
    deserializer.end().map(|()| pairs)
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Vec<Pair<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error;
        let mut pairs = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if pairs.len() == KEYS_MAX {
                return Err(A::Error::custom(format_args!("an object has more than {KEYS_MAX} keys")));
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("{}{TWICE}", shown_text(&name))));
            }
            pairs.push(Pair { name, value: map.next_value()? });
        }
        Ok(pairs)
    }
}

/// End of the message about a key that occurs twice.
const TWICE: &str = " is given twice";

const OBJECT_REMEDY: &str = "write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}";

fn given_twice(name: &str) -> Issue {
    wrong(format!("{}{TWICE}", shown_text(name)), "keep one of them")
}

/// Translates an error of the parser into a mistake.
fn explain(error: &serde_json::Error) -> Issue {
    let complaint = error.to_string();
    let problem = without_place(&complaint);
    if problem.ends_with(TWICE) {
        return wrong(problem, "keep one of them");
    }
    if error.is_eof() {
        let what = "the line ends before its object does";
        return wrong(what, "write each object on one line: jq -c . OLD > NEW");
    }
    let remedy = match problem {
        "key must be a string" => "put names and strings in double quotes",
        "trailing characters" => "write one object per line, and nothing after it",
        _ => "check the quotes and commas of this line",
    };
    wrong(format!("invalid JSON: {}", excerpt(problem, PROBLEM_CHARS_MAX)), remedy)
}

/// Removes the position from the parser's message. It is shown separately.
fn without_place(complaint: &str) -> &str {
    complaint.rsplit_once(" at line ").map_or(complaint, |(problem, _)| problem)
}

fn no_prompt(pairs: &[Pair], asked_for: Option<&str>) -> Issue {
    if let Some(name) = asked_for {
        let what = format!("this object has no {}, which --prompt-col names", shown_text(name));
        return wrong(what, "describe the image, or remove the line");
    }
    match columns::meant_for_prompt(pairs.iter().map(|pair| pair.name.as_str())) {
        Some(name) => {
            let remedy = format!("if it is {}, run with --prompt-col {name:?}", shown_text(name));
            wrong("this object has no `prompt`", remedy)
        }
        None => wrong("this object has no `prompt`", "describe the image, or name its key with --prompt-col NAME"),
    }
}

/// Reads the value of a field, or its list of values to expand. Returns `None` for null, except for a prompt.
fn said(field: Field, value: &RawValue, line: Line) -> Result<Option<FieldValue>, Issue> {
    let place = line.place(value);
    let good =
        |problem: String| wrong(format!("`{}`: {}", field.name(), without_place(&problem)), "write another value");
    Ok(match json::read(value.get()).map_err(good)? {
        Value::Null if field != Field::Prompt => None,
        Value::List(values) if is_axis(field, &items(&values)) => {
            let places = serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default();
            let places = places.into_iter().map(|value| line.place(value));
            let located = |(value, place)| Spanned { raw: UnparsedValue::Typed(settled(field, value)), place };
            Some(FieldValue::Many(values.into_iter().zip(places).map(located).collect()))
        }
        value => Some(FieldValue::One(Spanned { raw: UnparsedValue::Typed(settled(field, value)), place })),
    })
}

fn items(values: &[Value]) -> Vec<Item> {
    let item = |value: &Value| match value {
        Value::Int(_) => Item::WholeNumber,
        Value::List(_) => Item::List,
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::Text(_) | Value::Map(_) => Item::Other,
    };
    values.iter().map(item).collect()
}

/// Converts a float with a whole value to an integer, because data frames write 42 as 42.0.
fn settled(field: Field, value: Value) -> Value {
    /// Limit below which every whole number is exact as a float.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match (field, value) {
        #[expect(clippy::cast_possible_truncation, reason = "the number is whole and far within the range")]
        (Field::Seed | Field::Steps | Field::N, Value::Float(number))
            if number.fract() == 0.0 && number.abs() < EXACT_MAX =>
        {
            Value::Int(number as i64)
        }
        (_, value) => value,
    }
}

/// Reads the passthrough values of an object's `meta`.
fn meta(value: &RawValue) -> Result<Vec<(String, String)>, Issue> {
    let pairs = pairs(value.get()).map_err(|error| explain(&error))?;
    Ok(pairs.into_iter().map(|pair| (pair.name, extra(pair.value))).collect())
}

/// Reads the names and values of a cell that contains an object. Returns `None` for any other cell.
pub(super) fn parts(cell: &str) -> Option<Vec<(String, String)>> {
    if !cell.starts_with('{') {
        return None;
    }
    serde_json::from_str::<&RawValue>(cell).ok().and_then(|value| meta(value).ok())
}

/// Formats a value as the text of a cell: numbers with their written digits, lists and objects as compact JSON.
fn extra(value: &RawValue) -> String {
    let written = value.get();
    match written.as_bytes().first() {
        Some(b'"') => serde_json::from_str(written).unwrap_or_else(|_| written.to_owned()),
        Some(b'[' | b'{') => json::compact(written),
        _ if written == "null" => String::new(),
        _ => written.to_owned(),
    }
}
