//! Lints of the rows of a table: rows without any character, and rows that repeat the header.

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::formats::cells::Cell;

/// Returns whether a row has no character: spreadsheets write such rows below a table. Delimiters of other tables do not count.
pub(crate) fn is_blank(cells: &[Cell]) -> bool {
    let is_nothing = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
    // One cell of delimiters is a blank row of a table with another delimiter.
    let is_foreign = |text: &str| cells.len() == 1 && text.chars().all(is_nothing);
    cells.iter().all(|cell| cell.text.trim().is_empty() || is_foreign(&cell.text))
}

/// Returns whether a row repeats the header, as in files that were joined. Case, a byte order mark and quotes do not count.
pub(crate) fn is_header(cells: &[Cell], titles: &[String]) -> bool {
    let is = |cell: &Cell, title: &String| {
        let text = cell.text.trim_start_matches('\u{feff}').trim().trim_matches('"');
        same(text, title)
    };
    !titles.is_empty() && cells.len() == titles.len() && cells.iter().zip(titles).all(|(cell, title)| is(cell, title))
}

/// Compares two titles. Case, spaces, `-` and `_` do not count. Nearly all cells differ in their first character.
fn same(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        text.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect::<String>()
    };
    let first = |text: &str| text.chars().find(|c| !matches!(c, ' ' | '-' | '_')).map(|c| c.to_ascii_lowercase());
    one == other || first(one) == first(other) && plain(one) == plain(other)
}

/// Returns the mistake for a row that repeats the header.
pub(crate) fn repeated_header() -> Issue {
    wrong("this row repeats the header", "remove it; files that were joined each have one")
}
