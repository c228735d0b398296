//! Plain template syntax: `{name}` is a var, `{{` and `}}` are braces, and no other character is special.

use std::collections::BTreeSet;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;
use crate::manifest::template::node::Node;
use crate::manifest::template::parsed::{Gathered, Template, TemplateFlaw, is_name, misspelt_var};
use crate::model::escape::excerpt;

pub(crate) fn read(text: &str, vars: &BTreeSet<String>) -> Result<Template, Vec<TemplateFlaw>> {
    let mut gathered = Gathered::default();
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']) {
        let brace = at + found;
        literal.push_str(&text[at..brace]);
        let rest = &text[brace..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            literal.push_str(&rest[..1]);
            at = brace + 2;
            continue;
        }
        // Search stops at the next brace of either kind, so that no part of the text is searched twice.
        let name = rest.strip_prefix('{').and_then(|rest| rest.split_once(['{', '}'])).map(|(name, _)| name);
        let name = name.filter(|name| rest[1 + name.len()..].starts_with('}'));
        at = brace + name.map_or(1, |name| name.len() + 2);
        match name {
            Some(name) if vars.contains(name) => {
                parts.extend((!literal.is_empty()).then(|| Node::Text(std::mem::take(&mut literal).into())));
                gathered.mention(name);
                parts.push(Node::Var(name.into()));
            }
            _ => gathered.flaw(brace, at, flaw(rest, name, vars)),
        }
    }
    literal.push_str(&text[at..]);
    parts.extend((!literal.is_empty()).then(|| Node::Text(literal.into())));
    gathered.template(Node::sequence(parts), false)
}

/// Fills in the names of `vars` alone. Other braces are text, because a passthrough value may be JSON.
pub(crate) fn read_known(text: &str, vars: &BTreeSet<String>) -> Template {
    let mut gathered = Gathered::default();
    let mut parts = Vec::new();
    let mut at = 0;
    for (brace, _) in text.match_indices('{') {
        let name = text[brace + 1..].split_once(['{', '}']).map_or("", |(name, _)| name);
        let end = brace + 1 + name.len();
        if vars.contains(name) && text[end..].starts_with('}') {
            parts.push(Node::Text(text[at..brace].into()));
            parts.push(Node::Var(name.into()));
            gathered.mention(name);
            at = end + 1;
        }
    }
    parts.push(Node::Text(text[at..].into()));
    Template { node: Node::sequence(parts), vars: gathered.vars, has_weights: false }
}

/// Creates the mistake for the brace at the beginning of `rest`. `name` is the text inside the braces, if they are closed.
fn flaw(rest: &str, name: Option<&str>, vars: &BTreeSet<String>) -> Issue {
    let Some(name) = name else {
        return if rest.starts_with('{') {
            wrong("a `{` is never closed", "write `{{` for a literal brace")
        } else {
            wrong("a `}` closes nothing", "write `}}` for a literal brace")
        };
    };
    let doubled = format!("{{{{{}}}}}", excerpt(name, 40));
    if let Some(wrong) = misspelt_var(name, vars, &doubled) {
        return wrong;
    }
    let shown = shown_text(name);
    let what = if is_name(name) {
        format!("no var is called {shown}")
    } else {
        format!("{shown} in braces is not the name of a var")
    };
    if vars.is_empty() {
        return wrong(what, format!("write `{doubled}` for literal braces"));
    }
    let known: Vec<_> = vars.iter().take(5).map(|name| format!("`{{{name}}}`")).collect();
    let more = if vars.len() > known.len() { ", .." } else { "" };
    wrong(what, format!("write {}{more}, or `{doubled}` for literal braces", known.join(", ")))
}
