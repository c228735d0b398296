//! Serialization of a request to the JSON body that the API reads.

use serde_json::{Map, Value, json};

use crate::model::outcome::{Fault, FaultKind};
use crate::model::request::{Json, Lora, Request};

/// Returns the body of a submission. Absent fields are omitted; unknown parameters are passed through unchanged.
pub fn text(request: &Request) -> Result<String, Fault> {
    let Request { prompt, model, negative_prompt, size, seed, steps, guidance, image_url, loras, params } = request;
    let mut map = Map::new();
    for (name, Json(text)) in params {
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Fault::new(FaultKind::InvalidRequest, format!("the parameter {name} is not JSON: {error}"))
        })?;
        map.insert(name.clone(), value);
    }
    map.insert("model".into(), json!(model));
    map.insert("prompt".into(), json!(prompt));
    let given = [
        ("negative_prompt", negative_prompt.as_ref().map(|text| json!(text))),
        ("size", size.map(|size| json!(size.to_string()))),
        ("seed", seed.map(|seed| json!(seed))),
        ("steps", steps.map(|steps| json!(steps))),
        ("guidance", guidance.map(|guidance| json!(guidance))),
        ("image_url", one_or_all(image_url)),
        ("loras", adapters(loras)),
    ];
    map.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    Ok(Value::Object(map).to_string())
}

fn one_or_all(urls: &[String]) -> Option<Value> {
    match urls {
        [] => None,
        [one] => Some(json!(one)),
        all => Some(json!(all)),
    }
}

fn adapters(loras: &[Lora]) -> Option<Value> {
    match loras {
        [] => None,
        [Lora { repo, weight: None }] => Some(json!(repo)),
        all => Some(all.iter().map(|lora| (lora.repo.clone(), json!(lora.weight.unwrap_or(1.0)))).collect()),
    }
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
