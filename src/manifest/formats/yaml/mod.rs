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
use crate::manifest::formats::yaml::documents::Documents;
use crate::manifest::formats::yaml::expand_options::WORDS_OF_OTHER_FILES;
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
