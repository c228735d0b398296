//! Shapes of a JSON object that holds a whole manifest, and the `jq` commands that convert other shapes to JSON Lines.

use serde_json::{Map, Value};

use crate::manifest::diagnostics::{Issue, wrong};
use crate::manifest::fields::field::Field;
use crate::manifest::fields::value::shown_text;
use crate::manifest::formats::columns;

/// Depth to which prompts are looked for.
const DEPTH_MAX: usize = 5;

/// Keys that a message lists.
const KEYS_SHOWN_MAX: usize = 8;

/// Converts a list of titles and lists of values.
pub(crate) const LISTS_REMEDY: &str = "if the first list has the titles, convert it: \
     jq -c '.[0] as $k | .[1:][] | [$k, .] | transpose | map({(.[0]): .[1]}) | add' OLD > NEW.jsonl";

/// Returns the mistake for an object that is no manifest, with the command that makes one of it if its prompts are found.
pub(crate) fn unknown(text: &str) -> Issue {
    let Ok(Value::Object(map)) = serde_json::from_str(text) else {
        return wrong("this object is no manifest", "write a list of objects");
    };
    let shown = map.keys().take(KEYS_SHOWN_MAX).map(|key| shown_text(key)).collect::<Vec<_>>().join(", ");
    let more = if map.len() > KEYS_SHOWN_MAX { ", ..." } else { "" };
    let keys = match map.len() {
        0 => "it is empty".to_owned(),
        1 => format!("its key is {shown}"),
        _ => format!("its keys are {shown}{more}"),
    };
    let what = format!("this object is no list of prompts: {keys}");
    match filter(&map) {
        Some(Filter { jq, option }) => wrong(what, format!("convert it: jq -c '{jq}' OLD > NEW.jsonl{option}")),
        None => {
            wrong(what, "write a list of objects with a key `prompt`, or an object with such a list under `prompts`")
        }
    }
}

struct Filter {
    jq: String,
    /// What else to do with the new file.
    option: String,
}

fn filter(map: &Map<String, Value>) -> Option<Filter> {
    let plain = |jq: String| Some(Filter { jq, option: String::new() });
    // Data frames: lists of values by column, values by column and row, and rows beside the titles.
    if let Some((key, name)) = prompt_key(map, is_column)
        && map
            .values()
            .all(|value| value.is_array() == map[key].is_array() && value.is_object() == map[key].is_object())
    {
        let step = step(key);
        let rows =
            if map[key].is_array() { format!("range({step} | length)") } else { format!("({step} | keys_unsorted[])") };
        let option = option(key, name);
        return Some(Filter { jq: format!(". as $t | {rows} as $i | $t | map_values(.[$i])"), option });
    }
    if let (Some(Value::Array(_)), Some(Value::Array(rows))) = (map.get("columns"), map.get("data"))
        && rows.iter().all(Value::is_array)
    {
        return plain(".columns as $k | .data[] | [$k, .] | transpose | map({(.[0]): .[1]}) | add".to_owned());
    }
    if map.len() > 1 && map.values().all(|value| value.as_str().is_some_and(|text| text.contains(' '))) {
        return plain("to_entries[] | {id: .key, prompt: .value}".to_owned());
    }
    let Found { path, inner, is_map, key } = find(&Value::Object(map.clone()), DEPTH_MAX)?;
    let mut jq = if path.is_empty() { ".".to_owned() } else { path };
    if !jq.starts_with('.') {
        jq.insert(0, '.');
    }
    if is_map {
        jq.push_str(" | to_entries[] | {id: .key} + .value");
    }
    if !inner.is_empty() {
        jq = format!("{jq} | . + {inner} | del({inner})");
    }
    let jq = jq.strip_prefix(". | ").map(str::to_owned).unwrap_or(jq);
    Some(Filter { option: option(&key, Field::titled(&key) == Some(Field::Prompt)), jq })
}

/// Returns whether a value is a column of texts: a list, or a map by row.
fn is_column(value: &Value) -> bool {
    let first = value.as_array().and_then(|list| list.first());
    first.or_else(|| value.as_object()?.values().next()).is_some_and(Value::is_string)
}

fn option(key: &str, is_prompt: bool) -> String {
    if is_prompt { String::new() } else { format!("; then run NEW.jsonl with --prompt-col {key:?}") }
}

/// Where the objects with prompts are.
struct Found {
    /// Path of jq to each of them, or to the map that holds them.
    path: String,
    /// Path inside such an object to the one with the prompt.
    inner: String,
    /// Records that a map holds them, by their ids.
    is_map: bool,
    /// Key of the prompt.
    key: String,
}

/// Finds the first list, or map, of objects with a prompt.
fn find(value: &Value, depth: usize) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let found = |is_map: bool, (inner, key): (String, String)| Found { path: String::new(), inner, is_map, key };
    match value {
        Value::Array(items) => {
            let here = items.first().and_then(|item| inside(item, depth)).map(|found_in| found(false, found_in));
            let here = here.or_else(|| find(items.first()?, depth));
            here.map(|found| Found { path: format!("[]{}", found.path), ..found })
        }
        Value::Object(map) => {
            let is_list = |value: &&Value| value.is_array();
            let lists = map.iter().filter(|(_, value)| is_list(value));
            let others = map.iter().filter(|(_, value)| !is_list(value));
            let below = |(key, value): (&String, &Value)| {
                find(value, depth).map(|found| Found { path: format!("{}{}", step(key), found.path), ..found })
            };
            let all = map.values().map(|value| inside(value, depth)).collect::<Option<Vec<_>>>().unwrap_or_default();
            let is_alike = all.windows(2).all(|two| two[0] == two[1]);
            let by_id = all.into_iter().next().filter(|_| is_alike).map(|inner| found(true, inner));
            // A map of objects with prompts is certain; one of objects with objects with prompts may be anything.
            let (certain, doubtful) = match by_id {
                Some(found) if found.inner.is_empty() => (Some(found), None),
                other => (None, other),
            };
            let lists = lists.map(below).find_map(|found| found).or(certain);
            lists.or_else(|| others.map(below).find_map(|found| found)).or(doubtful)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Returns the path inside an object to the one with a prompt, and the key of the prompt.
fn inside(value: &Value, depth: usize) -> Option<(String, String)> {
    let map = value.as_object()?;
    if let Some((key, _)) = prompt_key(map, Value::is_string) {
        return Some((String::new(), key.to_owned()));
    }
    let depth = depth.checked_sub(1)?;
    map.iter().find_map(|(key, value)| {
        let (path, name) = inside(value, depth)?;
        Some((format!("{}{path}", step(key)), name))
    })
}

/// Returns the key of the prompt, whose value must be of this kind, and whether its name is ours.
fn prompt_key(map: &Map<String, Value>, is_kind: fn(&Value) -> bool) -> Option<(&str, bool)> {
    let keys = || map.iter().filter(|(_, value)| is_kind(value)).map(|(key, _)| key.as_str());
    let ours = keys().find(|key| Field::titled(key) == Some(Field::Prompt)).map(|key| (key, true));
    ours.or_else(|| columns::meant_for_prompt(keys()).map(|key| (key, false)))
}

/// Returns the step to a key in a path of jq.
pub(crate) fn step(key: &str) -> String {
    let is_name =
        key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !key.starts_with(|c: char| c.is_ascii_digit());
    if is_name && !key.is_empty() {
        format!(".{key}")
    } else {
        format!(".[{}]", Value::from(key).to_string().replace('\'', "\\u0027"))
    }
}
