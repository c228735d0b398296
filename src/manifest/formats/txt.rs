//! TXT: one prompt per line, exactly as written, without the line end.

use std::io;

use crate::manifest::diagnostics::{Location, PassDiagnostics, Span, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::value::UnparsedValue;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;
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
        Ok(Opened::entries(TxtEntries::new(input.text(findings)?)))
    }
}

/// Lines of a text file as entries.
struct TxtEntries {
    lines: LineReader<ManifestInput>,
    n_prompts: u64,
    /// Records that the warning about a line with `# ` was given.
    has_hash: bool,
}

impl TxtEntries {
    const fn new(input: ManifestInput) -> Self {
        Self { lines: LineReader::new(input), n_prompts: 0, has_hash: false }
    }

    fn warn_of_hash(&mut self, text: &str, findings: &mut PassDiagnostics) {
        if !self.has_hash && text.starts_with("# ") {
            self.has_hash = true;
            let what = "this line is a prompt too, although it begins with `# `";
            let remedy = "remove it if it is meant as a comment: TXT manifests have no comments";
            findings.warnings.push(Location::Line(self.lines.line()), wrong(what, remedy));
        }
    }
}

impl EntrySource for TxtEntries {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        loop {
            let mut bytes = Vec::new();
            let got = self.lines.next_line(&mut bytes)?;
            let line = self.lines.line();
            match got {
                ReadLine::Line => {}
                ReadLine::End if self.n_prompts == 0 => {
                    findings.mistakes.push(Location::File, wrong("the text is empty", "write one prompt per line"));
                    return Ok(None);
                }
                ReadLine::End => return Ok(None),
                ReadLine::TooLong => {
                    let what = "this line is longer than 32 MiB";
                    findings.mistakes.push(Location::Line(line), wrong(what, "write one prompt per line"));
                    return Ok(None);
                }
            }
            let text = String::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8)?;
            if text.trim().is_empty() {
                continue;
            }
            self.n_prompts += 1;
            self.warn_of_hash(&text, findings);
            let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let given =
                FieldEntry::one(Field::Prompt, UnparsedValue::Cell(text), Location::Span(Span { line, begin: 0, end }));
            return Ok(Some(Entry { given: vec![given], ..Entry::new(Location::Line(line)) }));
        }
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.input().hashed()
    }
}
