//! Settings of the whole run that a manifest may give.

use crate::model::price::Price;

/// Name of the field with the price.
pub(super) const PRICE: &str = "price";

/// Name of the field with the seed of the work order.
pub(super) const SHUFFLE: &str = "shuffle";

/// Settings of the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Price of an image. `None` if the manifest states none.
    pub price: Option<Price>,
    /// Seed for shuffling the work. `None` keeps manifest order.
    pub shuffle: Option<u64>,
}
