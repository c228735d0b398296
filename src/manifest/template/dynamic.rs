//! The dynamic syntax: choices, counts, weights, wildcards and comments, as users of dynamic prompts know them.
//!
//! What differs from theirs, each because a text is paid for: several options are joined in the order in which they stand and in no other;
//! spaces around an option stay, unless a line break is among them; `\` before `{ } | # $ % _` takes their meaning away; and what
//! is not read (`${..}`, `%{..}`, `~`, `@`, parameters of wildcards) or was hardly meant (`#1`, an open `__`) is a flaw.

mod marks;
mod wildcard;

use super::node::Node;
use super::{Flaw, Gathered, Reading, Template};
use crate::manifest::mistake::{Wrong, wrong};

/// Choices within choices, those in wildcards included.
const DEPTH_MAX: usize = 32;

/// The most that writing one text may take, in bytes: far above what any provider reads.
const EFFORT_MAX: u64 = 1 << 20;

/// Options of the wildcards that one text mentions.
const OPTIONS_MAX: usize = 1 << 22;

/// Characters that may mean something; between them everything is text.
const SPECIAL: [char; 8] = ['\\', '{', '}', '|', '#', '_', '$', '%'];

pub(super) fn read(text: &str, reading: &mut Reading<'_>) -> Result<Template, Vec<Flaw>> {
    let mut parser = Parser::new(text, reading, Trail::default());
    let node = parser.row(Row::Whole);
    parser.gathered.template(node, parser.has_weights)
}

/// Reads one text from its beginning to its end.
struct Parser<'p, 'r> {
    text: &'p str,
    /// Bytes read.
    at: usize,
    reading: &'p mut Reading<'r>,
    trail: Trail,
    gathered: Gathered,
    has_weights: bool,
    /// Whether a flaw was found behind which nothing can be read.
    gave_up: bool,
}

/// How the reader came to the text that it reads now.
#[derive(Debug, Default)]
struct Trail {
    depth: usize,
    n_options: usize,
    /// The wildcards that are being read, from the outermost to the innermost.
    wildcards: Vec<String>,
    /// Whether a text was refused because of where it stands, and not because of what it says.
    is_full: bool,
}

/// What a row of parts is, which says where it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    /// The whole of a text: `|` and `}` mean nothing in it.
    Whole,
    /// An option, up to a `|` or `}`.
    Option,
    /// An option that will be joined with others: spaces around it are nobody's.
    Joined,
}

impl<'p, 'r> Parser<'p, 'r> {
    fn new(text: &'p str, reading: &'p mut Reading<'r>, trail: Trail) -> Self {
        Self { text, at: 0, reading, trail, gathered: Gathered::default(), has_weights: false, gave_up: false }
    }

    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    fn flaw(&mut self, begin: usize, wrong: Wrong) {
        self.gathered.flaw(begin, self.at, wrong);
    }

    /// Tells a flaw behind which nothing can be read.
    fn give_up(&mut self, begin: usize, wrong: Wrong) -> Node {
        self.flaw(begin, wrong);
        self.at = self.text.len();
        self.gave_up = true;
        Node::empty()
    }

    fn row(&mut self, row: Row) -> Node {
        let begin = self.at;
        let mut parts = Vec::new();
        let mut literal = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(SPECIAL).unwrap_or(rest.len());
            literal.push_str(&rest[..plain]);
            self.at += plain;
            let rest = &rest[plain..];
            match rest.chars().next() {
                None => break,
                Some('}' | '|') if row != Row::Whole => break,
                Some('\\') => literal.push(self.escaped()),
                Some('#') => self.comment(parts.is_empty(), &mut literal),
                Some('{') => self.part(Self::choice, &mut literal, &mut parts),
                Some('_') if rest.starts_with("__") => self.part(Self::wildcard, &mut literal, &mut parts),
                Some('$' | '%') if rest[1..].starts_with('{') => self.foreign(),
                Some('$') if rest.starts_with("$$") && row != Row::Whole => self.stray_count(),
                Some(sign) => {
                    literal.push(sign);
                    self.at += 1;
                }
            }
        }
        let ending = &literal[literal.trim_end().len()..];
        if row == Row::Joined || row == Row::Option && ending.contains('\n') {
            literal.truncate(literal.len() - ending.len());
        }
        parts.extend((!literal.is_empty()).then(|| Node::Text(literal.into())));
        self.within_limits(begin, Node::row(parts))
    }

    /// Reads a part that is not text, behind the text that comes before it.
    fn part(&mut self, read: fn(&mut Self) -> Node, literal: &mut String, parts: &mut Vec<Node>) {
        parts.extend((!literal.is_empty()).then(|| Node::Text(std::mem::take(literal).into())));
        parts.push(read(self));
    }

    /// Reads a var, or options from `{` to `}`.
    fn choice(&mut self) -> Node {
        let begin = self.at;
        if let Some(name) = self.var() {
            self.gathered.mention(name);
            return Node::Var(name.into());
        }
        self.at += 1;
        if self.trail.depth == DEPTH_MAX {
            self.trail.is_full = true;
            return self.give_up(begin, too_deep());
        }
        self.trail.depth += 1;
        self.sampler("a choice");
        let count = self.count();
        let row = if count.is_some() { Row::Joined } else { Row::Option };
        let mut options = Vec::new();
        loop {
            self.layout(row == Row::Joined);
            self.weight();
            options.push(self.row(row));
            match self.rest().chars().next() {
                Some('|') => self.at += 1,
                Some(_) => break self.at += 1,
                None if self.gave_up => return Node::empty(),
                None => {
                    self.at = begin + 1;
                    let remedy = "close it with `}`, or write `\\{` for a brace that is meant";
                    return self.give_up(begin, wrong("a `{` is never closed", remedy));
                }
            }
        }
        self.trail.depth -= 1;
        let node = match count {
            None => Node::one_of(options),
            Some(count) => {
                // Of a single wildcard, several of its texts are meant.
                if let [Node::OneOf(choice)] = &*options {
                    options = choice.options().to_vec();
                }
                let n_options = options.len();
                Node::some_of(options, count.sizes, count.joiner).unwrap_or_else(|| {
                    let what = format!("the ways to take so many of {n_options} options are too many to count");
                    self.flaw(begin, wrong(what, "take fewer, or give fewer options"));
                    Node::empty()
                })
            }
        };
        self.within_limits(begin, node)
    }

    /// Refuses a node that could not be written, whatever it was made of.
    fn within_limits(&mut self, begin: usize, node: Node) -> Node {
        let measure = node.measure();
        if measure.depth > DEPTH_MAX {
            return self.give_up(begin, too_deep());
        }
        if measure.effort_max > EFFORT_MAX {
            let wrong = wrong("the longest text of this is above a million characters", "repeat less in it");
            return self.give_up(begin, wrong);
        }
        node
    }
}

fn too_deep() -> Wrong {
    wrong(format!("choices are nested more than {DEPTH_MAX} deep"), "write some of them side by side")
}
