//! Cells that are guarded against spreadsheet programs: `="0001"` and `'=text`.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::value::shown_text;

/// Reports a text with a guard around it.
pub(crate) fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    let Some((bare, kind)) = unguarded(text) else { return };
    let what = format!("`{}` is {}, {kind}", field.name(), shown_text(text));
    findings.mistakes.push(place, wrong(what, format!("write {}; --verbatim keeps the guard", shown_text(bare))));
}

/// Returns the text without its guard, and what the guard is. `None` if the text has none.
fn unguarded(text: &str) -> Option<(&str, &'static str)> {
    let formula = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    if let Some(bare) = formula.filter(|bare| !bare.contains('"')) {
        return Some((bare, "a formula that keeps a spreadsheet program from changing it"));
    }
    let bare = text.strip_prefix('\'')?;
    // A second apostrophe closes a quotation.
    (bare.starts_with(['=', '+', '-', '@']) && !bare.contains('\''))
        .then_some((bare, "with an apostrophe that keeps a spreadsheet program from computing it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_are_seen_and_quotations_are_not() {
        for (text, bare) in [
            ("=\"0001\"", "0001"),
            ("=\"a cat\"", "a cat"),
            ("'=ink", "=ink"),
            ("'+ink", "+ink"),
            ("'-blurry", "-blurry"),
            ("'@me", "@me"),
        ] {
            assert_eq!(unguarded(text).map(|(bare, _)| bare), Some(bare));
        }
        for text in ["", "'", "0001", "=1+1", "'n' roll", "'-ism' in art", "\"quoted\"", "=\"a\"&\"b\"", "'90s style"] {
            assert_eq!(unguarded(text), None, "{text}");
        }
    }
}
