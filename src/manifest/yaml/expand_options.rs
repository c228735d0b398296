//! Expansion options of a YAML manifest: lists, vars, template syntax, and values from other files.

use std::sync::Arc;

use crate::manifest::diagnostic::{Location, wrong};
use crate::manifest::expand_options::{self, ExpandOptions, SYNTAX, VARS, Var};
use crate::manifest::fields::Text;
use crate::manifest::range;
use crate::manifest::read::{shown, shown_text};
use crate::manifest::spanned::{Pair, YamlKind, YamlNode};
use crate::manifest::template::is_name;
use crate::manifest::value::Value;
use crate::manifest::yaml::Reader;

/// Key of a map such as `{from: animals.txt}`, which means the lines of a file. The map has no other key.
const FROM: &str = "from";

impl Reader<'_> {
    /// Reads `expand`, `vars` or `syntax`.
    pub(super) fn way(&mut self, name: &str, node: YamlNode, place: Location, ways: &mut ExpandOptions) {
        match name {
            VARS => self.vars(node, place, ways),
            SYNTAX => match expand_options::syntax(&node.into_value()) {
                Ok(syntax) => ways.syntax = Some(syntax),
                Err(wrong) => self.findings.mistakes.push(place, wrong),
            },
            _ => match expand_options::combine(&node.into_value()) {
                Ok(combine) => ways.combine = Some((combine, place)),
                Err(wrong) => self.findings.mistakes.push(place, wrong),
            },
        }
    }

    fn vars(&mut self, node: YamlNode, place: Location, ways: &mut ExpandOptions) {
        let YamlKind::Map(pairs) = node.kind else {
            let what = format!("`{VARS}` is {}, not a map", node.kind.shown());
            return self.mistake(place, what, "write names and values below it, such as `animal: [cat, dog]`");
        };
        let mut vars = (*ways.vars).clone();
        for Pair { name, mark, node } in pairs {
            let place = self.place_of_name(&name, mark, place);
            if !is_name(&name) {
                let what = format!("the var {} has a character that is not allowed in names", shown_text(&name));
                self.mistake(place, what, "use letters, digits, `_` and `-`");
                continue;
            }
            let texts = self.var(&name, node, place);
            vars.insert(name, Var { place, texts });
        }
        ways.vars = Arc::new(vars);
    }

    /// Reads the values of a var. After a mistake, the name is its only value, so that no second mistake about an empty prompt follows.
    fn var(&mut self, name: &str, node: YamlNode, place: Location) -> Vec<Text> {
        if let Some(texts) = self.lines_of_file(&node, place) {
            return texts.map_or_else(
                || vec![Text { text: name.to_owned(), place }],
                |texts| texts.iter().map(|text| Text { text: text.clone(), place }).collect(),
            );
        }
        let nodes = match node.kind {
            YamlKind::List(nodes) => nodes,
            YamlKind::Scalar(_) | YamlKind::Map(_) => vec![node],
        };
        if nodes.is_empty() {
            let what = format!("the var {} is an empty list", shown_text(name));
            self.mistake(place, what, format!("write at least one value, or remove {}", shown_text(name)));
        }
        let mut texts = Vec::new();
        for node in nodes {
            self.var_texts(name, node, place, &mut texts);
        }
        if texts.is_empty() {
            texts.push(Text { text: name.to_owned(), place });
        }
        texts
    }

    fn var_texts(&mut self, name: &str, node: YamlNode, place: Location, texts: &mut Vec<Text>) {
        let shown_name = shown_text(name);
        let (mark, value) = (node.mark, node.into_value());
        let place = self.place_of_value(mark, &value, place);
        match &value {
            Value::Text(text) => match range::integers(text) {
                Some(Ok(numbers)) => {
                    texts.extend(numbers.iter().map(|number| Text { text: number.to_string(), place }));
                }
                Some(Err(wrong)) => self.findings.mistakes.push(place, wrong),
                None => {
                    self.warn_of_text(mark, &value, place);
                    texts.push(Text { text: text.clone(), place });
                }
            },
            Value::Int(_) | Value::Float(_) => {
                texts.extend(self.number(mark, &value).map(|text| Text { text, place }));
            }
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                let what = format!("a value of the var {shown_name} is {}, not text", shown(&value));
                self.mistake(place, what, "write one text; put it in quotes if it is meant to be text");
            }
        }
    }

    /// Reads the lines of a file for a value such as `{from: animals.txt}`. Returns `None` for another value, `Some(None)` after a mistake.
    #[expect(clippy::option_option, reason = "another value, a mistake and the lines are three different results")]
    pub(super) fn lines_of_file(&mut self, node: &YamlNode, place: Location) -> Option<Option<Arc<[String]>>> {
        let YamlKind::Map(pairs) = &node.kind else { return None };
        let [Pair { name, mark, node }] = pairs.as_slice() else { return None };
        if name != FROM {
            return None;
        }
        let place = mark.map_or(place, |mark| self.lines.place(mark, name));
        let YamlKind::Scalar(Value::Text(file)) = &node.kind else {
            let wrong = wrong(format!("`{FROM}` is {}, not the name of a file", node.kind.shown()), FROM_REMEDY);
            self.findings.mistakes.push(place, wrong);
            return Some(None);
        };
        match self.files.of_file(file) {
            Ok(texts) => Some(Some(texts)),
            Err(wrong) => {
                self.findings.mistakes.push(self.place_of_value(node.mark, &Value::Text(file.clone()), place), wrong);
                Some(None)
            }
        }
    }
}

const FROM_REMEDY: &str = "write the name of a text file with one value per line, such as `{from: animals.txt}`";

/// Words without which a manifest names no other file.
pub(in crate::manifest) const WORDS_OF_OTHER_FILES: [&str; 2] = [FROM, "dynamic"];
