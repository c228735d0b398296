//! Number ranges as people write them: `1..8` with both ends, `8..1` downwards, `3.5..5.0..0.5` with a step, in exact decimal arithmetic.

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::value::shown_text;

/// Limit on the numbers of one range.
const VALUES_MAX: i128 = 1_000_000;

/// Limit on decimal places. With as many digits before the point, every sum here fits in `i128`.
const FRACTION_DIGITS_MAX: usize = 15;

/// Expands a range of whole numbers. Returns `None` if the text is no range.
pub(crate) fn integers(text: &str) -> Option<Result<Vec<i64>, Issue>> {
    let range = match read(text)? {
        Ok(range) => range,
        Err(wrong) => return Some(Err(wrong)),
    };
    if range.n_digits > 0 {
        let remedy = "write whole numbers, as in `1..8` or `1..9..2`";
        return Some(Err(wrong(format!("the range {} is not of whole numbers", shown_text(text)), remedy)));
    }
    let whole = |value| i64::try_from(value).expect("both ends were read as i64");
    Some(range.values(text).map(|values| values.map(whole).collect()))
}

/// Expands a range of decimal numbers. Each float is the nearest to the exact decimal sum. Returns `None` if the text is no range.
pub(crate) fn decimals(text: &str) -> Option<Result<Vec<f64>, Issue>> {
    let range = match read(text)? {
        Ok(range) => range,
        Err(wrong) => return Some(Err(wrong)),
    };
    if range.n_digits > 0 && range.step.is_none() {
        let remedy = format!("add one, as in `{}..0.5`", text.trim());
        return Some(Err(wrong(format!("the range {} has fractions and no step", shown_text(text)), remedy)));
    }
    let n_digits = range.n_digits;
    Some(range.values(text).map(|values| values.map(|value| float(value, n_digits)).collect()))
}

/// Returns the remedy for a range in another notation, such as `1-5`, `1–5` or `1 to 5`. Returns `None` if the text is
/// none.
pub(crate) fn meant(text: &str) -> Option<String> {
    let separators = ["-", "–", "—", "~", "～", "至", "到", " to "];
    let (first, last) = separators.iter().find_map(|separator| text.trim().split_once(separator))?;
    let (first, last) = (first.trim(), last.trim());
    (is_number(first) && is_number(last))
        .then(|| format!("for all numbers from {first} to {last}, write `{first}..{last}`"))
}

/// Range in units of the last written decimal place.
#[derive(Debug)]
struct Range {
    first: i128,
    last: i128,
    step: Option<i128>,
    /// Number of decimal places.
    n_digits: usize,
}

/// Parses `first..last` or `first..last..step`.
fn read(text: &str) -> Option<Result<Range, Issue>> {
    let parts: Vec<_> = text.split("..").take(4).map(str::trim).collect();
    // Accepts the notations `1..=8` and `1...8` of other languages, in order to suggest the right one.
    let plain: Vec<_> = parts.iter().map(|part| part.trim_start_matches(['=', '.']).trim_start()).collect();
    if !matches!(plain.len(), 2 | 3) || !plain.iter().all(|part| is_number(part)) {
        return None;
    }
    if plain != parts {
        let what = format!("{} is not a valid range", shown_text(text));
        let written = shown_text(&plain.join(".."));
        return Some(Err(wrong(what, format!("write {written}, which includes both ends"))));
    }
    let n_digits = plain.iter().map(|part| fraction(part).len()).max().unwrap_or(0);
    let numbers: Option<Vec<_>> = plain.iter().map(|part| number(part, n_digits)).collect();
    Some(match numbers.as_deref() {
        Some([first, last]) => Ok(Range { first: *first, last: *last, step: None, n_digits }),
        Some([first, last, step]) => Ok(Range { first: *first, last: *last, step: Some(*step), n_digits }),
        _ => {
            let what = format!("a number in the range {} has too many digits", shown_text(text));
            Err(wrong(what, format!("write it with at most 18, and {FRACTION_DIGITS_MAX} after the point")))
        }
    })
}

impl Range {
    fn values(self, text: &str) -> Result<impl Iterator<Item = i128>, Issue> {
        let Self { first, last, step, .. } = self;
        let shown = shown_text(text);
        let way = (last - first).signum();
        let step = step.unwrap_or(if way < 0 { -1 } else { 1 });
        if step == 0 {
            return Err(wrong(format!("the range {shown} has a step of 0"), "leave the step out, or write another"));
        }
        if way == -step.signum() {
            let remedy = "swap the ends, or write a step with the other sign";
            return Err(wrong(format!("the range {shown} steps away from its end"), remedy));
        }
        let n = (last - first) / step + 1;
        if n > VALUES_MAX {
            let what = format!("the range {shown} has {n} numbers");
            return Err(wrong(what, format!("write a range of at most {VALUES_MAX}")));
        }
        Ok((0..n).map(move |i| first + i * step))
    }
}

/// Returns whether the text is a number: digits, perhaps with a sign before them and a fraction after them.
fn is_number(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits
        .split_once('.')
        .map_or_else(|| is_digits(digits), |(whole, fraction)| is_digits(whole) && is_digits(fraction))
}

fn fraction(number: &str) -> &str {
    number.split_once('.').map_or("", |(_, fraction)| fraction)
}

/// Parses a number in units of the `n_digits`-th decimal place.
fn number(text: &str, n_digits: usize) -> Option<i128> {
    let fraction = fraction(text);
    let whole = &text[..text.find('.').unwrap_or(text.len())];
    if n_digits > FRACTION_DIGITS_MAX || whole.parse::<i64>().is_err() {
        return None;
    }
    format!("{whole}{fraction:0<n_digits$}").parse().ok()
}

/// Returns the float nearest to `value` with `n_digits` decimal places.
fn float(value: i128, n_digits: usize) -> f64 {
    format!("{value}e-{n_digits}").parse().expect("it is written as a float")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> Vec<i64> {
        integers(text).expect("it is a range").expect("it is a good one")
    }

    fn fractional(text: &str) -> Vec<f64> {
        decimals(text).expect("it is a range").expect("it is a good one")
    }

    #[test]
    fn both_ends_are_in_it() {
        assert_eq!(whole("1..8"), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(whole(" 8 .. 5 "), [8, 7, 6, 5]);
        assert_eq!(whole("1..9..2"), [1, 3, 5, 7, 9]);
        assert_eq!(whole("1..8..3"), [1, 4, 7]);
        assert_eq!(whole("8..1..-3"), [8, 5, 2]);
        assert_eq!(whole("-2..+1"), [-2, -1, 0, 1]);
        assert_eq!(whole("7..7"), [7]);
        assert_eq!(whole("7..7..-5"), [7]);
        assert_eq!(whole("9223372036854775806..9223372036854775807"), [i64::MAX - 1, i64::MAX]);
        assert_eq!(
            whole("-9223372036854775808..9223372036854775807..9223372036854775807"),
            [i64::MIN, -1, i64::MAX - 1]
        );
    }

    #[test]
    fn fractions_are_what_adding_on_paper_gives() {
        assert_eq!(fractional("3.5..5.0..0.5"), [3.5, 4.0, 4.5, 5.0]);
        assert_eq!(fractional("1..1.5..0.1"), [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]);
        assert_eq!(fractional("0.3..0..-0.1"), [0.3, 0.2, 0.1, 0.0]);
        assert_eq!(fractional("-0.5..0.5..0.5"), [-0.5, 0.0, 0.5]);
        assert_eq!(fractional("2..4"), [2.0, 3.0, 4.0]);
        assert_eq!(fractional("0.000000000000001..0.000000000000003..0.000000000000001"), [1e-15, 2e-15, 3e-15]);
    }

    #[test]
    fn what_is_no_range_is_left_to_others() {
        for text in [
            "",
            "1",
            "1.5",
            "..",
            "1..",
            "..8",
            "a..b",
            "1..x",
            "1-8",
            "1..2..3..4",
            "wait..",
            "1,2..3",
            "1..8 x",
            "0x1..2",
            "٣..٤",
        ] {
            assert!(integers(text).is_none() && decimals(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_range_is_told() {
        let words = |wrong: Issue| format!("{}; {}", wrong.what, wrong.remedy);
        for (text, told) in [
            ("1..8..0", "the range `1..8..0` has a step of 0; leave the step out, or write another"),
            (
                "1..8..-1",
                "the range `1..8..-1` steps away from its end; swap the ends, or write a step with the other sign",
            ),
            (
                "8..1..1",
                "the range `8..1..1` steps away from its end; swap the ends, or write a step with the other sign",
            ),
            ("1..1000001", "the range `1..1000001` has 1000001 numbers; write a range of at most 1000000"),
            (
                "1..9223372036854775808",
                "a number in the range `1..9223372036854775808` has too many digits; write it with at most 18, and 15 after the point",
            ),
            ("1..=8", "`1..=8` is not a valid range; write `1..8`, which includes both ends"),
            ("1...8", "`1...8` is not a valid range; write `1..8`, which includes both ends"),
        ] {
            assert_eq!(integers(text).expect("it is a range").map_err(words), Err(told.to_owned()));
            assert_eq!(decimals(text).expect("it is a range").map_err(words), Err(told.to_owned()));
        }
        let told = "the range `1.5..8` is not of whole numbers; write whole numbers, as in `1..8` or `1..9..2`";
        assert_eq!(integers("1.5..8").expect("it is a range").map_err(words), Err(told.to_owned()));
        let told = "the range `1.5..8` has fractions and no step; add one, as in `1.5..8..0.5`";
        assert_eq!(decimals("1.5..8").expect("it is a range").map_err(words), Err(told.to_owned()));
        assert!(decimals("0..1..0.0000000000000001").expect("it is a range").is_err());
        assert_eq!(whole("1..1000000").len(), 1_000_000);
    }

    proptest! {
        #[test]
        fn any_text_is_a_range_or_none(text in "[0-9.+= -]{0,12}|\\PC*") {
            let (integers, decimals) = (integers(&text), decimals(&text));
            prop_assert_eq!(integers.is_some(), decimals.is_some());
        }

        /// Goal: every number of the range occurs exactly once. Method: compare with a plain loop of steps.
        #[test]
        fn ranges_are_what_stepping_gives(first in -99..99_i64, last in -99..99_i64, step in 1..9_u8) {
            let (signed, wanted): (_, Vec<_>) = if first <= last {
                (i64::from(step), (first..=last).step_by(usize::from(step)).collect())
            } else {
                (-i64::from(step), (last..=first).rev().step_by(usize::from(step)).collect())
            };
            prop_assert_eq!(whole(&format!("{first}..{last}..{signed}")), wanted);
        }
    }
}
