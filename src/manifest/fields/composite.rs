//! Parser of the composite fields: source images, adapters and provider-specific parameters.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::json;
use crate::manifest::fields::parse::{is_repo_id, short_text};
use crate::manifest::fields::value::{UnparsedValue, Value, shown, shown_text};
use crate::model::escape::{escape, excerpt};
use crate::model::request::Lora;

/// Limit of the provider on the adapters of one image.
const LORAS_MAX: usize = 6;

/// Tolerance for the sum of the weights, which should be 1. Thirds may be written as 0.333.
const WEIGHTS_SLACK: f64 = 0.001_5;

/// Digits of a wrong number that a message shows.
const DIGITS_SHOWN_MAX: usize = 40;

/// Parses the source images of an edit model.
pub(crate) fn image_url(raw: UnparsedValue) -> Result<Vec<String>, Issue> {
    let urls = match structured(Field::ImageUrl, raw, '[')? {
        Value::List(urls) => urls,
        other => vec![other],
    };
    if urls.is_empty() {
        return Err(wrong("`image_url` is an empty list", "write one or more URLs, or leave `image_url` out"));
    }
    urls.into_iter().map(one_image_url).collect()
}

/// Extensions of pictures, without which a text is no path but a mistake.
const PICTURE_ENDINGS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff"];

fn one_image_url(value: Value) -> Result<String, Issue> {
    const REMEDY: &str =
        "write a URL that begins with https://, http:// or data:, or the path of a picture beside the manifest";
    let Value::Text(_) = &value else {
        return Err(wrong(format!("`image_url` is {}, not a URL", shown(&value)), REMEDY));
    };
    if let Value::Text(text) = &value
        && let Some(urls) = several_urls(text)
    {
        let what = format!("`image_url` has {} addresses in one text", urls.len());
        return Err(wrong(what, "several addresses are a list, such as [\"a.png\", \"b.png\"]"));
    }
    let url = short_text(Field::ImageUrl, UnparsedValue::Typed(value))?;
    let after = |scheme: &str| {
        let head = url.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
    };
    let is_whole =
        ["https://", "http://", "data:"].iter().any(|scheme| after(scheme).is_some_and(|rest| !rest.is_empty()));
    if is_whole && !url.contains(char::is_whitespace) {
        return Ok(url);
    }
    let is_drive = url.as_bytes().get(..2).is_some_and(|head| head[0].is_ascii_alphabetic() && head[1] == b':');
    let local = || {
        let ending = Path::new(&url).extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let is_picture = ending.is_some_and(|ending| PICTURE_ENDINGS.contains(&&*ending));
        after("file:").is_some_and(|rest| !rest.is_empty()) || is_picture && !url.contains("://")
    };
    match local() {
        true if is_drive || url.contains('\\') => {
            let what = format!("`image_url` is {}, a path of Windows", shown_text(&url));
            Err(wrong(what, "write it with / and relative to the manifest, for example ref/kettle.png"))
        }
        true if url.starts_with('~') => {
            let what = format!("`image_url` is {}, and ~ means no folder in a manifest", shown_text(&url));
            Err(wrong(what, "write the whole path"))
        }
        true => Ok(url),
        false => Err(wrong(format!("`image_url` is {}, not a URL", shown_text(&url)), REMEDY)),
    }
}

/// Splits a text that holds several addresses, with a separator between them. Paths of pictures are told apart only by line ends, because
/// their names may have the other separators. `None` for one address.
fn several_urls(text: &str) -> Option<Vec<&str>> {
    let is_url = |part: &str| ["https://", "http://"].iter().any(|scheme| part.starts_with(scheme));
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() > 1 {
        return Some(lines);
    }
    let split = |separator: char| text.trim().split(separator).map(str::trim).collect::<Vec<_>>();
    let lists = [';', ',', '|', ' '].into_iter().map(split);
    lists.into_iter().find(|parts| parts.len() > 1 && parts.iter().all(|part| is_url(part)))
}

/// Parses the adapters: one repository id, or several with their weights.
pub(crate) fn loras(raw: UnparsedValue) -> Result<Vec<Lora>, Issue> {
    const REMEDY: &str = "write one repository id (org/name), or a map of repository ids to weights";
    match structured(Field::Loras, raw, '{')? {
        Value::Text(repo) => Ok(vec![Lora { repo: repo_id(repo)?, weight: None }]),
        Value::Map(weights) => weighted(weights),
        other
        @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::List(_)) => {
            Err(wrong(format!("`loras` is {}", shown(&other)), REMEDY))
        }
    }
}

fn weighted(weights: BTreeMap<String, Value>) -> Result<Vec<Lora>, Issue> {
    let n_loras = weights.len();
    if n_loras == 0 {
        return Err(wrong("`loras` is an empty map", "write one or more adapters, or leave `loras` out"));
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
    // Comparison in this form also rejects a sum of NaN.
    if (sum - 1.0).abs() <= WEIGHTS_SLACK {
        return Ok(loras);
    }
    let sum = (sum * 10_000.0).round() / 10_000.0;
    Err(wrong(format!("the weights in `loras` sum to {sum}"), "change them so that they sum to 1.0"))
}

fn repo_id(text: String) -> Result<String, Issue> {
    let repo = short_text(Field::Loras, UnparsedValue::Cell(text))?;
    if let Some((id, weight)) = repo.split_once([':', '@']).filter(|(id, _)| is_repo_id(id)) {
        let what = format!("`loras` names {}, which is not a repository id", shown_text(&repo));
        let remedy = match weight.parse::<f64>() {
            Ok(_) => format!("write weights as a map, such as {{\"{}\": 1.0}}; together they are 1.0", escape(id)),
            Err(_) => "write it as org/name".to_owned(),
        };
        return Err(wrong(what, remedy));
    }
    if is_repo_id(&repo) {
        return Ok(repo);
    }
    Err(wrong(format!("`loras` names {}, which is not a repository id", shown_text(&repo)), "write it as org/name"))
}

/// Parses parameters that the provider may know and this program does not.
pub(crate) fn params(raw: UnparsedValue) -> Result<BTreeMap<String, Value>, Issue> {
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
            return Err(wrong(what, format!("move `{name}` out of `params` and write it next to `prompt`")));
        }
        if let Some(digits) = too_large(value) {
            let what = format!("{} in `params` holds the number {digits}, which is too large", shown_text(name));
            return Err(wrong(what, "write a smaller one, or put it in quotes"));
        }
        if !is_sendable(value) {
            let what = format!("{} in `params` holds a number that is not finite", shown_text(name));
            return Err(wrong(what, "write a finite number; JSON has no other"));
        }
    }
    Ok(params)
}

fn is_sendable(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_finite(),
        Value::List(values) => values.iter().all(is_sendable),
        Value::Map(values) => values.values().all(is_sendable),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Text(_) => true,
    }
}

/// Returns the first whole number that has too many digits to be sent exactly, short enough for a message.
fn too_large(value: &Value) -> Option<String> {
    match value {
        Value::BigInt(digits) => Some(excerpt(digits, DIGITS_SHOWN_MAX)),
        Value::List(values) => values.iter().find_map(too_large),
        Value::Map(values) => values.values().find_map(too_large),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
    }
}

/// Returns the value. A cell that begins with `open` is parsed as JSON.
fn structured(field: Field, raw: UnparsedValue, open: char) -> Result<Value, Issue> {
    match raw {
        UnparsedValue::Typed(value) => Ok(value),
        UnparsedValue::Cell(text) if text.trim_start().starts_with(open) => json::read(&text).map_err(|problem| {
            wrong(format!("`{}` is not valid JSON: {problem}", field.name()), "check its quotes, commas and brackets")
        }),
        UnparsedValue::Cell(text) => Ok(Value::Text(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> UnparsedValue {
        UnparsedValue::Cell(text.to_owned())
    }

    /// Parses JSON to the value that a YAML file would give.
    fn typed(text: &str) -> UnparsedValue {
        UnparsedValue::Typed(json::read(text).expect("the test writes good JSON"))
    }

    fn words<T: std::fmt::Debug>(read: Result<T, Issue>) -> String {
        let wrong = read.expect_err("the value is wrong");
        format!("{}; {}", wrong.what, wrong.remedy)
    }

    #[test]
    fn one_url_or_several() {
        for url in [
            "cat.png",
            "ref/a b.JPG",
            "/a/猫.webp",
            "file:x",
            "file:///a/b",
            "https://a.b/c.png",
            "HTTP://a",
            "data:image/png;base64,iVBORw0KGgo=",
        ] {
            assert_eq!(image_url(cell(url)), Ok(vec![url.to_owned()]));
            assert_eq!(image_url(typed(&format!("[{url:?}]"))), Ok(vec![url.to_owned()]));
        }
        let both = Ok(vec!["https://a".to_owned(), "https://b".to_owned()]);
        assert_eq!(image_url(typed(r#"["https://a", " https://b "]"#)), both);
        assert_eq!(image_url(cell(r#" ["https://a", "https://b"]"#)), both);
    }

    #[test]
    fn what_is_no_url_is_refused() {
        let no_url = |shown: &str| {
            format!(
                "`image_url` is {shown}, not a URL; write a URL that begins with https://, http:// or data:, or the path of a picture beside the manifest"
            )
        };
        let several = |n: usize| {
            format!(
                "`image_url` has {n} addresses in one text; several addresses are a list, such as [\"a.png\", \"b.png\"]"
            )
        };
        for (raw, expected) in [
            (cell("ftp://a"), no_url("`ftp://a`")),
            (cell("cat.svg"), no_url("`cat.svg`")),
            (cell("htps://cat.png"), no_url("`htps://cat.png`")),
            (cell("https://"), no_url("`https://`")),
            (cell("https://a b"), no_url("`https://a b`")),
            (cell("https://a https://b"), several(2)),
            (cell("https://a;https://b"), several(2)),
            (cell("a.png\n\nb.png\nc.png"), several(3)),
            (cell("猫猫猫猫"), no_url("`猫猫猫猫`")),
            (typed("7"), no_url("the number 7")),
            (typed("[null]"), no_url("null")),
            (typed(r#"["https://a", {}]"#), no_url("a map")),
            (typed("[]"), "`image_url` is an empty list; write one or more URLs, or leave `image_url` out".to_owned()),
            (typed(r#""""#), "`image_url` is empty; write its value, or leave `image_url` out".to_owned()),
        ] {
            assert_eq!(words(image_url(raw.clone())), expected, "{raw:?}");
        }
        assert!(words(image_url(cell("[https://a]"))).starts_with("`image_url` is not valid JSON: expected value"));
    }

    #[test]
    fn one_adapter_has_no_weight() {
        let one = Ok(vec![Lora { repo: "a/b".to_owned(), weight: None }]);
        assert_eq!(loras(cell(" a/b ")), one);
        assert_eq!(loras(typed(r#""a/b""#)), one);
    }

    #[test]
    fn several_adapters_share_one() {
        let weights = |raw| loras(raw).map(|loras| loras.into_iter().map(|lora| (lora.repo, lora.weight)).collect());
        let half = Ok(vec![("a/b".to_owned(), Some(0.5)), ("c/d".to_owned(), Some(0.5))]);
        assert_eq!(weights(typed(r#"{"c/d": 0.5, "a/b": 0.5}"#)), half);
        assert_eq!(weights(cell(r#"{"a/b": 0.5, "c/d": 0.5}"#)), half);
        assert_eq!(weights(typed(r#"{"a/b": 1}"#)), Ok(vec![("a/b".to_owned(), Some(1.0))]));
        assert!(loras(typed(r#"{"a/a": 0.333, "b/b": 0.333, "c/c": 0.333}"#)).is_ok());
        assert!(loras(typed(r#"{"a/a":0.1,"b/b":0.2,"c/c":0.3,"d/d":0.1,"e/e":0.2,"f/f":0.1}"#)).is_ok());
    }

    #[test]
    fn other_adapters_are_refused() {
        let sum = |sum: &str| format!("the weights in `loras` sum to {sum}; change them so that they sum to 1.0");
        let shape = "write one repository id (org/name), or a map of repository ids to weights";
        for (raw, expected) in [
            (typed(r#"{"a/b": 0.5}"#), sum("0.5")),
            (typed(r#"{"a/b": 0.6, "c/d": 0.5}"#), sum("1.1")),
            (typed(r#"{"a/b": 0}"#), sum("0")),
            (UnparsedValue::Typed(Value::Map([("a/b".to_owned(), Value::Float(f64::NAN))].into())), sum("NaN")),
            (
                typed(r#"{"a/b": "heavy"}"#),
                "the weight of `a/b` in `loras` is `heavy`; write a number; all weights together are 1.0".to_owned(),
            ),
            (
                typed(r#"{"a/b": 2}"#),
                "the weight of `a/b` in `loras` is the number 2; write a number; all weights together are 1.0"
                    .to_owned(),
            ),
            (
                typed(r#"{"a/1":1,"a/2":1,"a/3":1,"a/4":1,"a/5":1,"a/6":1,"a/7":1}"#),
                "`loras` names 7 adapters; keep at most 6".to_owned(),
            ),
            (typed("{}"), "`loras` is an empty map; write one or more adapters, or leave `loras` out".to_owned()),
            (
                cell("watercolour"),
                "`loras` names `watercolour`, which is not a repository id; write it as org/name".to_owned(),
            ),
            (typed(r#"["a/b"]"#), format!("`loras` is a list; {shape}")),
            (typed("null"), format!("`loras` is null; {shape}")),
        ] {
            assert_eq!(words(loras(raw.clone())), expected, "{raw:?}");
        }
    }

    #[test]
    fn params_are_taken_as_they_are() {
        let map = json::read(r#"{"scheduler": "euler", "eta": 0.5, "tiles": [1, {"x": null}], "n": 2}"#);
        let Ok(Value::Map(map)) = map else { panic!("the test writes a map") };
        assert_eq!(params(UnparsedValue::Typed(Value::Map(map.clone()))), Ok(map.clone()));
        assert_eq!(params(cell(&json::write(&Value::Map(map.clone())))), Ok(map));
        assert_eq!(params(typed("{}")), Ok(BTreeMap::new()));
    }

    #[test]
    fn other_params_are_refused() {
        let shape = |shown: &str| {
            format!("`params` is {shown}, not a map; write names and values, for example {{\"scheduler\": \"euler\"}}")
        };
        let nan = Value::List(vec![Value::Map([("deep".to_owned(), Value::Float(f64::NAN))].into())]);
        for (raw, expected) in [
            (typed("[1]"), shape("a list")),
            (typed("null"), shape("null")),
            (cell("euler"), shape("`euler`")),
            (cell("[1]"), shape("`[1]`")),
            (
                cell(r#"{"seed": 5}"#),
                "`params` holds `seed`, which is a field of its own; move `seed` out of `params` and write it next to `prompt`"
                    .to_owned(),
            ),
            (
                UnparsedValue::Typed(Value::Map([("eta".to_owned(), nan)].into())),
                "`eta` in `params` holds a number that is not finite; write a finite number; JSON has no other".to_owned(),
            ),
        ] {
            assert_eq!(words(params(raw.clone())), expected, "{raw:?}");
        }
        assert!(
            words(params(cell("{scheduler: euler}"))).starts_with("`params` is not valid JSON: key must be a string")
        );
    }
}
