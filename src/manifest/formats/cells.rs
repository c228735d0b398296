//! Cells of a table row as written: their ranges with quotes, their locations, and misplaced quotes.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

use crate::manifest::diagnostics::{Issue, Span, wrong};

/// Longest row in bytes. An image as a data URI fits, but not a file after an unclosed quote.
pub(crate) const ROW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Limit on the cells of a row. Even empty cells need memory, and no header has this many.
pub(crate) const ROW_CELLS_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// First line of the row, from 1.
    pub(crate) line: u64,
    pub(crate) cells: Vec<Cell>,
}

/// Cell: its text without quotes, and its span with the quotes, on its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) place: Span,
}

/// Reason why a row is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// Line of the problem, from 1.
    pub(crate) line: u64,
    pub(crate) wrong: Issue,
    /// Records that the text after this row cannot be interpreted.
    pub(crate) is_last: bool,
}

pub(crate) fn too_many_cells(begins: u64) -> BadRow {
    let what = format!("the row that begins here has more than {ROW_CELLS_MAX} cells");
    BadRow { line: begins, wrong: wrong(what, "check where its line should end"), is_last: true }
}

pub(crate) fn never_closed(opened: u64) -> BadRow {
    let wrong = wrong("a quote is opened here and never closed", "close it, or double it to mean a quote");
    BadRow { line: opened, wrong, is_last: true }
}

/// Cell of a row as written.
#[derive(Clone, Debug)]
pub(crate) struct WrittenCell {
    /// Byte range, with the quotes.
    pub(crate) bytes: Range<usize>,
    pub(crate) is_quoted: bool,
}

/// Misplaced quote or text, at a byte offset of the row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Misplaced {
    /// Space before an opening quote. The space makes the quotes part of the text.
    SpaceBefore { at: usize },
    /// Text after the quotes that were opened at `opened`.
    TextAfter { opened: usize, at: usize },
    /// Opening quote that is never closed.
    Open { at: usize },
}

impl Misplaced {
    /// Returns the mistake of a row that begins on this line.
    pub(crate) fn in_row(self, line: u64, row: &[u8]) -> BadRow {
        let (at, wrong) = match self {
            Self::Open { at } => return never_closed(line_of(line, row, at)),
            Self::SpaceBefore { at } => (at, wrong("there is a space before an opening quote", "remove the space")),
            Self::TextAfter { opened, at } => {
                let opened = line_of(line, row, opened);
                let what = format!("text follows the closing quote of a cell that is opened on line {opened}");
                (at, wrong(what, "close that cell where it ends, and double a quote inside it"))
            }
        };
        BadRow { line: line_of(line, row, at), wrong, is_last: false }
    }
}

/// Returns the line of an offset in a row that begins on this line.
pub(crate) fn line_of(line: u64, row: &[u8], at: usize) -> u64 {
    line + memchr_iter(b'\n', &row[..at]).count() as u64
}

/// Splits a row from offset `at` on, where a cell begins. Stops at a quote that is never closed. Also returns the first misplaced quote;
/// one that is never closed takes precedence. If `is_lenient`, the quotes of a cell with text after them have no meaning.
pub(crate) fn split(
    row: &[u8],
    mut at: usize,
    delimiter: u8,
    is_lenient: bool,
) -> (Vec<WrittenCell>, Option<Misplaced>) {
    let (mut cells, mut misplaced) = (Vec::new(), None);
    loop {
        let begin = at;
        let mut is_quoted = row.get(begin) == Some(&b'"');
        if is_quoted {
            let Some(closed) = end_of_quotes(row, begin + 1) else {
                return (cells, Some(Misplaced::Open { at: begin }));
            };
            at = closed;
            if row.get(at).is_some_and(|byte| *byte != delimiter) {
                is_quoted = false;
                misplaced.get_or_insert(Misplaced::TextAfter { opened: begin, at });
                at = if is_lenient { begin } else { at };
            }
        }
        let end = memchr(delimiter, &row[at..]).map_or(row.len(), |n| at + n);
        if is_quote_after_space(&row[begin..end]) {
            misplaced.get_or_insert(Misplaced::SpaceBefore { at: begin });
        }
        cells.push(WrittenCell { bytes: begin..end, is_quoted });
        if end == row.len() {
            return (cells, misplaced);
        }
        at = end + 1;
    }
}

/// Returns the offset after the first quote from `at` on that is not doubled.
pub(crate) fn end_of_quotes(row: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'"', &row[at..])? + 1;
        if row.get(at) != Some(&b'"') {
            return Some(at);
        }
        at += 1;
    }
}

fn is_quote_after_space(cell: &[u8]) -> bool {
    cell.first() == Some(&b' ') && cell.iter().find(|byte| **byte != b' ') == Some(&b'"')
}

/// Position in a row, from cell to cell.
#[derive(Debug)]
pub(crate) struct RowPosition {
    at: usize,
    line: u64,
    /// Offset at which the line begins.
    line_begin: usize,
}

impl RowPosition {
    /// Begins at the first cell of a row on this line.
    pub(crate) const fn new(line: u64) -> Self {
        Self { at: 0, line, line_begin: 0 }
    }

    /// Moves behind a cell with this text, and returns its span. Returns `None` if the row does not have this text at this position.
    pub(crate) fn pass(&mut self, text: &str, row: &[u8], delimiter: u8) -> Option<Span> {
        let rest = &row[self.at..];
        let len = if rest.first() == Some(&b'"') { quoted_len(text.as_bytes(), rest)? } else { text.len() };
        let cell = rest.get(..len).filter(|cell| !is_quote_after_space(cell))?;
        if rest.get(len).is_some_and(|byte| *byte != delimiter) {
            return None;
        }
        let span = self.span(cell);
        if let Some(last) = memrchr(b'\n', cell) {
            self.line = line_of(self.line, cell, len);
            self.line_begin = self.at + last + 1;
        }
        self.at = (self.at + len + 1).min(row.len());
        Some(span)
    }

    /// Returns the span of a cell at this position, on its first line.
    fn span(&self, cell: &[u8]) -> Span {
        let column = |at: usize| u32::try_from(at - self.line_begin).unwrap_or(u32::MAX);
        let end = self.at + memchr(b'\n', cell).unwrap_or(cell.len());
        Span { line: self.line, begin: column(self.at), end: column(end) }
    }
}

/// Returns the length of a cell that consists of this text in quotes. Returns `None` if something else is written.
fn quoted_len(text: &[u8], written: &[u8]) -> Option<usize> {
    let mut at = 1;
    for part in text.split_inclusive(|byte| *byte == b'"') {
        at += written[at..].starts_with(part).then_some(part.len())?;
        if part.last() == Some(&b'"') {
            at += (written.get(at) == Some(&b'"')).then_some(1)?;
        }
    }
    (written.get(at) == Some(&b'"')).then_some(at + 1)
}
