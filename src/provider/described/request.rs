//! Requests of a described API: the path and the body of a submission or a poll, made of typed values.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::description::body::Tree;
use crate::description::format::Description;
use crate::description::leaf::Given;
use crate::description::pointer::{Pointer, scalar};
use crate::description::words::BodyEncoding;
use crate::model::escape::excerpt;
use crate::model::outcome::{Fault, FaultKind, TaskId};
use crate::model::request::{Json, Request};

/// Body with its type, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedBody {
    /// Value of `Content-Type`.
    pub content_type: String,
    /// Bytes.
    pub text: String,
}

/// Returns the path of a submission.
pub(crate) fn submit_path(api: &Description, request: &Request) -> Result<String, Fault> {
    api.submit.path.path(&request.model, "").ok_or_else(|| {
        let words = format!(
            "the model {} cannot stand in the address of a request; write it as {} names its models",
            excerpt(&request.model, 80),
            api.name
        );
        Fault::new(FaultKind::InvalidRequest, words)
    })
}

/// Returns the path of a poll.
pub(crate) fn poll_path(api: &Description, task: &TaskId) -> Option<String> {
    api.poll.path.as_ref()?.path("", &task.0)
}

/// Returns the body of a submission. Fails if the request says something that the API cannot be told.
pub(crate) fn submit_body(api: &Description, request: &Request, submission_id: &str) -> Result<Value, Fault> {
    let unsent = request.told().map(|(name, _)| name).find(|name| *name != "model" && !api.submit.sends(name));
    if let Some(name) = unsent {
        let words = format!("{} has no `{name}`; leave it out, or choose another provider", api.name);
        return Err(Fault::new(FaultKind::InvalidRequest, words));
    }
    let given = Given { request: Some(request), submission_id: Some(submission_id), task_id: None };
    let mut body = api.submit.body.value(&given).unwrap_or_else(|| Value::Object(Map::new()));
    if request.params.is_empty() && api.submit.defaults.is_empty() {
        return Ok(body);
    }
    let steps = api.submit.params.as_ref().map_or(&[][..], Pointer::steps);
    let Some(fields) = map_at(&mut body, steps) else {
        let words = format!("the body of {} has no place for parameters; mend `submit.params`", api.name);
        return Err(Fault::new(FaultKind::InvalidRequest, words));
    };
    merge_params(api, request, fields)?;
    Ok(body)
}

/// Returns the map at these steps. A map that was left out, because nothing in it had a value, is made again.
fn map_at<'a>(body: &'a mut Value, steps: &[String]) -> Option<&'a mut Map<String, Value>> {
    let mut value = body;
    for step in steps {
        value = match value {
            Value::Object(fields) => fields.entry(step.clone()).or_insert_with(|| Value::Object(Map::new())),
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    value.as_object_mut()
}

/// Adds the defaults and the parameters of a request. They never replace what the body already says.
fn merge_params(api: &Description, request: &Request, fields: &mut Map<String, Value>) -> Result<(), Fault> {
    for (name, Json(text)) in &request.params {
        let refuse = |words: String| Err(Fault::new(FaultKind::InvalidRequest, words));
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return refuse(format!("the parameter {name} is not JSON: {error}")),
        };
        if fields.contains_key(name) {
            return refuse(format!(
                "the parameter {name} would replace a field that {} is sent already; leave one of them out",
                api.name
            ));
        }
        fields.insert(name.clone(), value);
    }
    for (name, value) in &api.submit.defaults {
        fields.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(())
}

/// Returns the body of a poll; `None` without a body.
pub(crate) fn poll_body(api: &Description, task: &TaskId) -> Option<Value> {
    let given = Given { task_id: Some(&task.0), ..Given::default() };
    api.poll.body.as_ref().and_then(|tree: &Tree| tree.value(&given))
}

/// Encodes a body. `boundary` separates the parts of a form; it must not occur in a value.
pub(crate) fn encoded(encoding: BodyEncoding, body: &Value, boundary: &str) -> EncodedBody {
    match (encoding, body) {
        (BodyEncoding::Multipart, Value::Object(fields)) => {
            let mut text = String::new();
            for (name, value) in fields {
                let name: String = name.chars().filter(|c| !c.is_control() && *c != '"').collect();
                let value = scalar(value).unwrap_or_else(|| value.to_string());
                let _never =
                    write!(text, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            }
            let _never = write!(text, "--{boundary}--\r\n");
            EncodedBody { content_type: format!("multipart/form-data; boundary={boundary}"), text }
        }
        (BodyEncoding::Multipart | BodyEncoding::Json, body) => {
            EncodedBody { content_type: "application/json".to_owned(), text: body.to_string() }
        }
    }
}
