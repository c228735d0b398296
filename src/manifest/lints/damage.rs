//! Damage that texts carry from other programs: lost characters, marks of joined files, escapes that were never undone.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;

/// Trace of damage in a text.
struct Trace {
    needle: &'static str,
    is_certain: bool,
    what: &'static str,
    remedy: &'static str,
}

const fn certain(needle: &'static str, what: &'static str, remedy: &'static str) -> Trace {
    Trace { needle, is_certain: true, what, remedy }
}

const fn likely(needle: &'static str, what: &'static str, remedy: &'static str) -> Trace {
    Trace { needle, is_certain: false, what, remedy }
}

const DECODE: &str = "write the character itself";
const OPEN_AGAIN: &str = "save the text again from its original, as UTF-8";

/// Traces, in the order in which one of them is reported.
const TRACES: [Trace; 16] = [
    certain(
        "\u{feff}",
        "a byte order mark (U+FEFF) inside the text",
        "remove it; files that were joined each began with one",
    ),
    certain("\u{fffd}", "a replacement character (U+FFFD), where a character was lost", OPEN_AGAIN),
    certain("_x000D_", "`_x000D_`, a line end that a spreadsheet program wrote", "remove it"),
    certain("_x000A_", "`_x000A_`, a line end that a spreadsheet program wrote", "remove it"),
    certain("_x0009_", "`_x0009_`, a tab that a spreadsheet program wrote", "remove it"),
    likely("\u{200b}", "a zero-width space (U+200B), which cannot be seen", "remove it"),
    likely("\u{2028}", "a line separator (U+2028), which cannot be seen", "write a space"),
    likely("â€", "`â€`, which looks like UTF-8 that was read in another encoding", OPEN_AGAIN),
    likely("Ã©", "`Ã©`, which looks like UTF-8 that was read in another encoding", OPEN_AGAIN),
    likely("ï»¿", "`ï»¿`, a byte order mark that was read in another encoding", OPEN_AGAIN),
    likely("&amp;", "`&amp;`, which is HTML for `&`", DECODE),
    likely("&quot;", "`&quot;`, which is HTML for a quote", DECODE),
    likely("&#39;", "`&#39;`, which is HTML for an apostrophe", DECODE),
    likely("&lt;", "`&lt;`, which is HTML for `<`", DECODE),
    likely("\\u00", "an escape such as `\\u00e9` as text", DECODE),
    likely("\\n", "`\\n` as two characters, not a line end", "write a space"),
];

/// Reports the first trace of damage in a text.
pub(crate) fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    // Scans once for the bytes with which a trace begins, because nearly all texts have none of them.
    if !text.bytes().any(|byte| matches!(byte, b'_' | b'&' | b'\\' | 0xc3 | 0xe2 | 0xef)) {
        return;
    }
    let Some((at, trace)) = TRACES.iter().find_map(|trace| text.find(trace.needle).map(|at| (at, trace))) else {
        return;
    };
    let what = format!("`{}` holds {}", field.name(), trace.what);
    let place = place.within(text, at, at + trace.needle.len());
    if trace.is_certain {
        findings.mistakes.push(place, wrong(what, format!("{}; --verbatim sends it", trace.remedy)));
    } else {
        findings.warnings.push(place, wrong(what, format!("{} if it is not meant", trace.remedy)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> [u64; 2] {
        let mut findings = PassDiagnostics::default();
        report(Field::Prompt, text, Location::File, &mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    #[test]
    fn every_trace_is_found_anywhere() {
        for trace in &TRACES {
            let expected = if trace.is_certain { [1, 0] } else { [0, 1] };
            for text in [format!("{}a cat", trace.needle), format!("a cat{} asleep", trace.needle)] {
                assert_eq!(reported(&text), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn whole_texts_have_no_trace() {
        for text in [
            "a cat",
            "café, naïve, Ängste",
            "猫，狗。",
            "snake_case & co",
            "C:\\temp",
            "🏳️‍🌈 a flag",
            "x_000D",
            "“quoted” — text…",
        ] {
            assert_eq!(reported(text), [0, 0], "{text}");
        }
    }
}
