//! What the YAML parser complains of, in words that help somebody who wrote prompts.

use crate::manifest::mistake::{Wrong, wrong};
use crate::model::text::excerpt;

/// What the parser's complaint means to somebody who wrote prompts: a part of its words, what is wrong, and what to do.
const COMPLAINTS: [(&str, &str, &str); 9] = [
    (
        "mapping values are not allowed",
        "an unquoted text holds a second `: `",
        "put the whole text in quotes, or check the indentation",
    ),
    (
        "cannot start any token",
        "a text begins with a character that means something to YAML",
        "put the text in quotes, and indent by spaces",
    ),
    ("scanning an alias", "an unquoted text begins with `*`", "put the text in quotes"),
    ("scanning an anchor", "an unquoted text begins with `&`", "put the text in quotes"),
    ("unknown anchor", "`*` repeats an anchor that is not above it", "put the text in quotes if it begins with `*`"),
    ("tab character", "a tab is used to indent", "indent by spaces"),
    ("unexpected end of stream", "a quote is opened and never closed", "close it"),
    ("recursion limit", "lists or maps are nested too deeply", "write the prompts as one flat list"),
    ("repetition limit", "aliases repeat too much", "write the entries out, or share values under `defaults:`"),
];

/// The parser's words in ours.
pub(super) fn explain(complaint: &str) -> Wrong {
    if let Some((_, what, remedy)) = COMPLAINTS.iter().find(|(words, _, _)| complaint.contains(words)) {
        return wrong(*what, *remedy);
    }
    let problem = complaint.split(" at line ").next().unwrap_or(complaint);
    wrong(
        format!("this is not good YAML: {}", excerpt(problem, 80)),
        "check the indentation and the quotes here and above",
    )
}
