//! Differences between two requests, field by field, under the names that a manifest uses.

use std::collections::BTreeSet;

use crate::model::request::{Json, Lora, Request, RequestValue};

/// Field that differs between two requests. `None` means that the field was not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldDiff {
    /// Name of the field in a manifest, such as `size` or `params.style`.
    pub field: String,
    /// Earlier value.
    pub was: Option<String>,
    /// Present value.
    pub is: Option<String>,
}

/// Returns the fields in which two requests differ, in the manifest's order, and then the parameters.
pub(crate) fn changes(was: &Request, is: &Request) -> Vec<FieldDiff> {
    let names: BTreeSet<_> = was.params.keys().chain(is.params.keys()).collect();
    let params = names.into_iter().map(|name| {
        let text = |request: &Request| request.params.get(name).map(|Json(text)| text.clone());
        (format!("params.{name}"), text(was), text(is))
    });
    let fields = was.fields().into_iter().zip(is.fields());
    let fields = fields.map(|((name, was), (_, is))| (name.to_owned(), was.and_then(text), is.and_then(text)));
    let all = fields.chain(params).map(|(field, was, is)| FieldDiff { field, was, is });
    all.filter(|change| change.was != change.is).collect()
}

/// Formats a value. `None` for the parameters, which are compared one by one.
fn text(value: RequestValue<'_>) -> Option<String> {
    let lora = |lora: &Lora| lora.weight.map_or(lora.repo.clone(), |weight| format!("{}: {weight}", lora.repo));
    Some(match value {
        RequestValue::Text(text) => text.into_owned(),
        RequestValue::Whole(number) => number.to_string(),
        RequestValue::Real(number) => number.to_string(),
        RequestValue::Urls(urls) => urls.join(", "),
        RequestValue::Loras(loras) => loras.iter().map(lora).collect::<Vec<_>>().join(", "),
        RequestValue::Params(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(field: &str, was: Option<&str>, is: Option<&str>) -> FieldDiff {
        FieldDiff { field: field.into(), was: was.map(str::to_owned), is: is.map(str::to_owned) }
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        let request = Request { prompt: "a cat".into(), seed: Some(1), ..Request::default() };
        assert_eq!(changes(&request, &request), []);
    }

    #[test]
    fn every_field_is_told_by_its_name() {
        let was = Request {
            prompt: "a cat".into(),
            model: "a/b".into(),
            seed: Some(1),
            steps: Some(30),
            params: [("style".to_owned(), Json("\"ink\"".into())), ("same".to_owned(), Json("1".into()))].into(),
            ..Request::default()
        };
        let is = Request {
            prompt: "a dog".into(),
            model: "a/c".into(),
            negative_prompt: Some(String::new()),
            size: "64x32".parse().ok(),
            seed: Some(2),
            guidance: Some(3.5),
            image_url: vec!["https://a".into(), "https://b".into()],
            loras: vec![Lora { repo: "x/y".into(), weight: Some(0.25) }, Lora { repo: "x/z".into(), weight: None }],
            params: [("draft".to_owned(), Json("true".into())), ("same".to_owned(), Json("1".into()))].into(),
            ..Request::default()
        };
        let expected = [
            change("prompt", Some("a cat"), Some("a dog")),
            change("negative_prompt", None, Some("")),
            change("model", Some("a/b"), Some("a/c")),
            change("size", None, Some("64x32")),
            change("seed", Some("1"), Some("2")),
            change("steps", Some("30"), None),
            change("guidance", None, Some("3.5")),
            change("image_url", None, Some("https://a, https://b")),
            change("loras", None, Some("x/y: 0.25, x/z")),
            change("params.draft", None, Some("true")),
            change("params.style", Some("\"ink\""), None),
        ];
        assert_eq!(changes(&was, &is), expected);
    }
}
