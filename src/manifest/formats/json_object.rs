//! JSON object of one line or cell: its keys with the source text of each value.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::json;
use crate::manifest::fields::value::shown_text;
use crate::model::escape::excerpt;

/// Limit on the keys of an object. Each key needs memory, and no results have this many columns.
const KEYS_MAX: usize = 10_000;

/// Characters of the parser's own message that are shown.
const PROBLEM_CHARS_MAX: usize = 80;

/// Key of an object and the source text of its value.
pub(crate) struct RawPair<'a> {
    pub(crate) name: String,
    pub(crate) value: &'a RawValue,
}

/// Parses a line that is one object, and returns its pairs in their order.
pub(crate) fn pairs(text: &str) -> serde_json::Result<Vec<RawPair<'_>>> {
    let mut deserializer = Deserializer::from_str(text);
    let pairs = deserializer.deserialize_map(PairsVisitor)?;
    deserializer.end().map(|()| pairs)
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Vec<RawPair<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error;
        let mut pairs = Vec::new();
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if pairs.len() == KEYS_MAX {
                return Err(A::Error::custom(format_args!("an object has more than {KEYS_MAX} keys")));
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("{}{TWICE}", shown_text(&name))));
            }
            pairs.push(RawPair { name, value: map.next_value()? });
        }
        Ok(pairs)
    }
}

/// End of the message about a key that occurs twice.
const TWICE: &str = " is given twice";

pub(crate) fn given_twice(name: &str) -> Issue {
    wrong(format!("{}{TWICE}", shown_text(name)), "keep one of them")
}

/// Translates an error of the parser into a mistake.
pub(crate) fn explain(error: &serde_json::Error) -> Issue {
    let complaint = error.to_string();
    let problem = without_place(&complaint);
    if problem.ends_with(TWICE) {
        return wrong(problem, "keep one of them");
    }
    if error.is_eof() {
        let what = "the line ends before its object does";
        return wrong(what, "write each object on one line: jq -c . OLD > NEW");
    }
    let remedy = match problem {
        "key must be a string" => "put names and strings in double quotes",
        "trailing characters" => "write one object per line, and nothing after it",
        _ => "check the quotes and commas of this line",
    };
    wrong(format!("invalid JSON: {}", excerpt(problem, PROBLEM_CHARS_MAX)), remedy)
}

/// Removes the position from the parser's message. It is shown separately.
pub(crate) fn without_place(complaint: &str) -> &str {
    complaint.rsplit_once(" at line ").map_or(complaint, |(problem, _)| problem)
}

/// Reads the passthrough values of an object's `meta`.
pub(crate) fn meta(value: &RawValue) -> Result<Vec<(String, String)>, Issue> {
    let pairs = pairs(value.get()).map_err(|error| explain(&error))?;
    Ok(pairs.into_iter().map(|pair| (pair.name, extra(pair.value))).collect())
}

/// Reads the names and values of a cell that contains an object. Returns `None` for any other cell.
pub(crate) fn parts(cell: &str) -> Option<Vec<(String, String)>> {
    if !cell.starts_with('{') {
        return None;
    }
    serde_json::from_str::<&RawValue>(cell).ok().and_then(|value| meta(value).ok())
}

/// Formats a value as the text of a cell: numbers with their written digits, lists and objects as compact JSON.
pub(crate) fn extra(value: &RawValue) -> String {
    let written = value.get();
    match written.as_bytes().first() {
        Some(b'"') => serde_json::from_str(written).unwrap_or_else(|_| written.to_owned()),
        Some(b'[' | b'{') => json::compact(written),
        _ if written == "null" => String::new(),
        _ => written.to_owned(),
    }
}
