//! Words and spellings that other programs write: for a missing value, and for numbers.

/// Words that programs write for a missing value or an error, exactly as they write them.
pub(crate) const OF_PROGRAMS: [&str; 28] = [
    "nan",
    "NaN",
    "NAN",
    "-nan",
    "None",
    "NULL",
    "null",
    "Null",
    "(null)",
    "nil",
    "<NA>",
    "NA",
    "NaT",
    "<null>",
    "undefined",
    "[object Object]",
    "\\N",
    "#N/A",
    "#NA",
    "#REF!",
    "#VALUE!",
    "#DIV/0!",
    "#NAME?",
    "#NUM!",
    "#NULL!",
    "#ERROR!",
    "#SPILL!",
    "#CALC!",
];

/// Returns whether programs write this word for a missing value.
pub(crate) fn is_missing(text: &str) -> bool {
    let text = text.trim();
    // Nearly all texts begin with another character.
    text.starts_with(['n', 'N', 'u', '-', '<', '(', '[', '\\', '#']) && OF_PROGRAMS.contains(&text)
}

/// Returns the whole number that was meant by `1,000`, `20,0` or `２０`. `None` if the text is unclear.
pub(crate) fn meant_whole(text: &str) -> Option<i64> {
    let text = ascii_digits(text);
    // A formula such as `="42"` keeps a spreadsheet program from changing a cell.
    let text = text.trim_start_matches("=\"").trim_matches(['"', '\'']);
    // Three zeros after a comma or a full stop may be thousands.
    let is_zero = |rest: &str| matches!(rest, "0" | "00");
    let text = match text.rsplit_once([',', '.']) {
        Some((whole, rest)) if is_zero(rest) && !whole.contains('.') => whole,
        _ => text,
    };
    let digits: String =
        text.chars().filter(|c| !matches!(c, ',' | ' ' | '_' | '\'' | '\u{a0}' | '\u{202f}')).collect();
    digits.parse().ok().filter(|number| *number >= 0)
}

/// Returns the number that was meant by `4,5` or `４．５`. `None` if the text is unclear.
pub(crate) fn meant_decimal(text: &str) -> Option<f64> {
    let number: f64 = ascii_digits(text).replace([',', '．'], ".").parse().ok()?;
    number.is_finite().then_some(number)
}

/// Replaces full-width digits, and removes the white space around the text.
fn ascii_digits(text: &str) -> String {
    let digit = |c: char| match c {
        '０'..='９' => char::from_digit(u32::from(c) - u32::from('０'), 10).unwrap_or(c),
        _ => c,
    };
    text.trim().chars().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_other_countries_are_understood() {
        for (text, number) in [
            ("1,000", 1000),
            ("20,0", 20),
            ("30,00", 30),
            ("２０", 20),
            ("1 000", 1000),
            ("1'000", 1000),
            ("42.00", 42),
            ("=\"42\"", 42),
            ("'42", 42),
            ("1\u{202f}000", 1000),
        ] {
            assert_eq!(meant_whole(text), Some(number), "{text}");
        }
        for (text, number) in [("4,5", 4.5), ("４．５", 4.5), (" 7,0 ", 7.0), ("３", 3.0)] {
            assert_eq!(meant_decimal(text), Some(number), "{text}");
        }
        for text in ["", "nan", "a", "1,2,3", "inf", "4.5 to 5"] {
            assert_eq!(meant_decimal(text), None, "{text}");
        }
        assert_eq!(meant_whole("many"), None);
    }
}
