//! Line index of a YAML text: converts the parser's line and column into a location as an editor shows it.
//!
//! YAML 1.1 has three line break characters that no editor treats as line breaks. So its line numbers differ from those of an editor.

use crate::manifest::diagnostics::{Location, Span};

/// Position in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextPosition {
    /// Line as an editor shows it, from 1.
    pub(crate) line: u64,
    /// Offset from the beginning of the text, in bytes.
    pub(crate) offset: usize,
}

/// Index of the beginnings of the lines of a text.
#[derive(Debug)]
pub(crate) struct LineIndex<'a> {
    text: &'a str,
    /// Lines as YAML counts them.
    begins: Vec<Begin>,
    /// Offset of every `CHARS_PER_MILESTONE`-th character, because a file may be one line of a million characters.
    milestones: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Begin {
    mark: TextPosition,
    n_chars_before: usize,
}

const CHARS_PER_MILESTONE: usize = 64;

/// Longest token in bytes that is returned whole.
const TOKEN_BYTES_MAX: usize = 2_000;

impl<'a> LineIndex<'a> {
    /// Indexes a text that begins on this line of its file.
    pub(crate) fn new(text: &'a str, mut line: u64) -> Self {
        let mut begins = vec![Begin { mark: TextPosition { line, offset: 0 }, n_chars_before: 0 }];
        let mut milestones = Vec::new();
        for (n_chars_before, (i, c)) in text.char_indices().enumerate() {
            if n_chars_before % CHARS_PER_MILESTONE == 0 {
                milestones.push(i);
            }
            line += u64::from(c == '\n');
            if matches!(c, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}') {
                let mark = TextPosition { line, offset: i + c.len_utf8() };
                begins.push(Begin { mark, n_chars_before: n_chars_before + 1 });
            }
        }
        Self { text, begins, milestones }
    }

    /// Converts the parser's line and column to a position. Both count from 1; the column counts characters.
    pub(crate) fn mark(&self, line: usize, column: usize) -> Option<TextPosition> {
        let begin = self.begins.get(line.checked_sub(1)?)?;
        let n_chars_before = begin.n_chars_before + column.checked_sub(1)?;
        let Some(milestone) = self.milestones.get(n_chars_before / CHARS_PER_MILESTONE) else {
            return Some(self.end());
        };
        let mut rest = self.text[*milestone..].char_indices();
        match rest.nth(n_chars_before % CHARS_PER_MILESTONE) {
            Some((i, _)) => Some(TextPosition { line: begin.mark.line, offset: milestone + i }),
            None => Some(self.end()),
        }
    }

    /// Returns the end of the text. It is on the last line, even if that line ends with a line break.
    pub(crate) fn end(&self) -> TextPosition {
        let offset = self.text.len();
        TextPosition { line: self.line_at(offset.saturating_sub(1)), offset }
    }

    /// Returns the line that an editor shows at this offset.
    pub(crate) fn line_at(&self, offset: usize) -> u64 {
        let n_before = self.begins.partition_point(|begin| begin.mark.offset <= offset);
        self.begins[n_before - 1].mark.line
    }

    /// Returns the source text at `mark`, at most to the end of its line. A quoted text is returned with its quotes. `scalar` is
    /// returned if the text begins with it. Otherwise the result ends before a comma, a closing bracket or a comment.
    pub(crate) fn token(&self, mark: TextPosition, scalar: &str) -> &'a str {
        let rest = &self.text[mark.offset..];
        // Limits the search to the first few characters, because a file may be one line of a million characters.
        let line = rest[..rest.floor_char_boundary(TOKEN_BYTES_MAX)].split('\n').next().unwrap_or_default();
        let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
        if let Some(quote) = quote {
            return quoted(line, quote);
        }
        if !scalar.is_empty() && line.starts_with(scalar) {
            return &line[..scalar.len()];
        }
        line.split([',', ']', '}']).next().unwrap_or_default().split(" #").next().unwrap_or_default().trim_end()
    }

    /// Returns the location of the token at `mark`.
    pub(crate) fn place(&self, mark: TextPosition, scalar: &str) -> Location {
        let line = &self.begins[self.begins.partition_point(|begin| begin.mark.line < mark.line)];
        let begin = mark.offset - line.mark.offset;
        match (u32::try_from(begin), u32::try_from(begin + self.token(mark, scalar).len())) {
            (Ok(begin), Ok(end)) if begin < end => Location::Span(Span { line: mark.line, begin, end }),
            _ => Location::Line(mark.line),
        }
    }

    /// Returns the location of a comment after the unquoted `scalar` at `mark` that was probably meant as text. In such a comment, a
    /// letter or a digit follows ` #` directly, as in `cat #1`.
    pub(crate) fn lost_hash(&self, mark: TextPosition, scalar: &str) -> Option<Location> {
        let rest = self.text[mark.offset..].strip_prefix(scalar)?;
        let comment = rest.trim_start_matches([' ', '\t']);
        // Excludes an intended comment, which has a space after its `#`.
        let is_lost = comment.len() < rest.len()
            && comment.strip_prefix('#').is_some_and(|comment| comment.starts_with(char::is_alphanumeric));
        let offset = self.text.len() - comment.len();
        is_lost.then(|| self.place(TextPosition { offset, ..mark }, ""))
    }
}

/// Returns a text with its quotes, or the whole line if the quote is not closed on that line.
fn quoted(line: &str, quote: char) -> &str {
    let mut is_escaped = false;
    for (i, c) in line.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if c == quote {
            return &line[..=i];
        } else {
            is_escaped = c == '\\' && quote == '"';
        }
    }
    line.trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_what_stands_there() {
        let token = |line: &'static str, scalar: &str| {
            LineIndex::new(line, 1).token(TextPosition { line: 1, offset: 2 }, scalar)
        };
        for (line, scalar, expected) in [
            ("- cat, asleep", "cat, asleep", "cat, asleep"),
            ("- \"a \\\" b\" # c", "a \" b", "\"a \\\" b\""),
            ("- 'a b': 1", "a b", "'a b'"),
            ("- \"open", "open", "\"open"),
            ("- 1e3 # many", "1000", "1e3"),
            ("[ 0x1F, 2]", "31", "0x1F"),
            ("- >-\n  folded", "folded", ">-"),
        ] {
            assert_eq!(token(line, scalar), expected, "{line}");
        }
    }

    #[test]
    fn a_place_counts_bytes_within_the_line_that_an_editor_shows() {
        let text = "- a\n- \u{2028}猫: 7\n";
        let place = LineIndex::new(text, 1).place(TextPosition { line: 2, offset: 9 }, "猫");
        assert_eq!(place, Location::Span(Span { line: 2, begin: 5, end: 8 }));
        assert_eq!(
            LineIndex::new("- a", 1).place(TextPosition { line: 1, offset: 3 }, ""),
            Location::Line(1),
            "nothing stands at the end"
        );
    }

    fn place(text: &str, line: usize, column: usize) -> Option<(u64, usize)> {
        LineIndex::new(text, 1).mark(line, column).map(|mark| (mark.line, mark.offset))
    }

    #[test]
    fn columns_count_characters_and_offsets_bytes() {
        assert_eq!(place("- a\n- 金色的猫\n", 2, 3), Some((2, 6)));
        assert_eq!(place("- a\n- 金色的猫\n", 2, 5), Some((2, 12)));
    }

    #[test]
    fn all_line_ends_count_once() {
        assert_eq!(place("a\n\nb", 3, 1), Some((3, 3)));
    }

    #[test]
    fn lines_that_only_yaml_counts_are_not_shown() {
        assert_eq!(place("a\u{2028}b\u{2029}c\u{85}d\ne", 4, 1), Some((1, 11)));
        assert_eq!(place("a\u{2028}b\u{2029}c\u{85}d\ne", 5, 1), Some((2, 13)));
    }

    #[test]
    fn long_lines_are_no_slower() {
        let text = "猫a".repeat(100_000);
        let lines = LineIndex::new(&text, 1);
        for column in (1..=200_000).step_by(7) {
            let offset = (column - 1) / 2 * 4 + (column - 1) % 2 * 3;
            assert_eq!(lines.mark(1, column), Some(TextPosition { line: 1, offset }));
        }
    }

    #[test]
    fn what_lies_outside_is_no_place() {
        assert_eq!(place("a\nb", 3, 1), None);
        assert_eq!(place("a\nb", 0, 1), None);
        assert_eq!(place("a\nb", 1, 0), None);
        assert_eq!(place("", 1, 1), Some((1, 0)));
    }

    #[test]
    fn a_hash_that_was_meant_is_told_from_a_comment() {
        let loses =
            |line: &str| LineIndex::new(line, 1).lost_hash(TextPosition { line: 1, offset: 2 }, "cat").is_some();
        for line in ["- cat #1", "- cat #sunset  # a tag", "- cat\t#一"] {
            assert!(loses(line), "{line}");
        }
        for line in ["- cat", "- cat # one", "- cat#1", "- cat #", "- cat ## x", "- catalogue #1", "- dog #1"] {
            assert!(!loses(line), "{line}");
        }
    }
}
