//! Amount of money in its unit, and the charge for a submission as the provider says it.

use std::fmt;
use std::str::FromStr;

use crate::model::amount::{Amount, AmountError};

/// Amount of money, as an answer of a provider says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// Amount.
    pub amount: Amount,
    /// Unit, such as `USD`.
    pub unit: String,
}

/// What the provider says that an accepted submission cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Number of the job's submission that it is for, from 1. A later charge for the same submission replaces the earlier one.
    pub submission: u32,
    /// Cost of that submission.
    pub money: Money,
}

impl Money {
    /// Returns the amount if it is in this unit, in any case of letters.
    pub fn amount_in(&self, unit: &str) -> Option<Amount> {
        (self.unit.to_lowercase() == unit.to_lowercase()).then_some(self.amount)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.amount.with_unit(&self.unit))
    }
}

impl FromStr for Money {
    type Err = AmountError;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (amount, unit) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Self { amount: amount.parse()?, unit: unit.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_as_it_is_shown() {
        for text in ["0.025 USD", "0.000000001 USD", "12 magicube", "0 USD", "3"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert!("USD".parse::<Money>().is_err() && "-1 USD".parse::<Money>().is_err());
        let money: Money = "2 usd".parse().unwrap();
        assert_eq!((money.amount_in("USD"), money.amount_in("EUR")), (Some(Amount::new(2.0)), None));
    }
}
