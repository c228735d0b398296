//! Placeholders in the notation of other programs, around the name of a var: `{{name}}`, `${name}`, `<name>`.

use std::collections::BTreeSet;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};

/// Notation of another program, and whether it is certainly not meant as text.
const NOTATIONS: [(&str, &str, bool); 8] = [
    ("{{", "}}", true),
    ("${", "}", true),
    ("<", ">", true),
    ("#{", "}", true),
    ("{%", "%}", true),
    ("[", "]", false),
    ("%", "%", false),
    ("__", "__", false),
];

/// Reports the first foreign placeholder of a text that names one of the vars. Returns whether there is a mistake.
pub(crate) fn report(text: &str, vars: &BTreeSet<String>, place: Location, findings: &mut PassDiagnostics) -> bool {
    let found = NOTATIONS.iter().find_map(|(open, close, is_certain)| {
        let (begin, end, name) = find(text, open, close, vars)?;
        Some((begin, end, name, *is_certain))
    });
    let Some((begin, end, name, is_certain)) = found else { return false };
    let written = &text[begin..end];
    let at = place.within(text, begin, end);
    if is_certain {
        let what = format!("`{written}` is not how the var `{name}` is written");
        findings.mistakes.push(at, wrong(what, format!("write {{{name}}}; --verbatim takes the braces as text")));
    } else {
        let what = format!("`{written}` is sent as it is, although there is a var `{name}`");
        findings.warnings.push(at, wrong(what, format!("write {{{name}}} if you meant the var")));
    }
    is_certain
}

/// Returns the first name of a var between these marks, with its range in the text. Spaces around the name do not count.
fn find<'a>(text: &'a str, open: &str, close: &str, vars: &BTreeSet<String>) -> Option<(usize, usize, &'a str)> {
    text.match_indices(open).find_map(|(begin, _)| {
        let inside = begin + open.len();
        let (name, _) = text[inside..].split_once(close)?;
        vars.contains(name.trim()).then(|| (begin, inside + name.len() + close.len(), name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> [u64; 2] {
        let vars = ["painter", "猫"].map(str::to_owned).into();
        let mut findings = PassDiagnostics::default();
        let is_mistake = report(text, &vars, Location::File, &mut findings);
        assert_eq!(is_mistake, findings.mistakes.n() > 0);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    #[test]
    fn every_notation_is_seen_around_a_var_only() {
        for (open, close, is_certain) in NOTATIONS {
            let expected = if is_certain { [1, 0] } else { [0, 1] };
            for name in ["painter", " painter ", "猫"] {
                assert_eq!(reported(&format!("a harbour by {open}{name}{close}")), expected, "{open}{name}{close}");
            }
            assert_eq!(reported(&format!("a harbour by {open}other{close}")), [0, 0], "{open}");
        }
        for text in [
            "by {painter}",
            "{painter}",
            "a {{literal}} brace",
            "painter > 5 < 6",
            "100% painter",
            "{painter} and {猫}",
        ] {
            assert_eq!(reported(text), [0, 0], "{text}");
        }
    }
}
