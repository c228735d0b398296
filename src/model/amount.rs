//! Amount of money, with exact sums.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

/// Number of smallest amounts in one unit.
const SCALE: u32 = 1_000_000_000;

const DECIMALS: usize = 9;

/// Amount in billionths of the unit of a price. Sums are exact, so that a limit can be reached and is never exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Returns the amount nearest to `number`, and never zero for a number above zero. Numbers below zero and NaN count as zero.
    pub fn new(number: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "large numbers saturate")]
        let billionths = (number * f64::from(SCALE)).round() as u128;
        Self(if number > 0.0 { billionths.max(1) } else { 0 })
    }

    /// Returns the amount as a number of units, for JSON and tables.
    pub fn number(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "the nearest number is wanted")]
        let billionths = self.0 as f64;
        billionths / f64::from(SCALE)
    }

    /// Returns the amount of so many billionths of a unit.
    pub const fn from_billionths(billionths: u128) -> Self {
        Self(billionths)
    }

    /// Returns the amount in billionths of a unit.
    pub const fn billionths(self) -> u128 {
        self.0
    }

    /// Returns the amount multiplied by `n`, saturating.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n as u128))
    }

    /// Returns the amount minus `other`; zero if `other` is larger.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Formats the amount with its unit, such as `24 magicube`.
    pub fn with_unit(self, unit: &str) -> String {
        format!("{self} {unit}").trim_end().to_owned()
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::add)
    }
}

/// Error for a text that is not an [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is a decimal number of at least 0 with at most nine decimals, for example 0.04")]
pub struct AmountError;

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads what [`Display`](fmt::Display) writes, exactly.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(part) || part.len() > DECIMALS {
            return Err(AmountError);
        }
        let whole: u128 = whole.parse().map_err(|_| AmountError)?;
        let part: u128 = format!("{part:0<DECIMALS$}").parse().map_err(|_| AmountError)?;
        whole.checked_mul(SCALE.into()).and_then(|whole| whole.checked_add(part)).map(Self).ok_or(AmountError)
    }
}

impl fmt::Display for Amount {
    /// Writes as many decimals as the amount has, without trailing zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / u128::from(SCALE), self.0 % u128::from(SCALE));
        let digits = format!("{whole}.{part:0DECIMALS$}");
        f.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_where_floats_are_not() {
        let tenth = Amount::new(0.1);
        assert_eq!([tenth; 3].into_iter().sum::<Amount>(), Amount::new(0.3));
        assert_eq!(tenth.times(1_000_000), Amount::new(100_000.0));
        assert!((0.1 + 0.2 > 0.3) && tenth + Amount::new(0.2) == Amount::new(0.3));
        assert_eq!((Amount::new(0.04).number(), Amount::new(0.3).number()), (0.04, 0.3));
        assert_eq!(Amount::new(2.5).without(Amount::new(3.0)), Amount::ZERO);
    }

    #[test]
    fn an_amount_is_read_exactly_as_it_is_shown() {
        for number in [0.0, 24.0, 0.1, 0.000_000_001, 123_456.789, f64::MAX, f64::INFINITY] {
            let amount = Amount::new(number);
            assert_eq!(amount.to_string().parse(), Ok(amount), "{number}");
        }
        for text in
            ["", ".", "1.", ".5", "-1", "1e5", "0.0000000001", "1 USD", "9999999999999999999999999999999999999999"]
        {
            assert_eq!(text.parse::<Amount>(), Err(AmountError), "{text}");
        }
    }

    #[test]
    fn amounts_are_shown_without_needless_zeros() {
        for (number, text) in [
            (0.0, "0"),
            (24.0, "24"),
            (100.0, "100"),
            (0.5, "0.5"),
            (0.00125, "0.00125"),
            (1e-9, "0.000000001"),
            (-1.0, "0"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(Amount::new(number).to_string(), text, "{number}");
        }
        assert_eq!(Amount::new(1e-30).to_string(), "0.000000001", "no price above zero is free");
        assert_eq!(Amount::new(f64::INFINITY) + Amount::new(1.0), Amount::new(f64::INFINITY), "it saturates");
    }
}
