//! Seeds of other programs: -1 asks for a random seed, and numbers above the limit are one mistake, or are folded if the user wants.

use std::borrow::Cow;

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Spanned};
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::{UnparsedValue, Value};
use crate::manifest::fields::{Fields, parse, spread};
use crate::model::escape::excerpt;

/// Counts of such seeds in a manifest.
#[derive(Debug, Default)]
pub(crate) struct SeedCounts {
    random: Option<(Location, u64)>,
    /// First seed above the limit with its own mistake, and the number of them all.
    large: Option<(Location, Issue, u64)>,
    /// Says whether the remainder of a division takes the place of a seed above the limit.
    is_folding: bool,
    /// First entry with a folded seed, that seed, and the number of such entries.
    folded: Option<(Location, String, u64)>,
}

/// Removes a seed of -1 from the fields, and returns its location.
pub(crate) fn take_random(given: &mut Vec<FieldEntry>) -> Option<Location> {
    let i = given.iter().position(|entry| seed_of(entry).as_deref() == Some("-1"))?;
    Some(given.remove(i).place)
}

/// Checks the last of the seeds that count up from a fixed one.
pub(crate) fn check_last(fields: &Fields, place: Location, mistakes: &mut DiagnosticList) {
    let (Some(OneOrManyValues::One(first)), Some(n)) = (&fields.seed, fields.n) else { return };
    if *first == parse::RANDOM_SEED {
        return;
    }
    let last = first + u64::from(n) - 1;
    if last > parse::SEED_MAX.cast_unsigned() {
        let what = format!("the last of the {n} seeds is {last}, above {}", parse::SEED_MAX);
        mistakes.push(place, wrong(what, "lower `seed` or `n`"));
    }
}

impl SeedCounts {
    pub(crate) fn new(is_folding: bool) -> Self {
        Self { is_folding, ..Self::default() }
    }

    /// Replaces seeds above the limit by the remainders of a division, if the user wants that.
    pub(crate) fn fold(&mut self, given: &mut [FieldEntry]) {
        if !self.is_folding {
            return;
        }
        for entry in given.iter_mut().filter(|entry| entry.field == Field::Seed) {
            spread_out(entry);
            let values = match &mut entry.said {
                FieldValue::One(value) => std::slice::from_mut(value),
                FieldValue::Many(values) => values,
                FieldValue::Unreadable => &mut [],
            };
            let mut first = None;
            for Spanned { raw, place } in values {
                let Some(seed) = number(raw).filter(|seed| is_large(seed)).map(Cow::into_owned) else { continue };
                *raw = UnparsedValue::Cell(remainder(&seed).to_string());
                first.get_or_insert((*place, seed));
            }
            if let Some((place, seed)) = first {
                self.folded.get_or_insert((place, seed, 0)).2 += 1;
            }
        }
    }

    /// Removes a seed above the limit from the fields. The mistake is reported at the end.
    pub(crate) fn take_large(&mut self, given: &mut Vec<FieldEntry>) {
        let has_large = |entry: &FieldEntry| seed_of(entry).is_some_and(|seed| is_large(&seed));
        let Some(i) = given.iter().position(has_large) else { return };
        let said = given.remove(i).said;
        match (&mut self.large, said) {
            (Some((.., n)), _) => *n += 1,
            (None, FieldValue::One(seed)) => {
                self.large = parse::seed(&seed.raw).err().map(|wrong| (seed.place, wrong, 1));
            }
            (None, FieldValue::Many(_) | FieldValue::Unreadable) => {}
        }
    }

    pub(crate) fn add_random(&mut self, place: Location) {
        self.random.get_or_insert((place, 0)).1 += 1;
    }

    pub(crate) fn finish(self, findings: &mut PassDiagnostics) {
        if let Some((place, n)) = self.random {
            let what = match n {
                1 => "`seed` is -1: no seed is sent, and the image is random".to_owned(),
                n => format!(
                    "`seed` is -1 in {n} entries, the first of them here: no seed is sent, and their images are random"
                ),
            };
            findings.warnings.push(
                place,
                wrong(
                    what,
                    "leave `seed` empty for that, or write `random` for a seed that is drawn, sent and recorded",
                ),
            );
        }
        if let Some((place, seed, n)) = self.folded {
            let others = match n {
                1 => String::new(),
                2 => ", and so are the seeds of 1 other entry".to_owned(),
                n => format!(", and so are the seeds of {} other entries", n - 1),
            };
            let what = format!("`seed` is {}, above {}{others}", excerpt(&seed, DIGITS_SHOWN_MAX), parse::SEED_MAX);
            let divisor = parse::SEED_MAX + 1;
            let remedy = format!("--fold-seeds sends and records the remainder of a division by {divisor} instead");
            findings.warnings.push(place, wrong(what, remedy));
        }
        match self.large {
            None => {}
            Some((place, issue, 1)) => findings.mistakes.push(place, issue),
            Some((place, Issue { what, .. }, n)) => {
                let others = if n == 2 { "1 other entry".to_owned() } else { format!("{} other entries", n - 1) };
                let remedy = format!(
                    "add --fold-seeds to send the remainders of a division by {}, or keep the seeds as a column that is not sent: --carry seed",
                    parse::SEED_MAX + 1
                );
                findings.mistakes.push(place, wrong(format!("{what}, and so are the seeds of {others}"), remedy));
            }
        }
    }
}

/// Digits of a seed that a message shows.
const DIGITS_SHOWN_MAX: usize = 40;

/// Expands a seed that is a range, or a cell with a list. A mistake in it is reported when the field is read.
fn spread_out(entry: &mut FieldEntry) {
    if let FieldValue::One(_) = &entry.said
        && let Ok(said) = spread(Field::Seed, entry.said.clone())
    {
        entry.said = said;
    }
}

/// Returns the whole number of a seed with one value, as [`number`] does.
fn seed_of(entry: &FieldEntry) -> Option<Cow<'_, str>> {
    let FieldEntry { field: Field::Seed, said: FieldValue::One(seed), .. } = entry else { return None };
    number(&seed.raw)
}

/// Returns the digits of the whole number that a value is, with its sign. `None` for a number of at most nine digits too, which is
/// within the limit.
fn number(raw: &UnparsedValue) -> Option<Cow<'_, str>> {
    const DIGITS_MAX: usize = 9;
    match raw {
        UnparsedValue::Typed(Value::Int(number)) => Some(number.to_string().into()),
        UnparsedValue::Typed(Value::BigInt(digits)) => Some(digits.into()),
        UnparsedValue::Cell(text) if text.len() <= DIGITS_MAX && !text.contains('-') => None,
        UnparsedValue::Cell(text) => {
            let text = text.trim();
            let text = text.strip_suffix(".0").unwrap_or(text);
            let text = text.strip_prefix('+').unwrap_or(text);
            let digits = text.strip_prefix('-').unwrap_or(text);
            let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_whole.then_some(text.into())
        }
        UnparsedValue::Typed(_) => None,
    }
}

/// Returns whether a whole number is above the limit.
fn is_large(digits: &str) -> bool {
    !digits.starts_with('-') && digits.parse().map_or(true, |seed: i64| seed > parse::SEED_MAX)
}

/// Returns the remainder of a whole number of any length.
fn remainder(digits: &str) -> u64 {
    let divisor = parse::SEED_MAX.cast_unsigned() + 1;
    digits.bytes().fold(0, |rest, digit| (rest * 10 + u64::from(digit - b'0')) % divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the remainder is exact for whole numbers of any length. Method: numbers whose remainder is known from their binary form.
    #[test]
    fn remainders_are_exact() {
        for (digits, rest) in [
            ("2147483648", 0),
            ("9223372036854775807", 2_147_483_647),
            ("9223372036854775808", 0),
            ("18446744073709551615", 2_147_483_647),
            ("18446744073709551616", 0),
            ("340282366920938463463374607431768211455", 2_147_483_647),
            ("340282366920938463463374607431768211463", 7),
        ] {
            assert!(is_large(digits) && remainder(digits) == rest, "{digits}");
        }
        assert!(!is_large("2147483647") && !is_large("-9223372036854775809") && !is_large("0"));
    }

    #[test]
    fn only_whole_numbers_are_folded() {
        let fold = |raw: UnparsedValue| {
            let mut given = [FieldEntry::one(Field::Seed, raw, Location::File)];
            SeedCounts::new(true).fold(&mut given);
            let [FieldEntry { said, .. }] = given;
            said
        };
        let cell = |text: &str| UnparsedValue::Cell(text.to_owned());
        let one = |raw| FieldValue::One(Spanned { raw, place: Location::File });
        assert_eq!(fold(cell(" 18446744073709551623.0 ")), one(cell("7")));
        assert_eq!(fold(UnparsedValue::Typed(Value::BigInt("18446744073709551623".to_owned()))), one(cell("7")));
        for kept in ["1.8446744073709552e19", "18446744073709551616.5", "random", "123456789", "-18446744073709551616"]
        {
            assert_eq!(fold(cell(kept)), one(cell(kept)), "{kept}");
        }
        let float = UnparsedValue::Typed(Value::Float(18_446_744_073_709_551_616.0));
        assert_eq!(fold(float.clone()), one(float));
        let FieldValue::Many(values) = fold(cell("2147483647..2147483649")) else {
            panic!("a range has several values")
        };
        let is_cell = |value: &Spanned, text: &str| value.raw == cell(text);
        assert!(values.len() == 3 && is_cell(&values[1], "0") && is_cell(&values[2], "1"), "{values:?}");
    }
}
