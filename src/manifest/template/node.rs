//! Node tree of a template: renders the text at an index by division, without enumeration.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::subset::Subset;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(Box<str>),
    /// Value of the var with this name.
    Var(Box<str>),
    Row(Arc<Sequence>),
    OneOf(Arc<ChoiceNode>),
    SomeOf(Arc<Subset>),
}

/// Sequence of parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    parts: Box<[Part]>,
    measure: Measure,
}

/// Part of a sequence. `n_behind` is the number of texts of the parts after it. After that many texts, this part advances.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    node: Node,
    n_behind: u64,
}

/// Choice of exactly one of several options.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChoiceNode {
    options: Box<[Node]>,
    /// Number of texts of each option and the options before it.
    ends: Box<[u64]>,
    measure: Measure,
}

/// Limits of a node that are checked before the node is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Measure {
    /// Number of texts, up to `u64::MAX`.
    pub(super) n: u64,
    /// Depth of nested choices.
    pub(super) depth: usize,
    /// Maximum cost of rendering one text: its bytes and parts, because a part may be empty.
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
        Self::Row(Arc::new(Sequence { parts: measured.into(), measure }))
    }

    /// Builds a choice of one of `options`, at least one. A repeated text counts once, so that an image is not paid for twice.
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
        Self::OneOf(Arc::new(ChoiceNode { options: options.into(), ends, measure }))
    }

    /// Builds a choice of a joined subset of `options`. `sizes` is the range of its size. Returns `None` if there are too many to count.
    pub(super) fn some_of(options: Vec<Self>, sizes: RangeInclusive<u64>, joiner: &str) -> Option<Self> {
        Subset::new(options, sizes, joiner).map(|choice| Self::SomeOf(Arc::new(choice)))
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

    /// Renders the text at index `i`. A count that saturates at `u64::MAX` is above any `i`, so the quotients are right.
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

/// Removes the options whose text occurred before.
pub(super) fn distinct(options: Vec<Node>) -> Vec<Node> {
    let mut seen = HashSet::new();
    let is_new: Vec<bool> = options
        .iter()
        .map(|option| match option {
            Node::Text(text) => seen.insert(&**text),
            // Equality of two such nodes may take too long to decide.
            Node::Var(_) | Node::Row(_) | Node::OneOf(_) | Node::SomeOf(_) => true,
        })
        .collect();
    options.into_iter().zip(is_new).filter_map(|(option, is_new)| is_new.then_some(option)).collect()
}

impl ChoiceNode {
    pub(super) fn options(&self) -> &[Node] {
        &self.options
    }
}
