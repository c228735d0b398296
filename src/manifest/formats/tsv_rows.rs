//! TSV tokenizer, in which a quote at the beginning of a cell is usually part of the text.
//!
//! People write tables in this form; such a quote seldom comes from a program that quoted the cell. A quoted cell begins with a quote.
//! A tab or the end of the line follows the next quote that is not doubled. A quoted cell may contain tabs and line breaks. If no row
//! results from this rule, the line is read literally, with its quotes.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::ops::Range;

use crate::manifest::diagnostics::{DiagnosticList, Location, Span, wrong};
use crate::manifest::formats::tokenizer::{
    BadRow, Cell, ROW_BYTES_MAX, ROW_CELLS_MAX, Row, never_closed, too_many_cells,
};
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::lines::{LineReader, ReadLine};

/// Rows of a TSV table.
#[derive(Debug)]
pub(crate) struct TsvTokenizer<R> {
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

/// Range of a cell within the text of its row.
#[derive(Clone, Debug)]
struct Piece {
    /// Byte range, with the quotes.
    bytes: Range<usize>,
    is_quoted: bool,
}

/// Row under construction: its lines in one buffer, and the offset of each line.
struct TsvRowBuilder {
    first: u64,
    text: String,
    begins: Vec<usize>,
    pieces: Vec<Piece>,
}

impl<R: BufRead> TsvTokenizer<R> {
    pub(crate) fn new(input: R) -> Self {
        let (lines, ahead) = (LineReader::new(input), VecDeque::new());
        Self { lines, ahead, n_columns: None, is_done: false, has_quotes: false, has_swallowed: false }
    }

    /// Returns the input that the rows are read from.
    pub(crate) const fn input(&self) -> &R {
        self.lines.input()
    }

    /// Returns the next row that is not blank.
    pub(crate) fn next_row(&mut self, warnings: &mut DiagnosticList) -> io::Result<Option<Result<Row, BadRow>>> {
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
        let plain = plain_pieces(&line.text);
        let mut quoted = TsvRowBuilder::new(line);
        let split = quoted.split(0);
        let Some(n_columns) = self.n_columns else {
            let pieces = if split == Split::Done { quoted.pieces } else { plain };
            self.n_columns = Some(pieces.len());
            return Ok(Ok(TsvRowBuilder { pieces, ..TsvRowBuilder::new(line) }.into_row()));
        };
        let is_plain = plain.len() == n_columns;
        let (ended, taken) = match split {
            Split::Done => (Ended::Closed, Vec::new()),
            Split::Open(at) => self.look_ahead(&mut quoted, at)?,
        };
        if ended == Ended::Closed && (quoted.pieces.len() == n_columns || !is_plain) {
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
        let plain = TsvRowBuilder { pieces: plain, ..TsvRowBuilder::new(line) };
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
            let closing = closing(&line.text, 0);
            draft.append(&line);
            taken.push(line);
            match closing {
                Closing::Never if draft.text.len() > ROW_BYTES_MAX => return Ok((Ended::Never, taken)),
                Closing::Never => {}
                Closing::Stray => return Ok((Ended::Stray, taken)),
                Closing::At(_) => match draft.split(open) {
                    Split::Done => return Ok((Ended::Closed, taken)),
                    Split::Open(at) => open = at,
                },
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
        let is_literal = |piece: &&Piece| !piece.is_quoted && draft.text[piece.bytes.clone()].starts_with('"');
        if let Some(piece) = draft.pieces.iter().find(is_literal).filter(|_| !self.has_quotes) {
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
        let is_row = |line: &Line| n_columns > 1 && plain_pieces(&line.text).len() == n_columns;
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

/// Progress of splitting a row into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Done,
    /// Quoted cell that begins at this offset and has no end yet.
    Open(usize),
}

/// End of a quoted cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    At(usize),
    Stray,
    Never,
}

/// Finds the first quote that is not doubled.
fn closing(text: &str, from: usize) -> Closing {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(n) = text[at..].find('"') {
        at += n;
        match bytes.get(at + 1) {
            Some(b'"') => at += 2,
            None | Some(b'\t') => return Closing::At(at),
            Some(_) => return Closing::Stray,
        }
    }
    Closing::Never
}

/// Splits a line at its tabs; quotes have no meaning.
fn plain_pieces(text: &str) -> Vec<Piece> {
    let mut begin = 0;
    let piece = |cell: &str| {
        let bytes = begin..begin + cell.len();
        begin = bytes.end + 1;
        Piece { bytes, is_quoted: false }
    };
    text.split('\t').map(piece).collect()
}

impl TsvRowBuilder {
    fn new(line: &Line) -> Self {
        Self { first: line.number, text: line.text.clone(), begins: vec![0], pieces: Vec::new() }
    }

    fn append(&mut self, line: &Line) {
        self.text.push('\n');
        self.begins.push(self.text.len());
        self.text.push_str(&line.text);
    }

    /// Splits the text from the cell that begins at `at`.
    fn split(&mut self, mut at: usize) -> Split {
        loop {
            let bare_end = self.text[at..].find('\t').map_or(self.text.len(), |n| at + n);
            let (end, is_quoted) = match self.text[at..].strip_prefix('"').map(|_| closing(&self.text, at + 1)) {
                Some(Closing::At(quote)) => (quote + 1, true),
                Some(Closing::Never) => return Split::Open(at),
                Some(Closing::Stray) | None => (bare_end, false),
            };
            self.pieces.push(Piece { bytes: at..end, is_quoted });
            if end == self.text.len() {
                return Split::Done;
            }
            at = end + 1;
        }
    }

    /// Returns the span of a cell on its first line.
    fn place(&self, piece: &Piece) -> Span {
        let n = self.begins.partition_point(|begin| *begin <= piece.bytes.start) - 1;
        let line_end = self.begins.get(n + 1).map_or(self.text.len(), |next| next - 1);
        let column = |at: usize| u32::try_from(at - self.begins[n]).unwrap_or(u32::MAX);
        let (begin, end) = (column(piece.bytes.start), column(piece.bytes.end.min(line_end)));
        Span { line: self.first + n as u64, begin, end }
    }

    fn into_row(self) -> Row {
        let cell = |piece: &Piece| {
            let text = &self.text[piece.bytes.clone()];
            let inner = piece.is_quoted.then(|| text[1..text.len() - 1].replace("\"\"", "\""));
            Cell { text: inner.unwrap_or_else(|| text.to_owned()), place: self.place(piece) }
        };
        Row { line: self.first, cells: self.pieces.iter().map(cell).collect() }
    }
}
