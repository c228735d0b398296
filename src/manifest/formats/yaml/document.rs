//! YAML document reader: a list of texts and maps, or a map with `defaults` and `prompts`.

use std::mem;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::expand::options::{EXPAND, ExpandOptions, NAMES, SYNTAX, VARS};
use crate::manifest::fields::field::{Field, META};
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Item, Spanned, is_axis};
use crate::manifest::fields::json;
use crate::manifest::fields::synonyms::{self, Meaning, nearest};
use crate::manifest::fields::value::{UnparsedValue, Value, shown_text};
use crate::manifest::formats::format::ManifestHead;
use crate::manifest::formats::yaml::context::Context;
use crate::manifest::formats::yaml::line_index::LineIndex;
use crate::manifest::formats::yaml::spanned::{Pair, YamlKind, YamlNode};
use crate::manifest::formats::yaml::{expand_options, lints, settings, spanned};
use crate::manifest::lints::joined_file;
use crate::manifest::lists::ListFiles;
use crate::manifest::settings::{PRICE, SHUFFLE};

/// Contents of one YAML document.
#[derive(Default)]
pub(crate) struct Parsed {
    pub(crate) head: ManifestHead,
    pub(crate) entries: Vec<Entry>,
}

/// Names of the fields of a manifest that is a map.
pub(crate) const PARTS: [&str; 6] = ["defaults", "prompts", VARS, SYNTAX, PRICE, SHUFFLE];

/// Role of a document in its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DocumentRole {
    /// Single document, which is the whole manifest.
    Whole,
    /// First of several documents.
    Head,
    Further,
}

/// Document of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    /// Line of the file on which the document begins, from 1.
    pub(crate) line: u64,
    pub(crate) part: DocumentRole,
    /// Number of entries in the documents before this one.
    pub(crate) n_entries: u64,
}

/// Parses a document as far as possible. Mistakes go to `findings`.
pub(crate) fn parse(document: Document, files: &mut ListFiles, findings: &mut PassDiagnostics) -> Parsed {
    let Document { text, line, part, n_entries } = document;
    let mut parsed = Parsed::default();
    let lines = LineIndex::new(text, line);
    if let Some((i, c)) = text.char_indices().find(|(_, c)| !is_yaml(*c)) {
        let what = format!("this line holds the character U+{:04X}, which YAML does not allow", u32::from(c));
        findings.mistakes.push(Location::Line(lines.line_at(i)), wrong(what, "remove it"));
        return parsed;
    }
    if let Some(i) = text.find("\n\u{feff}") {
        findings.mistakes.push(Location::Line(lines.line_at(i + 1)), joined_file());
        return parsed;
    }
    if let Some(node) = spanned::read(text, &lines, &mut findings.mistakes) {
        let context = Context { lines: &lines, files, findings };
        Reader { context, n_entries }.document(node, part, &mut parsed);
    } else if text.is_empty() {
        findings.mistakes.push(Location::File, wrong("the manifest is empty", NO_PROMPTS_REMEDY));
    }
    parsed
}

/// Returns whether the parser accepts this character. For any other character, the parser reports no position.
const fn is_yaml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

/// Contents of one map.
#[derive(Default)]
struct FieldsOf {
    given: Vec<FieldEntry>,
    extras: Vec<(String, String)>,
    ways: ExpandOptions,
}

/// Reader of one document.
struct Reader<'a> {
    context: Context<'a>,
    /// Number of entries in the documents before this one.
    n_entries: u64,
}

impl Reader<'_> {
    fn document(&mut self, node: YamlNode, part: DocumentRole, parsed: &mut Parsed) {
        let place = node.mark.map_or(Location::File, |mark| Location::Line(mark.line));
        match (part, node) {
            (_, YamlNode { kind: YamlKind::List(nodes), .. }) => self.prompts(nodes, place, parsed),
            (DocumentRole::Whole, YamlNode { kind: YamlKind::Map(pairs), .. }) => {
                self.parts(pairs, part, place, parsed);
            }
            (DocumentRole::Head, YamlNode { kind: YamlKind::Map(pairs), .. }) if !is_entry(&pairs) => {
                self.parts(pairs, part, place, parsed);
            }
            (DocumentRole::Further, YamlNode { kind: YamlKind::Map(pairs), .. })
                if !is_entry(&pairs) && has_part(&pairs) =>
            {
                let remedy = "give `defaults` in the first document only, and make every later one a prompt";
                self.context.mistake(place, "this document is a manifest of its own", remedy);
            }
            (DocumentRole::Head | DocumentRole::Further, node) => self.prompts(vec![node], place, parsed),
            (DocumentRole::Whole, YamlNode { kind: YamlKind::Scalar(Value::Null), .. }) => {
                self.context.mistake(Location::File, "the manifest is empty", NO_PROMPTS_REMEDY);
            }
            (DocumentRole::Whole, YamlNode { kind, .. }) => {
                let what = format!("the manifest is {}, not a list", kind.shown());
                self.context.mistake(place, what, NO_PROMPTS_REMEDY);
            }
        }
    }

    /// Reads the map with `defaults` and `prompts`.
    fn parts(&mut self, pairs: Vec<Pair>, part: DocumentRole, whole: Location, parsed: &mut Parsed) {
        let mut has_prompts = false;
        let is_entry = is_entry(&pairs);
        for Pair { name, mark, node } in pairs {
            let place = self.context.place_of_name(&name, mark, whole);
            match name.as_str() {
                "prompts" => {
                    has_prompts = true;
                    match node.kind {
                        YamlKind::List(nodes) => self.prompts(nodes, place, parsed),
                        other @ (YamlKind::Scalar(_) | YamlKind::Map(_)) => {
                            let what = format!("`prompts` is {}, not a list", other.shown());
                            let remedy = "write each prompt on its own line, beginning with `- `";
                            self.context.mistake(place, what, remedy);
                        }
                    }
                }
                "defaults" => match node.kind {
                    YamlKind::Map(pairs) => self.defaults(pairs, place, parsed),
                    other @ (YamlKind::Scalar(_) | YamlKind::List(_)) => {
                        let what = format!("`defaults` is {}, not a map", other.shown());
                        self.context.mistake(place, what, "write fields and values below it, such as `size: 1024x768`");
                    }
                },
                _ if is_entry => {}
                VARS | SYNTAX => expand_options::read(&mut self.context, &name, node, place, &mut parsed.head.ways),
                PRICE => parsed.head.settings.price = settings::price(&mut self.context, node, place),
                SHUFFLE => parsed.head.settings.shuffle = settings::shuffle(&mut self.context, node, place),
                name => {
                    has_prompts |= nearest(name, PARTS) == Some("prompts");
                    self.unknown_part(name, place);
                }
            }
        }
        if is_entry {
            self.context.mistake(
                whole,
                "the manifest is one prompt, not a list",
                "put `- ` in front of its first line, and indent the rest",
            );
        } else if !has_prompts && part == DocumentRole::Whole {
            self.context.mistake(whole, "there is no `prompts`", NO_PROMPTS_REMEDY);
        }
    }

    fn unknown_part(&mut self, name: &str, place: Location) {
        let others = PARTS.into_iter().filter(|part| *part != "prompts").map(shown_text).collect::<Vec<_>>();
        let remedy = match nearest(name, PARTS) {
            Some(near) => format!("did you mean `{near}`?"),
            None if Field::named(name).is_some() => "put it under `defaults:` to use it for all prompts".to_owned(),
            None if name == EXPAND => "put it under `defaults:` to use it for all prompts".to_owned(),
            None => format!("next to `prompts` a manifest may have only {}", others.join(", ")),
        };
        self.context.mistake(place, format!("unknown field {}", shown_text(name)), remedy);
    }

    fn defaults(&mut self, pairs: Vec<Pair>, whole: Location, parsed: &mut Parsed) {
        let FieldsOf { given, extras, ways } = self.fields(pairs, whole);
        for given in given {
            if given.field.is_of_one_entry() {
                let what = format!("`{}` belongs to one prompt, not to all of them", given.field.name());
                self.context.mistake(given.place, what, "move it from `defaults:` to the prompt");
            } else {
                parsed.head.defaults.push(given);
            }
        }
        parsed.head.extras = extras;
        parsed.head.ways = mem::take(&mut parsed.head.ways).or(&ways);
    }

    fn prompts(&mut self, nodes: Vec<YamlNode>, whole: Location, parsed: &mut Parsed) {
        if nodes.is_empty() {
            self.context.mistake(whole, "the list of prompts is empty", NO_PROMPTS_REMEDY);
        }
        for (i, node) in nodes.into_iter().enumerate() {
            let mut place =
                node.mark.map_or(Location::Entry(self.n_entries + i as u64 + 1), |mark| Location::Line(mark.line));
            let fields = match node.kind {
                YamlKind::Map(pairs) if is_text_with_colon(&pairs) => {
                    let what = format!("this prompt is a map, because `: ` follows {}", shown_text(&pairs[0].name));
                    self.context.mistake(place, what, "put the whole prompt in quotes");
                    continue;
                }
                YamlKind::Map(pairs) => self.fields(pairs, place),
                YamlKind::Scalar(ref value) => {
                    place = self.context.place_of_value(node.mark, value, place);
                    let said = self.said(Field::Prompt, node, place);
                    FieldsOf { given: vec![FieldEntry { field: Field::Prompt, place, said }], ..FieldsOf::default() }
                }
                YamlKind::List(_) => {
                    self.context.mistake(
                        place,
                        "this prompt is a list",
                        "write one text or one map; put a text in quotes if it begins with a bracket",
                    );
                    continue;
                }
            };
            let FieldsOf { given, extras, ways } = fields;
            let ways = (ways != ExpandOptions::default()).then(|| Box::new(ways));
            parsed.entries.push(Entry { place, given, extras, ways });
        }
    }

    /// Reads the known fields of a map, its `meta` and its expansion options.
    fn fields(&mut self, pairs: Vec<Pair>, whole: Location) -> FieldsOf {
        let mut fields = FieldsOf::default();
        for Pair { name, mark, node } in pairs {
            let place = self.context.place_of_name(&name, mark, whole);
            match Field::named(&name) {
                Some(field) => {
                    let said = self.said(field, node, place);
                    fields.given.push(FieldEntry { field, place, said });
                }
                None if name == META => fields.extras = self.extras(node, place),
                None if NAMES.contains(&name.as_str()) => {
                    expand_options::read(&mut self.context, &name, node, place, &mut fields.ways);
                }
                None => {
                    let near = self.unknown_field(&name, place);
                    if near == Some(Field::Prompt.name()) {
                        // Prevents a second mistake about a missing prompt, because the intended field is clear.
                        fields.given.push(FieldEntry::one(
                            Field::Prompt,
                            UnparsedValue::Typed(node.into_value()),
                            place,
                        ));
                    }
                }
            }
        }
        fields
    }

    /// Reads the value of a field, or its list of values to expand.
    fn said(&mut self, field: Field, node: YamlNode, name: Location) -> FieldValue {
        if !matches!(field, Field::Loras | Field::Params)
            && let Some(texts) = expand_options::lines_of_file(&mut self.context, &node, name)
        {
            let located = |text: &String| Spanned { raw: UnparsedValue::Cell(text.clone()), place: name };
            return texts.map_or(FieldValue::Unreadable, |texts| FieldValue::Many(texts.iter().map(located).collect()));
        }
        if !matches!(&node.kind, YamlKind::List(nodes) if is_axis(field, &items(nodes))) {
            let is_told = lints::surprises(&mut self.context, field, &node, name);
            return if is_told { FieldValue::Unreadable } else { FieldValue::One(self.located(node, name)) };
        }
        let YamlKind::List(nodes) = node.kind else { unreachable!("an axis is a list") };
        // Checks every item, even after a wrong one.
        if nodes.iter().filter(|node| lints::surprises(&mut self.context, field, node, name)).count() > 0 {
            return FieldValue::Unreadable;
        }
        FieldValue::Many(nodes.into_iter().map(|node| self.located(node, name)).collect())
    }

    /// Returns a value with its own location. A list or map has the location of its name.
    fn located(&self, node: YamlNode, name: Location) -> Spanned {
        let place = match &node.kind {
            YamlKind::Scalar(value) => self.context.place_of_value(node.mark, value, name),
            YamlKind::List(_) | YamlKind::Map(_) => name,
        };
        Spanned { raw: UnparsedValue::Typed(node.into_value()), place }
    }

    /// Reports an unknown field with a remedy, and returns the name of the field that was probably meant.
    fn unknown_field(&mut self, name: &str, place: Location) -> Option<&'static str> {
        let near = nearest(name, Field::ALL.into_iter().map(Field::name).chain([META]).chain(NAMES));
        let carry = format!("put it under `{META}:` to carry it through, or `params:` to send it");
        let remedy = match (near, synonyms::of(name)) {
            (Some(near), _) => format!("did you mean `{near}`? else {carry}"),
            (None, Some((Meaning::Width | Meaning::Height | Meaning::AspectRatio, _))) => {
                format!("write width and height as one field, such as `size: 1024x768`; else {carry}")
            }
            (None, _) => carry,
        };
        self.context.mistake(place, format!("unknown field {}", shown_text(name)), remedy);
        near
    }

    fn extras(&mut self, node: YamlNode, place: Location) -> Vec<(String, String)> {
        match node.kind {
            YamlKind::Map(pairs) => pairs.into_iter().map(|pair| (pair.name, self.extra(pair.node))).collect(),
            other @ (YamlKind::Scalar(_) | YamlKind::List(_)) => {
                let what = format!("`{META}` is {}, not a map", other.shown());
                self.context.mistake(place, what, "write names and values below it, such as `style: ink`");
                Vec::new()
            }
        }
    }

    /// Formats a passthrough value as the text of a cell.
    fn extra(&self, node: YamlNode) -> String {
        let mark = node.mark;
        match node.into_value() {
            Value::Null => String::new(),
            Value::Text(text) => text,
            value => lints::number(self.context.lines, mark, &value).unwrap_or_else(|| json::write(&value)),
        }
    }
}

pub(crate) const NO_PROMPTS_REMEDY: &str = "write a list under `prompts:`, for example `- a golden cat in the snow`";

/// Returns whether a map is a single prompt, not a manifest.
fn is_entry(pairs: &[Pair]) -> bool {
    pairs.iter().any(|pair| pair.name == Field::Prompt.name())
}

/// Returns whether a map is a text such as `A cat: the movie`, in which YAML reads the colon as its own.
fn is_text_with_colon(pairs: &[Pair]) -> bool {
    let [Pair { name, node, .. }] = pairs else { return false };
    name.contains(' ') && matches!(node.kind, YamlKind::Scalar(Value::Text(_))) && !synonyms::is_known(name)
}

fn has_part(pairs: &[Pair]) -> bool {
    pairs.iter().any(|pair| PARTS.contains(&pair.name.as_str()))
}

/// Classifies the items of a list.
fn items(nodes: &[YamlNode]) -> Vec<Item> {
    let item = |node: &YamlNode| match node.kind {
        YamlKind::Scalar(Value::Int(_) | Value::BigInt(_)) => Item::WholeNumber,
        YamlKind::Scalar(_) | YamlKind::Map(_) => Item::Other,
        YamlKind::List(_) => Item::List,
    };
    nodes.iter().map(item).collect()
}
