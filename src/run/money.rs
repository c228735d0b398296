//! Preconditions of a cost limit, checked before anything is paid for.

use crate::model::cost::CostLimit;
use crate::model::escape::escape;
use crate::model::limits::Limits;
use crate::model::price::Price;
use crate::store::RunReader;
use crate::store::error::LedgerError;

/// Reason why a cost limit cannot be enforced. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// Price that is not known.
    #[error(
        "could not limit the cost to `--max-cost {max}`: the price of an image is not known; \
         give it with --price \"2 magicube\" or `price:` in the manifest"
    )]
    NoPrice {
        /// Cost limit.
        max: CostLimit,
    },
    /// Price that is known for other models, but not for this one.
    #[error(
        "could not limit the cost to `--max-cost {max}`: no price for {}{} is given; \
         add it to `price:` in the manifest, or give one price for all models with --price \"2 magicube\"",
        escape(model),
        place(*index)
    )]
    NoPriceOf {
        /// Cost limit.
        max: CostLimit,
        /// Model without a price.
        model: String,
        /// Index of the model's first job; 0 if that job is no longer in the manifest.
        index: u64,
    },
    /// Price whose unit differs from the unit of the limit.
    #[error(
        "could not limit the cost to `--max-cost {max}`: the price is in {}; give both in the same unit, or the limit without a unit",
        unit(price)
    )]
    OtherUnit {
        /// Cost limit.
        max: CostLimit,
        /// Price of an image.
        price: Box<Price>,
    },
}

fn place(index: u64) -> String {
    if index == 0 { ", which was submitted before,".to_owned() } else { format!(" (job {index})") }
}

fn unit(price: &Price) -> String {
    if price.unit.is_empty() { "no unit".to_owned() } else { format!("`{}`", escape(&price.unit)) }
}

/// Checks that the cost limit, if there is one, can be counted in this price.
pub(crate) fn check_price(max: Option<&CostLimit>, price: Option<&Price>) -> Result<(), CostError> {
    let Some(max) = max.cloned() else { return Ok(()) };
    match price {
        None => Err(CostError::NoPrice { max }),
        Some(price) if !max.is_in(&price.unit) => Err(CostError::OtherUnit { max, price: Box::new(price.clone()) }),
        Some(_) => Ok(()),
    }
}

/// Checks that a price is known for every job that may be submitted or has been. Does so only under a cost limit.
pub(crate) fn check_jobs(limits: &Limits, run: &dyn RunReader) -> Result<Result<(), CostError>, LedgerError> {
    if let Err(error) = check_price(limits.cost_max.as_ref(), limits.price.as_ref()) {
        return Ok(Err(error));
    }
    let (Some(max), Some(price)) = (limits.cost_max.clone(), &limits.price) else { return Ok(Ok(())) };
    let unknown = run.first_without_price(price)?;
    Ok(unknown.map_or(Ok(()), |(model, index)| Err(CostError::NoPriceOf { max, model, index })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(max: &str, price: Option<&str>) -> Result<(), String> {
        let price = price.map(|price| price.parse::<Price>().unwrap());
        check_price(Some(&max.parse().unwrap()), price.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_limit_needs_a_price_in_its_unit() {
        assert!(check("20", None).unwrap_err().contains("the price of an image is not known"));
        assert_eq!(check("20", Some("2 magicube")), Ok(()));
        assert_eq!(check("20 Magicube", Some("2 magicube")), Ok(()));
        assert_eq!(check("20", Some("2")), Ok(()));
        assert!(check("20 USD", Some("2 magicube")).unwrap_err().contains("the price is in `magicube`"));
        assert!(check("20 USD", Some("2")).unwrap_err().contains("the price is in no unit"));
        assert!(check_price(None, None).is_ok(), "no limit needs no price");
    }
}
