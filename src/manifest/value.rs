//! What YAML and JSON have in common, before it is checked: the tree that both readers build.

use std::collections::BTreeMap;

/// A value of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Nothing: `null` or `~`.
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// A map; keys are sorted, so that equal maps are written alike.
    Map(BTreeMap<String, Value>),
}
