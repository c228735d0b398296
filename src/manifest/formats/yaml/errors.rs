//! Translation of the YAML parser's errors into messages for authors of prompts.

use crate::manifest::diagnostics::{Issue, wrong};
use crate::model::escape::excerpt;

/// Table of a part of the parser's message, the description of the problem, and the remedy.
const COMPLAINTS: [(&str, &str, &str); 13] = [
    ("scanning a quoted scalar", "a quote is opened here and never closed", "close it"),
    ("scanning an alias", "an unquoted text begins with `*`", "put the text in quotes"),
    ("scanning an anchor", "an unquoted text begins with `&`", "put the text in quotes"),
    ("unknown anchor", "`*` repeats an anchor that is not above it", "put the text in quotes if it begins with `*`"),
    ("tab character", "a tab is used to indent", "indent with spaces"),
    (
        "cannot start any token",
        "a text begins with a character that is special in YAML",
        "put the text in quotes, and indent with spaces",
    ),
    (
        "mapping values are not allowed",
        "an unquoted text contains a second `: `",
        "put the whole text in quotes, or check the indentation",
    ),
    (
        "did not find expected key",
        "this does not line up with the fields above, or continues after a closing quote or bracket",
        "indent the fields of a prompt equally, and put whole texts in quotes",
    ),
    (
        "expected '-' indicator",
        "this entry goes on after a closing quote, bracket or brace, or does not line up with the entries above",
        "put the whole text in quotes, or begin each prompt with `- ` in the same column and indent its fields equally",
    ),
    (
        "expected ',' or",
        "a bracket or brace is not closed, or a comma is missing",
        "close it, or put the text in quotes",
    ),
    (
        "expected node content",
        "a bracket or brace is never closed, or closed without being opened",
        "put the text in quotes",
    ),
    ("recursion limit", "lists or maps are nested too deeply", "write the prompts as one flat list"),
    ("repetition limit", "aliases repeat too much", "write the entries out, or share values under `defaults:`"),
];

/// Translates a message of the parser.
pub(crate) fn explain(complaint: &str) -> Issue {
    if let Some((_, what, remedy)) = COMPLAINTS.iter().find(|(words, _, _)| complaint.contains(words)) {
        return wrong(*what, *remedy);
    }
    let problem = complaint.split(" at line ").next().unwrap_or(complaint);
    let what = format!("invalid YAML: {}", excerpt(problem, 80));
    wrong(what, "check the indentation and the quotes here and above")
}

/// Returns the position of an unclosed quote. The parser itself reports the end of the file.
pub(crate) fn opening(complaint: &str) -> Option<(usize, usize)> {
    let (_, place) = complaint.split_once("scanning a quoted scalar")?;
    line_and_column(place)
}

/// Parses the position ` at line 3 column 5` of the parser's message. An empty text means the beginning of the document.
pub(crate) fn line_and_column(words: &str) -> Option<(usize, usize)> {
    if words.is_empty() {
        return Some((1, 1));
    }
    let (line, column) = words.strip_prefix(" at line ")?.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_the_parsers_words() {
        assert_eq!(line_and_column(" at line 3 column 15"), Some((3, 15)));
        assert_eq!(line_and_column(""), Some((1, 1)));
        for words in
            [" ", " at line", " at line x column 1", " at line 1 column", "at line 1 column 2", " at position 7"]
        {
            assert_eq!(line_and_column(words), None, "{words:?}");
        }
    }

    #[test]
    fn an_open_quote_is_told_where_it_opens() {
        let complaint =
            "found unexpected end of stream at line 9 column 1, while scanning a quoted scalar at line 2 column 3";
        assert_eq!(opening(complaint), Some((2, 3)));
        assert_eq!(opening("found a tab character at line 9 column 1"), None);
    }

    #[test]
    fn unknown_complaints_are_passed_on_in_their_own_words() {
        let wrong = explain("did not find the moon at line 3 column 1, while looking up at line 2 column 1");
        assert_eq!(wrong.what, "invalid YAML: did not find the moon");
    }
}
