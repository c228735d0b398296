//! JSON: a list of objects or prompts, an object as a YAML manifest has it, objects by their ids, or objects one after the other.

use std::{io, vec};

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Spanned};
use crate::manifest::fields::value::{UnparsedValue, Value, shown_text};
use crate::manifest::formats::columns::{Column, ColumnOptions};
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, ManifestHead, Opened};
use crate::manifest::formats::json_entry::{ObjectReader, Piece, Unit};
use crate::manifest::formats::json_items::{JsonItem, JsonItems, ReadItem};
use crate::manifest::formats::json_object::{RawPair, pairs};
use crate::manifest::formats::json_shapes::{self, LISTS_REMEDY};
use crate::manifest::formats::yaml::document::PARTS;
use crate::manifest::formats::yaml::{self, WORDS_OF_OTHER_FILES};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::lists::ListFiles;

const REMEDY: &str = "write a list of objects, for example [{\"prompt\": \"a golden cat in the snow\"}]";

const ITEM: Unit = Unit { name: "item", remedy: REMEDY, list_remedy: LISTS_REMEDY, each: ".[]" };
const VALUE: Unit = Unit { name: "value", each: "", ..ITEM };
const VALUE_BY_ID: Unit = Unit { each: "to_entries[] | {id: .key} + .value", ..VALUE };

/// JSON as one document.
pub(crate) struct JsonFormat;

impl Format for JsonFormat {
    fn name(&self) -> &'static str {
        "json"
    }

    fn help(&self) -> &'static str {
        "A list of objects, or an object with `prompts`"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn words_of_other_files(&self) -> &'static [&'static str] {
        WORDS_OF_OTHER_FILES
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let mut items = JsonItems::open(input.text(findings)?)?;
        let unit = if items.is_list() { ITEM } else { VALUE };
        let (mut first, mut is_done) = (None, false);
        if !items.is_list() {
            match items.next_item()? {
                ReadItem::Value(item) if item.text.starts_with('{') && items.is_at_end()? => {
                    return Ok(object(items, item, columns, lists, findings));
                }
                ReadItem::Value(item) => first = Some((None, item)),
                other => {
                    report(&other, 0, findings);
                    is_done = true;
                }
            }
        }
        let reader = ObjectReader::new(columns, unit);
        let held = first.into_iter().collect::<Vec<_>>().into_iter();
        Ok(Opened::entries(JsonEntries { items, held, reader, entries: vec![].into_iter(), n_items: 0, is_done }))
    }
}

/// Entries of a JSON text.
struct JsonEntries {
    items: JsonItems,
    /// Values that were read already, each with its id if a key gives one.
    held: vec::IntoIter<(Option<String>, JsonItem)>,
    reader: ObjectReader,
    /// Entries of an object as a YAML manifest has it.
    entries: vec::IntoIter<Entry>,
    n_items: u64,
    is_done: bool,
}

/// Opens a text that is one object.
fn object(
    items: JsonItems,
    item: JsonItem,
    columns: ColumnOptions,
    lists: &mut ListFiles,
    findings: &mut PassDiagnostics,
) -> Opened {
    let (mut values, mut entries, mut unit, mut head) = (Vec::new(), Vec::new(), VALUE, ManifestHead::default());
    let is_prompt = |titles: &[RawPair], title: &str| {
        Column::of(title, &columns, &titles.iter().map(|pair| pair.name.trim())) == Column::Known(Field::Prompt)
    };
    let has_prompt = |pairs: &[RawPair]| pairs.iter().any(|pair| is_prompt(pairs, &pair.name));
    match pairs(&item.text) {
        // A table has a list or a map for each column.
        Ok(pairs) if has_prompt(&pairs) && !pairs.iter().all(|pair| pair.value.get().starts_with(['[', '{'])) => {
            values.push((None, item));
        }
        Ok(pairs) if is_manifest(&pairs) => {
            if let Some((option, _)) = columns.named().next() {
                let what = format!("{option} names a key, and an object with `prompts` has the names of the fields");
                findings.mistakes.push(Location::CommandLine, wrong(what, format!("leave {option} out")));
            }
            let parsed = yaml::read_json(&item.text, (item.line, item.column), lists, findings);
            (head, entries) = (parsed.head, parsed.entries);
        }
        Ok(all)
            if !all.is_empty()
                && all.iter().all(|RawPair { value, .. }| pairs(value.get()).is_ok_and(|pairs| has_prompt(&pairs))) =>
        {
            unit = VALUE_BY_ID;
            let whole = Piece { line: item.line, column: item.column, text: &item.text };
            values.extend(all.into_iter().map(|RawPair { name, value }| {
                let (line, column) = whole.position(value);
                (Some(name), JsonItem { line, column, text: value.get().to_owned() })
            }));
        }
        Ok(_) => findings.mistakes.push(Location::Line(item.line), json_shapes::unknown(&item.text)),
        // The reader of entries says what is wrong with it.
        Err(_) => values.push((None, item)),
    }
    // Without a value of its own, all that there is to say was said.
    let is_done = values.is_empty();
    let reader = ObjectReader::new(columns, unit);
    let entries = entries.into_iter();
    Opened {
        head,
        entries: Box::new(JsonEntries { items, held: values.into_iter(), reader, entries, n_items: 0, is_done }),
    }
}

/// Returns whether an object has the fields of a YAML manifest.
fn is_manifest(pairs: &[RawPair]) -> bool {
    let is_list = |pair: &RawPair| pair.name == "prompts" && pair.value.get().starts_with('[');
    pairs.iter().any(is_list)
        || !pairs.is_empty() && pairs.iter().all(|pair| pair.name != "prompts" && PARTS.contains(&&*pair.name))
}

/// Reports why the values end.
fn report(read: &ReadItem, n_items: u64, findings: &mut PassDiagnostics) {
    let (place, wrong) = match *read {
        ReadItem::Value(_) => return,
        ReadItem::End if n_items > 0 => return,
        ReadItem::End => (Location::File, wrong("there are no prompts", REMEDY)),
        ReadItem::TooLong(line) => {
            let remedy = "write one object per line: jq -c '.KEY[]' OLD > NEW.jsonl, with the KEY of the list";
            (Location::Line(line), wrong("the value that begins here is longer than 32 MiB", remedy))
        }
        ReadItem::Misplaced(line, what) => (Location::Line(line), wrong(what, "check the brackets and commas there")),
    };
    findings.mistakes.push(place, wrong);
}

impl JsonEntries {
    /// Returns the next value, with its id if a key gives one.
    fn next(&mut self, findings: &mut PassDiagnostics) -> io::Result<Option<(Option<String>, JsonItem)>> {
        if let Some(held) = self.held.next() {
            return Ok(Some(held));
        }
        if self.is_done {
            return Ok(None);
        }
        match self.items.next_item()? {
            ReadItem::Value(item) => Ok(Some((None, item))),
            other => {
                report(&other, self.n_items, findings);
                Ok(None)
            }
        }
    }
}

impl EntrySource for JsonEntries {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        if let Some(entry) = self.entries.next() {
            return Ok(Some(entry));
        }
        while let Some((id, item)) = self.next(findings)? {
            self.n_items += 1;
            let JsonItem { line, column, text } = &item;
            let Some(mut entry) = self.reader.entry(Piece { line: *line, column: *column, text }, findings) else {
                continue;
            };
            match id.map(|id| with_id(&mut entry, id)) {
                None | Some(Ok(())) => return Ok(Some(entry)),
                Some(Err(wrong)) => findings.mistakes.push(entry.place, wrong),
            }
        }
        if !self.is_done && self.n_items > 0 {
            self.reader.finish(findings);
        }
        self.is_done = true;
        Ok(None)
    }

    fn used_columns(&self) -> Vec<(String, String)> {
        self.reader.used_columns()
    }

    fn bytes(&self) -> &HashingReader {
        self.items.hashed()
    }
}

/// Gives an entry the id that its key is.
fn with_id(entry: &mut Entry, id: String) -> Result<(), Issue> {
    let own = entry.given.iter().find(|given| given.field == Field::Id).map(|given| match &given.said {
        FieldValue::One(Spanned { raw: UnparsedValue::Typed(Value::Text(text)), .. }) => text.clone(),
        FieldValue::One(Spanned { raw: UnparsedValue::Typed(Value::Int(number)), .. }) => number.to_string(),
        FieldValue::One(Spanned { raw: UnparsedValue::Typed(Value::BigInt(digits)), .. }) => digits.clone(),
        _ => String::new(),
    });
    match own {
        None => entry.given.push(FieldEntry::one(Field::Id, UnparsedValue::Cell(id), entry.place)),
        Some(own) if own == id => {}
        Some(own) => {
            let what = format!("this value has the key {} and the id {}", shown_text(&id), shown_text(&own));
            return Err(wrong(what, "choose the id: jq -c '.[]' OLD > NEW.jsonl keeps the inner one"));
        }
    }
    Ok(())
}
