//! JSON pointers (RFC 6901) with one addition: the step `*` stands for every element of a list or every value of a map.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest number of steps in a pointer.
const STEPS_MAX: usize = 16;

/// Largest number of values that one pointer gives.
const VALUES_MAX: usize = 256;

/// Pointer to values in a JSON text, such as `/data/*/url`. The empty text points at the whole text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

/// Error for a text that is not a [`Pointer`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a JSON pointer: write `/` before each name, for example /data/*/url")]
pub struct PointerError(String);

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        let refuse = || PointerError(text.to_owned());
        if text.is_empty() {
            return Ok(Self { text: String::new(), steps: Vec::new() });
        }
        let rest = text.strip_prefix('/').ok_or_else(refuse)?;
        let steps: Vec<_> = rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
        if steps.len() > STEPS_MAX || steps.iter().any(String::is_empty) {
            return Err(refuse());
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

impl TryFrom<String> for Pointer {
    type Error = PointerError;

    fn try_from(text: String) -> Result<Self, PointerError> {
        text.parse()
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.text
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pointer {
    /// Returns the steps of the pointer, without escapes.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Returns every value that the pointer leads to, in the order of the text, at most 256.
    pub fn all<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        if self.steps.iter().all(|step| step != "*") {
            let mut steps = self.steps.iter();
            return steps.try_fold(root, |value, step| child(value, step)).into_iter().collect();
        }
        let mut found = vec![root];
        for step in &self.steps {
            let next = found.into_iter().flat_map(|value| below(value, step));
            found = next.take(VALUES_MAX).collect();
        }
        found
    }

    /// Returns the first value that the pointer leads to.
    pub fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.all(root).into_iter().next()
    }
}

/// Returns the values one step below `value`.
fn below<'a>(value: &'a Value, step: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(items) if step == "*" => items.iter().collect(),
        Value::Object(fields) if step == "*" => fields.values().collect(),
        _ => child(value, step).into_iter().collect(),
    }
}

/// Returns the value that a step other than `*` leads to.
fn child<'a>(value: &'a Value, step: &str) -> Option<&'a Value> {
    match value {
        Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
        Value::Object(fields) => fields.get(step),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Returns the first value of these pointers that says something: neither null nor an empty text.
pub fn first_said<'a>(pointers: &[Pointer], root: &'a Value) -> Option<&'a Value> {
    pointers.iter().flat_map(|pointer| pointer.all(root)).find(|value| says(value))
}

/// Returns whether a value says something. Some services send an empty error field with every success.
pub fn says(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Returns a scalar as text: a string unchanged, a number or a boolean as JSON writes it.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(pointer: &str, root: &Value) -> Vec<Value> {
        pointer.parse::<Pointer>().unwrap().all(root).into_iter().cloned().collect()
    }

    #[test]
    fn a_pointer_leads_to_its_values_in_order() {
        let root = json!({"data": [{"url": "a"}, {"b64": "x"}, {"url": "b"}], "a/b": {"~": 1}, "n": {"x": 1, "y": 2}});
        for (pointer, expected) in [
            ("", vec![root.clone()]),
            ("/data/*/url", vec![json!("a"), json!("b")]),
            ("/data/1/b64", vec![json!("x")]),
            ("/a~1b/~0", vec![json!(1)]),
            ("/n/*", vec![json!(1), json!(2)]),
            ("/data/url", vec![]),
            ("/data/9/url", vec![]),
            ("/n/x/y", vec![]),
        ] {
            assert_eq!(all(pointer, &root), expected, "{pointer}");
        }
    }

    #[test]
    fn what_is_not_a_pointer_is_refused() {
        let deep = "/a".repeat(STEPS_MAX + 1);
        for text in ["data", "$.data", "/", "//", "/a//b", "/a/", &deep] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_hostile_list_gives_a_limited_number_of_values() {
        let root = json!([vec![vec![0; 1000]; 100]]);
        assert_eq!(all("/*/*/*", &root).len(), VALUES_MAX);
    }

    #[test]
    fn an_empty_field_says_nothing() {
        for value in [json!(null), json!(""), json!(" "), json!([]), json!({}), json!(false)] {
            assert!(!says(&value), "{value}");
        }
        let pointers = ["/a", "/b", "/c"].map(|text| text.parse().unwrap());
        assert_eq!(first_said(&pointers, &json!({"a": "", "b": 0, "c": "x"})), Some(&json!(0)));
    }
}
