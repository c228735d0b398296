//! Parsed template, its flaws, and the names of vars.

use std::collections::BTreeSet;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::field::misspelt;
use crate::manifest::fields::value::shown_text;
use crate::manifest::template::node::Node;

/// Limit on the flaws of one text that are reported. A text that consists of braces has one flaw per character.
pub(crate) const FLAWS_MAX: usize = 100;

/// Parsed template of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    pub(crate) node: Node,
    pub(crate) vars: Vec<Box<str>>,
    pub(crate) has_weights: bool,
}

/// Diagnostic in a text, at the bytes from `begin` up to but not including `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateFlaw {
    pub(crate) begin: usize,
    pub(crate) end: usize,
    pub(crate) wrong: Issue,
}

impl Template {
    /// Creates a template of a literal text, in which no character is special.
    pub(crate) fn literal(text: String) -> Self {
        Self { node: Node::Text(text.into()), vars: Vec::new(), has_weights: false }
    }

    /// Returns the number of texts, at least 1. `u64::MAX` means at least as many.
    pub(crate) fn n(&self) -> u64 {
        self.node.n()
    }

    /// Returns the names of the vars, each once, in the order of their first use.
    pub(crate) fn vars(&self) -> Vec<&str> {
        self.vars.iter().map(|name| &**name).collect()
    }

    /// Returns whether options have weights. They have no effect, because every text is made once.
    pub(crate) fn has_weights(&self) -> bool {
        self.has_weights
    }

    /// Renders the text at index `i` of [`n`](Self::n), with vars replaced. The last choice varies fastest.
    pub(crate) fn text<'a>(&self, i: u64, value: &dyn Fn(&str) -> &'a str) -> String {
        let mut text = String::new();
        self.node.write(i, value, &mut text);
        text
    }
}

/// Collector of the flaws, and of the vars in order, for both syntaxes.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) flaws: Vec<TemplateFlaw>,
    pub(crate) vars: Vec<Box<str>>,
    seen: BTreeSet<Box<str>>,
}

impl Gathered {
    pub(crate) fn flaw(&mut self, begin: usize, end: usize, wrong: Issue) {
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(TemplateFlaw { begin, end, wrong });
        }
    }

    pub(crate) fn mention(&mut self, name: &str) {
        if !self.seen.contains(name) {
            self.seen.insert(name.into());
            self.vars.push(name.into());
        }
    }

    pub(crate) fn template(self, node: Node, has_weights: bool) -> Result<Template, Vec<TemplateFlaw>> {
        let Self { mut flaws, vars, .. } = self;
        if flaws.is_empty() {
            return Ok(Template { node, vars, has_weights });
        }
        flaws.sort_by_key(|flaw| flaw.begin);
        Err(flaws)
    }
}

/// Returns whether the text is a valid name of a var: letters of any script, digits, `_` and `-`.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_name)
}

pub(crate) fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Returns the mistake for a placeholder that names no var. `None` if no var has a similar name.
pub(crate) fn misspelt_var(written: &str, vars: &BTreeSet<String>, braces: &str) -> Option<Issue> {
    let meant = misspelt(written, vars.iter().map(String::as_str))?;
    if written.trim() == meant {
        let what = format!("{} has spaces around the name of a var", shown_text(&format!("{{{written}}}")));
        return Some(wrong(what, format!("write `{{{meant}}}`, or `{braces}` for literal braces")));
    }
    let what = format!("no var is called {}", shown_text(written.trim()));
    Some(wrong(what, format!("did you mean `{meant}`? write `{braces}` for literal braces")))
}
