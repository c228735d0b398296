//! Lints of any format: texts that were made for other programs, are damaged, or mean nothing.
//!
//! Prompts are never changed. What is plainly not meant is a mistake; what only resembles a fault is a warning. The option
//! `verbatim` of the source turns these lints off. Each kind has its file, with its rules as a table.

mod choices;
mod damage;
pub(crate) mod entries;
pub(crate) mod foreign_lists;
mod foreign_texts;
pub(crate) mod foreign_vars;
mod guards;
mod infotext;
pub(crate) mod linted_format;
mod placeholders;
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

/// Returns the mistake for a line that begins with a byte order mark, in a format in which it cannot be read.
pub(crate) fn joined_file() -> Issue {
    let what = "this line begins with a byte order mark (U+FEFF)";
    wrong(what, "remove it; files that were joined each began with one")
}
