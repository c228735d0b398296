//! Percentage, as people write it: `98%`, `0.5%`.

use std::fmt;
use std::str::FromStr;

/// Whole, in millionths.
const WHOLE: u32 = 1_000_000;

/// Fraction of a whole, in millionths: 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage(u32);

/// Error for a text that is not a [`Percentage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a percentage from 0% to 100%, for example 98% or 99.5%")]
pub struct ShareError;

impl FromStr for Percentage {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let percent = text.trim().strip_suffix('%').and_then(|text| text.trim().parse::<f64>().ok());
        match percent {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
            Some(percent) if (0.0..=100.0).contains(&percent) => Ok(Self((percent * 10_000.0).round() as u32)),
            Some(_) | None => Err(ShareError),
        }
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

impl Percentage {
    /// Returns whether `n` is at least this fraction of `of`.
    pub fn is_reached(self, n: u64, of: u64) -> bool {
        u128::from(n) * u128::from(WHOLE) >= u128::from(of) * u128::from(self.0)
    }

    /// Returns whether this fraction is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_part_of_a_hundred() {
        for (text, share) in [
            ("98%", 980_000),
            ("99.5 %", 995_000),
            ("0%", 0),
            ("100%", 1_000_000),
            ("33.3333%", 333_333),
            ("0.5%", 5000),
        ] {
            assert_eq!(text.parse(), Ok(Percentage(share)));
        }
        for text in ["", "98", "0.98", "101%", "-1%", "nan%", "%"] {
            assert_eq!(text.parse::<Percentage>(), Err(ShareError), "{text}");
        }
        assert_eq!((Percentage(980_000).to_string(), Percentage(995_000).to_string()), ("98%".into(), "99.5%".into()));
    }

    #[test]
    fn a_share_is_reached_exactly_or_not() {
        let share: Percentage = "98%".parse().unwrap();
        assert!(share.is_reached(98, 100) && !share.is_reached(97, 99));
        assert!(share.is_reached(0, 0), "of none, all");
        assert!(!"100%".parse::<Percentage>().unwrap().is_reached(u64::MAX >> 1, (u64::MAX >> 1) + 1));
    }
}
