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
        // Nearly all pieces have no carriage return, and are searched at the speed of memory.
        if !self.after_return && memchr(b'\r', text).is_none() {
            let n_feeds = memchr_iter(b'\n', text).count();
            self.n_lines += n_feeds as u64;
            self.has_feed |= n_feeds > 0 && !self.is_quoted;
            self.is_quoted ^= self.check == Check::Unquoted && memchr_iter(b'"', text).count() % 2 == 1;
        } else {
            text.retain_mut(|byte| self.keeps(byte));
        }
        self.bare.filter(|_| self.has_feed && self.check != Check::Nothing)
    }

    /// Replaces a byte. Returns whether it is kept.
    fn keeps(&mut self, byte: &mut u8) -> bool {
        let after_return = self.after_return;
        self.after_return = *byte == b'\r';
        match *byte {
            b'\n' => {
                self.has_feed |= !self.is_quoted;
                self.n_lines += u64::from(!after_return);
                return !after_return;
            }
            b'\r' => {
                self.n_lines += 1;
                *byte = b'\n';
            }
            other => {
                if after_return && !self.is_quoted {
                    self.bare.get_or_insert(self.n_lines);
                }
                self.is_quoted ^= other == b'"' && self.check == Check::Unquoted;
            }
        }
        true
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
                ("", None),
            ] {
                assert_eq!(found(text, Check::All, n_bytes), line, "{text:?} in pieces of {n_bytes}");
            }
            assert_eq!(found("a\n\"b\rc\"\nd", Check::Unquoted, n_bytes), None);
            assert_eq!(found("a\n\"b\rc\"\nd\re\n", Check::Unquoted, n_bytes), Some(4));
            assert_eq!(found("a\n\"b\rc\"\nd", Check::All, n_bytes), Some(2));
        }
    }
}
