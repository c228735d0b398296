//! Common value tree of YAML and JSON, before validation.

use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Empty value: `null` or `~`.
    Null,
    /// Boolean: `true` or `false`.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Number that is not whole.
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// Map with sorted keys, so that equal maps are serialized identically.
    Map(BTreeMap<String, Value>),
}
