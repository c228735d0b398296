//! Serialization of the price of an image as one JSON object in the ledger.

use serde_json::{Map, Value, json};

use crate::model::price::Price;

pub(super) fn price_text(Price { unit, per_image, by_model, by_size, listed_on }: &Price) -> String {
    let mut object = json!({ "unit": unit, "per_image": per_image, "by_model": by_model });
    if !by_size.is_empty() {
        let rows = by_size.iter().map(|((model, size), price)| json!([model, size.to_string(), price]));
        object["by_size"] = rows.collect();
    }
    if let Some(day) = listed_on {
        object["listed_on"] = day.as_str().into();
    }
    object.to_string()
}

/// Parses the price that [`price_text`] wrote; `None` if the text is empty or damaged.
pub(super) fn price_from(text: &str) -> Option<Price> {
    let map: Map<String, Value> = serde_json::from_str(text).ok()?;
    let by_model = map.get("by_model")?.as_object()?;
    let by_model =
        by_model.iter().map(|(model, price)| Some((model.clone(), price.as_f64()?))).collect::<Option<_>>()?;
    let per_image = map.get("per_image").and_then(Value::as_f64);
    let row = |row: &Value| {
        let key = (row.get(0)?.as_str()?.to_owned(), row.get(1)?.as_str()?.parse().ok()?);
        Some((key, row.get(2)?.as_f64()?))
    };
    let rows = map.get("by_size").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let by_size = rows.iter().map(row).collect::<Option<_>>()?;
    let listed_on = map.get("listed_on").and_then(Value::as_str).map(str::to_owned);
    Some(Price { unit: map.get("unit")?.as_str()?.to_owned(), per_image, by_model, by_size, listed_on })
}
