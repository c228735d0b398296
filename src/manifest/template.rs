//! Prompt template: its texts are counted, and each text is rendered by its index, without the texts before it.
//!
//! Two syntaxes exist: [`plain`] has vars only, and [`dynamic`] is the syntax of the program Dynamic Prompts. Neither samples at random:
//! the texts of a template have a fixed order, and another module selects among them.

mod dynamic;
mod node;
mod plain;
mod subset;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::node::Node;
use crate::manifest::diagnostic::{Issue, wrong};
use crate::manifest::field::misspelt;
use crate::manifest::read::shown_text;

/// Limit on the flaws of one text that are reported. A text that consists of braces has one flaw per character.
const FLAWS_MAX: usize = 100;

/// Parsed template of a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    node: Node,
    vars: Vec<Box<str>>,
    has_weights: bool,
}

/// Template syntax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Plain syntax: `{name}` is the value of a var; `{{` and `}}` are braces.
    #[default]
    Plain,
    /// Dynamic syntax: `{a|b}`, `{2$$a|b|c}`, `__wildcard__`, and `{name}` for vars too.
    Dynamic,
}

/// Context of parsing a text.
pub(super) struct Reading<'a> {
    pub(super) syntax: Syntax,
    /// Names of the vars in scope.
    pub(super) vars: &'a BTreeSet<String>,
    pub(super) wildcards: &'a mut dyn Wildcards,
    /// Cache of wildcards, kept from one text to the next.
    pub(super) known: &'a mut WildcardCache,
}

/// Source of the texts of wildcards.
pub(super) trait Wildcards {
    /// Returns the texts of a wildcard, or of all wildcards that match a name with `*`. They are unparsed, and at least one.
    fn values(&mut self, name: &str) -> Result<Arc<[String]>, Issue>;
}

/// Cache of parsed wildcards, so that a list of a million lines is parsed once and not once per prompt.
#[derive(Debug, Default)]
pub(super) struct WildcardCache {
    /// Vars that were in scope. With other vars, the same text may have another meaning.
    vars: BTreeSet<String>,
    wildcards: BTreeMap<String, Result<Template, Issue>>,
}

/// Diagnostic in a text, at the bytes from `begin` up to but not including `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateFlaw {
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) wrong: Issue,
}

impl Template {
    /// Creates a template of a literal text, in which no character is special.
    pub(super) fn literal(text: String) -> Self {
        Self { node: Node::Text(text.into()), vars: Vec::new(), has_weights: false }
    }

    /// Parses a text. Reports all its flaws at once, at most the first hundred, in the order of the text.
    pub(super) fn parse(text: &str, reading: &mut Reading<'_>) -> Result<Self, Vec<TemplateFlaw>> {
        match reading.syntax {
            Syntax::Plain => plain::read(text, reading.vars),
            Syntax::Dynamic => {
                if reading.known.vars != *reading.vars {
                    *reading.known = WildcardCache { vars: reading.vars.clone(), wildcards: BTreeMap::new() };
                }
                dynamic::read(text, reading)
            }
        }
    }

    /// Returns the number of texts, at least 1. `u64::MAX` means at least as many.
    pub(super) fn n(&self) -> u64 {
        self.node.n()
    }

    /// Returns the names of the vars, each once, in the order of their first use.
    pub(super) fn vars(&self) -> Vec<&str> {
        self.vars.iter().map(|name| &**name).collect()
    }

    /// Returns whether options have weights. They have no effect, because every text is made once.
    pub(super) fn has_weights(&self) -> bool {
        self.has_weights
    }

    /// Renders the text at index `i` of [`n`](Self::n), with vars replaced. The last choice varies fastest.
    pub(super) fn text<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str) -> String {
        let mut text = String::new();
        self.node.write(i, value, &mut text);
        text
    }
}

/// Collector of the flaws, and of the vars in order, for both syntaxes.
#[derive(Debug, Default)]
struct Gathered {
    flaws: Vec<TemplateFlaw>,
    vars: Vec<Box<str>>,
    seen: BTreeSet<Box<str>>,
}

impl Gathered {
    fn flaw(&mut self, begin: usize, end: usize, wrong: Issue) {
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(TemplateFlaw { begin, end, wrong });
        }
    }

    fn mention(&mut self, name: &str) {
        if !self.seen.contains(name) {
            self.seen.insert(name.into());
            self.vars.push(name.into());
        }
    }

    fn template(self, node: Node, has_weights: bool) -> Result<Template, Vec<TemplateFlaw>> {
        let Self { mut flaws, vars, .. } = self;
        if flaws.is_empty() {
            return Ok(Template { node, vars, has_weights });
        }
        flaws.sort_by_key(|flaw| flaw.begin);
        Err(flaws)
    }
}

/// Returns whether the text is a valid name of a var: letters of any script, digits, `_` and `-`.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Returns the mistake for a placeholder that names no var. `None` if no var has a similar name.
fn misspelt_var(written: &str, vars: &BTreeSet<String>, braces: &str) -> Option<Issue> {
    let meant = misspelt(written, vars.iter().map(String::as_str))?;
    let what = format!("no var is called {}", shown_text(written.trim()));
    Some(wrong(what, format!("did you mean `{meant}`? write `{braces}` for literal braces")))
}
