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
const TRACES: [Trace; 21] = [
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
    likely("\u{2060}", "a word joiner (U+2060), which cannot be seen", "remove it"),
    likely("\u{ad}", "a soft hyphen (U+00AD), which cannot be seen", "remove it"),
    likely("\u{2028}", "a line separator (U+2028), which cannot be seen", "write a space"),
    likely("â€", "`â€`, which looks like UTF-8 that was read in another encoding", OPEN_AGAIN),
    likely("Ã©", "`Ã©`, which looks like UTF-8 that was read in another encoding", OPEN_AGAIN),
    likely("ï»¿", "`ï»¿`, a byte order mark that was read in another encoding", OPEN_AGAIN),
    likely("&amp;", "`&amp;`, which is HTML for `&`", DECODE),
    likely("&quot;", "`&quot;`, which is HTML for a quote", DECODE),
    likely("&#39;", "`&#39;`, which is HTML for an apostrophe", DECODE),
    likely("&lt;", "`&lt;`, which is HTML for `<`", DECODE),
    likely("\\u00", "an escape such as `\\u00e9` as text", DECODE),
    likely("&nbsp;", "`&nbsp;`, which is HTML for a space", DECODE),
    likely("<br>", "`<br>`, which is HTML for a line end", "write a space"),
    likely("???", "`???`, which may be characters that were lost", OPEN_AGAIN),
    likely("\\n", "`\\n` as two characters, not a line end", "write a space"),
];

/// Number of question marks from which a text of nothing else was lost.
const LOST_MIN: usize = 3;

/// Reports the first trace of damage in a text.
pub(crate) fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    let Some((at, trace)) = first(text) else { return };
    let name = field.name();
    let n_lost = text.bytes().filter(|byte| *byte == b'?').count();
    let is_lost = |c: char| c == '?' || c.is_whitespace() || c.is_ascii_punctuation();
    if n_lost >= LOST_MIN && text.chars().all(is_lost) {
        let what = format!("`{name}` consists of question marks, where characters were lost");
        return findings.mistakes.push(place, wrong(what, format!("{OPEN_AGAIN}; --verbatim sends it")));
    }
    let what = format!("`{name}` holds {}", trace.what);
    let place = place.within(text, at, at + trace.needle.len());
    if trace.is_certain {
        findings.mistakes.push(place, wrong(what, format!("{}; --verbatim sends it", trace.remedy)));
    } else {
        findings.warnings.push(place, wrong(what, format!("{}, if it is not meant", trace.remedy)));
    }
}

/// Returns whether a trace may begin with these two bytes.
const fn may_begin(byte: u8, next: u8) -> bool {
    match byte {
        b'_' | b'&' | b'\\' | b'?' | b'<' | 0xc2 | 0xc3 => true,
        // Most texts in Chinese and Japanese have a comma that begins with 0xef.
        0xe2 => matches!(next, 0x80 | 0x81),
        0xef => matches!(next, 0xbb | 0xbf),
        _ => false,
    }
}

/// Finds the first row of the table that occurs in the text.
fn first(text: &str) -> Option<(usize, &'static Trace)> {
    let bytes = text.as_bytes();
    let mut found: Option<(usize, usize)> = None;
    for at in 0..bytes.len() {
        if !may_begin(bytes[at], bytes.get(at + 1).copied().unwrap_or(0)) {
            continue;
        }
        let row = TRACES.iter().position(|trace| bytes[at..].starts_with(trace.needle.as_bytes()));
        if let Some(row) = row.filter(|row| found.is_none_or(|(best, _)| *row < best)) {
            found = Some((row, at));
        }
    }
    found.map(|(row, at)| (at, &TRACES[row]))
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
    fn a_text_of_question_marks_was_lost() {
        for text in ["???", "????, ???", "?? ??"] {
            assert_eq!(reported(text), if text.contains("???") { [1, 0] } else { [0, 0] }, "{text}");
        }
        assert_eq!(reported("a cat, what???"), [0, 1]);
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
            "what is this??",
            "a <b> tag",
        ] {
            assert_eq!(reported(text), [0, 0], "{text}");
        }
    }
}
