//! Price of an image, as the user states it: no provider reports it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::model::amount::Amount;

/// Price of each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Unit of the price, such as `magicube` or `USD`; empty if none was given.
    pub unit: String,
    /// Price per image of every model that `by_model` does not name; `None` if it is unknown.
    pub per_image: Option<f64>,
    /// Price per image, by model.
    pub by_model: BTreeMap<String, f64>,
}

impl Price {
    /// Returns the price of an image of this model; `None` if it is unknown.
    pub fn of(&self, model: &str) -> Option<f64> {
        self.by_model.get(model).copied().or(self.per_image)
    }

    /// Returns the price of an image of this model as an exact amount; `None` if it is unknown.
    pub fn amount_of(&self, model: &str) -> Option<Amount> {
        self.of(model).map(Amount::new)
    }

    /// Formats an amount in this price's unit, such as `24 magicube`, with at most nine decimals and without trailing zeros.
    pub fn amount(&self, amount: f64) -> String {
        Amount::new(amount).with_unit(&self.unit)
    }
}

/// Error for a text that is not a [`Price`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a price is a number and a unit, for example \"2 magicube\" or \"0.04 USD\"")]
pub struct PriceError;

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number = number.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or(PriceError)?;
        let unit = unit.trim();
        let is_unit = |c: char| !c.is_ascii_digit() && !c.is_control() && c != '.';
        if !unit.chars().all(is_unit) {
            return Err(PriceError);
        }
        Ok(Self { unit: unit.to_owned(), per_image: Some(number), by_model: BTreeMap::new() })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prices: Vec<String> = self.per_image.iter().map(|price| self.amount(*price)).collect();
        prices.extend(self.by_model.iter().map(|(model, price)| format!("{} for {model}", self.amount(*price))));
        f.write_str(&prices.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_as_people_write_them() {
        for (text, number, unit) in
            [("2 magicube", 2.0, "magicube"), ("0.04 USD", 0.04, "USD"), ("3", 3.0, ""), ("1.5元", 1.5, "元")]
        {
            let price: Price = text.parse().unwrap();
            assert_eq!((price.per_image, price.unit.as_str()), (Some(number), unit), "{text}");
        }
        for text in ["", "magicube", "-1 USD", "1.2.3", "2 3", "2 a\u{7}", "nan", "1e5"] {
            assert_eq!(text.parse::<Price>(), Err(PriceError), "{text}");
        }
        assert_eq!("9".repeat(400).parse::<Price>(), Err(PriceError), "no number is that large");
    }

    #[test]
    fn the_price_of_a_model_comes_before_that_of_all() {
        let price = Price { unit: "magicube".into(), per_image: Some(1.0), by_model: [("a/b".to_owned(), 2.5)].into() };
        assert_eq!((price.of("a/b"), price.of("c/d")), (Some(2.5), Some(1.0)));
        assert_eq!(Price { per_image: None, ..price.clone() }.of("c/d"), None);
        assert_eq!(price.to_string(), "1 magicube, 2.5 magicube for a/b");
        assert_eq!(
            (price.amount(0.1 + 0.2), price.amount(0.00125)),
            ("0.3 magicube".into(), "0.00125 magicube".into())
        );
        assert_eq!((price.amount_of("a/b"), price.amount_of("c/d")), (Some(Amount::new(2.5)), Some(Amount::new(1.0))));
    }
}
