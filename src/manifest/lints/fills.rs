//! Texts that are filled into prompts and mean nothing there, such as `nan` in a column that a prompt names.

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::Text;
use crate::manifest::fields::missing::is_missing;
use crate::manifest::fields::value::shown_text;

/// Reports the values of a var that mean nothing. `table` is the table from which they come. `None` for a list.
pub(crate) fn report_var(name: &str, texts: &[Text], table: Option<&str>, findings: &mut PassDiagnostics) {
    let shown = shown_text(name);
    let (mut n_empty, mut first_empty) = (0_u64, None);
    for (row, Text { text, place }) in (1_u64..).zip(texts) {
        let at = || table.map_or(String::new(), |table| format!(" in row {row} of the table {}", shown_text(table)));
        if is_missing(text) {
            findings.mistakes.push(*place, missing(format!("the var {shown} is {}{}", shown_text(text), at())));
        } else if table.is_some() && text.trim().is_empty() {
            n_empty += 1;
            first_empty.get_or_insert((*place, at()));
        }
    }
    if let Some((place, at)) = first_empty {
        let more = if n_empty == 1 { String::new() } else { format!(" and in {} more", n_empty - 1) };
        let what = format!("the var {shown} is empty{at}{more}, and nothing is filled in for it");
        findings.warnings.push(place, wrong(what, "write a text there, or remove the row, if it is not meant"));
    }
}

/// Reports a column of an entry that means nothing. Returns whether it is empty.
pub(crate) fn report_column(name: &str, text: &str, entry: Location, findings: &mut PassDiagnostics) -> bool {
    if is_missing(text) {
        let what = format!("the column {} is {}", shown_text(name), shown_text(text));
        findings.mistakes.push(entry, missing(what));
    }
    text.trim().is_empty()
}

/// Returns the warning about a column that is empty in some entries.
pub(crate) fn empty_column(name: &str, n: u64) -> Issue {
    let more = match n {
        1 => String::new(),
        n => format!(", and in {} more", n - 1),
    };
    let what =
        format!("the column {} is empty here{more}, and nothing is filled into the prompt for it", shown_text(name));
    wrong(what, "write a text there, or remove the entry, if it is not meant")
}

fn missing(what: String) -> Issue {
    let what = what + ", which other programs write for a missing value, and it is filled into a prompt";
    wrong(what, "write a text, or remove the entry; --verbatim sends the word")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_mean_nothing_are_reported_where_they_are_filled_in() {
        for (text, table, expected) in [
            ("nan", None, [1, 0]),
            ("None", Some("a.csv"), [1, 0]),
            ("#N/A", Some("a.csv"), [1, 0]),
            ("", Some("a.csv"), [0, 1]),
            // An empty text in a list is written on purpose.
            ("", None, [0, 0]),
            ("none of it", Some("a.csv"), [0, 0]),
            ("none", None, [0, 0]),
            ("-", None, [0, 0]),
        ] {
            let mut findings = PassDiagnostics::default();
            let texts = [Text { text: text.to_owned(), place: Location::File }];
            report_var("animal", &texts, table, &mut findings);
            assert_eq!([findings.mistakes.n(), findings.warnings.n()], expected, "{text}");
        }
        let mut findings = PassDiagnostics::default();
        assert!(!report_column("place", "NULL", Location::Line(2), &mut findings));
        assert!(report_column("place", " ", Location::Line(3), &mut findings));
        assert_eq!(findings.mistakes.n(), 1);
    }
}
