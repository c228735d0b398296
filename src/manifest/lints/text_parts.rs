//! Parts of other files that a reader of plain text meets as lines: tables, JSON, programs, subtitles, Markdown.

use crate::manifest::fields::field::Field;
use crate::manifest::fields::synonyms::{self, Meaning};
use crate::manifest::lints::text_rule::SeenText;

pub(super) fn is_header(SeenText { text, is_first, is_line, .. }: SeenText<'_>) -> bool {
    const TITLE_BYTES_MAX: usize = 40;
    if !is_line || !is_first {
        return false;
    }
    let titles = || text.split([',', ';', '\t']).map(|cell| cell.trim_matches(['"', ' ', '\u{feff}']));
    let field = |title: &str| match synonyms::of(title) {
        Some((Meaning::Field(field), true)) => Some(field),
        _ => Field::titled(title),
    };
    // Titles of other columns are words without spaces around the delimiter, unlike a prompt that lists words.
    let is_title = |title: &str| !title.is_empty() && title.len() <= TITLE_BYTES_MAX && !title.contains(' ');
    let is_plain = || !text.contains(", ") && titles().count() > 1 && titles().all(is_title);
    let is_known = |title: &str| field(title).is_some() || synonyms::of(title).is_some();
    titles().any(|title| field(title) == Some(Field::Prompt)) && (titles().all(is_known) || is_plain())
}

pub(super) fn is_yaml_head(SeenText { text, is_first, is_line, .. }: SeenText<'_>) -> bool {
    is_line && is_first && (matches!(text, "prompts:" | "defaults:" | "vars:") || text.starts_with("- prompt:"))
}

/// Returns whether this is the first line of a program. A prompt may begin with one of its words, but not with the whole of it.
pub(super) fn is_program(SeenText { text, is_first, is_line, .. }: SeenText<'_>) -> bool {
    const BEGINNINGS: [&str; 10] = [
        "#!/",
        "<?php",
        "-- MySQL dump",
        "-- phpMyAdmin",
        "-- PostgreSQL database dump",
        "-- Dump",
        "PRAGMA ",
        "BEGIN TRANSACTION",
        "CREATE TABLE ",
        "DROP TABLE ",
    ];
    const LIBRARIES: [&str; 14] = [
        "argparse",
        "asyncio",
        "base64",
        "csv",
        "diffusers",
        "json",
        "numpy",
        "openai",
        "os",
        "pandas",
        "random",
        "requests",
        "sys",
        "torch",
    ];
    let words: Vec<&str> = text.split_whitespace().take(4).collect();
    let is_import = match words.as_slice() {
        // Without the name of a library, this may be an advertisement: "import beer".
        ["import", name, ..] => LIBRARIES.contains(&name.trim_end_matches([',', ';'])),
        ["from", name, "import", _] => {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        }
        _ => text == "WEBVTT",
    };
    is_line && is_first && (is_import || BEGINNINGS.iter().any(|begin| text.starts_with(begin)))
}

pub(super) fn is_sql(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && text.starts_with("INSERT INTO ") && text.contains(" VALUES")
}

/// Removes the name of a variable, as in `prompts = [`.
fn without_assignment(text: &str) -> &str {
    let is_name = |name: &str| {
        let name = ["const ", "let ", "var "].iter().find_map(|word| name.strip_prefix(word)).unwrap_or(name);
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    match text.split_once('=') {
        Some((name, rest)) if is_name(name.trim()) && rest.trim_start().starts_with('[') => rest.trim_start(),
        _ => text,
    }
}

pub(super) fn is_json(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let text = without_assignment(text).trim_end_matches([',', ';']);
    let inside = |open: char, close: char| text.strip_prefix(open)?.strip_suffix(close).map(str::trim);
    let is_quoted = |inside: &str| inside.len() > 1 && inside.starts_with(['"', '\'']);
    let is_list = || inside('[', ']').is_some_and(|inside| is_quoted(inside) && inside.ends_with(['"', '\'']));
    let is_object = || inside('{', '}').is_some_and(|inside| is_quoted(inside) && inside.contains(':'));
    is_line && (is_list() || is_object())
}

pub(super) fn is_json_part(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_bracket = || matches!(without_assignment(text), "[" | "]" | "{" | "}" | "}," | "]," | "];" | "[{" | "}]");
    let is_item = |quote: char| {
        text.len() > 3 && text.starts_with(quote) && text.strip_suffix(',').is_some_and(|rest| rest.ends_with(quote))
    };
    // Name and value of a member, such as `"seed": 5,`.
    let is_member = || {
        let rest = text.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(_, rest)| rest.trim_start());
        rest.is_some_and(|rest| rest.starts_with(':'))
    };
    is_line && (is_bracket() || is_item('"') || is_item('\'') || is_member())
}

pub(super) fn is_code_fence(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && (text.starts_with("```") || text.starts_with("~~~"))
}

pub(super) fn is_conflict(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && (text.starts_with("<<<<<<< ") || text.starts_with(">>>>>>> "))
}

/// Returns whether the line is one sign again and again, or separates the header of a Markdown table.
pub(super) fn is_separator(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_rule = || {
        let first = text.chars().next().filter(|c| "-=*_~#+—─".contains(*c));
        first.is_some_and(|first| text.chars().all(|c| c == first || c == ' '))
    };
    let is_of_table = || text.starts_with('|') && text.contains("--") && text.chars().all(|c| "|-: ".contains(c));
    is_line && text.chars().count() > 2 && (is_rule() || is_of_table())
}

pub(super) fn is_timestamp(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_time = |time: &str| {
        let time = time.split_whitespace().next().unwrap_or_default();
        time.contains(':') && time.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | ',' | '.'))
    };
    is_line && text.split_once("-->").is_some_and(|(begin, end)| is_time(begin) && is_time(end))
}

pub(super) fn is_table_row(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && text.len() > 2 && text.starts_with('|') && text.ends_with('|')
}

pub(super) fn has_tab(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    // A number before the tab is that of a list.
    is_line && text.contains('\t') && !text.split('\t').next().unwrap_or_default().ends_with(['.', ')'])
}

/// Returns whether one pair of quotes encloses the whole text.
pub(super) fn is_quoted(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_within = |open: char, close: char| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains([open, close]))
    };
    is_line && (is_within('"', '"') || is_within('“', '”'))
}
