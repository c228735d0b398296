//! Splits a table into rows as RFC 4180 has it, and knows the line of each.
//!
//! The rows are those of the `csv` crate, against which this is tested. What that crate does not tell is said here: a quote that is
//! never closed and where it was opened, text that follows a closing quote, and the true line of a row after blank lines, after
//! cells of several lines, and whichever way the lines end. Memory is that of one row.

use std::io::{self, BufRead};
use std::mem;

use crate::manifest::encoding::{UTF8_MARK, n_breaks, not_utf8, wrong_mark};
use crate::manifest::mistake::{Wrong, wrong};

/// The longest row: an image as a data URI fits, a file swallowed by an open quote does not.
const ROW_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most cells of a row: even empty ones take memory, and no header names so many.
const ROW_CELLS_MAX: usize = 10_000;

/// The rows of a table.
#[derive(Debug)]
pub(super) struct Rows<R> {
    input: R,
    delimiter: u8,
    pub(super) row_bytes_max: usize,
    /// The line that is being read, from 1.
    line: u64,
    is_begun: bool,
    is_done: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The line that it begins on, from 1.
    pub(super) line: u64,
    pub(super) cells: Vec<String>,
}

/// Why there is no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadRow {
    /// The line that is wrong, from 1.
    pub(super) line: u64,
    pub(super) wrong: Wrong,
    /// Whether nothing that comes after it can be made out.
    is_last: bool,
}

/// Where in a cell the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Bare,
    /// In quotes that were opened on this line.
    Quoted(u64),
    /// After the quotes that were opened on this line.
    Closed(u64),
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R, delimiter: u8) -> Self {
        Self { input, delimiter, row_bytes_max: ROW_BYTES_MAX, line: 1, is_begun: false, is_done: false }
    }

    /// What the rows are read from.
    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// The next row that is not blank.
    pub(super) fn next_row(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        if self.is_done {
            return Ok(None);
        }
        let row = match self.skip_mark()? {
            Some(bad) => Some(Err(bad)),
            None => self.read_row()?,
        };
        self.is_done = match &row {
            None => true,
            Some(Ok(_)) => false,
            Some(Err(bad)) => bad.is_last,
        };
        Ok(row)
    }

    fn read_row(&mut self) -> io::Result<Option<Result<Row, BadRow>>> {
        let mut begins = self.line;
        let mut at = At::Start;
        let mut cells = Cells::default();
        loop {
            let byte = self.next_byte()?;
            match (at, byte) {
                (At::Quoted(opened), None) => return Ok(Some(Err(never_closed(opened)))),
                (At::Start, None) if cells.is_empty() => return Ok(None),
                (At::Start, Some(b'\n')) if cells.is_empty() => begins = self.line,
                (At::Start | At::Bare | At::Closed(_), None | Some(b'\n')) => {
                    cells.end();
                    return Ok(Some(cells.into_row(begins)));
                }
                (At::Start | At::Bare | At::Closed(_), Some(byte)) if byte == self.delimiter => {
                    cells.end();
                    at = At::Start;
                }
                (At::Start, Some(b'"')) => {
                    cells.last_is_blank = false;
                    at = At::Quoted(self.line);
                }
                (At::Start | At::Bare, Some(byte)) => {
                    if byte == b'"' && cells.last_is_blank {
                        cells.stray.get_or_insert((self.line, Stray::Before));
                    }
                    cells.last_is_blank &= byte == b' ';
                    cells.bytes.push(byte);
                    at = At::Bare;
                }
                (At::Quoted(opened), Some(b'"')) => at = At::Closed(opened),
                (At::Quoted(_), Some(byte)) => cells.bytes.push(byte),
                (At::Closed(opened), Some(b'"')) => {
                    cells.bytes.push(b'"');
                    at = At::Quoted(opened);
                }
                (At::Closed(opened), Some(byte)) => {
                    cells.stray.get_or_insert((self.line, Stray::After(opened)));
                    cells.bytes.push(byte);
                    at = At::Bare;
                }
            }
            if cells.bytes.len() > self.row_bytes_max {
                return Ok(Some(Err(self.too_long(begins, at))));
            }
            if cells.ends.len() > ROW_CELLS_MAX {
                return Ok(Some(Err(too_many_cells(begins))));
            }
        }
    }

    /// The next byte, every kind of line end as one `\n`.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let Some(byte) = self.peek()? else { return Ok(None) };
        self.input.consume(1);
        if byte == b'\r' && self.peek()? == Some(b'\n') {
            self.input.consume(1);
        }
        if !matches!(byte, b'\r' | b'\n') {
            return Ok(Some(byte));
        }
        self.line += 1;
        Ok(Some(b'\n'))
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Skips the mark that Excel writes in front of UTF-8 text, and refuses that of another encoding.
    fn skip_mark(&mut self) -> io::Result<Option<BadRow>> {
        if mem::replace(&mut self.is_begun, true) {
            return Ok(None);
        }
        let head = self.input.fill_buf()?;
        let wrong = wrong_mark(head);
        if head.starts_with(UTF8_MARK) {
            self.input.consume(UTF8_MARK.len());
        }
        Ok(wrong.map(|wrong| BadRow { line: 1, wrong, is_last: true }))
    }

    fn too_long(&self, begins: u64, at: At) -> BadRow {
        let what = format!("the row that begins here is longer than {} bytes", self.row_bytes_max);
        let remedy = match at {
            At::Quoted(opened) => format!("close the quote that is opened on line {opened}"),
            At::Start | At::Bare | At::Closed(_) => "split it".to_owned(),
        };
        BadRow { line: begins, wrong: wrong(what, remedy), is_last: true }
    }
}

fn too_many_cells(begins: u64) -> BadRow {
    let what = format!("the row that begins here has more than {ROW_CELLS_MAX} cells");
    BadRow { line: begins, wrong: wrong(what, "check where its line should end"), is_last: true }
}

fn never_closed(opened: u64) -> BadRow {
    let wrong = wrong("a quote is opened here and never closed", "close it, or double it to mean a quote");
    BadRow { line: opened, wrong, is_last: true }
}

/// What stands outside quotes and should not.
#[derive(Clone, Copy, Debug)]
enum Stray {
    /// A space before the opening quote, which makes the quotes part of the text.
    Before,
    /// Text after the quotes that were opened on this line.
    After(u64),
}

impl Stray {
    fn words(self) -> Wrong {
        match self {
            Self::Before => wrong("a space stands before an opening quote", "take the space out"),
            Self::After(opened) => wrong(
                format!("text follows the closing quote of a cell that is opened on line {opened}"),
                "close that cell where it ends, and double a quote inside it",
            ),
        }
    }
}

/// The cells of a row: their bytes in one piece, and where each of them ends.
#[derive(Debug)]
struct Cells {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Whether the last cell, which has not ended, is nothing but spaces outside quotes so far.
    last_is_blank: bool,
    /// The first stray thing, and its line.
    stray: Option<(u64, Stray)>,
}

impl Default for Cells {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: Vec::new(), last_is_blank: true, stray: None }
    }
}

impl Cells {
    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn end(&mut self) {
        self.ends.push(self.bytes.len());
        self.last_is_blank = true;
    }

    fn into_row(self, line: u64) -> Result<Row, BadRow> {
        let mut cells = Vec::with_capacity(self.ends.len());
        let mut begin = 0;
        for end in self.ends {
            let cell = str::from_utf8(&self.bytes[begin..end]).map_err(|error| {
                let before = String::from_utf8_lossy(&self.bytes[..begin + error.valid_up_to()]);
                BadRow { line: line + n_breaks(&before), wrong: not_utf8(), is_last: true }
            })?;
            cells.push(cell.to_owned());
            begin = end;
        }
        match self.stray {
            Some((line, stray)) => Err(BadRow { line, wrong: stray.words(), is_last: false }),
            None => Ok(Row { line, cells }),
        }
    }
}
