//! Blocks of text, each with a prompt of one or several lines, and perhaps a negative prompt below a label.
//!
//! Lines of dashes separate the blocks. In a file without such a line, blank lines do.

use std::io;
use std::mem;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::entry::Entry;
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::FieldEntry;
use crate::manifest::fields::synonyms::{self, Meaning};
use crate::manifest::fields::value::UnparsedValue;
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{EntrySource, Format, FormatInput, Opened};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lints;
use crate::manifest::lists::ListFiles;

/// Limit on a block in bytes. No provider accepts a prompt of this length.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Labels that only a text of both prompts has, besides the names of their fields here and in other programs.
const LABELS: [(&str, Field); 5] = [
    ("正面", Field::Prompt),
    ("正向", Field::Prompt),
    ("负面", Field::NegativePrompt),
    ("负向", Field::NegativePrompt),
    ("反向", Field::NegativePrompt),
];

/// Longest label in bytes.
const LABEL_BYTES_MAX: usize = 60;

/// Blocks of text.
pub(crate) struct Blocks;

impl Format for Blocks {
    fn name(&self) -> &'static str {
        "blocks"
    }

    fn help(&self) -> &'static str {
        "Prompts of several lines, with a line of --- or a blank line between them"
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    fn instead_of_column(&self, _: Field) -> Option<String> {
        Some("each block is a prompt".to_owned())
    }

    fn open(
        &self,
        input: FormatInput,
        _: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let has_rules = has_rules(input.text(&mut PassDiagnostics::default())?)?;
        if !has_rules {
            let what = "blank lines separate the prompts, because no line has only dashes";
            findings
                .warnings
                .push(Location::File, wrong(what, "write a line of `---` between prompts to have blank lines in them"));
        }
        let is_verbatim = input.is_verbatim;
        let (lines, n_blocks) = (LineReader::new(input.text(findings)?), 0);
        Ok(Opened::entries(BlockEntries { lines, has_rules, is_verbatim, n_blocks }))
    }
}

/// Returns whether a line separates blocks: three or more dashes, and nothing else.
fn is_rule(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.len() >= 3 && line.iter().all(|byte| *byte == b'-')
}

/// Reads a text to its first line of dashes.
fn has_rules(input: ManifestInput) -> io::Result<bool> {
    let mut lines = LineReader::new(input);
    let mut line = Vec::new();
    while lines.next_line(&mut line)? == ReadLine::Line {
        if is_rule(&line) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

/// Blocks of a file as entries.
struct BlockEntries {
    lines: LineReader<ManifestInput>,
    has_rules: bool,
    /// Records that all lines without a label are text.
    is_verbatim: bool,
    n_blocks: u64,
}

/// Part of a block below a label, or above the first one.
struct Part {
    field: Field,
    /// Line of the label, or the first line.
    line: u64,
    text: String,
}

/// Parts of a block, or the line and the first mistake of a block.
type Block = Result<Vec<Part>, (u64, Issue)>;

impl BlockEntries {
    /// Reads the parts of the next block that is not blank. Returns `None` at the end of the file.
    fn next_block(&mut self) -> io::Result<Option<Block>> {
        let mut parts: Vec<Part> = Vec::new();
        let mut bytes = Vec::new();
        let mut mistake = None;
        loop {
            bytes.clear();
            let got = self.lines.next_line(&mut bytes)?;
            let line = self.lines.line();
            let is_separator = if self.has_rules { is_rule(&bytes) } else { bytes.trim_ascii().is_empty() };
            if got == ReadLine::End || is_separator {
                parts.retain(|part| part.field != Field::Prompt || !part.text.trim().is_empty());
                match got {
                    _ if !parts.is_empty() || mistake.is_some() => return Ok(Some(mistake.map_or(Ok(parts), Err))),
                    ReadLine::End => return Ok(None),
                    ReadLine::Line | ReadLine::TooLong => continue,
                }
            }
            let n_bytes = parts.iter().map(|part| part.text.len()).sum::<usize>() + bytes.len();
            if got == ReadLine::TooLong || n_bytes > BLOCK_BYTES_MAX {
                let remedy = "write a line of `---` after each prompt";
                return Ok(Some(Err((line, wrong("this block is longer than 1 MiB", remedy)))));
            }
            let text = String::from_utf8(mem::take(&mut bytes)).map_err(|_| Unreadable::NotUtf8)?;
            if !self.is_verbatim && mistake.is_none() {
                mistake = lints::foreign_line(&text).map(|wrong| (line, wrong));
            }
            match (labelled(&text), parts.last_mut()) {
                (Some((field, text)), _) => parts.push(Part { field, line, text: text.to_owned() }),
                (None, Some(part)) => {
                    part.text.push('\n');
                    part.text.push_str(&text);
                }
                (None, None) if text.trim().is_empty() => {}
                (None, None) => parts.push(Part { field: Field::Prompt, line, text }),
            }
        }
    }
}

/// Splits a line into its label and the text after it. `None` if it has no label of ours.
fn labelled(line: &str) -> Option<(Field, &str)> {
    let (label, text) = line.split_once([':', '：']).filter(|(label, _)| label.len() <= LABEL_BYTES_MAX)?;
    let known = LABELS.iter().find(|(other, _)| *other == label.trim()).map(|(_, field)| *field);
    let field = known.or_else(|| Field::titled(label)).or_else(|| match synonyms::of(label) {
        Some((Meaning::Field(field), true)) => Some(field),
        _ => None,
    })?;
    matches!(field, Field::Prompt | Field::NegativePrompt).then_some((field, text))
}

/// Makes an entry of the parts of a block.
fn entry(parts: Vec<Part>) -> Result<Entry, (u64, Issue)> {
    let mut entry = Entry::new(Location::Line(parts.first().map_or(1, |part| part.line)));
    for Part { field, line, text } in parts {
        if entry.given.iter().any(|given| given.field == field) {
            let name = field.name();
            let remedy = "write a line of `---` between prompts, or remove one of the labels";
            return Err((line, wrong(format!("this block has a second `{name}`"), remedy)));
        }
        let text = UnparsedValue::Cell(text.trim().to_owned());
        entry.given.push(FieldEntry::one(field, text, Location::Line(line)));
    }
    Ok(entry)
}

impl EntrySource for BlockEntries {
    fn next_entry(&mut self, _: &mut ListFiles, findings: &mut PassDiagnostics) -> io::Result<Option<Entry>> {
        while let Some(parts) = self.next_block()? {
            self.n_blocks += 1;
            match parts.and_then(entry) {
                Ok(entry) => return Ok(Some(entry)),
                Err((line, wrong)) => findings.mistakes.push(Location::Line(line), wrong),
            }
        }
        if self.n_blocks == 0 {
            findings.mistakes.push(Location::File, wrong("the text is empty", "write a prompt"));
        }
        Ok(None)
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.input().hashed()
    }
}
