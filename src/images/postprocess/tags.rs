//! Metadata of an image, in the forms that other programs look for.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::images::validate::verdict::Checked;
use crate::model::provenance::Provenance;
use crate::model::request::{Json, Lora, Request, RequestValue};

/// Texts that are written into an image.
#[derive(Debug)]
pub(super) struct EmbeddedMetadata {
    /// Prompt without null characters.
    pub(super) prompt: String,
    /// Prompt and parameters in the format of Stable Diffusion's web interface, which most viewers and sites read.
    pub(super) parameters: String,
    /// All known fields, as JSON.
    pub(super) record: String,
}

impl EmbeddedMetadata {
    /// Builds the texts from the origin of an image.
    pub(super) fn of(origin: &Provenance) -> Self {
        let request = &origin.job.request;
        let prompt = request.prompt.replace('\0', "");
        Self { prompt, parameters: parameters(request).replace('\0', ""), record: record(origin, None) }
    }
}

/// Formats `a cat`, then `Negative prompt: blurry`, then
/// `Steps: 30, CFG scale: 3.5, Seed: 42, Size: 1024x768, Model: Qwen/Qwen-Image`.
fn parameters(request: &Request) -> String {
    let mut text = request.prompt.clone();
    if let Some(negative) = &request.negative_prompt {
        let _ = write!(text, "\nNegative prompt: {negative}");
    }
    let given = [
        ("Steps", request.steps.map(|steps| steps.to_string())),
        ("CFG scale", request.guidance.map(|guidance| guidance.to_string())),
        ("Seed", request.seed.map(|seed| seed.to_string())),
        ("Size", request.size.map(|size| size.to_string())),
        ("Model", Some(request.model.clone())),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some(format!("{name}: {}", value?)));
    text + "\n" + &given.collect::<Vec<_>>().join(", ")
}

/// Returns the request, the origin and, if known, the size of an image as one JSON object. Fields without a value are left out.
pub(super) fn record(origin: &Provenance, checked: Option<&Checked>) -> String {
    let job = &origin.job;
    let columns = job.extras.iter().map(|(name, text)| (name.clone(), json!(text)));
    let columns = (!job.extras.is_empty()).then(|| Value::Object(columns.collect()));
    let further = [
        ("id", Some(job.label.as_ref().map_or_else(|| json!(job.id.to_string()), |label| json!(label)))),
        ("task_id", origin.task.as_ref().map(|task| json!(task.0))),
        ("width", checked.map(|checked| json!(checked.width))),
        ("height", checked.map(|checked| json!(checked.height))),
        ("columns", columns),
    ];
    let further = further.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let fields = job.request.given().map(|(name, given)| (name, value(given)));
    serde_json::to_string_pretty(&fields.chain(further).collect::<Value>()).expect("a map of values is JSON")
}

fn value(given: RequestValue<'_>) -> Value {
    match given {
        RequestValue::Text(text) => json!(text),
        RequestValue::Whole(number) => json!(number),
        RequestValue::Real(number) => json!(number),
        RequestValue::Urls(urls) => json!(urls),
        RequestValue::Loras(loras) => loras.iter().map(lora).collect(),
        RequestValue::Params(params) => Value::Object(params.iter().map(param).collect()),
    }
}

fn lora(lora: &Lora) -> Value {
    json!({ "repo": lora.repo, "weight": lora.weight })
}

fn param((name, json): (&String, &Json)) -> (String, Value) {
    // The text was valid JSON when the manifest was imported.
    (name.clone(), serde_json::from_str(&json.0).unwrap_or_else(|_| json!(json.0)))
}
