//! Price of an image: as the user states it, or as the provider's description lists it. An answer may say another cost.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::model::amount::Amount;
use crate::model::money::Charge;
use crate::model::request::{Request, Size};

/// Price of each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// Unit of the price, such as `magicube` or `USD`; empty if none was given.
    pub unit: String,
    /// Price per image of every model that `by_model` does not name; `None` if it is unknown.
    pub per_image: Option<f64>,
    /// Price per image, by model.
    pub by_model: BTreeMap<String, f64>,
    /// Price per image, by model and size. It comes before that of the model alone.
    pub by_size: BTreeMap<(String, Size), f64>,
    /// Day on which the prices were read, such as `2026-11-30`, if they come from the provider's description; `None` for prices of the user's.
    pub listed_on: Option<String>,
}

impl Price {
    /// Returns the price of an image of this model and size; `None` if it is unknown.
    pub fn of(&self, model: &str, size: Option<Size>) -> Option<f64> {
        // Without sizes, no key is made: this is asked once per submission and once per job.
        let of_size = size.filter(|_| !self.by_size.is_empty());
        let of_size = of_size.and_then(|size| self.by_size.get(&(model.to_owned(), size)));
        of_size.or_else(|| self.by_model.get(model)).copied().or(self.per_image)
    }

    /// Returns the price of an image of this model and size as an exact amount; `None` if it is unknown.
    pub fn amount_of(&self, model: &str, size: Option<Size>) -> Option<Amount> {
        self.of(model, size).map(Amount::new)
    }

    /// Returns the price of what is requested as an exact amount; `None` if it is unknown.
    pub fn amount_for(&self, request: &Request) -> Option<Amount> {
        self.amount_of(&request.model, request.size)
    }

    /// Returns the certain cost of a job with so many accepted submissions: what the answers say, and the price of every other one.
    /// `None` if that is unknown.
    pub fn settled(&self, request: &Request, n_accepted: u64, charges: &[Charge]) -> Option<Amount> {
        let told: Vec<Amount> = charges.iter().filter_map(|charge| charge.money.amount_in(&self.unit)).collect();
        let n_untold = n_accepted.saturating_sub(told.len() as u64);
        let rest = if n_untold == 0 { Amount::ZERO } else { self.amount_for(request)?.times(n_untold) };
        Some(told.into_iter().sum::<Amount>() + rest)
    }

    /// Returns the price without any amount: only answers say what an image costs.
    #[must_use]
    pub fn unit_only(self) -> Self {
        Self { per_image: None, by_model: BTreeMap::new(), by_size: BTreeMap::new(), ..self }
    }

    /// Returns whether all images have one price, which is known.
    pub fn is_one(&self) -> bool {
        self.per_image.is_some() && self.by_model.is_empty() && self.by_size.is_empty()
    }

    /// Returns a model without a price in words: with the size, if the model has prices by size.
    pub fn name_of(&self, model: &str, size: Option<Size>) -> String {
        let has_sizes = self.by_size.keys().any(|(known, _)| known == model);
        match size {
            _ if !has_sizes => model.to_owned(),
            Some(size) => format!("{model} at {size}"),
            None => format!("{model} without a size"),
        }
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
        let (by_model, by_size) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { unit: unit.to_owned(), per_image: Some(number), by_model, by_size, listed_on: None })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prices: Vec<String> = self.per_image.iter().map(|price| self.amount(*price)).collect();
        prices.extend(self.by_model.iter().map(|(model, price)| format!("{} for {model}", self.amount(*price))));
        let of_size =
            |((model, size), price): (&(String, Size), &f64)| format!("{} for {model} at {size}", self.amount(*price));
        prices.extend(self.by_size.iter().map(of_size));
        f.write_str(&prices.join(", "))?;
        self.listed_on.as_ref().map_or(Ok(()), |day| write!(f, " (listed on {day})"))
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
        let price = Price { by_model: [("a/b".to_owned(), 2.5)].into(), .."1 magicube".parse().unwrap() };
        assert_eq!((price.of("a/b", None), price.of("c/d", None)), (Some(2.5), Some(1.0)));
        assert_eq!(Price { per_image: None, ..price.clone() }.of("c/d", None), None);
        assert_eq!(price.to_string(), "1 magicube, 2.5 magicube for a/b");
        assert_eq!(
            (price.amount(0.1 + 0.2), price.amount(0.00125)),
            ("0.3 magicube".into(), "0.00125 magicube".into())
        );
        let amounts = ["a/b", "c/d"].map(|model| price.amount_of(model, None));
        assert_eq!(amounts, [Some(Amount::new(2.5)), Some(Amount::new(1.0))]);
    }

    #[test]
    fn the_price_of_a_size_comes_before_that_of_its_model() {
        let size = |text: &str| text.parse::<Size>().ok();
        let key = ("a/b".to_owned(), size("64x64").unwrap());
        let price = Price {
            per_image: None,
            by_size: [(key, 0.5)].into(),
            listed_on: Some("2026-11-30".into()),
            .."1 USD".parse().unwrap()
        };
        assert_eq!(
            (price.of("a/b", size("64x64")), price.of("a/b", size("64x65")), price.of("a/b", None)),
            (Some(0.5), None, None)
        );
        assert_eq!(price.of("c/d", size("64x64")), None);
        assert_eq!(price.to_string(), "0.5 USD for a/b at 64x64 (listed on 2026-11-30)");
        assert_eq!(price.name_of("a/b", size("8x8")), "a/b at 8x8");
        assert_eq!(
            (price.name_of("a/b", None).as_str(), price.name_of("c/d", None).as_str()),
            ("a/b without a size", "c/d")
        );
        let with_model = Price { by_model: [("a/b".to_owned(), 2.0)].into(), ..price };
        assert_eq!((with_model.of("a/b", size("64x64")), with_model.of("a/b", None)), (Some(0.5), Some(2.0)));
    }
}
