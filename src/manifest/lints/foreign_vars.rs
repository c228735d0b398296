//! Placeholders in the notation of other programs, around the name of a var: `{{name}}`, `${name}`, `<name>`.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::template::parsed::is_of_name;

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
/// `kind` says what the vars are.
pub(crate) fn report(
    kind: &str,
    text: &str,
    vars: &BTreeSet<String>,
    place: Location,
    findings: &mut PassDiagnostics,
) -> bool {
    let found = NOTATIONS.iter().find_map(|(open, close, is_certain)| {
        let (begin, end, name) = find(text, open, close, |name| vars.contains(name))?;
        Some((begin, end, name, *is_certain))
    });
    let found = found.or_else(|| after_dollar(text, vars));
    let Some((begin, end, name, is_certain)) = found else { return false };
    let written = &text[begin..end];
    let at = place.within(text, begin, end);
    if is_certain {
        let what = format!("`{written}` is not how the {kind} `{name}` is written");
        findings.mistakes.push(at, wrong(what, format!("write `{{{name}}}`; --verbatim reads the marks as text")));
    } else {
        let what = format!("`{written}` is sent as it is, although there is a {kind} `{name}`");
        findings.warnings.push(at, wrong(what, format!("write `{{{name}}}` if you meant the {kind}")));
    }
    is_certain
}

/// Finds `$name`, as in a shell.
fn after_dollar<'a>(text: &'a str, vars: &BTreeSet<String>) -> Option<(usize, usize, &'a str, bool)> {
    text.match_indices('$').find_map(|(begin, _)| {
        let rest = &text[begin + 1..];
        let name = &rest[..rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())];
        vars.contains(name).then_some((begin, begin + 1 + name.len(), name, false))
    })
}

/// Finds the first name that `is_name` accepts, in our notation or another one. Returns the range with its marks.
pub(crate) fn find_any(text: &str, is_name: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    let all = NOTATIONS.iter().map(|(open, close, _)| (*open, *close)).chain([("{", "}")]);
    all.into_iter().find_map(|(open, close)| find(text, open, close, &is_name)).map(|(begin, end, _)| begin..end)
}

/// Returns the first name between these marks, with its range in the text. Spaces around the name do not count.
fn find<'a>(text: &'a str, open: &str, close: &str, is_name: impl Fn(&str) -> bool) -> Option<(usize, usize, &'a str)> {
    text.match_indices(open).find_map(|(begin, _)| {
        let inside = begin + open.len();
        let (name, _) = text[inside..].split_once(close)?;
        is_name(name.trim()).then(|| (begin, inside + name.len() + close.len(), name.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> [u64; 2] {
        let vars = ["painter", "猫"].map(str::to_owned).into();
        let mut findings = PassDiagnostics::default();
        let is_mistake = report("var", text, &vars, Location::File, &mut findings);
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
        assert_eq!(reported("by $painter, 1880"), [0, 1]);
        for text in [
            "by $painters",
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
