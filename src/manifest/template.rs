//! The text of a prompt as a template whose texts can be counted, and any of them written without writing those before it.
//!
//! Two syntaxes: [`plain`] has vars only, [`dynamic`] is what users of dynamic prompts know. Neither draws lots: a template has so
//! many texts in one fixed order, and what picks among them stands elsewhere.

mod dynamic;
mod node;
mod plain;
mod some_of;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::node::Node;
use crate::manifest::field::misspelt;
use crate::manifest::mistake::{Wrong, wrong};
use crate::manifest::read::shown_text;

/// Flaws of one text that are told; a text of nothing but braces has as many as characters.
const FLAWS_MAX: usize = 100;

/// A prompt's text with its choices still open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    node: Node,
    vars: Vec<Box<str>>,
    has_weights: bool,
}

/// How a text is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Syntax {
    /// `{name}` is the value of a var, `{{` and `}}` are braces.
    #[default]
    Plain,
    /// `{a|b}`, `{2$$a|b|c}`, `__wildcard__`, and `{name}` for vars too.
    Dynamic,
}

/// What is known while a text is read.
pub(super) struct Reading<'a> {
    pub(super) syntax: Syntax,
    /// The names of the vars in scope.
    pub(super) vars: &'a BTreeSet<String>,
    pub(super) wildcards: &'a mut dyn Wildcards,
    /// Kept from one text to the next.
    pub(super) known: &'a mut Known,
}

/// Where the texts of a wildcard come from.
pub(super) trait Wildcards {
    /// The texts of a wildcard by its name, or of all that a name with `*` fits: not yet read as templates, and at least one.
    fn values(&mut self, name: &str) -> Result<Arc<[String]>, Wrong>;
}

/// The wildcards that were read as templates before, so that a list of a million lines is read once and not once a prompt.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The vars that were in scope then: with others the same words may mean something else.
    vars: BTreeSet<String>,
    wildcards: BTreeMap<String, Result<Template, Wrong>>,
}

/// One thing that is wrong in a text: its bytes from `begin` to before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) wrong: Wrong,
}

impl Template {
    /// A text in which everything stands for itself.
    pub(super) fn literal(text: String) -> Self {
        Self { node: Node::Text(text.into()), vars: Vec::new(), has_weights: false }
    }

    /// Reads a text. Its flaws are told all at once, the first hundred of them, in the order of the text.
    pub(super) fn parse(text: &str, reading: &mut Reading<'_>) -> Result<Self, Vec<Flaw>> {
        match reading.syntax {
            Syntax::Plain => plain::read(text, reading.vars),
            Syntax::Dynamic => {
                if reading.known.vars != *reading.vars {
                    *reading.known = Known { vars: reading.vars.clone(), wildcards: BTreeMap::new() };
                }
                dynamic::read(text, reading)
            }
        }
    }

    /// How many texts this stands for, at least 1; `u64::MAX` where there are as many or more.
    pub(super) fn n(&self) -> u64 {
        self.node.n()
    }

    /// The names of the vars in it, each once, in the order in which they are first mentioned.
    pub(super) fn vars(&self) -> Vec<&str> {
        self.vars.iter().map(|name| &**name).collect()
    }

    /// Whether it gives weights to options, which count for nothing where every text is wanted once.
    pub(super) fn has_weights(&self) -> bool {
        self.has_weights
    }

    /// The text at place `i` of [`n`](Self::n), with vars replaced. The last choice varies fastest.
    pub(super) fn text<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str) -> String {
        let mut text = String::new();
        self.node.write(i, value, &mut text);
        text
    }
}

/// Gathers what both syntaxes find: the flaws, and the vars in order.
#[derive(Debug, Default)]
struct Gathered {
    flaws: Vec<Flaw>,
    vars: Vec<Box<str>>,
    seen: BTreeSet<Box<str>>,
}

impl Gathered {
    fn flaw(&mut self, begin: usize, end: usize, wrong: Wrong) {
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(Flaw { begin, end, wrong });
        }
    }

    fn mention(&mut self, name: &str) {
        if !self.seen.contains(name) {
            self.seen.insert(name.into());
            self.vars.push(name.into());
        }
    }

    fn template(self, node: Node, has_weights: bool) -> Result<Template, Vec<Flaw>> {
        let Self { mut flaws, vars, .. } = self;
        if flaws.is_empty() {
            return Ok(Template { node, vars, has_weights });
        }
        flaws.sort_by_key(|flaw| flaw.begin);
        Err(flaws)
    }
}

/// Whether a var can be called this: letters of any script, digits, `_` and `-`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// What is wrong with a placeholder that names no var, if one is nearly called so.
fn misspelt_var(written: &str, vars: &BTreeSet<String>, braces: &str) -> Option<Wrong> {
    let meant = misspelt(written, vars.iter().map(String::as_str))?;
    let what = format!("no var is called {}", shown_text(written.trim()));
    Some(wrong(what, format!("did you mean `{meant}`? write `{braces}` for braces that are meant")))
}
