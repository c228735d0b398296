//! JSON to values and back: for cells that hold an object, and for nested extras that are carried through as text.

use serde_json::Value as Json;

use crate::manifest::value::Value;
use crate::model::text::excerpt;

/// Characters of the parser's own words that a message shows.
const PROBLEM_CHARS_MAX: usize = 80;

/// The value that `text` holds, or what is wrong with it.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| excerpt(&error.to_string(), PROBLEM_CHARS_MAX))?;
    value(json)
}

/// The value as compact JSON. Numbers that JSON does not know become null.
pub(super) fn write(value: &Value) -> String {
    json(value).to_string()
}

fn value(json: Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) if !number.is_u64() => Value::Float(float),
            _ => return Err(format!("the number {number} is too large")),
        },
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(value).collect::<Result<_, _>>()?),
        Json::Object(fields) => Value::Map(
            fields.into_iter().map(|(name, field)| Ok((name, value(field)?))).collect::<Result<_, String>>()?,
        ),
    })
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::from(*flag),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(fields) => Json::Object(fields.iter().map(|(name, field)| (name.clone(), json(field))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_reads_and_writes_back() {
        for text in [
            "null",
            "true",
            "-7",
            "1.5",
            "\"a \\\"cat\\\"\"",
            "[1,[2,\"三\"],{}]",
            "{\"a\":{\"b\":[null,false]},\"c\":0.25}",
            "\"\u{1f600}\"",
        ] {
            assert_eq!(read(text).map(|value| write(&value)).as_deref(), Ok(text));
        }
    }

    #[test]
    fn escaped_surrogates_are_read_as_python_writes_them() {
        assert_eq!(read(r#""\ud83d\ude00""#), Ok(Value::Text("😀".into())));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for (text, problem) in [
            ("{", "EOF while parsing an object at line 1 column 1"),
            ("{'a': 1}", "key must be a string at line 1 column 2"),
            ("1 2", "trailing characters at line 1 column 3"),
            ("18446744073709551615", "the number 18446744073709551615 is too large"),
            ("1e999", "number out of range at line 1 column 5"),
        ] {
            assert_eq!(read(text), Err(problem.to_owned()), "{text}");
        }
    }

    #[test]
    fn brackets_without_end_end() {
        assert!(read(&"[".repeat(200_000)).is_err());
    }

    #[test]
    fn numbers_that_json_does_not_know_become_null() {
        assert_eq!(write(&Value::List(vec![Value::Float(f64::NAN), Value::Float(f64::INFINITY)])), "[null,null]");
    }
}
