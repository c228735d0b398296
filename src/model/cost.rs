//! Cost of a run, which includes submissions in doubt, and its maximum.

use std::fmt;
use std::str::FromStr;

use crate::model::amount::Amount;
use crate::model::price::Price;

/// Cost of the submissions of a run: certain, and at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Cost of the submissions that are known to be accepted.
    pub sure: Amount,
    /// Cost of the submissions in doubt; each of them may have been accepted too.
    pub in_doubt: Amount,
    /// Number of submissions in doubt.
    pub n_in_doubt: u64,
}

impl Cost {
    /// Returns the cost if every submission in doubt was accepted.
    pub fn most(&self) -> Amount {
        self.sure + self.in_doubt
    }

    /// Formats the cost with its unit, such as `20 magicube`, or `20 to 30 magicube (5 submissions in doubt)`.
    pub fn words(&self, unit: &str) -> String {
        let Self { sure, n_in_doubt, .. } = self;
        if self.most() == *sure {
            return sure.with_unit(unit);
        }
        let submissions = if *n_in_doubt == 1 { "submission" } else { "submissions" };
        format!("{sure} to {} ({n_in_doubt} {submissions} in doubt)", self.most().with_unit(unit))
    }

    /// Formats the cost with its unit in fewer characters: `20 to 30 magicube`.
    pub fn short_words(&self, unit: &str) -> String {
        let Self { sure, .. } = self;
        let most = self.most().with_unit(unit);
        if self.most() == *sure { most } else { format!("{sure} to {most}") }
    }
}

/// Maximum cost of a run over all its processes, as the user writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CostLimit {
    /// Maximum amount.
    pub amount: Amount,
    /// Unit of the amount; `None` means the unit of the price.
    pub unit: Option<String>,
}

/// Error for a text that is not a [`CostLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a limit on the cost is a number, with or without the unit of the price: for example 20 or \"20 magicube\"")]
pub struct CostLimitError;

impl FromStr for CostLimit {
    type Err = CostLimitError;

    fn from_str(text: &str) -> Result<Self, CostLimitError> {
        // A cost limit is written like a price.
        let Price { unit, per_image, .. } = text.parse().map_err(|_| CostLimitError)?;
        let amount = Amount::new(per_image.ok_or(CostLimitError)?);
        Ok(Self { amount, unit: (!unit.is_empty()).then_some(unit) })
    }
}

impl CostLimit {
    /// Returns whether the limit is in this unit, in any case of letters. A limit without a unit is in every unit.
    pub fn is_in(&self, unit: &str) -> bool {
        self.unit.as_ref().is_none_or(|own| own.to_lowercase() == unit.to_lowercase())
    }
}

impl fmt::Display for CostLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.amount.with_unit(self.unit.as_deref().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_a_range_where_there_are_doubts() {
        let cost =
            |sure, in_doubt, n_in_doubt| Cost { sure: Amount::new(sure), in_doubt: Amount::new(in_doubt), n_in_doubt };
        let words = |cost: Cost, unit| (cost.words(unit), cost.short_words(unit));
        let told = |long: &str, short: &str| (long.to_owned(), short.to_owned());
        assert_eq!(words(cost(20.0, 0.0, 0), "magicube"), told("20 magicube", "20 magicube"));
        assert_eq!(
            words(cost(20.0, 10.0, 5), "magicube"),
            told("20 to 30 magicube (5 submissions in doubt)", "20 to 30 magicube")
        );
        assert_eq!(words(cost(0.0, 0.5, 1), ""), told("0 to 0.5 (1 submission in doubt)", "0 to 0.5"));
        assert_eq!(words(cost(0.0, 0.0, 3), "USD"), told("0 USD", "0 USD"), "what is free costs nothing twice");
    }

    #[test]
    fn a_limit_is_an_amount_with_or_without_a_unit() {
        let limit = |text: &str| text.parse::<CostLimit>().unwrap();
        assert_eq!(limit("20"), CostLimit { amount: Amount::new(20.0), unit: None });
        assert_eq!(limit(" 0.5 USD "), CostLimit { amount: Amount::new(0.5), unit: Some("USD".into()) });
        assert_eq!(limit("19.99元").to_string(), "19.99 元");
        for text in ["", "USD", "-1", "1.2.3", "nan", "inf", "2 3"] {
            assert_eq!(text.parse::<CostLimit>(), Err(CostLimitError), "{text}");
        }
        assert!(limit("20").is_in("USD") && limit("20 usd").is_in("USD") && limit("20").is_in(""));
        assert!(!limit("20 USD").is_in("magicube") && !limit("20 USD").is_in(""));
    }
}
