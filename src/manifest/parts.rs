//! Reads the fields that have parts: source images, adapters and the parameters that we do not know.

use std::collections::BTreeMap;

use crate::manifest::entry::Raw;
use crate::manifest::field::Field;
use crate::manifest::json;
use crate::manifest::mistake::{Wrong, wrong};
use crate::manifest::read::{is_repo_id, short_text, shown, shown_text};
use crate::manifest::value::Value;
use crate::model::request::Lora;

/// Adapters that the provider mixes in one image.
const LORAS_MAX: usize = 6;

/// How far the weights may be from 1 in sum, for those who write thirds as 0.333.
const WEIGHTS_SLACK: f64 = 0.001_5;

/// The source images of an edit model.
pub(super) fn image_url(raw: Raw) -> Result<Vec<String>, Wrong> {
    let urls = match structured(Field::ImageUrl, raw, '[')? {
        Value::List(urls) => urls,
        other => vec![other],
    };
    if urls.is_empty() {
        return Err(wrong("`image_url` is an empty list", "write one URL or more, or leave `image_url` out"));
    }
    urls.into_iter().map(one_image_url).collect()
}

fn one_image_url(value: Value) -> Result<String, Wrong> {
    const REMEDY: &str = "write a URL that begins with https://, http:// or data:";
    let Value::Text(_) = &value else {
        return Err(wrong(format!("`image_url` is {}, not a URL", shown(&value)), REMEDY));
    };
    let url = short_text(Field::ImageUrl, Raw::Typed(value))?;
    let after = |scheme: &str| {
        let head = url.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
    };
    let is_whole =
        ["https://", "http://", "data:"].iter().any(|scheme| after(scheme).is_some_and(|rest| !rest.is_empty()));
    if is_whole && !url.contains(char::is_whitespace) {
        return Ok(url);
    }
    Err(wrong(format!("`image_url` is {}, not a URL", shown_text(&url)), REMEDY))
}

/// The adapters: one repository id, or several with their weights.
pub(super) fn loras(raw: Raw) -> Result<Vec<Lora>, Wrong> {
    const REMEDY: &str = "write one repository id (org/name), or a map of repository ids to weights";
    match structured(Field::Loras, raw, '{')? {
        Value::Text(repo) => Ok(vec![Lora { repo: repo_id(repo)?, weight: None }]),
        Value::Map(weights) => weighted(weights),
        other @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_)) => {
            Err(wrong(format!("`loras` is {}", shown(&other)), REMEDY))
        }
    }
}

fn weighted(weights: BTreeMap<String, Value>) -> Result<Vec<Lora>, Wrong> {
    let n_loras = weights.len();
    if n_loras == 0 {
        return Err(wrong("`loras` is an empty map", "write one adapter or more, or leave `loras` out"));
    }
    if n_loras > LORAS_MAX {
        return Err(wrong(format!("`loras` names {n_loras} adapters"), format!("keep at most {LORAS_MAX}")));
    }
    let mut loras = Vec::with_capacity(n_loras);
    for (repo, weight) in weights {
        let weight = match weight {
            Value::Float(weight) => weight,
            Value::Int(weight @ 0..=1) => f64::from(u8::from(weight == 1)),
            other => {
                let what = format!("the weight of {} in `loras` is {}", shown_text(&repo), shown(&other));
                return Err(wrong(what, "write a number; all weights together are 1.0"));
            }
        };
        loras.push(Lora { repo: repo_id(repo)?, weight: Some(weight) });
    }
    let sum: f64 = loras.iter().filter_map(|lora| lora.weight).sum();
    // Written so that a sum that is not a number is refused too.
    if (sum - 1.0).abs() <= WEIGHTS_SLACK {
        return Ok(loras);
    }
    let sum = (sum * 10_000.0).round() / 10_000.0;
    Err(wrong(format!("the weights in `loras` sum to {sum}"), "change them so that they sum to 1.0"))
}

fn repo_id(text: String) -> Result<String, Wrong> {
    let repo = short_text(Field::Loras, Raw::Cell(text))?;
    if is_repo_id(&repo) {
        return Ok(repo);
    }
    Err(wrong(format!("`loras` names {}, which is no repository id", shown_text(&repo)), "write it as org/name"))
}

/// Fields that the provider may know and we do not.
pub(super) fn params(raw: Raw) -> Result<BTreeMap<String, Value>, Wrong> {
    let params = match structured(Field::Params, raw, '{')? {
        Value::Map(params) => params,
        other => {
            let what = format!("`params` is {}, not a map", shown(&other));
            return Err(wrong(what, "write names and values, for example {\"scheduler\": \"euler\"}"));
        }
    };
    for (name, value) in &params {
        if let Some(field) = Field::named(name).filter(|field| field.is_sent()) {
            let what = format!("`params` holds `{name}`, which is a field of its own", name = field.name());
            return Err(wrong(what, format!("take `{name}` out of `params` and write it beside `prompt`")));
        }
        if !is_sendable(value) {
            let what = format!("{} in `params` holds a number that is not finite", shown_text(name));
            return Err(wrong(what, "write a finite number; JSON knows no other"));
        }
    }
    Ok(params)
}

fn is_sendable(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::List(values) => values.iter().all(is_sendable),
        Value::Map(values) => values.values().all(is_sendable),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) => true,
    }
}

/// The value itself, where a cell that begins with `open` holds it as JSON.
fn structured(field: Field, raw: Raw, open: char) -> Result<Value, Wrong> {
    match raw {
        Raw::Typed(value) => Ok(value),
        Raw::Cell(text) if text.trim_start().starts_with(open) => json::read(&text).map_err(|problem| {
            wrong(format!("`{}` is not good JSON: {problem}", field.name()), "check its quotes, commas and brackets")
        }),
        Raw::Cell(text) => Ok(Value::Text(text)),
    }
}
