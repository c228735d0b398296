//! TSV: a table with a header and tabs between the cells, in which a quote at the beginning of a cell is usually part of the text.
//!
//! People write tables in this form; such a quote seldom comes from a program that quoted the cell. A quoted cell begins with a quote.
//! A tab or the end of the line follows the next quote that is not doubled. A quoted cell may contain tabs and line breaks. If no row
//! results from this rule, the line is read literally, with its quotes.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use crate::manifest::diagnostics::{DiagnosticList, Location, PassDiagnostics, Span, wrong};
use crate::manifest::formats::cells::{
    self, BadRow, Cell, Misplaced, ROW_BYTES_MAX, ROW_CELLS_MAX, Row, WrittenCell, never_closed, too_many_cells,
};
use crate::manifest::formats::columns::ColumnOptions;
use crate::manifest::formats::format::{Format, FormatInput, Opened};
use crate::manifest::formats::table::{Table, TableRows};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::lines::{LineReader, ReadLine};
use crate::manifest::input::text::ManifestInput;
use crate::manifest::lists::ListFiles;

/// Table with tabs between the cells. A quote is usually part of the text.
pub(crate) struct Tsv;

impl Format for Tsv {
    fn name(&self) -> &'static str {
        "tsv"
    }

    fn help(&self) -> &'static str {
        "A table with tabs, where most quotes are just part of the text"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["tsv", "tab"]
    }

    fn open(
        &self,
        input: FormatInput,
        columns: ColumnOptions,
        _: &mut ListFiles,
        findings: &mut PassDiagnostics,
    ) -> io::Result<Opened> {
        let rows = TsvRows::new(input.text(findings)?);
        Ok(Opened::entries(Table::open(Box::new(rows), &columns, findings)?))
    }
}

impl TableRows for TsvRows<ManifestInput> {
    fn next_row(&mut self, warnings: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>> {
        self.next_row(warnings)
    }

    fn delimiter(&self) -> u8 {
        b'\t'
    }

    fn bytes(&self) -> &HashingReader {
        self.lines.input().hashed()
    }
}

/// Rows of a TSV table.
#[derive(Debug)]
struct TsvRows<R> {
    lines: LineReader<R>,
    /// Lines that were read in search of the end of a quoted cell and are not part of it.
    ahead: VecDeque<Result<Line, BadRow>>,
    /// Number of cells in the header. `None` before the header is read.
    n_columns: Option<usize>,
    is_done: bool,
    /// Records that the warning about literal quotes was given, because each warning is given once.
    has_quotes: bool,
    has_swallowed: bool,
}

#[derive(Clone, Debug)]
struct Line {
    number: u64,
    text: String,
}

/// Row under construction: its lines in one buffer, and the offset of each line.
struct TsvRowBuilder {
    first: u64,
    text: String,
    begins: Vec<usize>,
    cells: Vec<WrittenCell>,
}

impl<R: BufRead> TsvRows<R> {
    fn new(input: R) -> Self {
        let (lines, ahead) = (LineReader::new(input), VecDeque::new());
        Self { lines, ahead, n_columns: None, is_done: false, has_quotes: false, has_swallowed: false }
    }

    /// Returns the next row that is not blank.
    fn next_row(&mut self, warnings: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>> {
        let line = loop {
            match self.next_line()? {
                None => return Ok(None),
                Some(Ok(line)) if line.text.is_empty() => {}
                Some(Ok(line)) => break line,
                Some(Err(bad)) => return Ok(Some(Err(bad))),
            }
        };
        let number = line.number;
        let row = self.row(&line, warnings)?;
        let is_wide = row.as_ref().is_ok_and(|row| row.cells.len() > ROW_CELLS_MAX);
        Ok(Some(if is_wide { Err(too_many_cells(number)) } else { row }))
    }

    /// Reads the row that begins with this line.
    fn row(&mut self, line: &Line, warnings: &mut DiagnosticList) -> io::Result<Result<Row, BadRow>> {
        let plain = plain_cells(&line.text);
        let mut quoted = TsvRowBuilder::new(line);
        let open = quoted.split(0);
        let Some(n_columns) = self.n_columns else {
            let cells = if open.is_none() { quoted.cells } else { plain };
            self.n_columns = Some(cells.len());
            return Ok(Ok(TsvRowBuilder { cells, ..TsvRowBuilder::new(line) }.into_row()));
        };
        let is_plain = plain.len() == n_columns;
        let (ended, taken) = match open {
            None => (Ended::Closed, Vec::new()),
            Some(at) => self.look_ahead(&mut quoted, at)?,
        };
        if ended == Ended::Closed && (quoted.cells.len() == n_columns || !is_plain) {
            if is_plain {
                self.warn_of_swallowed(&taken, n_columns, &quoted, warnings);
            }
            self.warn_of_quotes(&quoted, warnings);
            return Ok(Ok(quoted.into_row()));
        }
        for line in taken.into_iter().rev() {
            self.ahead.push_front(Ok(line));
        }
        if ended == Ended::Never && !is_plain {
            return Ok(Err(BadRow { is_last: false, ..never_closed(line.number) }));
        }
        let plain = TsvRowBuilder { cells: plain, ..TsvRowBuilder::new(line) };
        self.warn_of_quotes(&plain, warnings);
        Ok(Ok(plain.into_row()))
    }

    /// Continues a cell that is open at the end of its line, over as many lines as needed. Returns those lines.
    fn look_ahead(&mut self, draft: &mut TsvRowBuilder, mut open: usize) -> io::Result<(Ended, Vec<Line>)> {
        let mut taken = Vec::new();
        loop {
            let line = match self.next_line()? {
                Some(Ok(line)) => line,
                Some(Err(bad)) => {
                    self.ahead.push_front(Err(bad));
                    return Ok((Ended::Never, taken));
                }
                None => return Ok((Ended::Never, taken)),
            };
            let closed = cells::end_of_quotes(line.text.as_bytes(), 0);
            let is_stray = closed.is_some_and(|at| !matches!(line.text.as_bytes().get(at), None | Some(b'\t')));
            draft.append(&line);
            taken.push(line);
            if is_stray {
                return Ok((Ended::Stray, taken));
            }
            if closed.is_none() {
                if draft.text.len() > ROW_BYTES_MAX {
                    return Ok((Ended::Never, taken));
                }
                continue;
            }
            match draft.split(open) {
                None => return Ok((Ended::Closed, taken)),
                Some(at) => open = at,
            }
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Result<Line, BadRow>>> {
        if let Some(line) = self.ahead.pop_front() {
            return Ok(Some(line));
        }
        if self.is_done {
            return Ok(None);
        }
        let mut text = Vec::new();
        let got = self.lines.next_line(&mut text)?;
        let number = self.lines.line();
        self.is_done = got != ReadLine::Line;
        Ok(match got {
            ReadLine::End => None,
            ReadLine::Line => {
                let text = String::from_utf8(text).map_err(|_| Unreadable::NotUtf8)?;
                Some(Ok(Line { number, text }))
            }
            ReadLine::TooLong => {
                let what = format!("the row that begins here is longer than {ROW_BYTES_MAX} bytes");
                Some(Err(BadRow { line: number, wrong: wrong(what, "split it"), is_last: true }))
            }
        })
    }

    fn warn_of_quotes(&mut self, draft: &TsvRowBuilder, warnings: &mut DiagnosticList) {
        let is_literal = |piece: &&WrittenCell| !piece.is_quoted && draft.text[piece.bytes.clone()].starts_with('"');
        if let Some(piece) = draft.cells.iter().find(is_literal).filter(|_| !self.has_quotes) {
            self.has_quotes = true;
            let what = "this cell begins with a quote and does not end with one, so it is read verbatim";
            let remedy = "if the quote is meant to enclose the whole cell, double those inside it";
            warnings.push(Location::Span(draft.place(piece)), wrong(what, remedy));
        }
    }

    /// Warns about a line inside a quoted cell that would be a complete row without the quote.
    fn warn_of_swallowed(
        &mut self,
        taken: &[Line],
        n_columns: usize,
        draft: &TsvRowBuilder,
        warnings: &mut DiagnosticList,
    ) {
        let is_row = |line: &Line| n_columns > 1 && plain_cells(&line.text).len() == n_columns;
        if let Some(line) = taken.iter().find(|line| is_row(line)).filter(|_| !self.has_swallowed) {
            self.has_swallowed = true;
            let what = format!("line {} is part of a quoted cell that begins on line {}", line.number, draft.first);
            let remedy = "if that quote is part of the text, put the whole cell in quotes and double it";
            warnings.push(Location::Line(draft.first), wrong(what, remedy));
        }
    }
}

/// Result for a row with a quoted cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Closed,
    /// Quoted cell whose closing quote would be in the middle of a text.
    Stray,
    /// Quoted cell without an end.
    Never,
}

/// Splits a line at its tabs; quotes have no meaning.
fn plain_cells(text: &str) -> Vec<WrittenCell> {
    let mut begin = 0;
    let piece = |cell: &str| {
        let bytes = begin..begin + cell.len();
        begin = bytes.end + 1;
        WrittenCell { bytes, is_quoted: false }
    };
    text.split('\t').map(piece).collect()
}

impl TsvRowBuilder {
    fn new(line: &Line) -> Self {
        Self { first: line.number, text: line.text.clone(), begins: vec![0], cells: Vec::new() }
    }

    fn append(&mut self, line: &Line) {
        self.text.push('\n');
        self.begins.push(self.text.len());
        self.text.push_str(&line.text);
    }

    /// Splits the text from the cell that begins at `at`. Returns the offset of a quoted cell that has no end yet.
    fn split(&mut self, at: usize) -> Option<usize> {
        let (cells, misplaced) = cells::split(self.text.as_bytes(), at, b'\t', true);
        self.cells.extend(cells);
        match misplaced {
            Some(Misplaced::Open { at }) => Some(at),
            Some(Misplaced::SpaceBefore { .. } | Misplaced::TextAfter { .. }) | None => None,
        }
    }

    /// Returns the span of a cell on its first line.
    fn place(&self, piece: &WrittenCell) -> Span {
        let n = self.begins.partition_point(|begin| *begin <= piece.bytes.start) - 1;
        let line_end = self.begins.get(n + 1).map_or(self.text.len(), |next| next - 1);
        let column = |at: usize| u32::try_from(at - self.begins[n]).unwrap_or(u32::MAX);
        let (begin, end) = (column(piece.bytes.start), column(piece.bytes.end.min(line_end)));
        Span { line: self.first + n as u64, begin, end }
    }

    fn into_row(self) -> Row {
        let cell = |piece: &WrittenCell| {
            let text = &self.text[piece.bytes.clone()];
            let inner = piece.is_quoted.then(|| text[1..text.len() - 1].replace("\"\"", "\""));
            Cell { text: inner.unwrap_or_else(|| text.to_owned()), place: self.place(piece) }
        };
        Row { line: self.first, cells: self.cells.iter().map(cell).collect() }
    }
}
