//! Context of reading one YAML document: its lines, the list files and the diagnostics.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::value::Value;
use crate::manifest::formats::yaml::line_index::{LineIndex, TextPosition};
use crate::manifest::lists::ListFiles;

/// What every part of the document reader needs.
pub(crate) struct Context<'a> {
    pub(crate) lines: &'a LineIndex<'a>,
    pub(crate) files: &'a mut ListFiles,
    pub(crate) findings: &'a mut PassDiagnostics,
}

impl Context<'_> {
    pub(crate) fn mistake(&mut self, place: Location, what: impl Into<String>, remedy: impl Into<String>) {
        self.findings.mistakes.push(place, wrong(what, remedy));
    }

    /// Returns the location of a scalar. `or` is the location of a scalar without a position.
    pub(crate) fn place_of_value(&self, mark: Option<TextPosition>, value: &Value, or: Location) -> Location {
        let written = if let Value::Text(text) = value { text } else { "" };
        self.place_of_name(written, mark, or)
    }

    /// Returns the location of a name. `or` is the location of a name without a position.
    pub(crate) fn place_of_name(&self, name: &str, mark: Option<TextPosition>, or: Location) -> Location {
        mark.map_or(or, |mark| self.lines.place(mark, name))
    }
}
