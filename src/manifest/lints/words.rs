//! Words that stand for a missing value in the output of other programs, as a whole text.

use crate::manifest::diagnostics::{Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::missing::is_missing;
use crate::manifest::fields::value::shown_text;

/// Words that people write for nothing, and that describe no image, in lower case.
const OF_PEOPLE: [&str; 13] =
    ["none", "n/a", "n.a.", "n.a", "na", "-", "--", "–", "—", "/", "(none)", "(empty)", "<none>"];

/// Words that people write for nothing or for later, and that may be meant as a prompt, in lower case.
const DOUBTFUL: [&str; 12] =
    ["nothing", "empty", "blank", "false", "true", "tbd", "todo", "...", "无", "没有", "なし", "待定"];

/// Length of the longest word in bytes.
const WORD_BYTES_MAX: usize = 15;

/// Longest text in bytes that may be a word with white space around it.
const TEXT_BYTES_MAX: usize = 64;

/// Reports a text that is only such a word.
pub(crate) fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    // Skips longer texts at once, and a number, which begins no word.
    if text.len() > TEXT_BYTES_MAX || text.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return;
    }
    let text = text.trim();
    if text.len() > WORD_BYTES_MAX {
        return;
    }
    // The id of a text in a folder is the name of its file, which is meant.
    if field == Field::Id && matches!(place, Location::Text(_)) {
        return;
    }
    if is_missing(text) {
        let what =
            format!("`{}` is {}, which other programs write for a missing value", field.name(), shown_text(text));
        // Ids may be country codes.
        let is_doubtful = field == Field::Id && text == "NA";
        let list = if is_doubtful { &mut findings.warnings } else { &mut findings.mistakes };
        return list.push(place, wrong(what, format!("{}; --verbatim sends the word", remedy(field))));
    }
    if !matches!(field, Field::NegativePrompt | Field::Prompt) {
        return;
    }
    let is_any = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    let is_of_people = is_any(&OF_PEOPLE);
    let what = || format!("`{}` is only {}", field.name(), shown_text(text));
    if field == Field::Prompt && is_of_people {
        findings.mistakes.push(place, wrong(what(), format!("{}; --verbatim sends it", remedy(field))));
    } else if is_of_people || is_any(&DOUBTFUL) {
        findings
            .warnings
            .push(place, wrong(what() + ", which is sent as it is", format!("{} if it means nothing", remedy(field))));
    }
}

const fn remedy(field: Field) -> &'static str {
    match field {
        Field::Prompt => "describe the image, or remove the entry",
        _ => "leave it empty",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::fields::missing::OF_PROGRAMS;

    fn reported(field: Field, text: &str) -> [u64; 2] {
        let mut findings = PassDiagnostics::default();
        report(field, text, Location::File, &mut findings);
        [findings.mistakes.n(), findings.warnings.n()]
    }

    #[test]
    fn names_of_files_are_meant() {
        for (field, place, expected) in [
            (Field::Id, Location::Text(0), [0, 0]),
            (Field::Id, Location::Line(1), [1, 0]),
            (Field::Prompt, Location::Text(0), [1, 0]),
        ] {
            let mut findings = PassDiagnostics::default();
            report(field, "nan", place, &mut findings);
            assert_eq!([findings.mistakes.n(), findings.warnings.n()], expected, "{place:?}");
        }
    }

    #[test]
    fn words_of_programs_are_mistakes_in_each_text() {
        for word in OF_PROGRAMS {
            for field in [Field::Prompt, Field::NegativePrompt, Field::Model] {
                assert_eq!(reported(field, word), [1, 0], "{word}");
                assert_eq!(reported(field, &format!(" {word}\t")), [1, 0], "{word}");
                assert_eq!(reported(field, &format!("{word} bread")), [0, 0], "{word}");
            }
        }
        assert_eq!(reported(Field::Id, "NaN"), [1, 0]);
        assert_eq!(reported(Field::Id, "NA"), [0, 1], "it may be Namibia");
    }

    #[test]
    fn words_of_people_are_mistakes_in_prompts_only() {
        for word in OF_PEOPLE {
            let n = if is_missing(word) { [1, 0] } else { [0, 1] };
            assert_eq!(reported(Field::NegativePrompt, word), n, "{word}");
            assert_eq!(reported(Field::Prompt, word), [1, 0], "{word}");
            assert_eq!(reported(Field::Id, word), [0, 0], "{word}");
        }
        for word in DOUBTFUL {
            for field in [Field::Prompt, Field::NegativePrompt] {
                assert_eq!(reported(field, &word.to_uppercase()), [0, 1], "{word}");
            }
        }
        assert_eq!(reported(Field::NegativePrompt, "N/A"), [0, 1]);
        for meant in ["", "no text", "none of it", "None of the cats", "nanotube", "Nonesuch", "a", "-5", "{}"] {
            for field in [Field::Prompt, Field::NegativePrompt] {
                assert_eq!(reported(field, meant), [0, 0], "{meant}");
            }
        }
    }

    #[test]
    fn no_word_is_longer_than_the_limit() {
        for word in OF_PROGRAMS.iter().chain(&OF_PEOPLE).chain(&DOUBTFUL) {
            assert!(word.len() <= WORD_BYTES_MAX, "{word}");
        }
    }
}
