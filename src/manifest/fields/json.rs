//! JSON conversion: parses cells that contain an object, and serializes nested passthrough values.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::manifest::fields::value::{Value, shown_text};
use crate::model::escape::excerpt;

/// Characters of the parser's own message that are shown.
const PROBLEM_CHARS_MAX: usize = 80;

/// Parses the value in `text`. An error is the parser's message.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    if has_big_integer(text) {
        return read_big(text);
    }
    read_plain(text)
}

/// Digits that every `i64` can have. The parser makes floats of much longer numbers.
const DIGITS_MAX: usize = 18;

/// Returns whether the text has a whole number of more digits, outside of texts.
fn has_big_integer(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() <= DIGITS_MAX || bytes[0] == b'"' {
        return false;
    }
    let (mut is_text, mut is_escaped, mut n_digits) = (false, false, 0);
    for byte in bytes {
        if !is_text && byte.is_ascii_digit() {
            n_digits += 1;
            if n_digits > DIGITS_MAX {
                return true;
            }
            continue;
        }
        n_digits = 0;
        if is_escaped {
            is_escaped = false;
        } else if *byte == b'"' {
            is_text = !is_text;
        } else {
            is_escaped = is_text && *byte == b'\\';
        }
    }
    false
}

/// Parses a value with such a number part by part, so that the number keeps its digits.
fn read_big(text: &str) -> Result<Value, String> {
    let explained = |error: serde_json::Error| excerpt(&error.to_string(), PROBLEM_CHARS_MAX);
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix('-').unwrap_or(trimmed);
    match trimmed.as_bytes().first() {
        // The whole is read too, for its mistakes.
        Some(b'[') => {
            Seed.deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(explained)?;
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(explained)?;
            items.into_iter().map(|item| read(item.get())).collect::<Result<_, _>>().map(Value::List)
        }
        Some(b'{') => {
            Seed.deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(explained)?;
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(explained)?;
            let fields = fields.into_iter().map(|(name, field)| read(field.get()).map(|value| (name, value)));
            fields.collect::<Result<_, _>>().map(Value::Map)
        }
        _ if digits.len() > DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            serde_json::from_str::<&RawValue>(text).map_err(explained)?;
            Ok(trimmed.parse().map_or_else(|_| Value::BigInt(trimmed.to_owned()), Value::Int))
        }
        _ => read_plain(text),
    }
}

fn read_plain(text: &str) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| excerpt(&error.to_string(), PROBLEM_CHARS_MAX))
}

/// Serializes the value as compact JSON. Numbers that JSON does not support become null.
pub(crate) fn write(value: &Value) -> String {
    json(value).to_string()
}

/// Seed that builds a value. It rejects a duplicate name, of which `serde_json` itself would use the last.
struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or_else(|_| Value::BigInt(number.to_string()), Value::Int))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(Self)?;
            match map.entry(name) {
                Entry::Vacant(vacant) => {
                    vacant.insert(value);
                }
                Entry::Occupied(first) => {
                    return Err(A::Error::custom(format_args!("{} is given twice", shown_text(first.key()))));
                }
            }
        }
        Ok(Value::Map(map))
    }
}

/// Removes the white space between the tokens of JSON. Numbers and texts stay as they are written.
pub(crate) fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut is_text = false;
    let mut is_escaped = false;
    for c in json.chars() {
        if is_text || !c.is_ascii_whitespace() {
            compact.push(c);
        }
        if is_escaped {
            is_escaped = false;
        } else if c == '"' {
            is_text = !is_text;
        } else {
            is_escaped = is_text && c == '\\';
        }
    }
    compact
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::from(*flag),
        Value::Int(number) => Json::from(*number),
        // A text keeps the digits that no number of this type has.
        Value::BigInt(digits) => digits.parse::<u64>().map_or_else(|_| Json::from(digits.as_str()), Json::from),
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
            ("[1, 18446744073709551616", "EOF while parsing a list at line 1 column 24"),
            ("018446744073709551616", "invalid number at line 1 column 2"),
            ("{\"a\": [{\"b\": 1, \"b\": 2}]}", "`b` is given twice at line 1 column 23"),
            ("1e999", "number out of range at line 1 column 5"),
        ] {
            assert_eq!(read(text), Err(problem.to_owned()), "{text}");
        }
    }

    /// Goal: whole numbers of any length keep their digits, wherever they are.
    #[test]
    fn big_integers_keep_their_digits() {
        for digits in ["9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809"] {
            let big = || Value::BigInt(digits.to_owned());
            assert_eq!(read(digits), Ok(big()));
            assert_eq!(read(&format!("[1, {digits} ]")), Ok(Value::List(vec![Value::Int(1), big()])));
            let map = Value::Map([("a".to_owned(), Value::List(vec![big()]))].into());
            assert_eq!(read(&format!("{{\"a\": [{digits}]}}")), Ok(map));
        }
        assert_eq!(read("0.12345678901234567890"), Ok(Value::Float(0.123_456_789_012_345_68)));
        assert_eq!(read("[9223372036854775807]"), Ok(Value::List(vec![Value::Int(i64::MAX)])));
        let digits = "1".repeat(30);
        assert_eq!(read(&format!("[\"{digits}\"]")), Ok(Value::List(vec![Value::Text(digits)])));
    }

    #[test]
    fn compact_json_keeps_what_is_written() {
        for (text, expected) in [
            ("[1.0, 1e2 ,\t-0]", "[1.0,1e2,-0]"),
            ("{ \"a b\" : \"c \\\" d\" }", "{\"a b\":\"c \\\" d\"}"),
            ("\"\\\\\" ", "\"\\\\\""),
            ("[\"猫 \", null]", "[\"猫 \",null]"),
        ] {
            assert_eq!(compact(text), expected);
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
