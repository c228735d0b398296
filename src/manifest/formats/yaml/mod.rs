//! YAML: a list, or a map with `defaults` and `prompts`, or a stream of documents.

mod context;
pub(crate) mod document;
mod documents;
mod errors;
mod expand_options;
mod line_index;
mod lints;
mod settings;
mod spanned;

use std::io;

use crate::manifest::diagnostics::PassDiagnostics;
use crate::manifest::fields::field::Field;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{Format, FormatInput, Opened};
use crate::manifest::formats::yaml::document::{Document, DocumentRole, Parsed};
use crate::manifest::formats::yaml::documents::Documents;
pub(crate) use crate::manifest::formats::yaml::expand_options::WORDS_OF_OTHER_FILES;
use crate::manifest::lists::ListFiles;

/// YAML.
pub(crate) struct Yaml;

impl Format for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn help(&self) -> &'static str {
        "A list of prompts, or documents separated by ---"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["yaml", "yml"]
    }

    fn instead_of_column(&self, field: Field) -> Option<String> {
        Some(format!("name the field `{}` in the manifest", field.name()))
    }

    fn has_null(&self) -> bool {
        true
    }

    fn words_of_other_files(&self) -> &'static [&'static str] {
        WORDS_OF_OTHER_FILES
    }

    fn open(
        &self,
        input: FormatInput,
        _: ColumnOptions,
        lists: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let (entries, head) = Documents::open(input.text(findings)?, lists, findings)?;
        Ok(Opened { head, entries: Box::new(entries) })
    }
}

/// Reads a JSON object as the whole manifest. It begins on this line, behind this number of bytes.
pub(crate) fn read_json(
    json: &str,
    (line, column): (u64, usize),
    lists: &mut ListFiles,
    findings: &mut PassDiagnostics,
) -> Parsed {
    let text = " ".repeat(column) + &as_yaml(json);
    let document = Document { text: &text, line, part: DocumentRole::Whole, n_entries: 0 };
    let parsed = document::parse(document, lists, findings);
    if !parsed.head.ways.names_vars() {
        lints::warn_of_placeholder(&parsed.entries, &mut findings.warnings);
    }
    parsed
}

/// Replaces what JSON has and YAML has not: tabs between values, and characters that are written as two surrogates.
fn as_yaml(json: &str) -> String {
    let mut yaml = String::with_capacity(json.len());
    let mut rest = json;
    let mut is_text = false;
    while let Some(c) = rest.chars().next() {
        let mut n_bytes = c.len_utf8();
        match c {
            '\t' if !is_text => yaml.push(' '),
            '\\' => {
                let pair = rest.get(..12).filter(|pair| pair[1..].starts_with("ud") || pair[1..].starts_with("uD"));
                let decoded = pair.and_then(|pair| serde_json::from_str::<String>(&format!("\"{pair}\"")).ok());
                match decoded {
                    Some(decoded) if decoded.chars().count() == 1 => {
                        n_bytes = 12;
                        yaml.push_str(&decoded);
                    }
                    _ => {
                        n_bytes = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                        yaml.push_str(&rest[..n_bytes]);
                    }
                }
            }
            c => {
                is_text ^= c == '"';
                yaml.push(c);
            }
        }
        rest = &rest[n_bytes..];
    }
    yaml
}
