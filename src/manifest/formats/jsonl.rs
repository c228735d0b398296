//! JSONL (JSON Lines): one object per line, or one prompt per line as a JSON string.

use std::io;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use crate::manifest::formats::json_entry::{ObjectReader, Piece, Unit};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lists::ListFiles;

const LINE: Unit = Unit {
    name: "line",
    remedy: "write one object per line, for example {\"prompt\": \"a golden cat in the snow\"}",
    list_remedy: "write one object per line: jq -c '.[]' OLD > NEW; a file that is one JSON list is read with --format json",
    each: "",
};

/// JSON Lines: one JSON object per line.
pub(crate) struct Jsonl;

impl Format for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn help(&self) -> &'static str {
        "One JSON object per line"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        Ok(Opened::entries(JsonlEntries {
            lines: LineReader::new(input.text(findings)?),
            reader: ObjectReader::new(columns, LINE),
            n_lines: 0,
            is_done: false,
        }))
    }
}

/// Lines of a file as entries.
struct JsonlEntries {
    lines: LineReader<ManifestInput>,
    reader: ObjectReader,
    n_lines: u64,
    is_done: bool,
}

/// Returns whether a line is the beginning of a value that other lines end, or a whole list.
fn is_open(line: &str) -> bool {
    let cut = |error: serde_json::Error| error.is_eof();
    line.trim_start().starts_with('[') || serde_json::from_str::<serde::de::IgnoredAny>(line).is_err_and(cut)
}

impl EntrySource for JsonlEntries {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        let mut bytes = Vec::new();
        while !self.is_done {
            bytes.clear();
            let got = self.lines.next_line(&mut bytes)?;
            let number = self.lines.line();
            match got {
                ReadLine::Line => {}
                ReadLine::End if self.n_lines == 0 => {
                    findings.mistakes.push(Location::File, wrong("the file is empty", LINE.remedy));
                    break;
                }
                ReadLine::End => break,
                ReadLine::TooLong => {
                    let remedy = "write one object per line: jq -c . OLD > NEW";
                    findings.mistakes.push(Location::Line(number), wrong("this line is longer than 32 MiB", remedy));
                    break;
                }
            }
            let text = str::from_utf8(&bytes).map_err(|_| Unreadable::NotUtf8)?;
            if text.trim().is_empty() {
                continue;
            }
            self.n_lines += 1;
            let n_mistakes = findings.mistakes.n();
            if let Some(entry) = self.reader.entry(Piece { line: number, column: 0, text }, findings) {
                return Ok(Some(entry));
            }
            // An object that is open at the end of the first line, or a list, probably continues over several lines.
            self.is_done = self.n_lines == 1 && findings.mistakes.n() > n_mistakes && is_open(text);
        }
        self.is_done = true;
        if self.n_lines > 0 {
            self.reader.finish(findings);
        }
        Ok(None)
    }

    fn used_columns(&self) -> Vec<(String, String)> {
        self.reader.used_columns()
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.input().hashed()
    }
}
