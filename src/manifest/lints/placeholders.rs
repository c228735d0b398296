//! Placeholders in prompts of formats without vars: names of columns, and the syntax of dynamic prompts.

use std::ops::Range;

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::value::shown_text;
use crate::manifest::lints::foreign_vars;
use crate::manifest::template::parsed::is_name;

/// First placeholder of each kind, and the number of prompts with one.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    of_columns: Option<(Location, String, u64)>,
    of_choices: Option<(Location, String, u64)>,
    others: Option<(Location, String, u64)>,
}

impl Placeholders {
    /// Counts a prompt that is not a template. `columns` are the other columns of its row.
    pub(crate) fn see(&mut self, text: &str, columns: &[(String, String)], place: Location) {
        // Nearly all texts have no such sign.
        if !text.bytes().any(|byte| matches!(byte, b'{' | b'<' | b'[' | b'%' | b'_')) {
            return;
        }
        let is_column = |name: &str| columns.iter().any(|(column, _)| column == name);
        let found = foreign_vars::find_any(text, is_column).map(|range| (&mut self.of_columns, range));
        let found = found.or_else(|| {
            braces(text)
                .map(|(range, is_choice)| (if is_choice { &mut self.of_choices } else { &mut self.others }, range))
        });
        let Some((kind, range)) = found else { return };
        let written = || (place.within(text, range.start, range.end), text[range.clone()].to_owned(), 0);
        kind.get_or_insert_with(written).2 += 1;
    }

    /// Warns of the placeholders. `has_columns` records that the format has columns.
    pub(crate) fn finish(self, has_columns: bool, findings: &mut PassDiagnostics) {
        let others = if has_columns {
            "write a column of that name and add --syntax columns if it is a placeholder"
        } else {
            "write a YAML manifest with `vars:` if it is a placeholder"
        };
        let kinds = [
            (self.of_columns, "although there is such a column", "add --syntax columns to fill it in from the row"),
            (self.of_choices, "not as a choice", "add --syntax dynamic if it is the syntax of dynamic prompts"),
            (self.others, "with its marks", others),
        ];
        for (first, so, remedy) in kinds {
            let Some((place, written, n)) = first else { continue };
            findings.warnings.push(place, warning(&written, n, so, remedy));
        }
    }
}

fn warning(written: &str, n: u64, so: &str, remedy: &str) -> Issue {
    let more = match n {
        1 => String::new(),
        2 => ", in this prompt and in 1 more".to_owned(),
        n => format!(", in this prompt and in {} more", n - 1),
    };
    wrong(format!("{} is sent as it is, {so}{more}", shown_text(written)), remedy)
}

/// Finds `{name}`, `{{name}}`, `{a|b}` or `__name__`. Returns its range, and whether it is a choice.
fn braces(text: &str) -> Option<(Range<usize>, bool)> {
    let in_braces = text.match_indices('{').find_map(|(begin, _)| {
        let (inside, _) = text[begin + 1..].split_once(['{', '}'])?;
        let end = begin + 1 + inside.len();
        let is_choice = inside.contains('|');
        (text[end..].starts_with('}') && (is_name(inside.trim()) || is_choice)).then_some((begin..end + 1, is_choice))
    });
    in_braces.or_else(|| {
        let begin = text.find("__")?;
        let (name, _) = text[begin + 2..].split_once("__")?;
        let is_wildcard =
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '/' | '_' | '*'));
        is_wildcard.then_some((begin..begin + name.len() + 4, true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(texts: &[&str], has_columns: bool) -> Vec<String> {
        let columns = [("animal".to_owned(), "hare".to_owned()), ("art style".to_owned(), "ink".to_owned())];
        let columns = if has_columns { &columns[..] } else { &[] };
        let (mut seen, mut findings) = (Placeholders::default(), PassDiagnostics::default());
        for (line, text) in (1..).zip(texts) {
            seen.see(text, columns, Location::Line(line));
        }
        seen.finish(has_columns, &mut findings);
        assert_eq!(findings.mistakes.n(), 0);
        findings.warnings.list().iter().map(|warning| format!("{}; {}", warning.what, warning.remedy)).collect()
    }

    #[test]
    fn names_of_columns_are_seen_in_every_notation() {
        for text in
            ["a {animal}", "a {{ animal }}", "a ${animal}", "a <animal>", "a [animal]", "in {art style}", "a %animal%"]
        {
            let found = reported(&[text, "a fox"], true);
            assert!(
                found.len() == 1 && found[0].ends_with("add --syntax columns to fill it in from the row"),
                "{text}: {found:?}"
            );
            let is_other = text.contains("{animal") || text.contains("{{");
            assert_eq!(reported(&[text], false).len(), usize::from(is_other), "{text}");
        }
    }

    #[test]
    fn each_kind_is_reported_once() {
        let choice = "is sent as it is, not as a choice; add --syntax dynamic if it is the syntax of dynamic prompts";
        let found = reported(&["a {red|blue} cat", "a {x}", "a __animals/birds__", "{y} and {z}"], false);
        assert_eq!(
            found[0],
            format!("`{{red|blue}}` {}", choice.replace("choice;", "choice, in this prompt and in 1 more;"))
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn braces_that_name_nothing_are_text() {
        for text in ["{}", "{ }", "a {b c} d", "a <b>", "a [b]", "{\"a\": 1}", "a __ b __", "____", "}{"] {
            assert_eq!(reported(&[text], true), Vec::<String>::new(), "{text}");
        }
    }
}
