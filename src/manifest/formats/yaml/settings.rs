//! Run settings of a YAML manifest: the price of an image and the order of the work.

use std::collections::BTreeMap;

use crate::manifest::diagnostics::Location;
use crate::manifest::fields::value::{Value, shown, shown_text};
use crate::manifest::formats::yaml::context::Context;
use crate::manifest::formats::yaml::spanned::{YamlKind, YamlNode};
use crate::manifest::settings::{PRICE, SHUFFLE};
use crate::model::price::Price;

const PRICE_REMEDY: &str = "write `price: {unit: magicube, per_image: 2}`, or numbers by model below `per_image:`";

/// Reads the seed of the work order, a whole number from 0.
pub(crate) fn shuffle(context: &mut Context, node: YamlNode, place: Location) -> Option<u64> {
    let value = node.into_value();
    let seed = match &value {
        Value::Int(seed) => u64::try_from(*seed).ok(),
        Value::BigInt(digits) => digits.parse().ok(),
        _ => None,
    };
    if seed.is_some() {
        return seed;
    }
    let what = format!("`{SHUFFLE}` is {}, not a whole number", shown(&value));
    context.mistake(place, what, "write any number from 0 up: the same number gives the same order");
    None
}

/// Reads the price of an image: one number for all models, or one number per model.
pub(crate) fn price(context: &mut Context, node: YamlNode, place: Location) -> Option<Price> {
    let YamlKind::Map(pairs) = node.kind else {
        context.mistake(place, format!("`{PRICE}` is {}, not a map", node.kind.shown()), PRICE_REMEDY);
        return None;
    };
    let mut price = Price {
        unit: String::new(),
        per_image: None,
        by_model: BTreeMap::new(),
        by_size: BTreeMap::new(),
        listed_on: None,
    };
    let n_mistakes = context.findings.mistakes.n();
    for pair in pairs {
        let place = context.place_of_name(&pair.name, pair.mark, place);
        match (pair.name.as_str(), pair.node.into_value()) {
            ("unit", Value::Text(unit)) if !unit.trim().is_empty() => unit.trim().clone_into(&mut price.unit),
            ("per_image", Value::Map(by_model)) => {
                for (model, value) in by_model {
                    if let Some(number) = number(&value) {
                        price.by_model.insert(model, number);
                    } else {
                        let what = format!("the price of {} is {}", shown_text(&model), shown(&value));
                        context.mistake(place, what, "write a number from 0 up");
                    }
                }
            }
            ("per_image", value) if number(&value).is_some() => price.per_image = number(&value),
            ("unit" | "per_image", value) => {
                let what = format!("`{}` of `{PRICE}` is {}", pair.name, shown(&value));
                context.mistake(place, what, PRICE_REMEDY);
            }
            (name, _) => {
                context.mistake(place, format!("`{PRICE}` holds the unknown field {}", shown_text(name)), PRICE_REMEDY);
            }
        }
    }
    if price.per_image.is_none() && price.by_model.is_empty() && context.findings.mistakes.n() == n_mistakes {
        context.mistake(place, format!("`{PRICE}` has no `per_image`"), PRICE_REMEDY);
    }
    Some(price)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "no price is so high that the lost precision matters")]
        Value::Int(number @ 0..) => Some(*number as f64),
        Value::Float(number) if number.is_finite() && *number >= 0.0 => Some(*number),
        _ => None,
    }
}
