//! Writer of values at JSON pointers: lists and maps on the way are made where they are missing.

use serde_json::{Map, Value};

use crate::description::pointer::{Pointer, says};

/// Longest list that a numbered step makes.
const ITEMS_MAX: usize = 64;

/// Writes a value at the first of these pointers that leads somewhere in the body, or else at the first that can be made. Returns whether
/// there was a place.
pub(in crate::simulator) fn put(body: &mut Value, pointers: &[Pointer], value: &Value) -> bool {
    let known = spoken(body, pointers).map(|i| &pointers[i]);
    let known = known.or_else(|| pointers.iter().find(|pointer| pointer.first(body).is_some()));
    let mut places = known.into_iter().chain(pointers);
    places.any(|pointer| put_at(body, pointer.steps(), value))
}

/// Returns the place of the first pointer that leads to a text or number that says something, or else to anything that does.
fn spoken(body: &Value, pointers: &[Pointer]) -> Option<usize> {
    let leads = |pointer: &Pointer, is_meant: fn(&Value) -> bool| pointer.all(body).into_iter().any(is_meant);
    let is_scalar = |value: &Value| says(value) && !value.is_array() && !value.is_object();
    let scalar = pointers.iter().position(|pointer| leads(pointer, is_scalar));
    scalar.or_else(|| pointers.iter().position(|pointer| leads(pointer, says)))
}

/// Writes a value at one pointer. The step `*` is the first item through which the rest of the pointer leads, or else the first item.
fn put_at(body: &mut Value, steps: &[String], value: &Value) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        *body = value.clone();
        return true;
    };
    let number = step.parse::<usize>().ok().filter(|i| *i < ITEMS_MAX);
    if body.is_null() {
        let is_list = step == "*" || number.is_some();
        *body = if is_list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
    }
    match body {
        Value::Array(items) => {
            let index = if step == "*" { items.iter().position(|item| leads(item, rest)).or(Some(0)) } else { number };
            let Some(index) = index else { return false };
            while items.len() <= index {
                items.push(Value::Null);
            }
            put_at(&mut items[index], rest, value)
        }
        Value::Object(fields) if step == "*" => match fields.values_mut().next() {
            Some(field) => put_at(field, rest, value),
            None => put_at(fields.entry("0").or_insert(Value::Null), rest, value),
        },
        Value::Object(fields) => put_at(fields.entry(step.clone()).or_insert(Value::Null), rest, value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Returns whether these steps lead somewhere.
fn leads(value: &Value, steps: &[String]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    match value {
        Value::Array(items) if step == "*" => items.iter().any(|item| leads(item, rest)),
        Value::Object(fields) if step == "*" => fields.values().any(|field| leads(field, rest)),
        Value::Array(items) => {
            step.parse::<usize>().ok().and_then(|i| items.get(i)).is_some_and(|item| leads(item, rest))
        }
        Value::Object(fields) => fields.get(step).is_some_and(|field| leads(field, rest)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Removes every value at these pointers. A list whose items lead to such values keeps the items without one.
pub(in crate::simulator) fn remove(body: &mut Value, pointers: &[Pointer]) {
    for pointer in pointers {
        remove_at(body, pointer.steps());
    }
}

fn remove_at(body: &mut Value, steps: &[String]) {
    let Some((step, rest)) = steps.split_first() else { return };
    match body {
        Value::Array(items) if step == "*" && !rest.iter().any(|step| step == "*") => {
            items.retain(|item| !leads(item, rest));
        }
        Value::Array(items) if step == "*" => items.iter_mut().for_each(|item| remove_at(item, rest)),
        Value::Object(fields) if step == "*" => fields.values_mut().for_each(|field| remove_at(field, rest)),
        Value::Array(items) => {
            if let Some(item) = step.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                if rest.is_empty() { *item = Value::Null } else { remove_at(item, rest) }
            }
        }
        Value::Object(fields) if rest.is_empty() => drop(fields.remove(step)),
        Value::Object(fields) => {
            if let Some(field) = fields.get_mut(step) {
                remove_at(field, rest);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Keeps the first value of the pointer that says something, and empties all others.
pub(in crate::simulator) fn keep_one(body: &mut Value, pointers: &[Pointer]) {
    let kept = spoken(body, pointers);
    let Some(whole) = kept.map(|i| &pointers[i]) else { return };
    for (i, pointer) in pointers.iter().enumerate() {
        if Some(i) == kept {
            keep_first_at(body, pointer.steps());
        } else if !whole.steps().starts_with(pointer.steps()) {
            empty_at(body, pointer.steps());
        }
    }
}

fn keep_first_at(body: &mut Value, steps: &[String]) {
    let Some((step, rest)) = steps.split_first() else { return };
    match body {
        Value::Array(items) if step == "*" => {
            let mut n_found = 0;
            items.retain(|item| {
                n_found += usize::from(leads(item, rest));
                n_found < 2 || !leads(item, rest)
            });
            items.iter_mut().filter(|item| leads(item, rest)).for_each(|item| keep_first_at(item, rest));
        }
        Value::Array(items) => {
            if let Some(item) = step.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                keep_first_at(item, rest);
            }
        }
        Value::Object(fields) => {
            if let Some(field) = fields.get_mut(step) {
                keep_first_at(field, rest);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn empty_at(body: &mut Value, steps: &[String]) {
    let Some((step, rest)) = steps.split_first() else {
        *body = Value::Null;
        return;
    };
    match body {
        Value::Array(items) if step == "*" => items.iter_mut().for_each(|item| empty_at(item, rest)),
        Value::Object(fields) if step == "*" => fields.values_mut().for_each(|field| empty_at(field, rest)),
        Value::Array(items) => {
            if let Some(item) = step.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                empty_at(item, rest);
            }
        }
        Value::Object(fields) => {
            if let Some(field) = fields.get_mut(step) {
                empty_at(field, rest);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Makes the list or map that would have the values, so that the body has the form of a success without any.
pub(in crate::simulator) fn put_nothing(body: &mut Value, pointers: &[Pointer]) {
    remove(body, pointers);
    let Some(pointer) = pointers.first() else { return };
    let before: Vec<_> = pointer.steps().iter().take_while(|step| *step != "*").cloned().collect();
    let is_list = before.len() < pointer.steps().len();
    if is_list && !leads(body, &before) {
        put_at(body, &before, &Value::Array(Vec::new()));
    } else if let Some((_, before)) = before.split_last().filter(|(_, before)| !before.is_empty())
        && !is_list
        && !leads(body, before)
    {
        put_at(body, before, &Value::Object(Map::new()));
    }
}

/// Returns whether one of these pointers leads to a value that says something.
pub(in crate::simulator) fn is_said(body: &Value, pointers: &[Pointer]) -> bool {
    pointers.iter().flat_map(|pointer| pointer.all(body)).any(says)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Goal: what is written at a pointer is what the pointer leads to. Method: every form of a pointer, from nothing.
    #[test]
    fn what_is_written_is_found_again() {
        for text in ["", "/id", "/data/*/url", "/a/0/b/1", "/a/*/b/*/c", "/a~1b/~0", "/errors/0/message", "/0/id"] {
            let mut body = Value::Null;
            assert!(put(&mut body, &pointers(&[text]), &json!("x")), "{text}");
            assert_eq!(text.parse::<Pointer>().unwrap().all(&body), [&json!("x")], "{text}: {body}");
        }
    }

    #[test]
    fn a_template_keeps_its_form_and_the_pointer_that_it_has() {
        let mut body = json!({"parts": [{"text": "here it is"}, {"inline": {"data": "old"}}], "n": 1});
        assert!(put(&mut body, &pointers(&["/parts/*/inline/data"]), &json!("new")));
        assert_eq!(body, json!({"parts": [{"text": "here it is"}, {"inline": {"data": "new"}}], "n": 1}));
        let mut body = json!({"job_id": 1});
        assert!(put(&mut body, &pointers(&["/id", "/job_id"]), &json!(2)));
        assert_eq!(body, json!({"job_id": 2}));
    }

    #[test]
    fn a_scalar_on_the_way_is_no_place() {
        let mut body = json!({"error": "text", "list": []});
        assert!(!put(&mut body, &pointers(&["/error/code"]), &json!("x")));
        assert!(!put(&mut body, &pointers(&["/list/name", "/list/9999"]), &json!("x")));
        assert!(put(&mut body, &pointers(&["/error/code", "/code"]), &json!("x")), "the next pointer has a place");
        assert_eq!(body, json!({"error": "text", "list": [], "code": "x"}));
    }

    #[test]
    fn what_is_removed_leaves_the_form_of_a_success() {
        for (text, body, expected) in [
            ("/data/*/url", json!({"data": [{"url": 1}, {"url": 2}]}), json!({"data": []})),
            ("/data/*/url", json!({}), json!({"data": []})),
            ("/a/*/b/*/c", json!({"a": [{"b": [{"c": 1}, {"t": 2}]}]}), json!({"a": [{"b": [{"t": 2}]}]})),
            ("/result/image", json!({"result": {"image": 1, "seed": 2}}), json!({"result": {"seed": 2}})),
            ("/result/image", json!({}), json!({"result": {}})),
            ("/images/0", json!({"images": ["x"]}), json!({"images": [null]})),
        ] {
            let mut changed = body;
            put_nothing(&mut changed, &pointers(&[text]));
            assert_eq!(changed, expected, "{text}");
        }
    }
}
