//! Lines of plain text that are not blank, for the formats that read text line by line.

use std::io;

use crate::manifest::diagnostics::{Location, PassDiagnostics, Span, wrong};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;

/// Line with its number and the location of its text.
pub(crate) struct TextLine {
    pub(crate) text: String,
    pub(crate) line: u64,
    pub(crate) span: Location,
}

pub(crate) struct NonBlankLines {
    lines: LineReader<ManifestInput>,
    n_lines: u64,
}

impl NonBlankLines {
    pub(crate) const fn new(input: ManifestInput) -> Self {
        Self { lines: LineReader::new(input), n_lines: 0 }
    }

    /// Returns the bytes of the file that have been read.
    pub(crate) fn hashed(&self) -> &HashingReader {
        self.lines.input().hashed()
    }

    /// Returns the next line that is not blank. Reports a text without one, and a line that is too long.
    pub(crate) fn next(&mut self, findings: &mut PassDiagnostics) -> io::Result<Option<TextLine>> {
        loop {
            let mut bytes = Vec::new();
            let got = self.lines.next_line(&mut bytes)?;
            let line = self.lines.line();
            match got {
                ReadLine::Line => {}
                ReadLine::End => {
                    if self.n_lines == 0 {
                        findings.mistakes.push(Location::File, wrong("the text is empty", "write one prompt per line"));
                    }
                    return Ok(None);
                }
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
            self.n_lines += 1;
            let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
            return Ok(Some(TextLine { text, line, span: Location::Span(Span { line, begin: 0, end }) }));
        }
    }
}
