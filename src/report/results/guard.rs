//! CSV injection guard: puts an apostrophe before cells that spreadsheets read as formulas, as OWASP advises.
//!
//! A manifest or a provider's message may start with `=HYPERLINK(...)`. The guard is off by default: a table for
//! programs keeps every text unchanged.

use std::borrow::Cow;

/// Returns the text as a cell that no spreadsheet evaluates.
pub(super) fn guarded(text: Cow<'_, str>) -> Cow<'_, str> {
    if is_formula(&text) { format!("'{text}").into() } else { text }
}

/// Checks by the first character whether a spreadsheet may read the text as a formula. East Asian editions also accept
/// full-width signs.
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
