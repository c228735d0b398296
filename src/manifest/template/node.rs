//! What a template is made of, and how the text at a place is written: by division, never by counting up to it.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::some_of::SomeOf;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(Box<str>),
    /// The value of the var of this name.
    Var(Box<str>),
    Row(Arc<Row>),
    OneOf(Arc<OneOf>),
    SomeOf(Arc<SomeOf>),
}

/// Parts one after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    parts: Box<[Part]>,
    measure: Measure,
}

/// A part of a row, and how many texts the parts behind it have: after so many texts it goes on to its next one.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    node: Node,
    n_behind: u64,
}

/// Exactly one of several options.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OneOf {
    options: Box<[Node]>,
    /// For each option, how many texts it and those before it have.
    ends: Box<[u64]>,
    measure: Measure,
}

/// What must be known of a node before it may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    /// Texts, up to `u64::MAX`.
    pub(super) n: u64,
    /// Choices within choices.
    pub(super) depth: usize,
    /// The most that writing one text takes: bytes, and parts that may be empty.
    pub(super) effort_max: u64,
}

impl Node {
    pub(super) fn empty() -> Self {
        Self::Text("".into())
    }

    pub(super) fn row(mut parts: Vec<Self>) -> Self {
        if parts.len() < 2 {
            return parts.pop().unwrap_or_else(Self::empty);
        }
        let mut measure = Measure { n: 1, depth: 0, effort_max: 1 };
        let mut measured: Vec<Part> = parts
            .into_iter()
            .rev()
            .map(|node| {
                let Measure { n, depth, effort_max } = node.measure();
                let part = Part { node, n_behind: measure.n };
                measure = Measure {
                    n: measure.n.saturating_mul(n),
                    depth: measure.depth.max(depth),
                    effort_max: measure.effort_max.saturating_add(effort_max),
                };
                part
            })
            .collect();
        measured.reverse();
        Self::Row(Arc::new(Row { parts: measured.into(), measure }))
    }

    /// One of `options`, of which there is at least one. A text that stands there twice counts once: nobody wants to pay for it twice.
    pub(super) fn one_of(options: Vec<Self>) -> Self {
        let mut options = distinct(options);
        if options.len() < 2 {
            return options.pop().unwrap_or_else(Self::empty);
        }
        let mut measure = Measure::default();
        let ends = options
            .iter()
            .map(|option| {
                let Measure { n, depth, effort_max } = option.measure();
                measure = Measure {
                    n: measure.n.saturating_add(n),
                    depth: measure.depth.max(depth + 1),
                    effort_max: measure.effort_max.max(effort_max.saturating_add(1)),
                };
                measure.n
            })
            .collect();
        Self::OneOf(Arc::new(OneOf { options: options.into(), ends, measure }))
    }

    /// From so many to so many of `options`, joined; none where there are too many to count.
    pub(super) fn some_of(options: Vec<Self>, sizes: RangeInclusive<u64>, joiner: &str) -> Option<Self> {
        SomeOf::new(options, sizes, joiner).map(|choice| Self::SomeOf(Arc::new(choice)))
    }

    pub(super) fn measure(&self) -> Measure {
        match self {
            Self::Text(text) | Self::Var(text) => Measure { n: 1, depth: 0, effort_max: text.len() as u64 + 1 },
            Self::Row(row) => row.measure,
            Self::OneOf(choice) => choice.measure,
            Self::SomeOf(choice) => choice.measure(),
        }
    }

    pub(super) fn n(&self) -> u64 {
        self.measure().n
    }

    /// Writes the text at place `i`. Wherever a count stops at `u64::MAX` it is beyond any `i`, and the quotients are right.
    pub(super) fn write<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Var(name) => out.push_str(value(name)),
            Self::Row(row) => {
                for Part { node, n_behind } in &row.parts {
                    node.write(i / n_behind % node.n(), value, out);
                }
            }
            Self::OneOf(choice) => {
                let at = choice.ends.partition_point(|end| *end <= i);
                let begin = if at == 0 { 0 } else { choice.ends[at - 1] };
                choice.options[at].write(i - begin, value, out);
            }
            Self::SomeOf(choice) => choice.write(i, value, out),
        }
    }
}

/// The options without the texts that stood there before.
pub(super) fn distinct(options: Vec<Node>) -> Vec<Node> {
    let mut seen = HashSet::new();
    let is_new: Vec<bool> = options
        .iter()
        .map(|option| match option {
            Node::Text(text) => seen.insert(&**text),
            // Telling whether two of these are alike may take longer than anybody can wait.
            Node::Var(_) | Node::Row(_) | Node::OneOf(_) | Node::SomeOf(_) => true,
        })
        .collect();
    options.into_iter().zip(is_new).filter_map(|(option, is_new)| is_new.then_some(option)).collect()
}

impl OneOf {
    pub(super) fn options(&self) -> &[Node] {
        &self.options
    }
}
