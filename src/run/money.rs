//! What must be known before anything is paid for under a limit on the cost.

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::RunFile;
use crate::model::cost::CostLimit;
use crate::model::limits::Limits;
use crate::model::price::Price;
use crate::model::text::escape;

/// Why a limit on the cost cannot be kept. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// No price is known.
    #[error(
        "could not limit the cost to `--max-cost {max}`: the price of an image is not known; \
         tell it with --price \"2 magicube\" or `price:` in the manifest"
    )]
    NoPrice {
        /// The limit.
        max: CostLimit,
    },
    /// There are prices, but not of this model.
    #[error(
        "could not limit the cost to `--max-cost {max}`: no price of {}{} is told; \
         add it to `price:` in the manifest, or tell one price for all models with --price \"2 magicube\"",
        escape(model),
        place(*index)
    )]
    NoPriceOf {
        /// The limit.
        max: CostLimit,
        /// The model.
        model: String,
        /// The index of its first job; 0 of one that is no longer in the manifest.
        index: u64,
    },
    /// The limit and the price are in different units.
    #[error(
        "could not limit the cost to `--max-cost {max}`: the price is in {}; tell both in the same unit, or the limit without one",
        unit(price)
    )]
    OtherUnit {
        /// The limit.
        max: CostLimit,
        /// The price.
        price: Price,
    },
}

fn place(index: u64) -> String {
    if index == 0 { ", which was submitted before,".to_owned() } else { format!(" (job {index})") }
}

fn unit(price: &Price) -> String {
    if price.unit.is_empty() { "no unit".to_owned() } else { format!("`{}`", escape(&price.unit)) }
}

/// Makes sure that a limit on the cost, if there is one, can be counted in this price.
pub fn check_price(max: Option<&CostLimit>, price: Option<&Price>) -> Result<(), CostError> {
    let Some(max) = max.cloned() else { return Ok(()) };
    match price {
        None => Err(CostError::NoPrice { max }),
        Some(price) if !max.is_in(&price.unit) => Err(CostError::OtherUnit { max, price: price.clone() }),
        Some(_) => Ok(()),
    }
}

/// Makes sure that the price of every job of a run is known that may be submitted, or has been, if there is a limit on the cost.
pub fn check_jobs(limits: &Limits, file: &RunFile) -> Result<Result<(), CostError>, LedgerError> {
    if let Err(error) = check_price(limits.cost_max.as_ref(), limits.price.as_ref()) {
        return Ok(Err(error));
    }
    let (Some(max), Some(price)) = (limits.cost_max.clone(), &limits.price) else { return Ok(Ok(())) };
    let unknown = file.first_without_price(price)?;
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
