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
    let is_separator = |c: &char| matches!(c, ',' | ' ' | '_' | '\'' | '\u{a0}' | '\u{202f}');
    let digits = match text.chars().find(is_separator) {
        None => text.to_owned(),
        Some(separator) => ungrouped(text, separator)?,
    };
    digits.parse().ok().filter(|number| *number >= 0)
}

/// Removes the separator between groups of digits: three digits each, or two as in India, and three in the last one. `None` for a list such
/// as `1,2,3`.
fn ungrouped(text: &str, separator: char) -> Option<String> {
    let groups: Vec<&str> = text.split(separator).collect();
    let (last, others) = groups.split_last()?;
    let (first, middle) = others.split_first()?;
    let is_grouped = (1..=3).contains(&first.len())
        && last.len() == 3
        && (middle.iter().all(|group| group.len() == 3) || middle.iter().all(|group| group.len() == 2));
    is_grouped.then(|| groups.concat())
}

/// Returns the list that was meant by `1,2,3` or `1; 2`. `None` for a text that is no list of numbers.
pub(crate) fn meant_list(text: &str) -> Option<String> {
    let separator = text.chars().find(|c| matches!(c, ',' | ';' | '|' | '、' | '，' | '；'))?;
    let parts: Vec<&str> = text.trim().split(separator).map(str::trim).collect();
    let is_number = |part: &&str| !part.is_empty() && part.parse::<f64>().is_ok_and(f64::is_finite);
    parts.iter().all(is_number).then(|| format!("[{}]", parts.join(", ")))
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
            ("1,234,567", 1_234_567),
            ("12,34,567", 1_234_567),
            ("1_000_000", 1_000_000),
        ] {
            assert_eq!(meant_whole(text), Some(number), "{text}");
        }
        for (text, number) in [("4,5", 4.5), ("４．５", 4.5), (" 7,0 ", 7.0), ("３", 3.0)] {
            assert_eq!(meant_decimal(text), Some(number), "{text}");
        }
        for text in ["", "nan", "a", "1,2,3", "inf", "4.5 to 5"] {
            assert_eq!(meant_decimal(text), None, "{text}");
        }
        for text in ["many", "1,2,3", "1, 2", "12 34", "1000,200", "1,000 200", ",100", "12,3456"] {
            assert_eq!(meant_whole(text), None, "{text}");
        }
    }

    #[test]
    fn lists_of_numbers_are_understood() {
        for (text, list) in [
            ("1,2,3", "[1, 2, 3]"),
            ("1; 2", "[1, 2]"),
            (" 7 | 8 |9 ", "[7, 8, 9]"),
            ("1、2", "[1, 2]"),
            ("7.5;8", "[7.5, 8]"),
        ] {
            assert_eq!(meant_list(text).as_deref(), Some(list), "{text}");
        }
        for text in ["1", "1,", ",", "1;two", "1,2;3", "1-4", "a, b", "inf;nan"] {
            assert_eq!(meant_list(text), None, "{text}");
        }
    }
}
