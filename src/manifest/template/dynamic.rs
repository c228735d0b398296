//! Dynamic template syntax: choices, counts, weights, wildcards and comments, in the syntax of Dynamic Prompts.
//!
//! Differences from that program exist because each text is paid for. Several options are joined only in the order in which they are
//! written. Spaces around an option stay, unless a line break is among them. `\` before `{ } | # $ % _` escapes the character.
//! Unsupported syntax is a flaw: `${..}`, `%{..}`, `~`, `@` and parameters of wildcards. So is a probable error: `#1`, an open `__`.

mod tokens;
mod wildcard;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::template::node::Node;
use crate::manifest::template::parsed::{Gathered, Template, TemplateFlaw};
use crate::manifest::template::wildcards::Reading;

/// Limit on nested choices, those in wildcards included.
const DEPTH_MAX: usize = 32;

/// Limit on the cost of rendering one text, in bytes: far above what any provider reads.
const EFFORT_MAX: u64 = 1 << 20;

/// Limit on the options of all wildcards in one text.
const OPTIONS_MAX: usize = 1 << 22;

/// Characters that may be special. All text between them is literal.
const SPECIAL: [char; 8] = ['\\', '{', '}', '|', '#', '_', '$', '%'];

pub(crate) fn read(text: &str, reading: &mut Reading<'_>) -> Result<Template, Vec<TemplateFlaw>> {
    let mut parser = Parser::new(text, reading, NestingState::default());
    let node = parser.row(Row::Whole);
    parser.gathered.template(node, parser.has_weights)
}

/// Parser of one text.
struct Parser<'p, 'r> {
    text: &'p str,
    /// Offset of the next byte to read.
    at: usize,
    reading: &'p mut Reading<'r>,
    trail: NestingState,
    gathered: Gathered,
    has_weights: bool,
    /// Records a flaw after which parsing cannot continue.
    gave_up: bool,
}

/// Nesting of the current text.
#[derive(Debug, Default)]
struct NestingState {
    depth: usize,
    n_options: usize,
    /// Wildcards that are being parsed, from the outermost to the innermost.
    wildcards: Vec<String>,
    /// Records that a text was rejected because of its nesting, not because of its contents.
    is_full: bool,
}

/// Kind of a sequence of parts, which determines where the sequence ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    /// Whole text, in which `|` and `}` are literal.
    Whole,
    /// Option, which ends at a `|` or `}`.
    Option,
    /// Option that is joined with others. Spaces around it are removed.
    Joined,
}

impl<'p, 'r> Parser<'p, 'r> {
    fn new(text: &'p str, reading: &'p mut Reading<'r>, trail: NestingState) -> Self {
        Self { text, at: 0, reading, trail, gathered: Gathered::default(), has_weights: false, gave_up: false }
    }

    fn rest(&self) -> &'p str {
        &self.text[self.at..]
    }

    fn flaw(&mut self, begin: usize, wrong: Issue) {
        self.gathered.flaw(begin, self.at, wrong);
    }

    /// Reports a flaw after which parsing cannot continue.
    fn give_up(&mut self, begin: usize, wrong: Issue) -> Node {
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
        self.within_limits(begin, Node::sequence(parts))
    }

    /// Parses a part that is not text, and first adds the literal text before it.
    fn part(&mut self, read: fn(&mut Self) -> Node, literal: &mut String, parts: &mut Vec<Node>) {
        parts.extend((!literal.is_empty()).then(|| Node::Text(std::mem::take(literal).into())));
        parts.push(read(self));
    }

    /// Parses a var, or options from `{` to `}`.
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
                    let remedy = "close it with `}`, or write `\\{` for a literal brace";
                    return self.give_up(begin, wrong("a `{` is never closed", remedy));
                }
            }
        }
        self.trail.depth -= 1;
        let node = match count {
            None => Node::choice(options),
            Some(count) => {
                // Expands a single wildcard to its texts, because several of them are meant.
                if let [Node::Choice(choice)] = &*options {
                    options = choice.options().to_vec();
                }
                let n_options = options.len();
                Node::subset(options, count.sizes, count.joiner).unwrap_or_else(|| {
                    let what = format!("there are too many ways to choose that many of {n_options} options");
                    self.flaw(begin, wrong(what, "choose fewer, or give fewer options"));
                    Node::empty()
                })
            }
        };
        self.within_limits(begin, node)
    }

    /// Rejects a node that is too deep or too expensive to render.
    fn within_limits(&mut self, begin: usize, node: Node) -> Node {
        let measure = node.measure();
        if measure.depth > DEPTH_MAX {
            return self.give_up(begin, too_deep());
        }
        if measure.effort_max > EFFORT_MAX {
            let wrong = wrong("the longest text of this has more than a million characters", "repeat less in it");
            return self.give_up(begin, wrong);
        }
        node
    }
}

fn too_deep() -> Issue {
    wrong(format!("choices are nested more than {DEPTH_MAX} deep"), "write some of them side by side")
}
