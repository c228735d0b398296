//! Reads YAML into a tree in which every value knows its line, and refuses what YAML allows and nobody means.
//!
//! `serde_yaml` says where an error is, and where nothing else is. So each scalar is first put aside and then refused: the refusal
//! comes back with the scalar's line and column, and reading goes on behind it. The depth of nesting and the replaying of aliases
//! are limited by `serde_yaml` itself, the size of the tree is limited here.

use std::collections::{HashMap, hash_map};
use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};

use crate::manifest::complaint::{explain, line_and_column, opening};
use crate::manifest::lines::{Lines, Mark};
use crate::manifest::mistake::{Found, Place, Wrong, wrong};
use crate::manifest::read::{shown, shown_text};
use crate::manifest::value::Value;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// None for a list or map that is empty, or that an alias replays: its parts know their places, which are elsewhere.
    pub(super) mark: Option<Mark>,
    /// Whether an alias replays it.
    is_replayed: bool,
    pub(super) kind: Kind,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Neither a list nor a map.
    Scalar(Value),
    List(Vec<Node>),
    /// Names are unique, and merge keys (`<<`) are merged.
    Map(Vec<Pair>),
}

/// One name of a map and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) mark: Option<Mark>,
    pub(super) node: Node,
}

impl Kind {
    /// The value as a message names it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Scalar(value) => shown(value),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) => "a map".to_owned(),
        }
    }
}

impl Node {
    /// The value without its places.
    pub(super) fn into_value(self) -> Value {
        match self.kind {
            Kind::Scalar(value) => value,
            Kind::List(nodes) => Value::List(nodes.into_iter().map(Self::into_value).collect()),
            Kind::Map(pairs) => Value::Map(pairs.into_iter().map(|pair| (pair.name, pair.node.into_value())).collect()),
        }
    }
}

/// The one document that `text` holds. None, and a mistake that says why, when it could not be read to its end.
pub(super) fn read(text: &str, lines: &Lines, mistakes: &mut Found) -> Option<Node> {
    if let Some(offset) = too_deep(text) {
        mistakes.push(Place::Line(lines.line_at(offset)), explain("recursion limit"));
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
            // The parser finds the end of a file on a line behind the last one.
            let mark = place.map(|(line, column)| lines.mark(line, column).unwrap_or(lines.end()));
            state.mistakes.push(place_of(mark), wrong);
            return None;
        }
    };
    if documents.next().is_some() {
        // Only behind a character that ends a line for YAML and for nobody else.
        let wrong = wrong("a `---` stands in the middle of a line", "put the text in quotes");
        state.mistakes.push(Place::File, wrong);
    }
    Some(node)
}

/// Brackets that may be open at once before the parser is asked at all.
const OPEN_MAX: usize = 5_000;

/// Where more brackets are open than any manifest has, with no closing one and no new entry between them.
///
/// The parser refuses a depth of 128, but only when it has read everything, in a time that grows with the square of the depth.
/// Who hides closing brackets in quotes between the open ones can still make it slow: telling those apart takes a parser.
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

/// The nodes that a file may make of each of its bytes. Without aliases it makes less than one, with a map of defaults that is merged
/// into every entry a few.
const NODES_PER_BYTE: usize = 4;

/// The nodes that any file may make.
const NODES_MIN: usize = 200_000;

/// The text that all nodes together may hold: several times the largest file, so that only aliases can reach it.
const TEXT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the reading of one file shares.
struct State<'a> {
    lines: &'a Lines<'a>,
    n_nodes: usize,
    n_nodes_max: usize,
    n_text_bytes: usize,
    /// The offset of the last scalar in the file so far: what lies before it is replayed by an alias.
    furthest: usize,
    mistakes: &'a mut Found,
    /// The words for the error that ends the reading, where they are ours.
    refusal: Option<Wrong>,
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

    /// Ends the reading; the error that comes back will say where.
    fn refuse<E: serde::de::Error>(&mut self, wrong: Wrong) -> E {
        self.refusal = Some(wrong);
        E::custom(HERE)
    }

    /// The scalar that was put aside, at the place that its refusal tells.
    fn scalar(&mut self, value: Value, refusal: &impl Display) -> Node {
        let refusal = refusal.to_string();
        let place = refusal.rsplit_once(HERE).and_then(|(_, place)| line_and_column(place));
        let mark = place.and_then(|(line, column)| self.lines.mark(line, column));
        let offset = mark.map_or(self.furthest, |mark| mark.offset);
        let is_replayed = offset < self.furthest;
        self.furthest = self.furthest.max(offset);
        Node { mark, is_replayed, kind: Kind::Scalar(value) }
    }
}

/// The whole message of a refusal; the parser writes the place behind it, or nothing where that is the very beginning.
const HERE: &str = "here";

/// Reads the next value, whatever it is.
struct Seed<'a, 'b>(&'a mut State<'b>);

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
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
    /// Where a scalar is put aside.
    scalar: &'a mut Option<Value>,
}

impl NodeVisitor<'_, '_> {
    fn put_aside<E: serde::de::Error>(self, value: Value) -> Result<Node, E> {
        self.state.count()?;
        *self.scalar = Some(value);
        Err(E::custom(HERE))
    }
}

impl<'de> Visitor<'de> for NodeVisitor<'_, '_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<Node, E> {
        self.put_aside(Value::Bool(flag))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Node, E> {
        self.put_aside(Value::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Node, E> {
        match i64::try_from(number) {
            Ok(number) => self.put_aside(Value::Int(number)),
            Err(_) => Err(self.state.refuse(wrong(
                format!("the number {number} is too large"),
                "write a smaller one, or put it in quotes",
            ))),
        }
    }

    fn visit_i128<E: serde::de::Error>(self, number: i128) -> Result<Node, E> {
        Err(self
            .state
            .refuse(wrong(format!("the number {number} is too large"), "write a smaller one, or put it in quotes")))
    }

    fn visit_u128<E: serde::de::Error>(self, number: u128) -> Result<Node, E> {
        Err(self
            .state
            .refuse(wrong(format!("the number {number} is too large"), "write a smaller one, or put it in quotes")))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        self.put_aside(Value::Float(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Node, E> {
        self.state.n_text_bytes += text.len();
        self.put_aside(Value::Text(text.to_owned()))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        self.put_aside(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Node, E> {
        self.put_aside(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        self.state.count()?;
        let mut nodes = Vec::new();
        while let Some(node) = items.next_element_seed(Seed(self.state))? {
            nodes.push(node);
        }
        let (mark, is_replayed) = of_container(nodes.first().map(|node| (node.mark, node.is_replayed)));
        Ok(Node { mark, is_replayed, kind: Kind::List(nodes) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        self.state.count()?;
        let mut map = MapReader::default();
        while let Some(name) = entries.next_key_seed(Seed(self.state))? {
            let node = entries.next_value_seed(Seed(self.state))?;
            map.push(name, node, self.state);
        }
        Ok(map.finish())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (tag, _) = tagged.variant::<String>()?;
        let what = format!("the tag {} has no meaning here", shown_text(&format!("!{tag}")));
        Err(self.state.refuse(wrong(what, "take it out, or put the text in quotes if it begins with `!`")))
    }
}

/// A list or map begins where its first part does, unless that part is replayed from elsewhere.
fn of_container(first: Option<(Option<Mark>, bool)>) -> (Option<Mark>, bool) {
    let (mark, is_replayed) = first.unwrap_or_default();
    (mark.filter(|_| !is_replayed), is_replayed)
}

/// Gathers the names of one map.
#[derive(Default)]
struct MapReader {
    first: Option<(Option<Mark>, bool)>,
    own: Vec<Pair>,
    names: HashMap<String, Option<Mark>>,
    merged: Vec<Pair>,
}

impl MapReader {
    fn push(&mut self, name: Node, node: Node, state: &mut State) {
        let mark = name.mark;
        self.first.get_or_insert((mark, name.is_replayed));
        let written = if let Kind::Scalar(Value::Text(name)) = &name.kind { name } else { "" };
        let place = mark.map_or(Place::File, |mark| state.lines.place(mark, written));
        let name = match name.kind {
            Kind::Scalar(Value::Text(name)) => name,
            Kind::Scalar(Value::Int(number)) => number.to_string(),
            Kind::Scalar(Value::Bool(flag)) => flag.to_string(),
            other @ (Kind::Scalar(_) | Kind::List(_) | Kind::Map(_)) => {
                let what = format!("a field is named by {}, not by a text", other.shown());
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

    fn merge(&mut self, node: Node, place: Place, state: &mut State) {
        match node.kind {
            Kind::Map(pairs) => self.merged.extend(pairs),
            Kind::List(nodes) => nodes.into_iter().for_each(|node| match node.kind {
                Kind::Map(pairs) => self.merged.extend(pairs),
                other @ (Kind::Scalar(_) | Kind::List(_)) => state.mistakes.push(place, cannot_merge(&other)),
            }),
            other @ Kind::Scalar(_) => state.mistakes.push(place, cannot_merge(&other)),
        }
    }

    /// Its own names come before merged ones, and those merged first before later ones.
    fn finish(mut self) -> Node {
        for pair in self.merged {
            if let hash_map::Entry::Vacant(vacant) = self.names.entry(pair.name.clone()) {
                vacant.insert(pair.mark);
                self.own.push(pair);
            }
        }
        let (mark, is_replayed) = of_container(self.first);
        Node { mark, is_replayed, kind: Kind::Map(self.own) }
    }
}

fn cannot_merge(kind: &Kind) -> Wrong {
    wrong(format!("`<<` merges {}, not a map", kind.shown()), "write the alias of a map behind it: `<<: *name`")
}

fn place_of(mark: Option<Mark>) -> Place {
    mark.map_or(Place::File, |mark| Place::Line(mark.line))
}
