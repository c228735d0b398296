//! TXT: one prompt per line, exactly as written, without the line end.

use std::io;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::value::UnparsedValue;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use crate::manifest::formats::text_lines::{NonBlankLines, TextLine};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::lists::ListFiles;

/// Plain text: one prompt per line.
pub(crate) struct Txt;

impl Format for Txt {
    fn name(&self) -> &'static str {
        "txt"
    }

    fn help(&self) -> &'static str {
        "One prompt per line"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["txt"]
    }

    fn instead_of_column(&self, _: Field) -> Option<String> {
        Some("every line is a prompt".to_owned())
    }

    fn is_one_prompt_per_line(&self) -> bool {
        true
    }

    fn open(
        &self,
        input: FormatInput,
        _: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        Ok(Opened::entries(TxtEntries { lines: NonBlankLines::new(input.text(findings)?), has_hash: false }))
    }
}

/// Lines of a text file as entries.
struct TxtEntries {
    lines: NonBlankLines,
    /// Records that the warning about a line with `# ` was given.
    has_hash: bool,
}

impl TxtEntries {
    fn warn_of_hash(&mut self, TextLine { text, line, .. }: &TextLine, findings: &mut PassDiagnostics) {
        if !self.has_hash && text.starts_with("# ") {
            self.has_hash = true;
            let what = "this line is a prompt too, although it begins with `# `";
            let remedy = "remove it if it is meant as a comment: TXT manifests have no comments";
            findings.warnings.push(Location::Line(*line), wrong(what, remedy));
        }
    }
}

impl EntrySource for TxtEntries {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        let Some(line) = self.lines.next(findings)? else { return Ok(None) };
        self.warn_of_hash(&line, findings);
        let TextLine { text, line, span } = line;
        let given = FieldEntry::one(Field::Prompt, UnparsedValue::Cell(text), span);
        Ok(Some(Entry { given: vec![given], ..Entry::new(Location::Line(line)) }))
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.hashed()
    }
}
