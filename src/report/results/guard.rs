//! CSV injection guard: cells that spreadsheets would take for formulas get an apostrophe in front, as OWASP advises.
//!
//! A manifest, or a provider's words, may begin with `=HYPERLINK(...)`. It is off by default: a table for programs holds every text as it is.

use std::borrow::Cow;

/// The text as a cell that no spreadsheet computes.
pub(super) fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    if is_formula(&text) { format!("'{text}").into() } else { text }
}

/// Whether a spreadsheet may take this for a formula, by its first character. East Asian editions take wide signs too.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_as_a_formula_is_text() {
        for text in
            ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=", "＝1", "＋1", "－1", "＠x", "-", "'=1"]
        {
            let expected = if text.starts_with('\'') { text.to_owned() } else { format!("'{text}") };
            assert_eq!(guarded(text.into()), expected);
        }
        for text in ["", "a=1", " =1", "1-1", "猫", "\"=1", "(a)"] {
            assert_eq!(guarded(text.into()), text);
        }
    }
}
