//! Node tree of a template: renders the text at an index by division, without enumeration.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::manifest::template::subset::Subsets;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Text(Box<str>),
    /// Value of the var with this name.
    Var(Box<str>),
    Sequence(Arc<Sequence>),
    Choice(Arc<Choice>),
    Subset(Arc<JoinedSubset>),
}

/// Sequence of parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
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
pub(crate) struct Choice {
    options: Box<[Node]>,
    /// Number of texts of each option and the options before it.
    ends: Box<[u64]>,
    measure: Measure,
}

/// Choice of a subset of several options, joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JoinedSubset {
    options: Box<[Node]>,
    subsets: Subsets,
    joiner: Box<str>,
    measure: Measure,
}

/// Limits of a node that are checked before the node is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Number of texts, up to `u64::MAX`.
    pub(crate) n: u64,
    /// Depth of nested choices.
    pub(crate) depth: usize,
    /// Maximum cost of rendering one text: its bytes and parts, because a part may be empty.
    pub(crate) effort_max: u64,
}

impl Node {
    pub(crate) fn empty() -> Self {
        Self::Text("".into())
    }

    pub(crate) fn sequence(mut parts: Vec<Self>) -> Self {
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
        Self::Sequence(Arc::new(Sequence { parts: measured.into(), measure }))
    }

    /// Builds a choice of one of `options`, at least one. A repeated text counts once, so that an image is not paid for twice.
    pub(crate) fn choice(options: Vec<Self>) -> Self {
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
        Self::Choice(Arc::new(Choice { options: options.into(), ends, measure }))
    }

    /// Builds a choice of a joined subset of `options`. `sizes` is the range of its size. Returns `None` if there are too many to count.
    pub(crate) fn subset(options: Vec<Self>, sizes: RangeInclusive<u64>, joiner: &str) -> Option<Self> {
        let options = distinct(options);
        let subsets = Subsets::new(options.iter().map(Self::n).collect(), sizes)?;
        let deepest = options.iter().map(|option| option.measure().depth).max().unwrap_or(0);
        let longest = options.iter().map(|option| option.measure().effort_max).max().unwrap_or(0);
        let effort_max = (longest + joiner.len() as u64).saturating_mul(subsets.size_max() as u64).saturating_add(1);
        let measure = Measure { n: subsets.n(), depth: deepest + 1, effort_max };
        Some(Self::Subset(Arc::new(JoinedSubset { options: options.into(), subsets, joiner: joiner.into(), measure })))
    }

    pub(crate) fn measure(&self) -> Measure {
        match self {
            Self::Text(text) | Self::Var(text) => Measure { n: 1, depth: 0, effort_max: text.len() as u64 + 1 },
            Self::Sequence(sequence) => sequence.measure,
            Self::Choice(choice) => choice.measure,
            Self::Subset(subset) => subset.measure,
        }
    }

    pub(crate) fn n(&self) -> u64 {
        self.measure().n
    }

    /// Renders the text at index `i`. A count that saturates at `u64::MAX` is above any `i`, so the quotients are right.
    pub(crate) fn write<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Var(name) => out.push_str(value(name)),
            Self::Sequence(sequence) => {
                for Part { node, n_behind } in &sequence.parts {
                    node.write(i / n_behind % node.n(), value, out);
                }
            }
            Self::Choice(choice) => {
                let at = choice.ends.partition_point(|end| *end <= i);
                let begin = if at == 0 { 0 } else { choice.ends[at - 1] };
                choice.options[at].write(i - begin, value, out);
            }
            Self::Subset(subset) => subset.write(i, value, out),
        }
    }
}

/// Removes the options whose text occurred before.
fn distinct(options: Vec<Node>) -> Vec<Node> {
    let mut seen = HashSet::new();
    let is_new: Vec<bool> = options
        .iter()
        .map(|option| match option {
            Node::Text(text) => seen.insert(&**text),
            // Equality of two such nodes may take too long to decide.
            Node::Var(_) | Node::Sequence(_) | Node::Choice(_) | Node::Subset(_) => true,
        })
        .collect();
    options.into_iter().zip(is_new).filter_map(|(option, is_new)| is_new.then_some(option)).collect()
}

impl Choice {
    pub(crate) fn options(&self) -> &[Node] {
        &self.options
    }
}

impl JoinedSubset {
    /// Renders the text at index `i`. An empty option needs no joiner.
    fn write<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str, out: &mut String) {
        let begin = out.len();
        for (option, i) in self.subsets.at(i) {
            let end = out.len();
            if end > begin {
                out.push_str(&self.joiner);
            }
            let joined = out.len();
            self.options[option].write(i, value, out);
            if out.len() == joined {
                out.truncate(end);
            }
        }
    }
}
