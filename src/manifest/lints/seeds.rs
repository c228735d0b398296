//! Seeds of other programs: -1 asks for a random seed, and numbers above the limit are one mistake, or are folded if the user wants.

use crate::manifest::diagnostics::{DiagnosticList, Issue, Location, PassDiagnostics, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::field_entry::{FieldEntry, FieldValue, Spanned};
use crate::manifest::fields::one_or_many::OneOrManyValues;
use crate::manifest::fields::value::{UnparsedValue, Value};
use crate::manifest::fields::{Fields, parse};

/// Counts of such seeds in a manifest.
#[derive(Debug, Default)]
pub(crate) struct SeedCounts {
    random: Option<(Location, u64)>,
    /// First seed above the limit with its own mistake, and the number of them all.
    large: Option<(Location, Issue, u64)>,
    /// Says whether the remainder of a division takes the place of a seed above the limit.
    is_folding: bool,
    /// First entry with a folded seed, that seed, and the number of such entries.
    folded: Option<(Location, i128, u64)>,
}

/// Removes a seed of -1 from the fields, and returns its location.
pub(crate) fn take_random(given: &mut Vec<FieldEntry>) -> Option<Location> {
    let i = given.iter().position(|entry| seed_of(entry) == Some(-1))?;
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
            let values = match &mut entry.said {
                FieldValue::One(value) => std::slice::from_mut(value),
                FieldValue::Many(values) => values,
                FieldValue::Unreadable => &mut [],
            };
            let mut first = None;
            for Spanned { raw, place } in values {
                let Some(seed) = number(raw).filter(|seed| *seed > i128::from(parse::SEED_MAX)) else { continue };
                let folded = seed % (i128::from(parse::SEED_MAX) + 1);
                *raw = UnparsedValue::Cell(folded.to_string());
                first.get_or_insert((*place, seed));
            }
            if let Some((place, seed)) = first {
                self.folded.get_or_insert((place, seed, 0)).2 += 1;
            }
        }
    }

    /// Removes a seed above the limit from the fields. The mistake is reported at the end.
    pub(crate) fn take_large(&mut self, given: &mut Vec<FieldEntry>) {
        let is_large = |entry: &FieldEntry| seed_of(entry).is_some_and(|seed| seed > i128::from(parse::SEED_MAX));
        let Some(i) = given.iter().position(is_large) else { return };
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
            let what = format!("`seed` is {seed}, above {}{others}", parse::SEED_MAX);
            let divisor = parse::SEED_MAX + 1;
            let remedy = format!("--fold-seeds sends and records the remainder of a division by {divisor} instead");
            findings.warnings.push(place, wrong(what, remedy));
        }
        match self.large {
            None => {}
            Some((place, Issue { what, remedy }, 1)) => {
                findings.mistakes.push(place, wrong(what, format!("{remedy}, or add --fold-seeds for a remainder")));
            }
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

/// Returns the whole number of a seed with one value, as [`number`] does.
fn seed_of(entry: &FieldEntry) -> Option<i128> {
    let FieldEntry { field: Field::Seed, said: FieldValue::One(seed), .. } = entry else { return None };
    number(&seed.raw)
}

/// Returns the whole number that a value is. `None` for a number of at most nine digits too, which is within the limit.
fn number(raw: &UnparsedValue) -> Option<i128> {
    const DIGITS_MAX: usize = 9;
    match raw {
        UnparsedValue::Typed(Value::Int(number)) => Some(i128::from(*number)),
        UnparsedValue::Cell(text) if text.len() <= DIGITS_MAX && !text.contains('-') => None,
        UnparsedValue::Cell(text) => {
            let text = text.trim();
            text.strip_suffix(".0").unwrap_or(text).parse().ok()
        }
        UnparsedValue::Typed(_) => None,
    }
}
