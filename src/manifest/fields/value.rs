//! Common value tree of YAML and JSON, before validation, and its form in messages.

use std::collections::BTreeMap;

use crate::model::escape::excerpt;

/// Characters of a wrong value that a message shows.
const SHOWN_CHARS_MAX: usize = 40;

/// Value of YAML or JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Empty value: `null` or `~`.
    Null,
    /// Boolean: `true` or `false`.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Whole number outside the range of `Int`, as its digits with a sign before them if it is negative.
    BigInt(String),
    /// Number that is not whole.
    Float(f64),
    /// Text.
    Text(String),
    /// List.
    List(Vec<Value>),
    /// Map with sorted keys, so that equal maps are serialized identically.
    Map(BTreeMap<String, Value>),
}

/// Unchecked value.
#[derive(Clone, Debug, PartialEq)]
pub enum UnparsedValue {
    /// Untyped text: the cell of a table or the value of a flag. The text may mean a value of any type.
    Cell(String),
    /// Value from a format with types.
    Typed(Value),
}

/// Formats a value for a message.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Int(number) => format!("the number {number}"),
        Value::BigInt(digits) => format!("the number {}", excerpt(digits, SHOWN_CHARS_MAX)),
        Value::Float(number) => format!("the number {number:?}"),
        Value::Text(text) => shown_text(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
    }
}

/// Formats a text for a message: shortened and in backticks.
pub(crate) fn shown_text(text: &str) -> String {
    format!("`{}`", excerpt(text, SHOWN_CHARS_MAX))
}
