//! Tests of template texts: tables of typical input, and properties of any input.

mod dynamic;
mod plain;
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::syntax::Syntax;
use crate::manifest::template::parse as parse_template;
use crate::manifest::template::parsed::{FLAWS_MAX, Template, TemplateFlaw, is_name};
use crate::manifest::template::wildcards::{Reading, WildcardCache, Wildcards};

/// Wildcards from a table, and the names that were requested.
struct Table(BTreeMap<&'static str, Vec<&'static str>>, Vec<String>);

impl Wildcards for Table {
    fn values(&mut self, name: &str) -> Result<Arc<[String]>, Issue> {
        self.1.push(name.to_owned());
        match self.0.get(name) {
            Some(texts) => Ok(texts.iter().map(|text| (*text).to_owned()).collect()),
            None => Err(wrong(format!("there is no {name}.txt"), "write it")),
        }
    }
}

fn table() -> Table {
    let lists = [
        ("animal", vec!["cat", "dog", "cat", "{red|grey} fox"]),
        ("animal*", vec!["cat", "ant"]),
        ("size/small", vec!["tiny"]),
        ("cyclic", vec!["a", "__cyclic__"]),
        ("there", vec!["__back__"]),
        ("back", vec!["__there__"]),
        ("open", vec!["a", "{b"]),
        ("weighted", vec!["2::a", "b"]),
        ("of_vars", vec!["{place}", "{animal} in {place}"]),
    ];
    Table(lists.into_iter().collect(), Vec::new())
}

/// Parses a text with the vars `animal` and `place` in scope.
fn parse(syntax: Syntax, text: &str) -> Result<Template, Vec<TemplateFlaw>> {
    let vars = ["animal", "place"].map(str::to_owned).into();
    let mut reading = Reading { syntax, vars: &vars, wildcards: &mut table(), known: &mut WildcardCache::default() };
    parse_template(text, &mut reading)
}

fn value(name: &str) -> &'static str {
    match name {
        "animal" => "<owl>",
        "place" => "<bay>",
        other => panic!("no var is called {other}"),
    }
}

/// Renders all texts of a template, in order.
fn texts(template: &Template) -> Vec<String> {
    (0..template.n()).map(|i| template.text(i, &value)).collect()
}

/// Formats the flaws of a text: the affected part of the text, then the message.
fn flaws(syntax: Syntax, text: &str) -> Vec<String> {
    let flaws = parse(syntax, text).expect_err("it has flaws");
    let shown =
        |flaw: &TemplateFlaw| format!("{}: {}; {}", &text[flaw.begin..flaw.end], flaw.wrong.what, flaw.wrong.remedy);
    flaws.iter().map(shown).collect()
}

#[test]
fn a_literal_text_is_one_text() {
    let template = Template::literal("{a|b} __x__ {animal} }".to_owned());
    assert_eq!(texts(&template), ["{a|b} __x__ {animal} }"]);
    assert_eq!(template.vars(), [""; 0]);
}

#[test]
fn names_are_of_letters_of_any_script() {
    for name in ["a", "art_style-2", "动物", "животное", "2", "जानवर", "_"] {
        assert!(is_name(name), "{name}");
    }
    for name in ["", "a b", "a.b", "a|b", "{a", "a\n"] {
        assert!(!is_name(name), "{name}");
    }
}
