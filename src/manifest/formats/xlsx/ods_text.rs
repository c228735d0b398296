//! Texts of an `OpenDocument`: paragraphs, spaces and durations.

/// Text of a cell, paragraph by paragraph.
#[derive(Debug, Default)]
pub(super) struct CellParagraphs {
    text: String,
    n_begun: u32,
    is_open: bool,
    /// Says whether the next space of the file is none of the text, as at the begin of a paragraph.
    is_after_space: bool,
}

impl CellParagraphs {
    /// Begins a paragraph.
    pub(super) fn begin(&mut self) {
        if self.n_begun > 0 {
            self.text.push('\n');
        }
        (self.n_begun, self.is_open, self.is_after_space) = (self.n_begun + 1, true, true);
    }

    /// Ends the paragraph.
    pub(super) fn end(&mut self) {
        self.is_open = false;
    }

    /// Adds characters of the file. Spaces and line ends in a row are one space there.
    pub(super) fn add(&mut self, text: &str) {
        if !self.is_open {
            return;
        }
        for c in text.chars() {
            let is_space = matches!(c, ' ' | '\t' | '\n' | '\r');
            if !(is_space && self.is_after_space) {
                self.text.push(if is_space { ' ' } else { c });
            }
            self.is_after_space = is_space;
        }
    }

    /// Adds characters that elements stand for.
    pub(super) fn add_exactly(&mut self, text: &str) {
        if self.is_open {
            self.text.push_str(text);
            self.is_after_space = false;
        }
    }

    /// Returns the text.
    pub(super) fn text(self) -> String {
        self.text
    }
}

/// Returns a duration such as `PT07H05M00S` as it is in a table: `07:05:00`. `None` for any other text.
pub(super) fn duration(text: &str) -> Option<String> {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
    let rest = text.strip_prefix("PT")?;
    let (hours, rest) = rest.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds = rest.strip_suffix('S')?;
    let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if ![hours, minutes, whole, fraction].into_iter().all(is_number) || hours.is_empty() {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    Some(format!("{sign}{hours:0>2}:{minutes:0>2}:{whole:0>2}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_in_the_file_are_one_and_those_of_elements_are_kept() {
        let mut text = CellParagraphs::default();
        text.add("before");
        text.begin();
        text.add("  a \n  cat");
        text.add_exactly("  ");
        text.add(" here");
        text.end();
        text.add("\n");
        text.begin();
        text.end();
        text.begin();
        text.add("猫\u{a0}&");
        assert_eq!(text.text(), "a cat   here\n\n猫\u{a0}&");
    }

    #[test]
    fn durations_are_written_as_in_a_table() {
        for (text, expected) in [
            ("PT07H05M00S", Some("07:05:00")),
            ("PT27H0M1.500S", Some("27:00:01.5")),
            ("-PT12H00M00S", Some("-12:00:00")),
            ("PT5M", None),
            ("P1D", None),
            ("PTxHyMzS", None),
            ("", None),
        ] {
            assert_eq!(duration(text).as_deref(), expected, "{text}");
        }
    }
}
