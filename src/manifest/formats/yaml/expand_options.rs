//! Expansion options of a YAML manifest: lists, vars, template syntax, and values from other files.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::manifest::diagnostics::{Location, wrong};
use crate::manifest::expand::options;
use crate::manifest::expand::options::{ExpandOptions, SYNTAX, VARS, Var};
use crate::manifest::fields::value::{Value, shown, shown_text};
use crate::manifest::fields::{Text, range};
use crate::manifest::formats::yaml::context::Context;
use crate::manifest::formats::yaml::lints;
use crate::manifest::formats::yaml::spanned::{Pair, YamlKind, YamlNode};
use crate::manifest::lints::foreign_lists;
use crate::manifest::lists::tables::TableKind;
use crate::manifest::template::parsed::is_name;

/// Key of a map such as `{from: animals.txt}`, which means the lines of a file. The map has no other key.
const FROM: &str = "from";

/// Reads `expand`, `vars` or `syntax`.
pub(crate) fn read(context: &mut Context, name: &str, node: YamlNode, place: Location, ways: &mut ExpandOptions) {
    match name {
        VARS => vars(context, node, place, ways),
        SYNTAX => match options::syntax(&node.into_value()) {
            Ok(syntax) => ways.syntax = Some(syntax),
            Err(wrong) => context.findings.mistakes.push(place, wrong),
        },
        _ => match options::combine(&node.into_value()) {
            Ok(combine) => ways.combine = Some((combine, place)),
            Err(wrong) => context.findings.mistakes.push(place, wrong),
        },
    }
}

fn vars(context: &mut Context, node: YamlNode, place: Location, ways: &mut ExpandOptions) {
    let YamlKind::Map(pairs) = node.kind else {
        let what = format!("`{VARS}` is {}, not a map", node.kind.shown());
        return context.mistake(place, what, "write names and values below it, such as `animal: [cat, dog]`");
    };
    let mut vars = (*ways.vars).clone();
    for Pair { name, mark, node } in pairs {
        let place = context.place_of_name(&name, mark, place);
        if let Some((file, kind)) = table_file(&name, &node) {
            let at = context.place_of_value(node.mark, &Value::Text(file.to_owned()), place);
            table_vars(context, file, kind, at, &mut vars);
            continue;
        }
        if !is_name(&name) {
            let what = format!("the var {} has a character that is not allowed in names", shown_text(&name));
            context.mistake(place, what, "use letters, digits, `_` and `-`");
            continue;
        }
        let (texts, table) = match column_file(&node) {
            Some((file, kind)) => {
                let file = file.to_owned();
                column_texts(context, &name, &file, kind, place)
            }
            None => (var(context, &name, node, place), None),
        };
        vars.insert(name, Var { place, texts, table });
    }
    ways.vars = Arc::new(vars);
}

/// Returns the file that `from: animals.csv` among the vars names. `None` for another var.
fn table_file<'a>(name: &str, node: &'a YamlNode) -> Option<(&'a str, TableKind)> {
    let YamlKind::Scalar(Value::Text(file)) = &node.kind else { return None };
    TableKind::of(file).filter(|_| name == FROM).map(|kind| (file.as_str(), kind))
}

/// Returns the table that `{from: animals.csv}` as the value of a var names. `None` for another value.
fn column_file(node: &YamlNode) -> Option<(&str, TableKind)> {
    let YamlKind::Map(pairs) = &node.kind else { return None };
    let [Pair { name, node, .. }] = pairs.as_slice() else { return None };
    table_file(name, node)
}

/// Makes a var of each column of a table. The rows stay together.
fn table_vars(context: &mut Context, file: &str, kind: TableKind, place: Location, vars: &mut BTreeMap<String, Var>) {
    let table = match context.files.table(file, kind) {
        Ok(table) if table.titles.is_empty() => {
            let what = format!("{} holds texts without names", shown_text(file));
            return context.mistake(place, what, format!("give them a name: `animal: {{from: {file}}}`"));
        }
        Ok(table) => table,
        Err(wrong) => return context.findings.mistakes.push(place, wrong),
    };
    for (i, title) in table.titles.iter().enumerate().filter(|(_, title)| !title.is_empty()) {
        let texts = table.rows.iter().map(|row| Text { text: row[i].clone(), place }).collect();
        let var = Var { place, texts, table: Some(file.into()) };
        if vars.insert(title.clone(), var).is_some() {
            let what = format!("the var {} is given twice", shown_text(title));
            context.mistake(place, what, format!("rename the column in {}, or the other var", shown_text(file)));
        }
    }
}

/// Reads the column of a table that is called like the var, or its only column.
fn column_texts(
    context: &mut Context,
    name: &str,
    file: &str,
    kind: TableKind,
    place: Location,
) -> (Vec<Text>, Option<Arc<str>>) {
    // After a mistake, the name is the only value.
    let nothing = || (vec![Text { text: name.to_owned(), place }], None);
    let table = match context.files.table(file, kind) {
        Ok(table) => table,
        Err(wrong) => {
            context.findings.mistakes.push(place, wrong);
            return nothing();
        }
    };
    let only = (table.titles.len() <= 1).then_some(0);
    let Some(i) = table.titles.iter().position(|title| title == name).or(only) else {
        let what = format!("the table {} has no column {}", shown_text(file), shown_text(name));
        let titles: Vec<_> = table.titles.iter().map(|title| shown_text(title)).collect();
        let all = format!("it has {}; `{VARS}: {{from: {file}}}` makes a var of each", titles.join(", "));
        context.mistake(place, what, all);
        return nothing();
    };
    let texts = table.rows.iter().map(|row| Text { text: row[i].clone(), place }).collect();
    (texts, Some(file.into()).filter(|_| !table.titles.is_empty()))
}

/// Reads the values of a var. After a mistake, the name is its only value, so that no second mistake about an empty prompt follows.
fn var(context: &mut Context, name: &str, node: YamlNode, place: Location) -> Vec<Text> {
    if let Some(texts) = lines_of_file(context, &node, place) {
        return texts.map_or_else(
            || vec![Text { text: name.to_owned(), place }],
            |texts| texts.iter().map(|text| Text { text: text.clone(), place }).collect(),
        );
    }
    let nodes = match node.kind {
        YamlKind::List(nodes) => nodes,
        YamlKind::Scalar(ref value) => {
            lints::warn_of_list(context, name, node.mark, value, place);
            vec![node]
        }
        YamlKind::Map(_) => vec![node],
    };
    if nodes.is_empty() {
        let what = format!("the var {} is an empty list", shown_text(name));
        context.mistake(place, what, format!("write at least one value, or remove {}", shown_text(name)));
    }
    let mut texts = Vec::new();
    for node in nodes {
        var_texts(context, name, node, place, &mut texts);
    }
    if texts.is_empty() {
        texts.push(Text { text: name.to_owned(), place });
    }
    texts
}

fn var_texts(context: &mut Context, name: &str, node: YamlNode, place: Location, texts: &mut Vec<Text>) {
    let shown_name = shown_text(name);
    let (mark, value) = (node.mark, node.into_value());
    let place = context.place_of_value(mark, &value, place);
    match &value {
        Value::Text(text) => match range::integers(text) {
            Some(Ok(numbers)) => {
                texts.extend(numbers.iter().map(|number| Text { text: number.to_string(), place }));
            }
            Some(Err(wrong)) => context.findings.mistakes.push(place, wrong),
            None => {
                lints::warn_of_text(context, mark, &value, place);
                texts.push(Text { text: text.clone(), place });
            }
        },
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
            texts.extend(lints::number(context.lines, mark, &value).map(|text| Text { text, place }));
        }
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
            let what = format!("a value of the var {shown_name} is {}, not text", shown(&value));
            context.mistake(place, what, "write one text; put it in quotes if it is meant to be text");
        }
    }
}

/// Reads the lines of a file for a value such as `{from: animals.txt}`. Returns `None` for another value, `Some(None)` after a mistake.
#[expect(clippy::option_option, reason = "another value, a mistake and the lines are three different results")]
pub(crate) fn lines_of_file(context: &mut Context, node: &YamlNode, place: Location) -> Option<Option<Arc<[String]>>> {
    let YamlKind::Map(pairs) = &node.kind else { return None };
    let [Pair { name, mark, node }] = pairs.as_slice() else { return None };
    if name != FROM {
        return None;
    }
    let place = mark.map_or(place, |mark| context.lines.place(mark, name));
    let YamlKind::Scalar(Value::Text(file)) = &node.kind else {
        let wrong = wrong(format!("`{FROM}` is {}, not the name of a file", node.kind.shown()), FROM_REMEDY);
        context.findings.mistakes.push(place, wrong);
        return Some(None);
    };
    if let Some(wrong) = foreign_lists::found(file) {
        context.findings.mistakes.push(context.place_of_value(node.mark, &Value::Text(file.clone()), place), wrong);
        return Some(None);
    }
    match context.files.of_file(file) {
        Ok(texts) => Some(Some(texts)),
        Err(wrong) => {
            context.findings.mistakes.push(context.place_of_value(node.mark, &Value::Text(file.clone()), place), wrong);
            Some(None)
        }
    }
}

const FROM_REMEDY: &str = "write the name of a text file with one value per line, such as `{from: animals.txt}`";

/// Words without which a manifest names no other file.
pub(crate) const WORDS_OF_OTHER_FILES: &[&str] = &[FROM, "dynamic"];
