//! Line reader with a limit on the length of a line; needs the memory of one line.

use std::io::{self, BufRead, Read};

/// Longest line in bytes. An image as a data URI fits.
pub(crate) const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct LineReader<R> {
    input: R,
    /// Number of the last line.
    n_lines: u64,
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
        Self { input, n_lines: 0, is_ended: false, line_bytes_max: LINE_BYTES_MAX }
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
        // One byte more for the line end, and one to detect a line that is too long.
        let n_read = self.input.by_ref().take(self.line_bytes_max as u64 + 2).read_until(b'\n', text)?;
        if n_read == 0 {
            return Ok(ReadLine::End);
        }
        self.n_lines += 1;
        self.is_ended = text.pop_if(|byte| *byte == b'\n').is_some();
        Ok(if text.len() - begin > self.line_bytes_max { ReadLine::TooLong } else { ReadLine::Line })
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;
    use std::mem;

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

    /// Goal: lines are the same for every buffer size, with and without a line end at the end of the file.
    #[test]
    fn lines_are_read_across_buffers() {
        for n_buffered in 1..8 {
            let text = ["a", "", "", "猫 ", "\"b"].join("\n");
            let told = [(1, "a"), (2, ""), (3, ""), (4, "猫 "), (5, "\"b")].map(|(line, text)| (line, text.into()));
            assert_eq!(lines(&text, n_buffered), told);
            assert_eq!(lines(&(text + "\n"), n_buffered), told);
        }
        assert_eq!(lines("", 4), []);
        assert_eq!(lines("\n\n\n", 4), [(1, String::new()), (2, String::new()), (3, String::new())]);
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
