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

/// Returns whether a line has cells between semicolons, one of which is a number or in quotes. A prompt has a space after each of them.
pub(super) fn is_semicolon_row(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let cells = || text.split(';');
    let is_number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit()) && cell.parse::<f64>().is_ok();
    let is_cell = |cell: &str| is_number(cell) || cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"');
    let is_packed = |cell: &str| !cell.starts_with(char::is_whitespace);
    is_line && cells().count() > 1 && cells().skip(1).all(is_packed) && cells().any(is_cell)
}

/// Returns whether one pair of quotes encloses the whole text.
pub(super) fn is_quoted(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_within = |open: char, close: char| {
        let inside = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains([open, close]))
    };
    is_line && (is_within('"', '"') || is_within('“', '”'))
}

pub(super) fn is_shell(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let after = |word: &str| text.strip_prefix(word);
    let is_script = || after("python3 ").or_else(|| after("python ")).is_some_and(|rest| rest.contains(".py"));
    let is_fetch = || after("curl ").or_else(|| after("wget ")).is_some_and(|rest| rest.contains("://"));
    let is_ours = || {
        ["run ", "validate ", "plan "]
            .iter()
            .any(|verb| after("promptbatch ").is_some_and(|rest| rest.starts_with(verb)))
    };
    is_line && (is_script() || is_fetch() || is_ours() || after("pip install ").is_some() || after("$ ").is_some())
}

pub(super) fn is_tex(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    const COMMANDS: [&str; 6] = ["\\begin{", "\\end{", "\\item", "\\documentclass", "\\section", "\\usepackage"];
    is_line && COMMANDS.iter().any(|command| text.starts_with(command))
}

pub(super) fn is_markup(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_tag = || text.strip_prefix('<').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    is_line && text.ends_with('>') && is_tag() && text.contains("</")
}

/// Returns whether the line has cells in quotes with commas between them.
pub(super) fn is_csv_row(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    // A space follows the comma of a quotation: `"Stop", he said`.
    let has_next = || text.match_indices("\",").any(|(at, _)| text[at + 2..].starts_with(|c: char| c != ' '));
    is_line && text.starts_with('"') && has_next()
}

/// Returns whether the line pairs a text with the name of an image, as lists of captions do.
pub(super) fn is_of_file(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    const ENDINGS: [&str; 5] = [".png", ".jpg", ".jpeg", ".webp", ".gif"];
    let is_name = |word: &str| {
        !word.contains(char::is_whitespace) && ENDINGS.iter().any(|ending| word.to_lowercase().ends_with(ending))
    };
    let first = || text.split(['|', ',', ':', '\t', ';']).next().filter(|first| first.len() < text.len());
    let last = || text.rsplit_once("-> ").or_else(|| text.rsplit_once("=> ")).map(|(_, last)| last.trim());
    is_line && text.contains('.') && (first().is_some_and(is_name) || last().is_some_and(is_name))
}

/// Returns whether the line begins with a time of a recording, such as `[00:12.00]` or `00:01:05`.
pub(super) fn is_timestamped(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    let is_time = |time: &str, n_colons: usize| {
        time.bytes().filter(|byte| *byte == b':').count() >= n_colons
            && time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b','))
    };
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(time, _)| (time, 1));
    let (time, n_colons) = bracketed.unwrap_or_else(|| (text.split(' ').next().unwrap_or_default(), 2));
    is_line && is_time(time, n_colons)
}

pub(super) fn is_formula(SeenText { text, .. }: SeenText<'_>) -> bool {
    let is_begun = || text.strip_prefix('=').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    is_begun() && text.contains(['(', '&'])
}

pub(super) fn has_loose_end(SeenText { text, is_line, .. }: SeenText<'_>) -> bool {
    is_line && [",,", ";;", "\\"].iter().any(|end| text.ends_with(end))
}
