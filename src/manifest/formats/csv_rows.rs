//! Rows of a CSV table: the `csv-core` crate splits them, and each row is compared with what is written.
//!
//! The crate reads a misplaced or unclosed quote without an error. So a row with quotes is quoted again and compared with the file. A
//! row that differs is a mistake. One row at a time is in memory.

use std::io::{self, BufRead};
use std::mem;

use crate::manifest::diagnostics::wrong;
use crate::manifest::formats::cells::{
    BadRow, Cell, Misplaced, ROW_BYTES_MAX, ROW_CELLS_MAX, Row, RowPosition, line_of, never_closed, split,
    too_many_cells,
};
use crate::manifest::input::encoding::Unreadable;

/// Reader of rows. The text has `\n` at the end of each line.
pub(crate) struct CsvRows<R> {
    input: R,
    parser: csv_core::Reader,
    delimiter: u8,
    row_bytes_max: usize,
    is_done: bool,
    /// Row as it is written.
    written: Vec<u8>,
    /// Cells of the row, without quotes.
    text: Vec<u8>,
    /// End of each cell in `text`.
    ends: Vec<usize>,
}

/// Result of reading a row.
enum ReadRow {
    /// Row with this number of cells.
    Row(usize),
    /// End of the table.
    End,
    TooLong,
    TooManyCells,
}

impl<R: BufRead> CsvRows<R> {
    /// Creates a reader of a text that begins on this line of the file.
    pub(crate) fn new(input: R, delimiter: u8, line: u64) -> Self {
        let mut parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        // Reads an empty line: at the very beginning, the parser would skip a byte order mark.
        parser.read_record(b"\n", &mut [0], &mut [0]);
        parser.set_line(line);
        let (written, text, ends) = (Vec::new(), vec![0; 1024], vec![0; ROW_CELLS_MAX]);
        Self { input, parser, delimiter, row_bytes_max: ROW_BYTES_MAX, is_done: false, written, text, ends }
    }

    #[cfg(test)]
    pub(crate) fn with_row_bytes_max(self, row_bytes_max: usize) -> Self {
        Self { row_bytes_max, ..self }
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
        let line = self.parser.line();
        let read = self.read()?;
        let n_blank = self.written.iter().take_while(|byte| **byte == b'\n').count();
        let line = line + n_blank as u64;
        let row = match read {
            ReadRow::Row(n_cells) => self.row(line, n_blank, n_cells)?,
            ReadRow::End => {
                self.is_done = true;
                return Ok(None);
            }
            ReadRow::TooLong => Err(self.too_long(line, n_blank)),
            ReadRow::TooManyCells => Err(too_many_cells(line)),
        };
        self.is_done = row.as_ref().is_err_and(|bad| bad.is_last);
        Ok(Some(row))
    }

    /// Reads the next row into the buffers.
    fn read(&mut self) -> io::Result<ReadRow> {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        self.written.clear();
        let (mut n_text, mut n_cells) = (0, 0);
        loop {
            let piece = self.input.fill_buf()?;
            let (result, n_read, n_more_text, n_more_cells) =
                self.parser.read_record(piece, &mut self.text[n_text..], &mut self.ends[n_cells..]);
            self.written.extend_from_slice(&piece[..n_read]);
            self.input.consume(n_read);
            n_text += n_more_text;
            n_cells += n_more_cells;
            match result {
                Record => return Ok(ReadRow::Row(n_cells)),
                End => return Ok(ReadRow::End),
                OutputEndsFull => return Ok(ReadRow::TooManyCells),
                InputEmpty | OutputFull if self.written.len() > self.row_bytes_max => return Ok(ReadRow::TooLong),
                OutputFull => self.text.resize(2 * self.text.len(), 0),
                InputEmpty => {}
            }
        }
    }

    /// Returns the row in the buffers, which has text from offset `n_blank` on.
    fn row(&self, line: u64, n_blank: usize, n_cells: usize) -> io::Result<Result<Row, BadRow>> {
        let written = &self.written[n_blank..];
        let written = written.strip_suffix(b"\n").unwrap_or(written);
        let ends = &self.ends[..n_cells];
        let text = str::from_utf8(&self.text[..ends.last().copied().unwrap_or(0)]).map_err(|_| Unreadable::NotUtf8)?;
        let mut cells = Vec::with_capacity(n_cells);
        let mut position = RowPosition::new(line);
        let mut begin = 0;
        for end in ends {
            let text = &text[mem::replace(&mut begin, *end)..*end];
            let Some(span) = position.pass(text, written, self.delimiter) else {
                let (_, misplaced) = split(written, 0, self.delimiter, false);
                return Ok(Err(
                    misplaced.map_or_else(|| never_closed(line), |misplaced| misplaced.in_row(line, written))
                ));
            };
            cells.push(Cell { text: text.to_owned(), place: span });
        }
        Ok(Ok(Row { line, cells }))
    }

    fn too_long(&self, line: u64, n_blank: usize) -> BadRow {
        let written = &self.written[n_blank..];
        let what = format!("the row that begins here is longer than {} bytes", self.row_bytes_max);
        let remedy = match split(written, 0, self.delimiter, false).1 {
            Some(Misplaced::Open { at }) => {
                format!("close the quote that is opened on line {}", line_of(line, written, at))
            }
            Some(_) | None => "split it".to_owned(),
        };
        BadRow { line, wrong: wrong(what, remedy), is_last: true }
    }
}
