//! Line reader for all three kinds of line ends; needs the memory of one line.

use std::io::{self, BufRead};
use std::mem;

/// Longest line in bytes. An image as a data URI fits.
pub(crate) const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct LineReader<R> {
    input: R,
    n_lines: u64,
    /// Records that the last line ended with a carriage return. A line feed that comes next belongs to that line end.
    after_return: bool,
    is_ended: bool,
    pub(crate) line_bytes_max: usize,
}

/// Result of reading a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadLine {
    Line,
    /// End of the input: there is no further line.
    End,
    /// Line above the length limit. The text after it cannot be interpreted.
    TooLong,
}

impl<R: BufRead> LineReader<R> {
    pub(crate) const fn new(input: R) -> Self {
        Self { input, n_lines: 0, after_return: false, is_ended: false, line_bytes_max: LINE_BYTES_MAX }
    }

    /// Returns the input that the lines are read from.
    pub(crate) const fn input(&self) -> &R {
        &self.input
    }

    /// Returns the number of the last line that was read, from 1.
    pub(crate) const fn line(&self) -> u64 {
        self.n_lines
    }

    /// Returns whether the last line has a line end. The last line of a file may have none.
    pub(crate) const fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Appends the next line to `text`, without its line end.
    pub(crate) fn next_line(&mut self, text: &mut Vec<u8>) -> io::Result<ReadLine> {
        let begin = text.len();
        if mem::take(&mut self.after_return) && self.input.fill_buf()?.first() == Some(&b'\n') {
            self.input.consume(1);
        }
        let mut is_begun = false;
        loop {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                self.n_lines += u64::from(is_begun);
                return Ok(if is_begun { ReadLine::Line } else { ReadLine::End });
            }
            is_begun = true;
            let end = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            text.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            self.after_return = end.is_some_and(|end| piece[end] == b'\r');
            self.is_ended = end.is_some();
            let n_bytes = end.map_or(piece.len(), |end| end + 1);
            self.input.consume(n_bytes);
            if text.len() - begin > self.line_bytes_max {
                self.n_lines += 1;
                return Ok(ReadLine::TooLong);
            }
            if end.is_some() {
                self.n_lines += 1;
                return Ok(ReadLine::Line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    fn lines(text: &str, n_buffered: usize) -> Vec<(u64, String)> {
        let mut lines = LineReader::new(BufReader::with_capacity(n_buffered, text.as_bytes()));
        let mut told = Vec::new();
        let mut line = Vec::new();
        while lines.next_line(&mut line).expect("memory can be read") == ReadLine::Line {
            told.push((lines.line(), String::from_utf8(mem::take(&mut line)).expect("it is text")));
        }
        assert_eq!(lines.next_line(&mut line).expect("memory can be read"), ReadLine::End, "an end is an end");
        told
    }

    /// Goal: lines are the same for every kind of line end and every buffer size.
    #[test]
    fn lines_end_in_every_way() {
        for end in ["\n", "\r\n", "\r"] {
            for n_buffered in 1..8 {
                let text = ["a", "", "", "猫 ", "\"b"].join(end);
                let told = [(1, "a"), (2, ""), (3, ""), (4, "猫 "), (5, "\"b")].map(|(line, text)| (line, text.into()));
                assert_eq!(lines(&text, n_buffered), told, "{end:?}");
                assert_eq!(lines(&(text + end), n_buffered), told, "{end:?}");
            }
        }
        assert_eq!(lines("", 4), []);
        assert_eq!(lines("\r\r\n\n", 4), [(1, String::new()), (2, String::new()), (3, String::new())]);
    }

    #[test]
    fn a_line_is_limited() {
        let mut lines = LineReader::new(BufReader::new(b"ab\n".chain(io::repeat(b'c'))));
        lines.line_bytes_max = 2;
        let mut text = Vec::new();
        assert_eq!(lines.next_line(&mut text).ok(), Some(ReadLine::Line));
        assert_eq!(lines.next_line(&mut text).ok(), Some(ReadLine::TooLong));
        assert_eq!(lines.line(), 2);
    }
}
