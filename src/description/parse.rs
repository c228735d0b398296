//! Reader of a description: YAML to typed values, with the descriptions that it extends.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use crate::description::error::{DescriptionError, DescriptionMistake};
use crate::description::format::Description;
use crate::description::rules;

/// Largest description, in bytes.
pub const BYTES_MAX: usize = 1 << 20;

/// Largest number of descriptions that extend each other.
const EXTENDS_MAX: usize = 4;

/// Fields that an extending description never inherits. A token must not be sent to another service, and what was checked of one service is
/// not true of another.
const OWN: [&str; 13] = [
    "name",
    "help",
    "extends",
    "base_url",
    "base_url_env",
    "token",
    "token_hosts",
    "default_model",
    "limits",
    "prices",
    "unverified",
    "examples",
    "requests",
];

/// Fields on which no request and no judgement depends.
const WORDS: [&str; 5] = ["help", "extends", "unverified", "examples", "requests"];

/// Length of the hash of a field.
const HASH_CHARS: usize = 16;

/// Returns the text of the built-in description with this name.
pub type Builtin<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

/// Parses the description in `text`, which messages call `file`. `builtin` finds the descriptions that it extends.
pub fn parse(file: &str, text: &str, builtin: Builtin<'_>) -> Result<Description, DescriptionError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > BYTES_MAX {
        return Err(DescriptionError::one(file, None, format!("it is longer than {BYTES_MAX} bytes; shorten it")));
    }
    // The typed reader knows the lines, and the tree is what can be merged.
    let own: Description = serde_yaml::from_str(text).map_err(|error| of_yaml(file, &error))?;
    let tree: Value = serde_yaml::from_str(text).map_err(|error| of_yaml(file, &error))?;
    let (mut description, tree): (Description, Value) = if own.extends.is_some() {
        let tree = extended(file, text, tree, builtin, EXTENDS_MAX)?;
        (serde_yaml::from_value(tree.clone()).map_err(|error| of_yaml(file, &error))?, tree)
    } else {
        (own, tree)
    };
    description.hashes = hashes(&tree);
    let mistakes = rules::mistakes(&description, text);
    if mistakes.is_empty() {
        return Ok(description);
    }
    Err(DescriptionError { mistakes, ..DescriptionError::one(file, None, "") })
}

/// Returns a short hash of each field that is more than words for the reader.
fn hashes(tree: &Value) -> BTreeMap<String, String> {
    let fields = tree.as_mapping().into_iter().flatten();
    let told = fields.filter_map(|(key, value)| Some((key.as_str().filter(|key| !WORDS.contains(key))?, value)));
    let hash = |value: &Value| {
        let text = serde_yaml::to_string(value).unwrap_or_default();
        blake3::hash(text.as_bytes()).to_hex().chars().take(HASH_CHARS).collect()
    };
    told.map(|(key, value)| (key.to_owned(), hash(value))).collect()
}

/// Merges a description into those that it extends.
fn extended(
    file: &str,
    text: &str,
    tree: Value,
    builtin: Builtin<'_>,
    n_left: usize,
) -> Result<Value, DescriptionError> {
    let Some(name) = tree.get("extends").and_then(Value::as_str) else { return Ok(tree) };
    let line = rules::line_of(text, "extends", None);
    let refuse = |what: String| DescriptionError::one(file, line, what);
    if n_left == 0 {
        return Err(refuse(format!("more than {EXTENDS_MAX} descriptions extend each other; extend one directly")));
    }
    let base = builtin(name).ok_or_else(|| {
        refuse(format!(
            "there is no built-in description {name:?} to extend; `promptbatch providers` lists them, and a file cannot be extended"
        ))
    })?;
    let base_tree: Value = serde_yaml::from_str(base).map_err(|error| of_yaml(name, &error))?;
    let Value::Mapping(mut merged) = extended(name, base, base_tree, builtin, n_left - 1)? else {
        return Err(refuse(format!("the description {name:?} is not a map")));
    };
    merged.retain(|key, _| key.as_str().is_none_or(|key| !OWN.contains(&key)));
    if let Value::Mapping(own) = tree {
        merge(&mut merged, own);
    }
    Ok(Value::Mapping(merged))
}

/// Merges `own` into `base`, name by name. Null removes a name. Rows of a table precede those of the base.
fn merge(base: &mut Mapping, own: Mapping) {
    for (key, value) in own {
        let is_table = key.as_str() == Some("table");
        match (base.get_mut(&key), value) {
            (Some(Value::Mapping(below)), Value::Mapping(value)) => merge(below, value),
            (Some(Value::Sequence(rows)), Value::Sequence(mut first)) if is_table => {
                first.append(rows);
                *rows = first;
            }
            (Some(_), Value::Null) => drop(base.remove(&key)),
            (None, Value::Null) => {}
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Returns the mistake that the YAML reader reports, with its line.
fn of_yaml(file: &str, error: &serde_yaml::Error) -> DescriptionError {
    let words = error.to_string();
    let line = error.location().map(|place| place.line() as u64);
    // The reader repeats the place at the end of its words.
    let words = words.split(" at line ").next().unwrap_or(&words);
    let mistake = DescriptionMistake::new(line, format!("{words}; `promptbatch providers schema` lists the fields"));
    DescriptionError { mistakes: vec![mistake], ..DescriptionError::one(file, line, "") }
}
