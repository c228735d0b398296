//! Serialization of a request to the JSON body that the API reads.

use serde_json::{Map, Value, json};

use crate::model::outcome::{Fault, FaultKind};
use crate::model::request::{Json, Lora, Request, RequestValue};

/// Returns the body of a submission. Absent fields are omitted; unknown parameters are passed through unchanged.
pub fn text(request: &Request) -> Result<String, Fault> {
    let mut map = Map::new();
    for (name, Json(text)) in &request.params {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Fault::new(FaultKind::InvalidRequest, format!("the parameter {name} is not JSON: {error}"))
        })?;
        map.insert(name.clone(), value);
    }
    // Follows the parameters: none of them replaces a field.
    map.extend(request.told().filter_map(|(name, given)| Some((name.to_owned(), value(given)?))));
    Ok(Value::Object(map).to_string())
}

/// Returns a value as the API reads it. `None` for the parameters, each of which is a field of its own.
fn value(given: RequestValue<'_>) -> Option<Value> {
    Some(match given {
        RequestValue::Text(text) => json!(text),
        RequestValue::Whole(number) => json!(number),
        RequestValue::Real(number) => json!(number),
        RequestValue::Urls([one]) => json!(one),
        RequestValue::Urls(all) => json!(all),
        RequestValue::Loras([Lora { repo, weight: None }]) => json!(repo),
        RequestValue::Loras(all) => {
            all.iter().map(|lora| (lora.repo.clone(), json!(lora.weight.unwrap_or(1.0)))).collect()
        }
        RequestValue::Params(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(request: &Request) -> Value {
        serde_json::from_str(&text(request).unwrap()).unwrap()
    }

    #[test]
    fn only_what_was_given_is_sent() {
        let request = Request { prompt: "一只猫".into(), model: "a/b".into(), ..Request::default() };
        assert_eq!(sent(&request), json!({"prompt": "一只猫", "model": "a/b"}));
    }

    #[test]
    fn every_field_has_its_name() {
        let request = Request {
            provider: Some("fal".into()),
            prompt: "p".into(),
            model: "a/b".into(),
            negative_prompt: Some("n".into()),
            size: "64x32".parse().ok(),
            seed: Some(1),
            steps: Some(30),
            guidance: Some(3.5),
            image_url: vec!["u".into()],
            loras: vec![Lora { repo: "x/y".into(), weight: None }],
            params: [("style".to_owned(), Json("{\"a\":1}".into()))].into(),
        };
        let expected = json!({
            "prompt": "p", "model": "a/b", "negative_prompt": "n", "size": "64x32", "seed": 1, "steps": 30,
            "guidance": 3.5, "image_url": "u", "loras": "x/y", "style": {"a": 1},
        });
        assert_eq!(sent(&request), expected);
    }

    #[test]
    fn several_sources_and_adapters_are_a_list_and_a_map() {
        let lora = |repo: &str, weight| Lora { repo: repo.into(), weight: Some(weight) };
        let request = Request {
            image_url: vec!["u".into(), "v".into()],
            loras: vec![lora("x", 0.25), lora("y", 0.75)],
            ..Request::default()
        };
        let body = sent(&request);
        assert_eq!((&body["image_url"], &body["loras"]), (&json!(["u", "v"]), &json!({"x": 0.25, "y": 0.75})));
    }

    #[test]
    fn a_free_parameter_cannot_replace_the_prompt() {
        let request = Request {
            prompt: "p".into(),
            params: [("prompt".to_owned(), Json("\"other\"".into()))].into(),
            ..Request::default()
        };
        assert_eq!(sent(&request)["prompt"], "p");
    }
}
