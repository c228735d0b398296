//! Lints of any format: texts that were made for other programs, are damaged, or mean nothing.
//!
//! Prompts are never changed. What is plainly not meant is a mistake; what only resembles a fault is a warning. The option
//! `verbatim` of the source turns these lints off. Each kind has its file, with its rules as a table.

mod choices;
mod damage;
pub(crate) mod entries;
pub(crate) mod fills;
pub(crate) mod foreign_lists;
mod foreign_texts;
pub(crate) mod foreign_vars;
mod guards;
mod infotext;
pub(crate) mod linted_format;
mod placeholders;
mod row_numbers;
pub(crate) mod seeds;
mod signs;
mod switches;
mod text_marks;
mod text_parts;
mod text_rule;
mod text_rules;
mod totals;
mod words;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::lints::text_rule::SeenText;

/// Returns why a line of a text of several lines is no part of a prompt: a setting with its number, or a line that only separates others.
pub(crate) fn foreign_line(line: &str) -> Option<Issue> {
    let seen = SeenText { text: line.trim(), is_first: false, is_line: true, is_typed: false };
    if text_marks::is_setting(seen) {
        let what = "this line is labelled as a setting, and would be sent as text";
        return Some(wrong(what, "write a CSV or YAML manifest with a field for it; --verbatim sends it as it is"));
    }
    text_parts::is_separator(seen).then(|| {
        let what = "this line only separates the lines around it, and is no line of dashes";
        wrong(
            what,
            "write `---` between prompts: sed -E 's/^[=*_~#+—─ ]{3,}$/---/' OLD > NEW; --verbatim sends it as it is",
        )
    })
}

/// Returns the mistake for a line that begins with a byte order mark, in a format in which it cannot be read.
pub(crate) fn joined_file() -> Issue {
    let what = "this line begins with a byte order mark (U+FEFF)";
    wrong(what, "remove it; files that were joined each began with one")
}
