//! CSV tokenizer: splits a table into rows according to RFC 4180 and records the location of each cell.
//!
//! Tests compare the rows with those of the `csv` crate. That crate does not report an unclosed quote with its line, or text
//! after a closing quote; this tokenizer does. The tokenizer also knows the true line of a row after blank lines, multi-line cells and
//! any line end. One row at a time is in memory.

use std::io::{self, BufRead};

use crate::manifest::diagnostics::{Issue, Span, wrong};
use crate::manifest::input::encoding::Unreadable;

/// Longest row in bytes. An image as a data URI fits, but not a file after an unclosed quote.
pub(crate) const ROW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Limit on the cells of a row. Even empty cells need memory, and no header has this many.
pub(crate) const ROW_CELLS_MAX: usize = 10_000;

#[derive(Debug)]
pub(crate) struct CsvTokenizer<R> {
    input: R,
    delimiter: u8,
    pub(crate) row_bytes_max: usize,
    /// Position of the next byte.
    next: RowPosition,
    /// Records that the last byte was a carriage return. A line feed that comes next belongs to the same line end.
    after_return: bool,
    is_done: bool,
}

/// Position in the file.
#[derive(Clone, Copy, Debug)]
struct RowPosition {
    /// Line, from 1.
    line: u64,
    /// Offset within the line in bytes, from 0.
    column: u32,
}

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

/// Tokenizer state within a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellState {
    Start,
    Bare,
    /// Inside quotes that were opened on this line.
    Quoted(u64),
    /// After the closing quote of a cell whose quotes were opened on this line.
    Closed(u64),
}

/// Effect of a byte: the row continues or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Goes,
    /// End of the row.
    Ends,
}

impl<R: BufRead> CsvTokenizer<R> {
    /// Creates a tokenizer for a text that begins on this line of the file.
    pub(crate) const fn new(input: R, delimiter: u8, line: u64) -> Self {
        let next = RowPosition { line, column: 0 };
        Self { input, delimiter, row_bytes_max: ROW_BYTES_MAX, next, after_return: false, is_done: false }
    }

    /// Returns the input that the rows are read from.
    pub(crate) const fn input(&self) -> &R {
        &self.input
    }

    pub(crate) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Returns the next row that is not blank.
    pub(crate) fn next_row(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        if self.is_done {
            return Ok(None);
        }
        let row = self.read_row()?;
        self.is_done = match &row {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(bad)) => bad.is_last,
        };
        Ok(row)
    }

    fn read_row(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        let mut at = CellState::Start;
        let mut cells = Cells::new(self.next);
        loop {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                return Ok(match at {
                    CellState::Quoted(opened) => Some(Err(never_closed(opened))),
                    CellState::Start if cells.is_empty() => None,
                    CellState::Start | CellState::Bare | CellState::Closed(_) => {
                        cells.end(self.next);
                        Some(cells.into_row()?)
                    }
                });
            }
            let mut n_taken = 0;
            let mut step = Step::Goes;
            while step == Step::Goes && n_taken < piece.len() {
                let n_plain = cells.take_plain(at, &piece[n_taken..], self.delimiter);
                if n_plain > 0 {
                    n_taken += n_plain;
                    self.next.column = self.next.column.saturating_add(u32::try_from(n_plain).unwrap_or(u32::MAX));
                    self.after_return = false;
                    continue;
                }
                let byte = piece[n_taken];
                n_taken += 1;
                if byte == b'\n' && self.after_return {
                    self.after_return = false;
                    continue;
                }
                self.after_return = byte == b'\r';
                let here = self.next;
                let byte = if byte == b'\r' { b'\n' } else { byte };
                self.next = here.behind(byte);
                step = cells.take(&mut at, byte, self.delimiter, here, self.next);
                if cells.bytes.len() > self.row_bytes_max || cells.ends.len() > ROW_CELLS_MAX {
                    break;
                }
            }
            self.input.consume(n_taken);
            if cells.bytes.len() > self.row_bytes_max {
                return Ok(Some(Err(self.too_long(cells.begin.line, at))));
            }
            if cells.ends.len() > ROW_CELLS_MAX {
                return Ok(Some(Err(too_many_cells(cells.begin.line))));
            }
            if step == Step::Ends {
                return cells.into_row().map(Some);
            }
        }
    }

    fn too_long(&self, begins: u64, at: CellState) -> BadRow {
        let what = format!("the row that begins here is longer than {} bytes", self.row_bytes_max);
        let remedy = match at {
            CellState::Quoted(opened) => format!("close the quote that is opened on line {opened}"),
            CellState::Start | CellState::Bare | CellState::Closed(_) => "split it".to_owned(),
        };
        BadRow { line: begins, wrong: wrong(what, remedy), is_last: true }
    }
}

impl RowPosition {
    /// Returns the position after a byte at this position.
    const fn behind(self, byte: u8) -> Self {
        match byte {
            b'\n' => Self { line: self.line + 1, column: 0 },
            _ => Self { line: self.line, column: self.column.saturating_add(1) },
        }
    }
}

pub(crate) fn too_many_cells(begins: u64) -> BadRow {
    let what = format!("the row that begins here has more than {ROW_CELLS_MAX} cells");
    BadRow { line: begins, wrong: wrong(what, "check where its line should end"), is_last: true }
}

pub(crate) fn never_closed(opened: u64) -> BadRow {
    let wrong = wrong("a quote is opened here and never closed", "close it, or double it to mean a quote");
    BadRow { line: opened, wrong, is_last: true }
}

/// Misplaced quotes or text.
#[derive(Clone, Copy, Debug)]
enum Stray {
    /// Space before an opening quote. The space makes the quotes part of the text.
    Before,
    /// Text after the quotes that were opened on this line.
    After(u64),
}

impl Stray {
    fn words(self) -> Issue {
        match self {
            Self::Before => wrong("there is a space before an opening quote", "remove the space"),
            Self::After(opened) => wrong(
                format!("text follows the closing quote of a cell that is opened on line {opened}"),
                "close that cell where it ends, and double a quote inside it",
            ),
        }
    }
}

/// Cells of a row: their bytes in one buffer, and the end of each cell.
#[derive(Debug)]
struct Cells {
    bytes: Vec<u8>,
    /// End of each cell in the buffer, and its span in the file.
    ends: Vec<(usize, Span)>,
    /// Beginning of the row.
    begin: RowPosition,
    /// Beginning of the last cell, which has not ended.
    cell: RowPosition,
    /// End of the first line of that cell, if the cell continues on another line.
    line_end: Option<u32>,
    /// Records that the last cell has only spaces outside quotes so far.
    last_is_blank: bool,
    /// First misplaced item, and its line.
    stray: Option<(u64, Stray)>,
}

impl Cells {
    const fn new(begin: RowPosition) -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            begin,
            cell: begin,
            line_end: None,
            last_is_blank: true,
            stray: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Consumes plain text of a cell that has begun, and returns its length in bytes.
    fn take_plain(&mut self, at: CellState, piece: &[u8], delimiter: u8) -> usize {
        let is_text = match at {
            CellState::Bare => !self.last_is_blank,
            CellState::Quoted(_) => true,
            CellState::Start | CellState::Closed(_) => false,
        };
        if !is_text {
            return 0;
        }
        let is_sign = |byte: &u8| *byte == delimiter || matches!(*byte, b'"' | b'\n' | b'\r');
        let n_plain = piece.iter().position(is_sign).unwrap_or(piece.len());
        self.bytes.extend_from_slice(&piece[..n_plain]);
        n_plain
    }

    /// Consumes the byte at position `here`, and returns whether the row ends with it.
    fn take(&mut self, at: &mut CellState, byte: u8, delimiter: u8, here: RowPosition, next: RowPosition) -> Step {
        match (*at, byte) {
            (CellState::Start, b'\n') if self.is_empty() => (self.begin, self.cell) = (next, next),
            (CellState::Start | CellState::Bare | CellState::Closed(_), b'\n') => {
                self.end(here);
                return Step::Ends;
            }
            (CellState::Start | CellState::Bare | CellState::Closed(_), byte) if byte == delimiter => {
                self.end(here);
                self.cell = next;
                *at = CellState::Start;
            }
            (CellState::Start, b'"') => {
                self.last_is_blank = false;
                *at = CellState::Quoted(here.line);
            }
            (CellState::Start | CellState::Bare, byte) => {
                if byte == b'"' && self.last_is_blank {
                    self.stray.get_or_insert((here.line, Stray::Before));
                }
                self.last_is_blank &= byte == b' ';
                self.bytes.push(byte);
                *at = CellState::Bare;
            }
            (CellState::Quoted(opened), b'"') => *at = CellState::Closed(opened),
            (CellState::Quoted(_), byte) => {
                if byte == b'\n' {
                    self.line_end.get_or_insert(here.column);
                }
                self.bytes.push(byte);
            }
            (CellState::Closed(opened), b'"') => {
                self.bytes.push(b'"');
                *at = CellState::Quoted(opened);
            }
            (CellState::Closed(opened), byte) => {
                self.stray.get_or_insert((here.line, Stray::After(opened)));
                self.bytes.push(byte);
                *at = CellState::Bare;
            }
        }
        Step::Goes
    }

    /// Ends the last cell at position `here`.
    fn end(&mut self, here: RowPosition) {
        let RowPosition { line, column: begin } = self.cell;
        let end = self.line_end.take().unwrap_or(here.column);
        self.ends.push((self.bytes.len(), Span { line, begin, end }));
        self.last_is_blank = true;
    }

    fn into_row(self) -> io::Result<Result<Row, BadRow>> {
        let mut cells = Vec::with_capacity(self.ends.len());
        let mut begin = 0;
        for (end, place) in self.ends {
            let text = str::from_utf8(&self.bytes[begin..end]).map_err(|_| Unreadable::NotUtf8)?;
            cells.push(Cell { text: text.to_owned(), place });
            begin = end;
        }
        Ok(match self.stray {
            Some((line, stray)) => Err(BadRow { line, wrong: stray.words(), is_last: false }),
            None => Ok(Row { line: self.begin.line, cells }),
        })
    }
}
