//! YAML tree reader: parses YAML into nodes with positions, and rejects constructs that YAML allows and authors do not intend.
//!
//! `serde_yaml` reports the position of an error, but not of a value. So the reader first stores each scalar and then returns an error
//! for it. The error comes back with the scalar's line and column, and reading continues after it. `serde_yaml` itself limits the depth of
//! nesting and the expansion of aliases. This module limits the size of the tree.

use std::collections::{HashMap, hash_map};
use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, wrong};
use crate::manifest::fields::value::{Value, shown, shown_text};
use crate::manifest::formats::yaml::errors::{explain, line_and_column, opening};
use crate::manifest::formats::yaml::line_index::{LineIndex, TextPosition};

/// Value and the position of its beginning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct YamlNode {
    /// `None` for a list or map that is empty or that an alias repeats. The parts of a repeated one have their own positions elsewhere.
    pub(crate) mark: Option<TextPosition>,
    /// Records that the node comes from an alias.
    is_replayed: bool,
    pub(crate) kind: YamlKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum YamlKind {
    /// Value that is neither a list nor a map.
    Scalar(Value),
    List(Vec<YamlNode>),
    /// Map with unique names. Merge keys (`<<`) are merged.
    Map(Vec<Pair>),
}

/// Name and value of a map entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) mark: Option<TextPosition>,
    pub(crate) node: YamlNode,
}

impl YamlKind {
    /// Formats the value for a message.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Scalar(value) => shown(value),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
        }
    }
}

impl YamlNode {
    /// Removes the positions from the value.
    pub(crate) fn into_value(self) -> Value {
        match self.kind {
            YamlKind::Scalar(value) => value,
            YamlKind::List(nodes) => Value::List(nodes.into_iter().map(Self::into_value).collect()),
            YamlKind::Map(pairs) => {
                Value::Map(pairs.into_iter().map(|pair| (pair.name, pair.node.into_value())).collect())
            }
        }
    }
}

/// Parses the only document of `text`. Returns `None` if it could not be read to its end, and reports the mistake.
pub(crate) fn read(text: &str, lines: &LineIndex, mistakes: &mut DiagnosticList) -> Option<YamlNode> {
    if let Some(offset) = too_deep(text) {
        mistakes.push(Location::Line(lines.line_at(offset)), explain("recursion limit"));
        return None;
    }
    let n_nodes_max = NODES_MIN.max(NODES_PER_BYTE * text.len());
    let mut state = State { lines, n_nodes: 0, n_nodes_max, n_text_bytes: 0, furthest: 0, mistakes, refusal: None };
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let node = match Seed(&mut state).deserialize(documents.next()?) {
        Ok(node) => node,
        Err(error) => {
            let complaint = error.to_string();
            let wrong = state.refusal.take().unwrap_or_else(|| explain(&complaint));
            let place = opening(&complaint).or(error.location().map(|place| (place.line(), place.column())));
            // Replaces a position after the last line: the parser reports the end of a file there.
            let mark = place.map(|(line, column)| lines.mark(line, column).unwrap_or(lines.end()));
            state.mistakes.push(place_of(mark), wrong);
            return None;
        }
    };
    if documents.next().is_some() {
        // Cause: a character that is a line break for YAML and for no editor. Nothing else starts a second document here.
        let wrong = wrong("there is a `---` in the middle of a line", "put the text in quotes");
        state.mistakes.push(Location::File, wrong);
    }
    Some(node)
}

/// Limit on brackets that are open at once, checked before the parser runs.
const OPEN_MAX: usize = 5_000;

/// Returns the offset at which too many brackets are open, with no closing bracket and no new entry between them.
///
/// The parser rejects a depth of 128, but only after it has read everything. That time grows with the square of the depth.
/// Closing brackets in quotes between the open ones can still make the parser slow: only a parser can detect those.
fn too_deep(text: &str) -> Option<usize> {
    let mut n_open = 0;
    let mut line_begin = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("- ") {
            n_open = 0;
        }
        for (i, byte) in line.bytes().enumerate() {
            match byte {
                b'[' | b'{' => n_open += 1,
                b']' | b'}' => n_open = 0,
                _ => {}
            }
            if n_open > OPEN_MAX {
                return Some(line_begin + i);
            }
        }
        line_begin += line.len();
    }
    None
}

/// Limit on nodes per byte of the file. A file without aliases makes less than one node per byte. A map of defaults that is merged
/// into every entry makes a few.
const NODES_PER_BYTE: usize = 4;

/// Number of nodes that any file may make.
const NODES_MIN: usize = 200_000;

/// Limit on the text of all nodes in bytes. It is several times the largest file, so only aliases can reach it.
const TEXT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Shared state of reading one file.
struct State<'a> {
    lines: &'a LineIndex<'a>,
    n_nodes: usize,
    n_nodes_max: usize,
    n_text_bytes: usize,
    /// Offset of the last scalar in the file so far. A scalar before this offset is repeated by an alias.
    furthest: usize,
    mistakes: &'a mut DiagnosticList,
    /// Diagnostic for the error that ends the reading. `None` if the error comes from the parser.
    refusal: Option<Issue>,
}

impl State<'_> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.n_nodes += 1;
        if self.n_nodes <= self.n_nodes_max && self.n_text_bytes <= TEXT_BYTES_MAX {
            return Ok(());
        }
        let remedy = "write the entries out, or share values under `defaults:`";
        Err(self.refuse(wrong("aliases repeat too much", remedy)))
    }

    /// Ends the reading. The error will come back with the position.
    fn refuse<E: serde::de::Error>(&mut self, wrong: Issue) -> E {
        self.refusal = Some(wrong);
        E::custom(HERE)
    }

    /// Returns the stored scalar, at the position in its error.
    fn scalar(&mut self, value: Value, refusal: &impl Display) -> YamlNode {
        let refusal = refusal.to_string();
        let place = refusal.rsplit_once(HERE).and_then(|(_, place)| line_and_column(place));
        let mark = place.and_then(|(line, column)| self.lines.mark(line, column));
        let offset = mark.map_or(self.furthest, |mark| mark.offset);
        let is_replayed = offset < self.furthest;
        self.furthest = self.furthest.max(offset);
        YamlNode { mark, is_replayed, kind: YamlKind::Scalar(value) }
    }
}

/// Message of an artificial error. The parser appends the position, or nothing at the very beginning of the text.
const HERE: &str = "here";

/// Seed that reads the next value of any type.
struct Seed<'a, 'b>(&'a mut State<'b>);

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = YamlNode;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<YamlNode, D::Error> {
        let Self(state) = self;
        let mut scalar = None;
        let read = deserializer.deserialize_any(NodeVisitor { state, scalar: &mut scalar });
        match (read, scalar) {
            (Ok(node), _) => Ok(node),
            (Err(refusal), Some(value)) => Ok(state.scalar(value, &refusal)),
            (Err(error), None) => Err(error),
        }
    }
}

struct NodeVisitor<'a, 'b> {
    state: &'a mut State<'b>,
    /// Storage for the scalar that was read.
    scalar: &'a mut Option<Value>,
}

impl NodeVisitor<'_, '_> {
    fn put_aside<E: serde::de::Error>(self, value: Value) -> Result<YamlNode, E> {
        self.state.count()?;
        *self.scalar = Some(value);
        Err(E::custom(HERE))
    }
}

impl<'de> Visitor<'de> for NodeVisitor<'_, '_> {
    type Value = YamlNode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<YamlNode, E> {
        self.put_aside(Value::Bool(flag))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<YamlNode, E> {
        self.put_aside(Value::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<YamlNode, E> {
        self.put_aside(i64::try_from(number).map_or_else(|_| Value::BigInt(number.to_string()), Value::Int))
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<YamlNode, E> {
        self.put_aside(Value::BigInt(number.to_string()))
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<YamlNode, E> {
        self.put_aside(Value::BigInt(number.to_string()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<YamlNode, E> {
        self.put_aside(Value::Float(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<YamlNode, E> {
        self.state.n_text_bytes += text.len();
        self.put_aside(Value::Text(text.to_owned()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<YamlNode, E> {
        self.put_aside(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<YamlNode, E> {
        self.put_aside(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<YamlNode, A::Error> {
        self.state.count()?;
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(Seed(self.state))? {
            nodes.push(node);
        }
        let (mark, is_replayed) = of_container(nodes.first().map(|node| (node.mark, node.is_replayed)));
        Ok(YamlNode { mark, is_replayed, kind: YamlKind::List(nodes) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<YamlNode, A::Error> {
        self.state.count()?;
        let mut map = MapReader::default();
        while let Some(name) = entries.next_key_seed(Seed(self.state))? {
            let node = entries.next_value_seed(Seed(self.state))?;
            map.push(name, node, self.state);
        }
        Ok(map.finish())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<YamlNode, A::Error> {
        let (tag, _) = tagged.variant::<String>()?;
        let what = format!("the tag {} has no meaning here", shown_text(&format!("!{tag}")));
        Err(self.state.refuse(wrong(what, "remove it, or put the text in quotes if it begins with `!`")))
    }
}

/// Returns the position of a list or map: that of its first part, unless an alias repeats that part.
fn of_container(first: Option<(Option<TextPosition>, bool)>) -> (Option<TextPosition>, bool) {
    let (mark, is_replayed) = first.unwrap_or_default();
    (mark.filter(|_| !is_replayed), is_replayed)
}

/// Collector of the names of one map.
#[derive(Default)]
struct MapReader {
    first: Option<(Option<TextPosition>, bool)>,
    own: Vec<Pair>,
    names: HashMap<String, Option<TextPosition>>,
    merged: Vec<Pair>,
}

impl MapReader {
    fn push(&mut self, name: YamlNode, node: YamlNode, state: &mut State) {
        let mark = name.mark;
        self.first.get_or_insert((mark, name.is_replayed));
        let written = if let YamlKind::Scalar(Value::Text(name)) = &name.kind { name } else { "" };
        let place = mark.map_or(Location::File, |mark| state.lines.place(mark, written));
        let name = match name.kind {
            YamlKind::Scalar(Value::Text(name)) => name,
            YamlKind::Scalar(Value::Int(number)) => number.to_string(),
            YamlKind::Scalar(Value::BigInt(digits)) => digits,
            YamlKind::Scalar(Value::Bool(flag)) => flag.to_string(),
            other @ (YamlKind::Scalar(_) | YamlKind::List(_) | YamlKind::Map(_)) => {
                let what = format!("a field's name is {}, not text", other.shown());
                return state.mistakes.push(place, wrong(what, "put its name in quotes"));
            }
        };
        if name == "<<" {
            return self.merge(node, place, state);
        }
        match self.names.entry(name.clone()) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(mark);
                self.own.push(Pair { name, mark, node });
            }
            hash_map::Entry::Occupied(first) => {
                let elsewhere = first.get().map_or(String::new(), |first| format!(", first on line {}", first.line));
                let what = format!("{} is given twice{elsewhere}", shown_text(&name));
                state.mistakes.push(place, wrong(what, "keep one of them"));
            }
        }
    }

    fn merge(&mut self, node: YamlNode, place: Location, state: &mut State) {
        match node.kind {
            YamlKind::Map(pairs) => self.merged.extend(pairs),
            YamlKind::List(nodes) => nodes.into_iter().for_each(|node| match node.kind {
                YamlKind::Map(pairs) => self.merged.extend(pairs),
                other @ (YamlKind::Scalar(_) | YamlKind::List(_)) => state.mistakes.push(place, cannot_merge(&other)),
            }),
            other @ YamlKind::Scalar(_) => state.mistakes.push(place, cannot_merge(&other)),
        }
    }

    /// Builds the map. Its own names take precedence over merged ones, and earlier merges over later ones.
    fn finish(mut self) -> YamlNode {
        for pair in self.merged {
            if let hash_map::Entry::Vacant(vacant) = self.names.entry(pair.name.clone()) {
                vacant.insert(pair.mark);
                self.own.push(pair);
            }
        }
        let (mark, is_replayed) = of_container(self.first);
        YamlNode { mark, is_replayed, kind: YamlKind::Map(self.own) }
    }
}

fn cannot_merge(kind: &YamlKind) -> Issue {
    wrong(format!("`<<` merges {}, not a map", kind.shown()), "write the alias of a map after it: `<<: *name`")
}

fn place_of(mark: Option<TextPosition>) -> Location {
    mark.map_or(Location::File, |mark| Location::Line(mark.line))
}
