//! Check of line ends: a carriage return alone ends no line in a file whose other lines end in a line feed.
//!
//! Writers of tables leave such a character unquoted in a cell. Taken as a line end, it would cut a prompt in two.

use crate::manifest::input::encoding::LineCount;

/// State of the check over a text that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineEnds {
    lines: LineCount,
    /// Line that the first bare carriage return ends.
    bare: Option<u64>,
    has_feed: bool,
    after_return: bool,
    /// Records that text between quotes does not count.
    has_quotes: bool,
    is_quoted: bool,
}

impl LineEnds {
    /// Excludes the text between quotes.
    pub(crate) fn with_quotes(mut self) -> Self {
        self.has_quotes = true;
        self
    }

    /// Adds a piece. Returns the line of a bare carriage return as soon as a line feed ends another line.
    pub(crate) fn add(&mut self, text: &[u8]) -> Option<u64> {
        // Searches for both characters at the speed of memory. Nearly all files have no carriage return or end each line in both.
        if !self.after_return && self.bare.is_none() && !text.contains(&b'\r') {
            self.has_feed |= text.contains(&b'\n');
            self.is_quoted ^= self.has_quotes && text.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            self.lines.add(text);
            return None;
        }
        for (i, byte) in text.iter().enumerate() {
            match byte {
                b'\n' => {
                    self.has_feed |= !self.is_quoted;
                    self.after_return = false;
                }
                b'\r' => self.after_return = !self.is_quoted,
                _ => {
                    if self.after_return && self.bare.is_none() {
                        let mut lines = self.lines;
                        lines.add(&text[..i]);
                        self.bare = Some(lines.line() - 1);
                    }
                    self.after_return = false;
                    self.is_quoted ^= self.has_quotes && *byte == b'"';
                }
            }
        }
        self.lines.add(text);
        self.bare.filter(|_| self.has_feed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, has_quotes: bool, n_bytes: usize) -> Option<u64> {
        let mut ends = LineEnds { has_quotes, ..LineEnds::default() };
        text.as_bytes().chunks(n_bytes).find_map(|piece| ends.add(piece))
    }

    /// Goal: the line is that of an editor, for pieces of any length.
    #[test]
    fn a_bare_return_is_found_beside_line_feeds() {
        for n_bytes in 1..12 {
            for (text, line) in [
                ("a\nb\rc\n", Some(2)),
                ("a\r\nb\rc", Some(2)),
                ("a\rb\nc", Some(1)),
                ("a\r\r\nb\r\r\n", None),
                ("a\rb\rc\r", None),
                ("a\nb\nc\r", None),
                ("a\r\nb\r\n", None),
                ("", None),
            ] {
                assert_eq!(found(text, false, n_bytes), line, "{text:?} in pieces of {n_bytes}");
            }
            assert_eq!(found("a\n\"b\rc\"\nd", true, n_bytes), None);
            assert_eq!(found("a\n\"b\rc\"\nd\re\n", true, n_bytes), Some(4));
            assert_eq!(found("a\n\"b\rc\"\nd", false, n_bytes), Some(2));
        }
    }
}
