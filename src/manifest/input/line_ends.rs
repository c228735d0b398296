//! Line ends: each becomes one line feed, and a carriage return alone is refused in a file whose other lines end in a line feed.
//!
//! Writers of tables leave such a character unquoted in a cell. Read as a line end, it would cut a prompt in two.

use memchr::{memchr, memchr_iter};

/// What is checked, besides the replacement of the line ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Check {
    #[default]
    Nothing,
    All,
    /// All text that is not between double quotes.
    Unquoted,
}

/// State over a text that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LineEnds {
    check: Check,
    n_lines: u64,
    /// Records that the last piece ended with a carriage return. A line feed that comes next belongs to that line end.
    after_return: bool,
    is_quoted: bool,
    has_feed: bool,
    /// Line that the first bare carriage return ends.
    bare: Option<u64>,
}

impl LineEnds {
    /// Looks for carriage returns that end no line.
    pub(crate) fn check(&mut self) {
        self.check = Check::All;
    }

    /// Excludes the text between quotes from the check, if there is one.
    pub(crate) fn exclude_quoted(&mut self) {
        if self.check == Check::All {
            self.check = Check::Unquoted;
        }
    }

    /// Returns the number of line ends so far.
    pub(crate) const fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// Replaces each line end of the next piece, CRLF or CR, by LF.
    /// Returns the line of the first bare carriage return, once it is known that other lines end in a line feed.
    pub(crate) fn unify(&mut self, text: &mut Vec<u8>) -> Option<u64> {
        if self.after_return && !text.is_empty() {
            self.after_return = false;
            if text[0] == b'\n' {
                self.has_feed |= !self.is_quoted;
                text.remove(0);
            } else {
                self.note_return(text[0]);
            }
        }
        let (mut at, mut end) = (0, 0);
        while let Some(found) = memchr(b'\r', &text[at..]) {
            let cr = at + found;
            self.note_text(&text[at..cr]);
            text.copy_within(at..cr, end);
            end += cr - at;
            text[end] = b'\n';
            end += 1;
            self.n_lines += 1;
            at = cr + 1;
            match text.get(at) {
                None => self.after_return = true,
                Some(b'\n') => {
                    self.has_feed |= !self.is_quoted;
                    at += 1;
                }
                Some(next) => self.note_return(*next),
            }
        }
        self.note_text(&text[at..]);
        if at > end {
            text.copy_within(at.., end);
        }
        text.truncate(text.len() - (at - end));
        self.bare.filter(|_| self.has_feed && self.check != Check::Nothing)
    }

    /// Notes a carriage return before the byte `next`, which is no line feed.
    fn note_return(&mut self, next: u8) {
        if next != b'\r' && !self.is_quoted {
            self.bare.get_or_insert(self.n_lines);
        }
    }

    /// Counts the line ends and the quotes of a text without a carriage return, at the speed of memory.
    fn note_text(&mut self, text: &[u8]) {
        let has_odd_quotes = |text: &[u8]| self.check == Check::Unquoted && memchr_iter(b'"', text).count() % 2 == 1;
        self.n_lines += memchr_iter(b'\n', text).count() as u64;
        self.has_feed =
            self.has_feed || memchr_iter(b'\n', text).any(|at| has_odd_quotes(&text[..at]) == self.is_quoted);
        self.is_quoted ^= has_odd_quotes(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a line end is one `\n`, wherever the text is cut. Method: a text with all line ends, cut at every two places.
    #[test]
    fn line_ends_of_every_system_become_one_byte() {
        let text = b"a\r\nb\rc\n\n\r\r\r\nd\r";
        for i in 0..=text.len() {
            for j in i..=text.len() {
                let mut ends = LineEnds::default();
                let mut unified = Vec::new();
                for piece in [&text[..i], &text[i..j], &text[j..]] {
                    let mut piece = piece.to_vec();
                    assert_eq!(ends.unify(&mut piece), None, "nothing is checked");
                    unified.append(&mut piece);
                }
                assert_eq!(str::from_utf8(&unified), Ok("a\nb\nc\n\n\n\n\nd\n"), "cut at {i} and {j}");
                assert_eq!(ends.n_lines(), 8, "cut at {i} and {j}");
            }
        }
    }

    fn found(text: &str, check: Check, n_bytes: usize) -> Option<u64> {
        let mut ends = LineEnds { check, ..LineEnds::default() };
        text.as_bytes().chunks(n_bytes).find_map(|piece| ends.unify(&mut piece.to_vec()))
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
                ("\r\n\r\na\r\n\r", None),
                ("", None),
            ] {
                assert_eq!(found(text, Check::All, n_bytes), line, "{text:?} in pieces of {n_bytes}");
            }
            assert_eq!(found("a\n\"b\rc\"\nd", Check::Unquoted, n_bytes), None);
            assert_eq!(found("a\n\"b\rc\"\nd\re\n", Check::Unquoted, n_bytes), Some(4));
            assert_eq!(found("a\n\"b\rc\"\nd", Check::All, n_bytes), Some(2));
            assert_eq!(found("a\rb\r\"x\ny\"\r", Check::Unquoted, n_bytes), None, "no line ends in a line feed");
        }
    }
}
