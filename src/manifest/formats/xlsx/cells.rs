//! Texts of cells: what the same sheet has as CSV, except that dates are written as ISO 8601 has them.

use calamine::{DataRef, ExcelDateTime};

/// Limit from which a spreadsheet does not keep all digits of a whole number.
const EXACT_MAX: f64 = 1e15;

/// Digits that a number of a spreadsheet has. Other programs write more.
const DIGITS: usize = 15;

/// Text of a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CellText {
    Text(String),
    /// Number whose last digits may have been lost.
    Rounded(String),
    /// Text without a character, which a formula may give on purpose.
    Blank,
    Empty,
}

/// Returns the text of a value. `digits` are those of a long whole number as the file has them, or a percentage.
pub(super) fn text(value: &DataRef<'_>, digits: Option<&str>) -> CellText {
    let text = match value {
        DataRef::Empty => return CellText::Empty,
        DataRef::Float(number) => match (digits, number.abs() >= EXACT_MAX) {
            (Some(digits), _) => digits.to_owned(),
            (None, true) => return CellText::Rounded(format!("{number}")),
            (None, false) => decimal(*number),
        },
        DataRef::Int(number) => number.to_string(),
        DataRef::String(text) => line_feeds(text),
        DataRef::SharedString(text) => line_feeds(text),
        DataRef::Bool(flag) => if *flag { "TRUE" } else { "FALSE" }.to_owned(),
        DataRef::DateTime(time) => date(time),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => error.to_string(),
    };
    if text.is_empty() { CellText::Blank } else { CellText::Text(text) }
}

/// Returns the text of a number that is shown as a percentage: 0.125 is 12.5%.
pub(super) fn percentage(number: f64) -> String {
    decimal(number * 100.0) + "%"
}

/// Returns whether a number format shows percentages. A percent sign in quotes, or behind a backslash, is only a text.
pub(super) fn shows_percentage(format: &str) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    format.chars().any(|c| {
        let is_plain = !is_quoted && !is_escaped;
        is_quoted ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && is_plain;
        c == '%' && is_plain
    })
}

/// Returns a whole number with more digits than a spreadsheet keeps; `None` for any other text.
pub(super) fn long_digits(text: &str) -> Option<&str> {
    let is_long = text.len() > DIGITS && text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    is_long.then_some(text)
}

fn line_feeds(text: &str) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}

/// Formats a number with the 15 digits that spreadsheets show: 0.1 + 0.2 is 0.3.
fn decimal(number: f64) -> String {
    let rounded = format!("{number:.14e}").parse().unwrap_or(number);
    // No cell shows a negative zero.
    format!("{}", if rounded == 0.0 { 0.0 } else { rounded })
}

/// Formats a date, a time of day, both, or a duration.
fn date(time: &ExcelDateTime) -> String {
    let value = time.as_f64();
    if time.is_duration() {
        let n_ms = (value.abs() * 86_400_000.0).round();
        let sign = if value < 0.0 { "-" } else { "" };
        let [n_hours, n_minutes, n_seconds] = [3_600_000.0, 60_000.0, 1_000.0].map(|unit| (n_ms / unit).floor());
        return format!("{sign}{n_hours:02}:{:02}:{:02}", n_minutes % 60.0, n_seconds % 60.0)
            + &fraction(n_ms % 1_000.0);
    }
    let (year, month, day, hour, minute, second, ms) = time.to_ymd_hms_milli();
    let day = format!("{year:04}-{month:02}-{day:02}");
    let clock = format!("{hour:02}:{minute:02}:{second:02}") + &fraction(f64::from(ms));
    match (value.abs() < 1.0, value.fract() == 0.0) {
        (true, _) => clock,
        (false, true) => day,
        (false, false) => format!("{day}T{clock}"),
    }
}

fn fraction(n_ms: f64) -> String {
    if n_ms == 0.0 { String::new() } else { format!(".{n_ms:03}") }
}

/// Returns the name of a cell, such as B7. Row and column count from 0.
pub(super) fn name(row: u32, column: u32) -> String {
    format!("{}{}", crate::manifest::diagnostics::column_name(column + 1), u64::from(row) + 1)
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType::{DateTime, TimeDelta};

    use super::*;

    #[test]
    fn numbers_are_written_as_in_a_table() {
        for (number, text) in [
            (7.0, "7"),
            (-0.0, "0"),
            (3.5, "3.5"),
            (0.1 + 0.2, "0.3"),
            (1.0 / 3.0, "0.333333333333333"),
            (2_147_483_647.0, "2147483647"),
            (123_456_789_012_345.0, "123456789012345"),
            (-1e-7, "-0.0000001"),
        ] {
            assert_eq!(super::text(&DataRef::Float(number), None), CellText::Text(text.to_owned()));
        }
        let long = DataRef::Float(18_446_744_073_709_551_615.0);
        assert_eq!(text(&long, Some("18446744073709551615")), CellText::Text("18446744073709551615".to_owned()));
        assert_eq!(text(&long, None), CellText::Rounded("18446744073709552000".to_owned()));
    }

    #[test]
    fn percentages_are_written_as_they_are_shown() {
        let texts = [0.5, 0.125, 1.0, 0.07, -0.3, 0.0].map(percentage);
        assert_eq!(texts, ["50%", "12.5%", "100%", "7%", "-30%", "0%"]);
        for (format, expected) in [
            ("0%", true),
            ("0.00\\ %", true),
            ("[Red]-0%", true),
            ("\"a\"0%", true),
            ("0.00", false),
            ("0\"%\"", false),
            ("0\\%", false),
            ("", false),
        ] {
            assert_eq!(shows_percentage(format), expected, "{format}");
        }
    }

    #[test]
    fn an_empty_text_is_a_value_and_no_value_is_none() {
        assert_eq!(text(&DataRef::String(String::new()), None), CellText::Blank);
        assert_eq!(text(&DataRef::Empty, None), CellText::Empty);
    }

    #[test]
    fn dates_are_written_as_iso_8601_has_them() {
        for (value, kind, text) in [
            (46_356.0, DateTime, "2026-11-30"),
            (46_356.5, DateTime, "2026-11-30T12:00:00"),
            (0.75, DateTime, "18:00:00"),
            (45_943.541, DateTime, "2025-10-13T12:59:02.400"),
            (1.125, TimeDelta, "27:00:00"),
            (-0.5, TimeDelta, "-12:00:00"),
        ] {
            let time = ExcelDateTime::new(value, kind, false);
            assert_eq!(super::text(&DataRef::DateTime(time), None), CellText::Text(text.to_owned()));
        }
    }
}
