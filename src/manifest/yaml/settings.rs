//! Run settings of a YAML manifest: the price of an image and the order of the work.

use std::collections::BTreeMap;

use crate::manifest::diagnostic::Location;
use crate::manifest::read::{shown, shown_text};
use crate::manifest::spanned::{YamlKind, YamlNode};
use crate::manifest::value::Value;
use crate::manifest::yaml::Reader;
use crate::model::price::Price;

/// Name of the field with the price.
pub(super) const PRICE: &str = "price";

/// Name of the field with the seed of the work order.
pub(super) const SHUFFLE: &str = "shuffle";

const PRICE_REMEDY: &str = "write `price: {unit: magicube, per_image: 2}`, or numbers by model below `per_image:`";

/// Settings of the whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::manifest) struct Settings {
    pub(in crate::manifest) price: Option<Price>,
    /// Seed for shuffling the work. `None` keeps manifest order.
    pub(in crate::manifest) shuffle: Option<u64>,
}

impl Reader<'_> {
    /// Reads the seed of the work order, a whole number from 0.
    pub(super) fn shuffle(&mut self, node: YamlNode, place: Location) -> Option<u64> {
        let value = node.into_value();
        if let Value::Int(seed) = value
            && let Ok(seed) = u64::try_from(seed)
        {
            return Some(seed);
        }
        let what = format!("`{SHUFFLE}` is {}, not a whole number", shown(&value));
        self.mistake(place, what, "write any number from 0 up: the same number gives the same order");
        None
    }

    /// Reads the price of an image: one number for all models, or one number per model.
    pub(super) fn price(&mut self, node: YamlNode, place: Location) -> Option<Price> {
        let YamlKind::Map(pairs) = node.kind else {
            self.mistake(place, format!("`{PRICE}` is {}, not a map", node.kind.shown()), PRICE_REMEDY);
            return None;
        };
        let mut price = Price { unit: String::new(), per_image: None, by_model: BTreeMap::new() };
        let n_mistakes = self.findings.mistakes.n();
        for pair in pairs {
            let place = self.place_of_name(&pair.name, pair.mark, place);
            match (pair.name.as_str(), pair.node.into_value()) {
                ("unit", Value::Text(unit)) if !unit.trim().is_empty() => unit.trim().clone_into(&mut price.unit),
                ("per_image", Value::Map(by_model)) => {
                    for (model, value) in by_model {
                        if let Some(number) = number(&value) {
                            price.by_model.insert(model, number);
                        } else {
                            let what = format!("the price of {} is {}", shown_text(&model), shown(&value));
                            self.mistake(place, what, "write a number from 0 up");
                        }
                    }
                }
                ("per_image", value) if number(&value).is_some() => price.per_image = number(&value),
                ("unit" | "per_image", value) => {
                    let what = format!("`{}` of `{PRICE}` is {}", pair.name, shown(&value));
                    self.mistake(place, what, PRICE_REMEDY);
                }
                (name, _) => {
                    self.mistake(
                        place,
                        format!("`{PRICE}` holds the unknown field {}", shown_text(name)),
                        PRICE_REMEDY,
                    );
                }
            }
        }
        if price.per_image.is_none() && price.by_model.is_empty() && self.findings.mistakes.n() == n_mistakes {
            self.mistake(place, format!("`{PRICE}` has no `per_image`"), PRICE_REMEDY);
        }
        Some(price)
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "no price is so high that the lost precision matters")]
        Value::Int(number @ 0..) => Some(*number as f64),
        Value::Float(number) if number.is_finite() && *number >= 0.0 => Some(*number),
        _ => None,
    }
}
