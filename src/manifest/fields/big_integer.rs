//! Whole numbers of any length as they are written, and floats that have lost their digits.

use crate::manifest::fields::value::{UnparsedValue, Value};

/// Returns whether a text is a whole number of any length.
pub(super) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the digits of a whole number that no `i64` holds, with its sign; `None` for another value.
pub(super) fn large_digits(raw: &UnparsedValue) -> Option<&str> {
    /// Digits that every `i64` can have.
    const DIGITS_MAX: usize = 18;
    let text = match raw {
        UnparsedValue::Typed(Value::BigInt(digits)) => digits,
        UnparsedValue::Cell(text) => text.trim(),
        UnparsedValue::Typed(_) => return None,
    };
    (text.len() > DIGITS_MAX && is_whole(text) && text.parse::<i64>().is_err()).then_some(text)
}

/// Returns whether the value is a whole number above this one.
pub(super) fn is_above(raw: &UnparsedValue, max: i64) -> bool {
    let number = match raw {
        UnparsedValue::Typed(Value::Int(number)) => Some(*number),
        UnparsedValue::Cell(text) => text.trim().parse().ok(),
        UnparsedValue::Typed(_) => None,
    };
    large_digits(raw).map_or_else(|| number.is_some_and(|number| number > max), |digits| !digits.starts_with('-'))
}

/// Returns whether the value is a whole number that a program has rounded to the digits of a float.
pub(super) fn is_rounded(raw: &UnparsedValue) -> bool {
    /// Limit below which a float holds every whole number.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number = match raw {
        UnparsedValue::Cell(text) => text.trim().parse().ok(),
        UnparsedValue::Typed(Value::Float(number)) => Some(*number),
        UnparsedValue::Typed(_) => None,
    };
    number.is_some_and(|number: f64| number.is_finite() && number.abs() >= EXACT_MAX)
}
