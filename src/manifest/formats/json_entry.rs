//! JSON values as entries: an object with the fields of a prompt, or a text that is the prompt. Keys are matched like column titles.

use std::collections::{HashMap, HashSet};
use std::mem;

use serde_json::value::RawValue;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, Span, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::expand::options;
use crate::manifest::expand::options::{EXPAND, ExpandMode, ExpandOptions};
use crate::manifest::fields::field::{Field, META};
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Item, Spanned, is_axis};
use crate::manifest::fields::json;
use crate::manifest::fields::option_titles::{as_option, as_word, listed};
use crate::manifest::fields::value::{UnparsedValue, Value, shown, shown_text};
use crate::manifest::formats::columns::{Column, ColumnOptions};
use crate::manifest::formats::json_object::{RawPair, explain, extra, given_twice, meta, pairs, without_place};
use crate::manifest::formats::sides::Sides;
use crate::manifest::formats::unclear::UnclearColumns;
use crate::manifest::formats::{columns, json_object, json_shapes, nested};
use crate::manifest::input::encoding::n_line_ends;
use crate::manifest::lints::joined_file;

/// Limit on the keys whose meaning is cached. A file with more keys has more passthrough columns than are allowed.
const REMEMBERED_MAX: usize = 2_000;

/// What a format calls the text of one entry, in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    /// Remedy for a value that is no object.
    pub(crate) remedy: &'static str,
    /// Remedy for a list.
    pub(crate) list_remedy: &'static str,
    /// Filter of jq that yields each entry of a file. Empty if a file is a sequence of entries.
    pub(crate) each: &'static str,
}

/// Reader of the values of one manifest.
pub(crate) struct ObjectReader {
    names: ColumnOptions,
    unit: Unit,
    columns: HashMap<String, Column>,
    /// Keys inside objects about which a message was given or is not needed.
    nested: HashSet<String>,
    unclear: UnclearColumns,
}

/// Text of one value, and where it begins.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) line: u64,
    /// Bytes of the line before the text.
    pub(crate) column: usize,
    pub(crate) text: &'a str,
}

impl ObjectReader {
    pub(crate) fn new(names: ColumnOptions, unit: Unit) -> Self {
        let (columns, nested) = (HashMap::new(), HashSet::new());
        Self { names, unit, columns, nested, unclear: UnclearColumns::default() }
    }

    /// Parses a value, which is an object or a prompt. Returns `None` if it has a mistake.
    pub(crate) fn entry(&mut self, piece: Piece, findings: &mut PassDiagnostics) -> Option<Entry> {
        let Unit { name, remedy, .. } = self.unit;
        let place = Location::Line(piece.line);
        let mut entry = Entry::new(place);
        let wrong = match piece.text.trim_start().as_bytes().first() {
            _ if piece.text.starts_with('\u{feff}') => joined_file(),
            Some(b'{') => match pairs(piece.text) {
                Ok(pairs) => return self.object(piece, pairs, entry, findings),
                Err(error) => {
                    let is_cut = error.is_eof() && name != "line";
                    let cut = || {
                        wrong(
                            format!("this {name} is not closed"),
                            "check its quotes and brackets; the file may be cut off",
                        )
                    };
                    findings.mistakes.push(piece.place_of(&error), if is_cut { cut() } else { explain(&error) });
                    return None;
                }
            },
            Some(b'[') => {
                let kind = |item: &&RawValue| item.get().as_bytes().first().copied();
                let items = serde_json::from_str::<Vec<&RawValue>>(piece.text).unwrap_or_default();
                let is_row = items.windows(2).any(|two| kind(&two[0]) != kind(&two[1]));
                let of_row = "name its values: jq -c '{prompt: .[0], seed: .[1]}' OLD > NEW, with the names of yours";
                let remedy = if is_row && name == "line" { of_row } else { self.unit.list_remedy };
                wrong(format!("this {name} is a list, not an object"), remedy)
            }
            _ => match json::read(piece.text) {
                Ok(value @ Value::Text(_)) => {
                    entry.given.push(FieldEntry::one(Field::Prompt, UnparsedValue::Typed(value), place));
                    return Some(entry);
                }
                Ok(value) => wrong(format!("this {name} is {}, not an object", shown(&value)), remedy),
                Err(problem) => wrong(format!("this {name} is not a JSON object: {}", without_place(&problem)), remedy),
            },
        };
        findings.mistakes.push(place, wrong);
        None
    }

    fn object(
        &mut self,
        line: Piece,
        mut pairs: Vec<RawPair>,
        mut entry: Entry,
        findings: &mut PassDiagnostics,
    ) -> Option<Entry> {
        let n_mistakes = findings.mistakes.n();
        nested::add_named(&mut pairs, self.names.named().map(|(_, name)| name));
        let pairs = &pairs[..];
        let mut carried = Carried::default();
        let mut sides = Sides::default();
        let mut inside = Vec::new();
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
                    Column::Extra(title) => {
                        self.look_inside(&title, value, (line, pairs), &mut inside, findings);
                        carried.add(title, extra(value))
                    }
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
        let all = || carried.list.iter().chain(&inside);
        self.unclear.see(|title| all().find(|(name, _)| name == title).map_or("", |(_, text)| text.as_str()));
        match sides.size(&entry.given) {
            Ok(size) => entry.given.extend(size),
            Err((place, wrong)) => findings.mistakes.push(place, wrong),
        }
        let has_prompt = entry.given.iter().any(|given| given.field == Field::Prompt);
        if !has_prompt && findings.mistakes.n() == n_mistakes {
            findings.mistakes.push(entry.place, no_prompt(pairs, &self.names, self.unit));
        }
        entry.extras = carried.list;
        (findings.mistakes.n() == n_mistakes).then_some(entry)
    }

    /// Reports the parameters in an object that is carried through, once for each key. Adds the values in it to `inside`.
    fn look_inside(
        &mut self,
        title: &str,
        value: &RawValue,
        (line, pairs): (Piece, &[RawPair]),
        inside: &mut Vec<(String, String)>,
        findings: &mut PassDiagnostics,
    ) {
        let titles = pairs.iter().map(|pair| pair.name.trim());
        let is_prompt = |key| Column::of(key, &self.names, &titles) == Column::Known(Field::Prompt);
        // An entry without a prompt is reported as a whole.
        if !value.get().starts_with('{') || self.names.carries(title) || !titles.clone().any(is_prompt) {
            return;
        }
        if !nested::is_container(title, self.names.prompt_name()) {
            let is_mapped = |name: &str| name.strip_prefix(title).is_some_and(|rest| rest.starts_with('.'));
            let is_new = !self.names.named().any(|(_, name)| is_mapped(name)) && self.is_new_inside(title);
            let issue = is_new.then(|| nested::warning("key", title, value.get())).flatten();
            return issue.into_iter().for_each(|wrong| findings.warnings.push(line.place(value), wrong));
        }
        for RawPair { name: title, value } in nested::pairs(title, value.get(), self.names.prompt_name()) {
            let is_named = titles.clone().any(|other| other == title);
            if !is_named && self.is_new_inside(&title) {
                let is_given = |it: &Column| titles.clone().any(|key| Column::of(key, &self.names, &titles) == *it);
                if let Some(undecided) =
                    columns::lint("key", (&title, line.place(value)), &self.names, is_given, findings)
                {
                    self.unclear.add(undecided, &title, as_option(&title), line.place(value));
                }
            }
            inside.push((title, extra(value)));
        }
    }

    /// Notes a key inside an object. Returns whether it is new.
    fn is_new_inside(&mut self, title: &str) -> bool {
        self.nested.len() < REMEMBERED_MAX && self.nested.insert(title.to_owned())
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
            if let Some(undecided) = columns::lint("key", (title, place), &self.names, is_given, findings) {
                self.unclear.add(undecided, title, as_option(title), place);
            }
        }
        if self.columns.len() < REMEMBERED_MAX && !self.names.depends_on_others(title) {
            self.columns.insert(title.to_owned(), column.clone());
        }
        column
    }

    /// Reports what is known only at the end.
    pub(crate) fn finish(&mut self, findings: &mut PassDiagnostics) {
        mem::take(&mut self.unclear).finish("key", findings);
        if self.columns.len() < REMEMBERED_MAX {
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
    }

    /// Returns the keys that are used, as pairs of key and field.
    pub(crate) fn used_columns(&self) -> Vec<(String, String)> {
        let used = |(title, column): (&String, &Column)| Some((title.clone(), column.field_name()?.to_owned()));
        let mut used: Vec<_> = self.columns.iter().filter_map(used).collect();
        used.sort();
        used
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

impl Piece<'_> {
    /// Returns the location of a value that was borrowed from this text.
    fn place(self, value: &RawValue) -> Location {
        let begin = value.get().as_ptr().addr() - self.text.as_ptr().addr();
        self.span(begin, begin + value.get().len())
    }

    /// Returns the location at which the parser stopped.
    fn place_of(self, error: &serde_json::Error) -> Location {
        let line_begin = match error.line() {
            0 | 1 => 0,
            n => self.text.match_indices('\n').nth(n - 2).map_or(0, |(i, _)| i + 1),
        };
        let begin = self.text.floor_char_boundary(line_begin + error.column().saturating_sub(1));
        let n_bytes = self.text[begin..].chars().next().map_or(0, char::len_utf8);
        self.span(begin, begin + n_bytes)
    }

    /// Returns the line of a value that was borrowed from this text, and the bytes of the line before it.
    pub(crate) fn position(self, value: &RawValue) -> (u64, usize) {
        self.position_of(value.get().as_ptr().addr() - self.text.as_ptr().addr())
    }

    fn position_of(self, at: usize) -> (u64, usize) {
        let before = &self.text[..at];
        let column = before.rfind('\n').map_or(self.column + at, |line_end| at - line_end - 1);
        (self.line + n_line_ends(before.as_bytes()), column)
    }

    /// Returns the location of a range of the text, as far as it is on one line.
    fn span(self, begin: usize, end: usize) -> Location {
        let (line, first) = self.position_of(begin);
        let n_bytes = self.text[begin..end].find('\n').unwrap_or(end - begin);
        match (u32::try_from(first), u32::try_from(first + n_bytes)) {
            (Ok(begin), Ok(end)) if begin < end => Location::Span(Span { line, begin, end }),
            _ => Location::Line(line),
        }
    }
}

fn no_prompt(pairs: &[RawPair], names: &ColumnOptions, unit: Unit) -> Issue {
    let Unit { name: unit, each, .. } = unit;
    if let Some(name) = names.prompt_name() {
        let what = format!("this object has no {}, which --prompt-col names", shown_text(name));
        return wrong(what, format!("describe the image, or remove the {unit}"));
    }
    let keys = || pairs.iter().map(|pair| pair.name.as_str());
    let inner = pairs.iter().find(|pair| {
        let inside = json_object::pairs(pair.value.get()).unwrap_or_default();
        inside.iter().any(|pair| Field::titled(&pair.name) == Some(Field::Prompt) && pair.value.get().starts_with('"'))
    });
    if let Some(RawPair { name, .. }) = inner.filter(|_| !keys().any(|name| Field::titled(name) == Some(Field::Prompt)))
    {
        let key = json_shapes::step(name);
        let what = format!("this object has no `prompt`, but {} has", shown_text(name));
        let each = if each.is_empty() { String::new() } else { format!("{each} | ") };
        return wrong(what, format!("move its keys out: jq -c '{each}. + {key} | del({key})' OLD > NEW.jsonl"));
    }
    let what = "this object has no `prompt`";
    match columns::meant_for_prompt(keys()) {
        Some(name) => wrong(what, format!("if it is {}, run with --prompt-col {}", shown_text(name), as_word(name))),
        None => wrong(what, format!("describe the image, or name its key with --prompt-col NAME{}", texts_of(pairs))),
    }
}

/// Names the keys of an object that hold texts, for a message.
fn texts_of(pairs: &[RawPair]) -> String {
    let texts = pairs.iter().filter(|pair| pair.value.get().starts_with('"') && pair.value.get().len() > 2);
    let texts: Vec<&str> = texts.map(|pair| pair.name.as_str()).collect();
    if texts.is_empty() { String::new() } else { format!("; its texts are {}", listed(&texts)) }
}

/// Reads the value of a field, or its list of values to expand. Returns `None` for null, except for a prompt.
fn said(field: Field, value: &RawValue, line: Piece) -> Result<Option<FieldValue>, Issue> {
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
        Value::Int(_) | Value::BigInt(_) => Item::WholeNumber,
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
