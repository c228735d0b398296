//! Routes of a described API: which request of a client is which question.

use serde_json::Value;

use crate::description::body::Tree;
use crate::description::format::Description;
use crate::description::leaf::Leaf;
use crate::description::path::{PathPart, PathTemplate};
use crate::description::words::Method;
use crate::simulator::message::HttpRequest;

/// Path of the status of a task whose acceptance names an address, before the id.
const STATUS_PATH: &str = "/simulator/status/";

/// Path of the result of a finished task, before the id.
const RESULT_PATH: &str = "/simulator/result/";

/// Question of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Question {
    /// Submission; the model if the path has it.
    Submit(Option<String>),
    /// Poll of the task with this id.
    Poll(String),
    /// Fetch of the result of the task with this id.
    Result(String),
    /// Question for submissions.
    Find,
}

/// Reason why a request is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum NoQuestion {
    /// There is nothing at this path.
    Path,
    /// The path exists for this method only.
    Method(&'static str),
}

/// Returns the address of the status of a task.
pub(in crate::simulator) fn status_url(origin: &str, id: &str) -> String {
    format!("{origin}{STATUS_PATH}{id}")
}

/// Returns the address of the result of a task.
pub(in crate::simulator) fn result_url(origin: &str, id: &str) -> String {
    format!("{origin}{RESULT_PATH}{id}")
}

/// Returns the path of a base URL, such as `/api/v3`; empty if it has none.
fn base_path(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

/// Route with what its path holds.
struct Candidate<'a> {
    question: Question,
    method: Method,
    body: Option<&'a Tree>,
}

/// Returns the question of a request. Paths are accepted with and without the path of the base URL.
pub(in crate::simulator) fn question(api: &Description, request: &HttpRequest) -> Result<Question, NoQuestion> {
    let fits = candidates(api, &request.path);
    let Some(first) = fits.first() else { return Err(NoQuestion::Path) };
    let allowed = name(first.method);
    let mut fits: Vec<_> = fits.into_iter().filter(|fit| name(fit.method) == request.method).collect();
    if fits.len() > 1 {
        // One address answers several questions, which differ in the fixed fields of their bodies.
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let meant = fits.iter().position(|fit| fit.body.is_some_and(|tree| has_literals(tree, &body)));
        fits.swap(0, meant.unwrap_or(0));
    }
    fits.into_iter().next().map(|fit| fit.question).ok_or(NoQuestion::Method(allowed))
}

fn candidates<'a>(api: &'a Description, path: &str) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    let (poll, submit) = (&api.poll, &api.submit);
    if let Some(held) = held(&submit.path, &api.base_url, path) {
        found.push(Candidate {
            question: Question::Submit(held.model),
            method: submit.method,
            body: Some(&submit.body),
        });
    }
    let method = poll.method.unwrap_or(Method::Get);
    if let Some(held) = poll.path.as_ref().and_then(|template| held(template, &api.base_url, path)) {
        let question = Question::Poll(held.id.unwrap_or_default());
        found.push(Candidate { question, method, body: poll.body.as_ref() });
    }
    let bare = path.split('?').next().unwrap_or_default();
    if let Some(id) = bare.strip_prefix(STATUS_PATH).filter(|_| !api.accepted.status_url.is_empty()) {
        found.push(Candidate { question: Question::Poll(id.to_owned()), method, body: poll.body.as_ref() });
    }
    if let Some(id) = bare.strip_prefix(RESULT_PATH).filter(|_| !poll.result.is_empty()) {
        found.push(Candidate { question: Question::Result(id.to_owned()), method: Method::Get, body: None });
    }
    if let Some(held) = api.find.as_ref().and_then(|find| held(find.task.as_ref()?, &api.base_url, path)) {
        found.push(Candidate {
            question: Question::Poll(held.id.unwrap_or_default()),
            method,
            body: poll.body.as_ref(),
        });
    }
    if let Some(find) = &api.find {
        let base_url = if find.base_url.is_empty() { &api.base_url } else { &find.base_url };
        if held(&find.path, base_url, path).is_some() {
            let method = find.method.unwrap_or(Method::Get);
            found.push(Candidate { question: Question::Find, method, body: find.body.as_ref() });
        }
    }
    found
}

const fn name(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
    }
}

/// Returns the task that the body of a poll names.
pub(in crate::simulator) fn polled_task(api: &Description, request: &HttpRequest) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    let places = api.poll.body.iter().flat_map(Tree::leaves).filter(|(_, leaf)| *leaf == Leaf::TaskId);
    let mut ids = places.filter_map(|(place, _)| body.pointer(&place)?.as_str().map(str::to_owned));
    ids.next()
}

/// Returns whether a body has all fixed texts of this tree.
fn has_literals(tree: &Tree, body: &Value) -> bool {
    match (tree, body) {
        (Tree::Literal(Value::String(text)), body) => body.as_str() == Some(text),
        (Tree::Literal(_) | Tree::Leaf(_), _) => true,
        (Tree::List(trees), Value::Array(items)) => {
            trees.iter().enumerate().all(|(i, tree)| items.get(i).is_some_and(|item| has_literals(tree, item)))
        }
        (Tree::Map(trees), Value::Object(fields)) => {
            let is_met = |(name, tree): &(String, Tree)| match fields.get(name) {
                Some(field) => has_literals(tree, field),
                None => !matches!(tree, Tree::Literal(Value::String(_))),
            };
            trees.iter().all(is_met)
        }
        (Tree::List(_) | Tree::Map(_), _) => false,
    }
}

/// Model and task that a path holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    model: Option<String>,
    id: Option<String>,
}

/// Returns what a path holds if it has the form of a template; `None` if it has another form.
fn held(template: &PathTemplate, base_url: &str, path: &str) -> Option<Held> {
    let rest = path.strip_prefix(base_path(base_url)).filter(|_| !base_path(base_url).is_empty());
    rest.into_iter().chain([path]).find_map(|path| {
        // A query that names the task is a part of the form; any other query may differ.
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let whole = template.to_string();
        let (form, form_query) = whole.split_once('?').unwrap_or((&whole, ""));
        let mut held = Held::default();
        let is_met = fits(&parts(form)?, bare.trim_end_matches('/'), &mut held)
            && (!form_query.contains("{id}")
                || query.split('&').any(|field| form_query.split('&').any(|form| holds_id(form, field, &mut held))));
        is_met.then_some(held)
    })
}

fn parts(form: &str) -> Option<Vec<PathPart>> {
    form.parse::<PathTemplate>().ok().map(|template| template.parts().to_vec())
}

/// Takes the task from a field of a query such as `id={id}`.
fn holds_id(form: &str, field: &str, held: &mut Held) -> bool {
    let Some((name, "{id}")) = form.split_once('=') else { return false };
    let id = field.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(decoded);
    held.id = id.filter(|id| !id.is_empty()).or_else(|| held.id.take());
    held.id.is_some()
}

/// Decodes the percent-encoded bytes of a path or a query.
pub(in crate::simulator) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns whether a text has the form of these parts, and takes what it holds.
fn fits(parts: &[PathPart], text: &str, held: &mut Held) -> bool {
    let Some((part, rest)) = parts.split_first() else { return text.is_empty() };
    let is_id = matches!(part, PathPart::TaskId);
    match part {
        PathPart::Text(own) => {
            let own = if rest.is_empty() { own.trim_end_matches('/') } else { own };
            text.strip_prefix(own).is_some_and(|text| fits(rest, text, held))
        }
        PathPart::ModelSegments | PathPart::ModelApp | PathPart::ModelSegment | PathPart::TaskId => {
            let end = if matches!(part, PathPart::ModelSegments | PathPart::ModelApp) {
                text.len()
            } else {
                text.find('/').unwrap_or(text.len())
            };
            let ends = (1..=end).rev().filter(|end| text.is_char_boundary(*end));
            for end in ends {
                if fits(rest, &text[end..], held) {
                    let value = decoded(&text[..end]);
                    *(if is_id { &mut held.id } else { &mut held.model }) = Some(value);
                    return true;
                }
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(template: &str, base_url: &str, path: &str) -> Option<(String, String)> {
        let held = held(&template.parse().unwrap(), base_url, path)?;
        Some((held.model.unwrap_or_default(), held.id.unwrap_or_default()))
    }

    #[test]
    fn a_path_is_read_as_it_was_written() {
        let base = "https://a.example/api/v3";
        for (template, path, model, id) in [
            ("/v1/images", "/v1/images", "", ""),
            ("/v1/images", "/api/v3/v1/images?x=1", "", ""),
            ("/v1/images", "/v1/images/", "", ""),
            ("", "/api/v3", "", ""),
            ("", "/", "", ""),
            ("/{model}", "/fal-ai/flux/dev", "fal-ai/flux/dev", ""),
            ("/m/{model:segment}/x", "/m/a%2Fb/x", "a/b", ""),
            ("/v1beta/models/{model}:generateContent", "/v1beta/models/g-2.5:generateContent", "g-2.5", ""),
            ("/tasks/{id}", "/tasks/7%20a?poll=1", "", "7 a"),
            ("/tasks/{id}/status", "/api/v3/tasks/7/status", "", "7"),
            ("/get?id={id}", "/get?x=1&id=7", "", "7"),
        ] {
            assert_eq!(holds(template, base, path), Some((model.to_owned(), id.to_owned())), "{template} {path}");
        }
        for (template, path) in [
            ("/v1/images", "/v1/image"),
            ("/v1/images", "/v1/images/7"),
            ("/tasks/{id}", "/tasks/"),
            ("/tasks/{id}", "/tasks/a/b"),
            ("/{model}", "/"),
            ("/m/{model:segment}/x", "/m/a/b/x"),
            ("/get?id={id}", "/get?idx=7"),
        ] {
            assert_eq!(holds(template, base, path), None, "{template} {path}");
        }
    }

    #[test]
    fn the_fixed_texts_of_a_body_tell_questions_apart() {
        let tree: Tree = serde_yaml::from_str("[{taskType: imageInference, positivePrompt: $prompt}]").unwrap();
        assert!(has_literals(&tree, &json!([{"taskType": "imageInference", "positivePrompt": "x"}])));
        for body in [json!([{"taskType": "getResponse"}]), json!([{}]), json!([]), json!({}), json!(null)] {
            assert!(!has_literals(&tree, &body), "{body}");
        }
    }
}
