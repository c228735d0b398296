//! Validation of submissions by the simulated service.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::model::picture::{self, is_local};
use crate::model::request::Size;
use crate::simulator::message::{ContentKey, hash};
use crate::simulator::refusal::Refusal;

/// Exclusive upper limit of the length of a prompt, in characters.
const PROMPT_CHARS_END: usize = 2000;
const SEED_MAX: u64 = (1 << 31) - 1;
const STEPS: RangeInclusive<u64> = 1..=100;
const GUIDANCE: RangeInclusive<f64> = 1.5..=20.0;
const LORAS_MAX: usize = 6;

/// Range of a side in pixels, by a word in the model's name. The first matching word counts.
const SIDES: [(&str, RangeInclusive<u32>); 4] =
    [("flux", 64..=1024), ("qwen-image", 64..=1664), ("z-image", 512..=2048), ("", 64..=2048)];

/// Submission that passed validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submission {
    pub(super) model: String,
    pub(super) content: ContentKey,
    pub(super) prompt: String,
    pub(super) seed: Option<u64>,
    /// Seed of the picture, derived from the model, the prompt and the seed parameter.
    pub(super) picture_seed: u64,
    pub(super) size: Option<Size>,
    /// Id that the client gave to the submission; `None` if the API has no such ids.
    pub(super) id: Option<String>,
}

/// Parses and validates the body of a submission. Unknown fields are allowed, as in the real service.
pub(super) fn submission(body: &[u8]) -> Result<Submission, Refusal> {
    let Ok(Value::Object(map)) = serde_json::from_slice(body) else {
        return Err(invalid("the request body must be a JSON object"));
    };
    let fields = Fields(&map);
    let model = fields.text("model")?.filter(|model| !model.is_empty()).ok_or_else(|| invalid("model is required"))?;
    if !matches!(model.split_once('/'), Some((org, name)) if !org.is_empty() && !name.is_empty()) {
        return Err(Refusal::NoModel(model.to_owned()));
    }
    let prompt =
        fields.text("prompt")?.filter(|prompt| !prompt.is_empty()).ok_or_else(|| invalid("prompt is required"))?;
    fields.text("negative_prompt")?;
    let size = fields.size(model)?;
    let seed = fields.whole("seed", 0..=SEED_MAX)?;
    fields.whole("steps", STEPS)?;
    fields.guidance()?;
    fields.image_url()?;
    fields.loras()?;

    let picture_seed = hash(format!("{seed:?} {model} {prompt}").as_bytes());
    let (model, prompt) = (model.to_owned(), prompt.to_owned());
    let content = ContentKey::of(&Value::Object(map));
    Ok(Submission { model, prompt, seed, picture_seed, size, content, id: None })
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::Invalid(message.into())
}

/// Fields of a submission; a `null` field counts as absent.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| invalid(format!("{name} must be a string")))?;
        if text.chars().count() >= PROMPT_CHARS_END {
            return Err(invalid(format!("the length of {name} must be less than {PROMPT_CHARS_END}")));
        }
        Ok(Some(text))
    }

    fn whole(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let (low, high) = (range.start(), range.end());
        let number = value.as_u64().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| invalid(format!("{name} must be an integer in the range [{low}, {high}]")))
    }

    fn size(&self, model: &str) -> Result<Option<Size>, Refusal> {
        let Some(text) = self.text("size")? else { return Ok(None) };
        let size: Size = text.parse().map_err(|_| invalid("size must be written WxH, for example 1024x1024"))?;
        let model = model.to_lowercase();
        let sides = SIDES.into_iter().find(|(word, _)| model.contains(word)).map(|(_, sides)| sides);
        let sides = sides.expect("the last word is in every name");
        if !(sides.contains(&size.width) && sides.contains(&size.height)) {
            let (low, high) = (sides.start(), sides.end());
            return Err(invalid(format!("size must be in the range [{low}x{low}, {high}x{high}]")));
        }
        Ok(Some(size))
    }

    fn guidance(&self) -> Result<(), Refusal> {
        let Some(value) = self.get("guidance") else { return Ok(()) };
        let is_fit = value.as_f64().is_some_and(|number| GUIDANCE.contains(&number));
        let (low, high) = (GUIDANCE.start(), GUIDANCE.end());
        is_fit.then_some(()).ok_or_else(|| invalid(format!("guidance must be a number in the range [{low}, {high}]")))
    }

    fn image_url(&self) -> Result<(), Refusal> {
        let is_link = |value: &Value| value.as_str().is_some_and(|text| !is_local(text) && is_sound(text));
        let is_fit = match self.get("image_url") {
            None => true,
            Some(Value::Array(links)) => !links.is_empty() && links.iter().all(is_link),
            Some(link) => is_link(link),
        };
        is_fit.then_some(()).ok_or_else(|| invalid("image_url must be a URL or an array of URLs"))
    }

    fn loras(&self) -> Result<(), Refusal> {
        let weights = match self.get("loras") {
            None | Some(Value::String(_)) => return Ok(()),
            Some(Value::Object(loras)) => loras.values().map(Value::as_f64).collect::<Option<Vec<_>>>(),
            Some(_) => None,
        };
        let weights = weights.ok_or_else(|| invalid("loras must be a repo id or an object of repo ids and weights"))?;
        if weights.is_empty() || weights.len() > LORAS_MAX {
            return Err(invalid(format!("loras must have 1 to {LORAS_MAX} entries")));
        }
        let is_whole = (weights.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        is_whole.then_some(()).ok_or_else(|| invalid("the weights of loras must sum to 1.0"))
    }
}

/// Returns whether a data URI holds a picture of the type that it names. Any other address is not looked at.
fn is_sound(source: &str) -> bool {
    let Some((media_type, data)) = source.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
        return true;
    };
    STANDARD.decode(data).is_ok_and(|bytes| picture::media_type(&bytes) == Some(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(changes: &Value) -> Result<Submission, Refusal> {
        let mut body = json!({ "model": "Qwen/Qwen-Image", "prompt": "a golden cat" });
        let changes = changes.as_object().unwrap();
        body.as_object_mut().unwrap().extend(changes.clone());
        submission(body.to_string().as_bytes())
    }

    fn refused(changes: &Value) -> String {
        match with(changes) {
            Err(refusal) => refusal.to_string(),
            Ok(_) => panic!("{changes} was taken"),
        }
    }

    #[test]
    fn what_the_documentation_allows_is_taken() {
        for changes in [
            json!({}),
            json!({ "prompt": "猫".repeat(1999), "negative_prompt": "" }),
            json!({ "size": "64x1664" }),
            json!({ "size": "2048x512", "model": "Tongyi-MAI/Z-Image-Turbo" }),
            json!({ "size": "2048x64", "model": "MusePublic/stable-diffusion-xl" }),
            json!({ "seed": 0 }),
            json!({ "seed": 2_147_483_647 }),
            json!({ "steps": 1, "guidance": 1.5 }),
            json!({ "steps": 100, "guidance": 20 }),
            json!({ "image_url": "https://example.com/a.png" }),
            json!({ "image_url": ["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="] }),
            json!({ "loras": "org/lora" }),
            json!({ "loras": { "org/a": 0.3, "org/b": 0.7 } }),
            json!({ "seed": null, "size": null, "loras": null }),
            json!({ "n": 4, "what_is_this": { "anything": [] } }),
        ] {
            assert!(with(&changes).is_ok(), "{changes}: {:?}", with(&changes));
        }
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        for (changes, word) in [
            (json!({ "model": null }), "model is required"),
            (json!({ "model": "" }), "model is required"),
            (json!({ "model": "nobody" }), "Model id : nobody , has no provider supported"),
            (json!({ "model": 5 }), "model must be a string"),
            (json!({ "prompt": null }), "prompt is required"),
            (json!({ "prompt": "" }), "prompt is required"),
            (json!({ "prompt": ["a"] }), "prompt must be a string"),
            (json!({ "prompt": "x".repeat(2000) }), "the length of prompt must be less than 2000"),
            (json!({ "negative_prompt": "x".repeat(2000) }), "the length of negative_prompt must be less than 2000"),
            (json!({ "size": "big" }), "size must be written"),
            (json!({ "size": 512 }), "size must be a string"),
            (json!({ "size": "63x64" }), "[64x64, 1664x1664]"),
            (json!({ "size": "64x1665" }), "[64x64, 1664x1664]"),
            (json!({ "size": "1025x64", "model": "black-forest-labs/FLUX.1-dev" }), "[64x64, 1024x1024]"),
            (json!({ "size": "511x512", "model": "Tongyi-MAI/Z-Image-Turbo" }), "[512x512, 2048x2048]"),
            (json!({ "size": "64x2049", "model": "MusePublic/sdxl" }), "[64x64, 2048x2048]"),
            (json!({ "seed": -1 }), "seed must be an integer in the range [0, 2147483647]"),
            (json!({ "seed": 2_147_483_648_u64 }), "seed must be"),
            (json!({ "seed": "7" }), "seed must be"),
            (json!({ "steps": 0 }), "steps must be an integer in the range [1, 100]"),
            (json!({ "steps": 101 }), "steps must be"),
            (json!({ "steps": 1.5 }), "steps must be"),
            (json!({ "guidance": 1.4 }), "guidance must be a number in the range [1.5, 20]"),
            (json!({ "guidance": 20.1 }), "guidance must be"),
            (json!({ "guidance": "7" }), "guidance must be"),
            (json!({ "image_url": [] }), "image_url"),
            (json!({ "image_url": [7] }), "image_url"),
            (json!({ "image_url": "" }), "image_url"),
            (json!({ "loras": {} }), "loras must have 1 to 6 entries"),
            (json!({ "loras": ["org/a"] }), "loras must be"),
            (json!({ "loras": { "org/a": "1" } }), "loras must be"),
            (json!({ "loras": { "org/a": 0.5, "org/b": 0.6 } }), "sum to 1.0"),
            (json!({ "loras": { "a": 0, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0, "g": 1 } }), "1 to 6"),
        ] {
            assert!(refused(&changes).contains(word), "{changes}: {}", refused(&changes));
        }
    }

    #[test]
    fn what_is_not_a_json_object_is_refused() {
        for body in [&b""[..], b"[]", b"\"prompt\"", b"{\"prompt\":", b"\xff\xfe", b"prompt=a+cat"] {
            assert_eq!(submission(body), Err(invalid("the request body must be a JSON object")));
        }
    }

    #[test]
    fn content_is_every_field_in_any_order() {
        let content = |body: &str| submission(body.as_bytes()).unwrap().content;
        let one = content(r#"{"model":"a/b","prompt":"cat","seed":1}"#);
        assert_eq!(one, content(r#"{ "seed": 1, "prompt": "c\u0061t", "model": "a/b" }"#));
        assert_ne!(one, content(r#"{"model":"a/b","prompt":"cat","seed":2}"#));
        assert_ne!(one, content(r#"{"model":"a/b","prompt":"cat","seed":1,"unknown":0}"#));
    }

    #[test]
    fn pictures_come_from_the_model_the_prompt_and_the_seed() {
        let picture = |changes: Value| with(&changes).unwrap().picture_seed;
        assert_eq!(picture(json!({})), picture(json!({ "steps": 5 })));
        assert_ne!(picture(json!({})), picture(json!({ "model": "a/b" })));
        assert_ne!(picture(json!({})), picture(json!({ "prompt": "a dog" })));
        assert_ne!(picture(json!({ "seed": 1 })), picture(json!({ "seed": 2 })));
        assert_ne!(picture(json!({ "seed": 0 })), picture(json!({})));
    }
}
