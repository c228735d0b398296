//! Text on one line, for formats that have a line per value.

/// Joins the lines of a text by spaces. Blank lines and the spaces around each line are left out.
pub fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_by_one_space() {
        for (text, expected) in [("a cat", "a cat"), ("a\r\nb\n\n  c \n", "a b c"), (" a  b ", "a  b"), ("\n \r", "")] {
            assert_eq!(one_line(text), expected, "{text:?}");
        }
    }
}
