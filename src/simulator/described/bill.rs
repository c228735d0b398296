//! Costs of simulated submissions: what the answers of a described API say, and what the service bills for them.
//!
//! A cost follows from the task id alone, so that a restarted simulator says the same. It is no price of any list: a client that counts
//! listed prices is noticed.

use serde_json::{Value, json};

use crate::description::format::{Description, Prices};
use crate::description::pointer::Pointer;
use crate::model::amount::Amount;
use crate::simulator::described::put::put;

/// Lowest cost of a submission, in the currency of the prices.
const COST_MIN: f64 = 0.010;

/// Difference between two costs.
const COST_STEP: f64 = 0.001;

/// Number of different costs that simulated tasks can have.
const N_COSTS: u32 = 6;

/// Lowest number of tokens, and the difference between two numbers.
const TOKENS: u32 = 100;

/// Number of the cost of this task.
fn rank(id: &str) -> u32 {
    id.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % N_COSTS
}

fn cost(id: &str) -> f64 {
    COST_MIN + COST_STEP * f64::from(rank(id))
}

fn n_tokens(id: &str) -> u32 {
    TOKENS * (10 + rank(id))
}

/// Returns the prices of an API whose answers say costs.
fn prices(api: &Description) -> Option<&Prices> {
    api.prices.as_ref().filter(|prices| !prices.currency.is_empty())
}

/// Writes the cost of a task where this answer says it: at `pointers`, or as a number of tokens.
pub(in crate::simulator) fn write_cost(api: &Description, pointers: &[Pointer], id: &str, body: &mut Value) {
    let Some(prices) = prices(api) else { return };
    put(body, pointers, &json!(cost(id) / prices.cost_unit.unwrap_or(1.0)));
    if pointers.is_empty() {
        for row in &prices.tokens {
            put(body, &row.count, &n_tokens(id).into());
        }
    }
}

/// Returns what a submission to this model is billed, as reported in responses; `None` if they do not report it.
pub(in crate::simulator) fn billed(api: &Description, model: &str, id: &str) -> Option<Amount> {
    let prices = prices(api)?;
    if !api.accepted.cost.is_empty() || !api.answer.cost.is_empty() {
        return Some(Amount::new(cost(id)));
    }
    let rows = prices.tokens.iter().filter(|row| row.model.as_ref().is_none_or(|named| named == model));
    let costs: Vec<f64> = rows.map(|row| f64::from(n_tokens(id)) * row.per_million / 1e6).collect();
    (!costs.is_empty()).then(|| Amount::new(costs.iter().sum()))
}
