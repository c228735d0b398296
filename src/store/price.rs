//! Serialization of the price of an image as one JSON object in the ledger.

use serde_json::{Map, Value, json};

use crate::model::price::Price;

pub(super) fn price_text(Price { unit, per_image, by_model }: &Price) -> String {
    json!({ "unit": unit, "per_image": per_image, "by_model": by_model }).to_string()
}

/// Parses the price that [`price_text`] wrote; `None` if the text is empty or damaged.
pub(super) fn price_from(text: &str) -> Option<Price> {
    let map: Map<String, Value> = serde_json::from_str(text).ok()?;
    let by_model = map.get("by_model")?.as_object()?;
    let by_model =
        by_model.iter().map(|(model, price)| Some((model.clone(), price.as_f64()?))).collect::<Option<_>>()?;
    let per_image = map.get("per_image").and_then(Value::as_f64);
    Some(Price { unit: map.get("unit")?.as_str()?.to_owned(), per_image, by_model })
}
