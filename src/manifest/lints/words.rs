//! Words that stand for a missing value in the output of other programs, as a whole text.

use crate::manifest::diagnostics::{Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::missing::is_missing;
use crate::manifest::fields::value::shown_text;

/// Words that people write for nothing, in lower case.
const OF_PEOPLE: [&str; 13] =
    ["none", "n/a", "n.a.", "-", "--", "—", "/", "nothing", "empty", "(none)", "无", "没有", "なし"];

/// Reports a text that is only such a word.
pub(crate) fn report(field: Field, text: &str, place: Location, findings: &mut PassDiagnostics) {
    let text = text.trim();
    // Skips longer texts at once: the longest word has 15 bytes.
    if text.len() > 15 {
        return;
    }
    let name = field.name();
    let shown = shown_text(text);
    if is_missing(text) {
        // Ids may be country codes.
        let issue = missing(field, text);
        let list = if field == Field::Id && text == "NA" { &mut findings.warnings } else { &mut findings.mistakes };
        list.push(place, issue);
    } else if matches!(field, Field::NegativePrompt | Field::Prompt)
        && OF_PEOPLE.contains(&text.to_lowercase().as_str())
    {
        let remedy = match field {
            Field::Prompt => "describe the image, or remove the entry",
            _ => "leave it empty if it means nothing",
        };
        findings.warnings.push(place, wrong(format!("`{name}` is the word {shown}, which is sent as it is"), remedy));
    }
}

fn missing(field: Field, text: &str) -> Issue {
    let what = format!("`{}` is {}, which other programs write for a missing value", field.name(), shown_text(text));
    let remedy = match field {
        Field::Prompt => "describe the image, or remove the entry",
        _ => "leave it empty",
    };
    wrong(what, format!("{remedy}; --verbatim sends the word"))
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
    fn words_of_people_are_warnings() {
        for word in OF_PEOPLE {
            assert_eq!(reported(Field::NegativePrompt, word), [0, 1], "{word}");
            assert_eq!(reported(Field::Id, word), [0, 0], "{word}");
        }
        assert_eq!(reported(Field::NegativePrompt, "N/A"), [0, 1]);
        for meant in ["", "no text", "none of it", "nanotube", "Nonesuch", "a", "-5"] {
            assert_eq!(reported(Field::NegativePrompt, meant), [0, 0], "{meant}");
        }
    }
}
