//! Reader of submissions to a described API: the leaves of its body say where a request has its prompt, size and seed.

use serde_json::{Value, json};

use crate::description::format::Description;
use crate::description::leaf::Leaf;
use crate::description::pointer::{Pointer, says};
use crate::description::words::BodyEncoding;
use crate::model::request::Size;
use crate::simulator::check::Submission;
use crate::simulator::described::{form, limits};
use crate::simulator::message::{ContentKey, HttpRequest, hash};
use crate::simulator::refusal::Refusal;

/// Pixels of a picture of which only the ratio is known.
const RATIO_AREA: u64 = 512 * 512;

/// Largest number in a ratio.
const SIDE_MAX: u32 = 4096;

/// Reads and validates a submission. `model` is that of the path, if the path has it. Unknown fields are allowed.
pub(in crate::simulator) fn submission(
    api: &Description,
    request: &HttpRequest,
    model: Option<String>,
) -> Result<Submission, Refusal> {
    let mut body = body(api, request)?;
    let fields = Fields { places: api.submit.body.leaves(), body: &body };
    let prompt = fields.prompt().ok_or_else(|| invalid("the prompt is missing"))?;
    let is_named = api.submit.leaves().iter().any(|(_, leaf)| *leaf == Leaf::Model);
    let model = model.or_else(|| fields.text(Leaf::Model)).unwrap_or_else(|| api.default_model.clone());
    if is_named && model.is_empty() {
        return Err(invalid("the model is missing"));
    }
    let (seed, size) = (fields.number(Leaf::Seed).or_else(|| fields.number(Leaf::SeedText)), fields.size());
    if let Some(words) = limits::excess(&api.limits, &model, &prompt, seed, size) {
        return Err(Refusal::Invalid(words));
    }
    let id = fields.text(Leaf::SubmissionId).or_else(|| header_id(api, request));
    let ids: Vec<_> = fields.places_of(Leaf::SubmissionId).map(str::to_owned).collect();
    // A second submission of one content is paid for twice, whatever id it has.
    for place in ids {
        if let Some(value) = body.pointer_mut(&place) {
            *value = Value::Null;
        }
    }
    let picture_seed = hash(format!("{seed:?} {model} {prompt}").as_bytes());
    let content = ContentKey::of(&json!([model, body]));
    Ok(Submission { model, content, prompt, seed, picture_seed, size, id })
}

fn invalid(words: &str) -> Refusal {
    Refusal::Invalid(words.to_owned())
}

fn body(api: &Description, request: &HttpRequest) -> Result<Value, Refusal> {
    match api.submit.encoding {
        BodyEncoding::Json => match serde_json::from_slice(&request.body) {
            Ok(body @ (Value::Object(_) | Value::Array(_))) => Ok(body),
            Ok(_) | Err(_) => Err(invalid("the request body must be a JSON object")),
        },
        BodyEncoding::Multipart => form::fields(request.header("content-type").unwrap_or_default(), &request.body)
            .ok_or_else(|| invalid("the request body must be a form (multipart/form-data)")),
    }
}

/// Returns the id of the submission in its headers.
fn header_id(api: &Description, request: &HttpRequest) -> Option<String> {
    let is_id =
        |tree: &crate::description::body::Tree| tree.leaves().iter().any(|(_, leaf)| *leaf == Leaf::SubmissionId);
    let mut names = api.submit.headers.iter().filter(|(_, text)| is_id(&text.0));
    names.find_map(|(name, _)| request.header(&name.to_ascii_lowercase())).map(str::to_owned)
}

/// Body of a submission, with the places of the variables.
struct Fields<'a> {
    places: Vec<(String, Leaf)>,
    body: &'a Value,
}

impl Fields<'_> {
    fn places_of(&self, leaf: Leaf) -> impl Iterator<Item = &str> {
        self.places.iter().filter(move |(_, other)| *other == leaf).map(|(place, _)| place.as_str())
    }

    /// Returns the value of a variable. Clients may write the items of a list in another order.
    fn get(&self, leaf: Leaf) -> Option<&Value> {
        let at = |place: &str| self.body.pointer(place).or_else(|| any_item(place).ok()?.first(self.body));
        self.places_of(leaf).filter_map(at).find(|value| says(value))
    }

    fn text(&self, leaf: Leaf) -> Option<String> {
        self.get(leaf)?.as_str().map(str::to_owned)
    }

    /// Returns a number, which forms have as a text.
    fn number(&self, leaf: Leaf) -> Option<u64> {
        let value = self.get(leaf)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// Returns the prompt. The messages of a chat may have it as a list of texts.
    fn prompt(&self) -> Option<String> {
        let value = self.get(Leaf::Prompt)?;
        let parts = || value.as_array()?.iter().map(|part| part.get("text")?.as_str()).collect::<Option<Vec<_>>>();
        value.as_str().map(str::to_owned).or_else(|| parts().map(|texts| texts.join("\n")))
    }

    /// Returns the size; `None` if there is none, or only a word such as `auto`.
    fn size(&self) -> Option<Size> {
        let joined = |leaf, sign: char| {
            let text = self.text(leaf)?;
            let (width, height) = text.split_once(sign)?;
            size_of(width.trim().parse().ok()?, height.trim().parse().ok()?)
        };
        let sides = || {
            let side = |leaf| self.number(leaf).and_then(|pixels| u32::try_from(pixels).ok());
            size_of(side(Leaf::Width)?, side(Leaf::Height)?)
        };
        let ratio = || {
            let text = self.text(Leaf::AspectRatio)?;
            let (width, height) = text.split_once(':')?;
            of_ratio(width.trim().parse().ok()?, height.trim().parse().ok()?)
        };
        joined(Leaf::SizeWithX, 'x').or_else(|| joined(Leaf::SizeWithStar, '*')).or_else(sides).or_else(ratio)
    }
}

fn size_of(width: u32, height: u32) -> Option<Size> {
    (width > 0 && height > 0).then_some(Size { width, height })
}

/// Returns the largest size of exactly this ratio with at most [`RATIO_AREA`] pixels, or the ratio itself if it has more.
fn of_ratio(width: u32, height: u32) -> Option<Size> {
    let area = u64::from(width) * u64::from(height);
    if area == 0 || width > SIDE_MAX || height > SIDE_MAX {
        return None;
    }
    let factor = u32::try_from((RATIO_AREA / area).isqrt()).ok()?.max(1);
    size_of(width * factor, height * factor)
}

/// Returns the pointer for every item of the lists on the way.
fn any_item(place: &str) -> Result<Pointer, crate::description::pointer::PointerError> {
    let is_number = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    let steps: Vec<_> = place.split('/').map(|step| if is_number(step) { "*" } else { step }).collect();
    steps.join("/").parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::leaf::aspect_ratio;

    #[test]
    fn a_picture_has_exactly_the_ratio_that_is_asked_for() {
        for (width, height) in [(16, 9), (1, 1), (9, 21), (1, 20), (1024, 1023)] {
            let size = of_ratio(width, height).unwrap();
            assert_eq!(aspect_ratio(size), aspect_ratio(Size { width, height }));
        }
        assert_eq!(of_ratio(16, 9).map(|size| size.to_string()), Some("672x378".into()));
        assert_eq!((of_ratio(0, 1), of_ratio(1, 0), of_ratio(1, u32::MAX)), (None, None, None));
    }

    fn read(description: &str, request: &HttpRequest) -> Result<Submission, Refusal> {
        submission(&serde_yaml::from_str(description).unwrap(), request, None)
    }

    const API: &str =
        "submit: {body: {model: $model, list: [{text: $prompt}], size: '$size:W*H', seed: $seed, id: $submission_id}}";

    #[test]
    fn a_request_is_read_by_the_leaves_of_its_body() {
        let body = r#"{"model":"a/b","list":[{"x":1},{"text":"a cat"}],"size":"64*32","seed":7,"id":"s1","extra":[]}"#;
        let read_one = |body: &str| read(API, &HttpRequest::post("/", body)).unwrap();
        let found = read_one(body);
        assert_eq!((found.model.as_str(), found.prompt.as_str(), found.seed), ("a/b", "a cat", Some(7)));
        assert_eq!((found.size, found.id.as_deref()), ("64x32".parse().ok(), Some("s1")));
        let other_id = read_one(&body.replace("s1", "s2"));
        assert_eq!((found.content, found.picture_seed), (other_id.content, other_id.picture_seed));
        assert_ne!(found.content, read_one(&body.replace("[]", "[1]")).content);
    }

    #[test]
    fn the_id_may_be_a_header_and_a_form_has_texts() {
        let api = "submit: {encoding: multipart, headers: {Idempotency-Key: $submission_id}, body: {prompt: $prompt, seed: $seed}}";
        let body = "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat\r\n--x\r\n\
                    Content-Disposition: form-data; name=\"seed\"\r\n\r\n7\r\n--x--\r\n";
        let request = HttpRequest::post("/", body)
            .with("content-type", "multipart/form-data; boundary=x")
            .with("idempotency-key", "s1");
        let found = read(api, &request).unwrap();
        assert_eq!((found.prompt.as_str(), found.seed, found.id.as_deref()), ("a cat", Some(7), Some("s1")));
    }

    #[test]
    fn what_is_no_submission_is_refused() {
        for (body, words) in [
            ("", "must be a JSON object"),
            ("7", "must be a JSON object"),
            ("{}", "the prompt is missing"),
            (r#"{"model":"a","list":[{"text":""}]}"#, "the prompt is missing"),
            (r#"{"model":"a","list":[{"text":7}]}"#, "the prompt is missing"),
            (r#"{"list":[{"text":"a cat"}]}"#, "the model is missing"),
        ] {
            let refusal = read(API, &HttpRequest::post("/", body)).unwrap_err();
            assert!(refusal.to_string().contains(words), "{body}: {refusal}");
        }
    }
}
