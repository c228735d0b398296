//! JSONL (JSON Lines): one object per line, or one prompt per line as a JSON string.
//!
//! Keys are matched like column titles.

use std::collections::{HashMap, HashSet};
use std::{io, mem};

use serde_json::value::RawValue;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, Span, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::expand::options;
use crate::manifest::expand::options::{EXPAND, ExpandMode, ExpandOptions};
use crate::manifest::fields::field::{Field, META};
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Item, Spanned, is_axis};
use crate::manifest::fields::json;
use crate::manifest::fields::value::{UnparsedValue, Value, shown, shown_text};
use crate::manifest::formats::columns;
use crate::manifest::formats::columns::{Column, ColumnOptions};
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use crate::manifest::formats::json_object::{RawPair, explain, extra, given_twice, meta, pairs, without_place};
use crate::manifest::formats::sides::{Sides, UnusedSides};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lints::joined_file;
use crate::manifest::lists::ListFiles;

/// Limit on the keys whose meaning is cached. A file with more keys has more passthrough columns than are allowed.
const REMEMBERED_MAX: usize = 2_000;

/// JSON Lines: one JSON object per line.
pub(crate) struct Jsonl;

impl Format for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn help(&self) -> &'static str {
        "One JSON object per line"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        Ok(Opened::entries(JsonlEntries::new(input.text(findings)?, columns)))
    }
}

/// Lines of a file as entries.
struct JsonlEntries {
    lines: LineReader<ManifestInput>,
    names: ColumnOptions,
    columns: HashMap<String, Column>,
    unused_sides: UnusedSides,
    n_lines: u64,
    is_done: bool,
}

/// Line and its number.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: u64,
    text: &'a str,
}

impl JsonlEntries {
    fn new(input: ManifestInput, names: ColumnOptions) -> Self {
        let (columns, unused_sides) = (HashMap::new(), UnusedSides::default());
        Self { lines: LineReader::new(input), names, columns, unused_sides, n_lines: 0, is_done: false }
    }

    /// Parses a line. Returns `None` if the line has a mistake.
    fn entry(&mut self, line: Line, findings: &mut PassDiagnostics) -> Option<Entry> {
        let place = Location::Line(line.number);
        let mut entry = Entry::new(place);
        if line.text.starts_with('\u{feff}') {
            findings.mistakes.push(place, joined_file());
            return None;
        }
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
        pairs: &[RawPair],
        mut entry: Entry,
        findings: &mut PassDiagnostics,
    ) -> Option<Entry> {
        let n_mistakes = findings.mistakes.n();
        let mut carried = Carried::default();
        let mut sides = Sides::default();
        for (i, RawPair { name, value }) in pairs.iter().enumerate() {
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
                    Column::Side(side) => {
                        sides.add(side, &extra(value), place);
                        Ok(())
                    }
                    Column::Known(field) if entry.given.iter().any(|given| given.field == field) => {
                        Err(given_twice(field.name()))
                    }
                    Column::Known(field) => said(field, value, line)
                        .map(|said| entry.given.extend(said.map(|said| FieldEntry { field, place, said }))),
                }
            };
            taken.unwrap_or_else(|wrong| findings.mistakes.push(place, wrong));
        }
        self.see_unused_sides(&carried);
        match sides.size(&entry.given) {
            Ok(size) => entry.given.extend(size),
            Err((place, wrong)) => findings.mistakes.push(place, wrong),
        }
        let has_prompt = entry.given.iter().any(|given| given.field == Field::Prompt);
        if !has_prompt && findings.mistakes.n() == n_mistakes {
            findings.mistakes.push(entry.place, no_prompt(pairs, self.names.prompt_name()));
        }
        entry.extras = carried.list;
        (findings.mistakes.n() == n_mistakes).then_some(entry)
    }

    fn see_unused_sides(&mut self, carried: &Carried) {
        let Some((width, height)) = self.unused_sides.titles() else { return };
        let text = |title: &str| carried.list.iter().find(|(name, _)| name == title).map_or("", |(_, text)| text);
        let (width, height) = (text(width).to_owned(), text(height).to_owned());
        self.unused_sides.see(&width, &height);
    }

    /// Returns the meaning of a key. Warnings about a key are given where it first occurs.
    fn column(&mut self, title: &str, pairs: &[RawPair], place: Location, findings: &mut PassDiagnostics) -> Column {
        if let Some(column) = self.columns.get(title) {
            return column.clone();
        }
        let titles = pairs.iter().map(|pair| pair.name.trim());
        let column = Column::of(title, &self.names, &titles);
        if let Column::Extra(title) = &column {
            let is_given =
                |column: &Column| titles.clone().any(|title| Column::of(title, &self.names, &titles) == *column);
            if let Some(side) = columns::lint("key", (title, place), &self.names, is_given, findings) {
                self.unused_sides.add(side, title, columns::as_option(title), place);
            }
        }
        if self.columns.len() < REMEMBERED_MAX && !self.names.depends_on_others(title) {
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
    json::read(value.get()).ok().and_then(|value| options::combine(&value).ok())
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

impl EntrySource for JsonlEntries {
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
        mem::take(&mut self.unused_sides).finish("key", findings);
        if self.n_lines > 0 && self.columns.len() < REMEMBERED_MAX {
            let titles: Vec<String> = self.columns.keys().cloned().collect();
            // Objects without a prompt or an id are reported one by one, or are allowed.
            let is_new = |option: &str| matches!(option, "--map" | "--carry");
            for (option, name) in
                self.names.named().filter(|(option, name)| is_new(option) && !columns::has(&titles, name))
            {
                let what = format!("no object has the key {}, which {option} names", shown_text(name));
                findings.mistakes.push(Location::File, wrong(what, "check how it is written in the file"));
            }
        }
        Ok(None)
    }

    fn used_columns(&self) -> Vec<(String, String)> {
        let used = |(title, column): (&String, &Column)| Some((title.clone(), column.field_name()?.to_owned()));
        let mut used: Vec<_> = self.columns.iter().filter_map(used).collect();
        used.sort();
        used
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.input().hashed()
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

const OBJECT_REMEDY: &str = "write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}";

fn no_prompt(pairs: &[RawPair], asked_for: Option<&str>) -> Issue {
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
