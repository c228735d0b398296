//! Money in a description: the listed prices, and what an answer says that a submission cost.

use crate::description::format::{Description, Prices};
use crate::description::pointer::{Pointer, first_said, scalar};
use crate::model::amount::Amount;
use crate::model::money::Money;
use crate::model::outcome::Status;
use crate::model::price::Price;
use crate::provider::described::reading::JsonReading;
use crate::provider::http::api_response::ApiResponse;

/// Largest cost of one image that is believed, in any currency.
const COST_MAX: f64 = 1e9;

/// Tokens of a price.
const MILLION: f64 = 1e6;

/// Returns the listed prices; `None` if the description has no currency.
pub(crate) fn listed(api: &Description) -> Option<Price> {
    let Prices { currency, date, rows, .. } =
        api.prices.as_ref().filter(|prices| !prices.currency.trim().is_empty())?;
    let mut price = Price {
        unit: currency.trim().to_owned(),
        per_image: None,
        by_model: [].into(),
        by_size: [].into(),
        listed_on: Some(date.clone()),
    };
    // The first row that matches counts.
    for row in rows {
        let size = row.size.as_ref().map(|size| size.parse());
        match (&row.model, size) {
            (Some(model), Some(Ok(size))) if !price.by_model.contains_key(model) && price.per_image.is_none() => {
                price.by_size.entry((model.clone(), size)).or_insert(row.price);
            }
            (Some(model), None) if price.per_image.is_none() => {
                price.by_model.entry(model.clone()).or_insert(row.price);
            }
            (None, None) => {
                price.per_image.get_or_insert(row.price);
            }
            // Hidden behind an earlier row, or a size of every model, which no service has.
            (Some(_) | None, _) => (),
        }
    }
    Some(price)
}

/// Reads the cost at these pointers, or computes it from the token counts; `None` if the response has neither.
pub(crate) fn said(api: &Description, pointers: &[Pointer], answer: &ApiResponse, model: &str) -> Option<Money> {
    let prices = api.prices.as_ref().filter(|prices| !prices.currency.trim().is_empty())?;
    if pointers.is_empty() && prices.tokens.is_empty() {
        return None;
    }
    let reading = JsonReading::of(answer);
    let number = |pointers: &[Pointer]| {
        let said = reading.texts().iter().find_map(|text| first_said(pointers, text).and_then(scalar))?;
        said.trim().parse::<f64>().ok().filter(|number| *number >= 0.0)
    };
    let cost = match number(pointers) {
        Some(cost) => cost * prices.cost_unit.unwrap_or(1.0),
        None => of_tokens(prices, model, number)?,
    };
    let unit = prices.currency.trim().to_owned();
    (0.0..=COST_MAX).contains(&cost).then(|| Money { amount: Amount::new(cost), unit })
}

/// Returns the price of the tokens. A count that is missing makes the cost unknown.
fn of_tokens(prices: &Prices, model: &str, number: impl Fn(&[Pointer]) -> Option<f64>) -> Option<f64> {
    let mut rows = prices.tokens.iter().filter(|row| row.model.as_ref().is_none_or(|named| named == model)).peekable();
    rows.peek()?;
    rows.map(|row| Some(number(&row.count)? * row.per_million / MILLION)).sum()
}

/// Returns a status of a task with what its answer says of the cost. Before the task's end, nothing is said.
pub(crate) fn with_cost(api: &Description, status: Status, answer: &ApiResponse) -> Status {
    match status {
        Status::Done(_) | Status::Failed(_) => status.charged(said(api, &api.answer.cost, answer, "")),
        Status::Queued | Status::Running | Status::Charged(_) => status,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(prices: &str) -> Description {
        serde_yaml::from_str(&format!("answer: {{cost: /usage/cost}}\nprices: {prices}")).unwrap()
    }

    fn cost(prices: &str, body: &serde_json::Value, model: &str) -> Option<String> {
        let (api, answer) =
            (api(prices), ApiResponse { body: body.to_string().into_bytes(), ..ApiResponse::default() });
        said(&api, &api.answer.cost, &answer, model).map(|money| money.to_string())
    }

    #[test]
    fn the_cost_of_an_answer_is_in_the_currency_of_the_prices() {
        let body = json!({"usage": {"cost": 2.5}});
        assert_eq!(cost("{currency: USD}", &body, "m").as_deref(), Some("2.5 USD"));
        assert_eq!(cost("{currency: USD, cost_unit: 0.01}", &body, "m").as_deref(), Some("0.025 USD"));
        assert_eq!(cost("{currency: ''}", &body, "m"), None, "a number without a currency is no cost");
        let ticks = json!({"usage": {"cost": 200_000_000_u64}});
        assert_eq!(cost("{currency: USD, cost_unit: 1e-10}", &ticks, "m").as_deref(), Some("0.02 USD"));
        let text = json!({"usage": {"cost": " 0.04 "}});
        assert_eq!(cost("{currency: USD}", &text, "m").as_deref(), Some("0.04 USD"));
        assert_eq!(cost("{currency: USD}", &json!({"usage": {"cost": 0}}), "m").as_deref(), Some("0 USD"));
    }

    #[test]
    fn what_is_no_cost_is_not_believed() {
        for odd in
            [json!(-1), json!("free"), json!(1e300), json!("NaN"), json!("inf"), json!([1]), json!(null), json!(true)]
        {
            assert_eq!(cost("{currency: USD}", &json!({"usage": {"cost": odd}}), "m"), None, "{odd}");
        }
    }

    #[test]
    fn tokens_have_a_price_by_model() {
        let prices = "{currency: USD, tokens: [{count: /usage/out, per_million: 30, model: big}, \
                      {count: /usage/in, per_million: 5, model: big}, {count: /usage/out, per_million: 8, model: mini}]}";
        let body = json!({"usage": {"out": 4000, "in": 100}});
        assert_eq!(cost(prices, &body, "big").as_deref(), Some("0.1205 USD"));
        assert_eq!(cost(prices, &body, "mini").as_deref(), Some("0.032 USD"));
        assert_eq!(cost(prices, &body, "other"), None, "its price is not known");
        assert_eq!(cost(prices, &json!({"usage": {"out": 4000}}), "big"), None, "a part of a cost is no cost");
    }

    #[test]
    fn the_first_row_of_the_prices_that_matches_counts() {
        let rows = "{currency: USD, date: '2026-11-30', rows: [{model: a, size: 64x64, price: 1}, {model: a, size: 64x64, price: 9}, \
                    {model: a, price: 2}, {model: a, size: 8x8, price: 9}, {price: 3}, {model: b, price: 9}]}";
        let price = listed(&api(rows)).unwrap();
        let size = |text: &str| text.parse().ok();
        assert_eq!(price.of("a", size("64x64")), Some(1.0));
        assert_eq!((price.of("a", size("8x8")), price.of("a", None)), (Some(2.0), Some(2.0)));
        assert_eq!((price.of("b", None), price.of("c", size("8x8"))), (Some(3.0), Some(3.0)));
        assert_eq!(price.listed_on.as_deref(), Some("2026-11-30"));
    }
}
