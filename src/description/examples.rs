//! Recorded answers in a description, each with the conclusion that must be drawn from it, and examples of requests.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::description::words::{AnswerStage, Expectation, FaultWord};

/// Answer as it was recorded or documented, and the conclusion from it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What the example shows.
    pub name: String,
    /// Request that was answered.
    #[serde(default)]
    pub stage: AnswerStage,
    /// HTTP status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers; `retry-after`, `date`, and those of `rate_headers` count.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Body, as JSON.
    pub body: Option<Value>,
    /// Body, as a text that need not be JSON.
    pub text: Option<String>,
    /// True if the body is an image.
    #[serde(default)]
    pub image: bool,
    /// Polled task. If it is left out, it is taken from the first example that was accepted.
    pub task: Option<String>,
    /// Conclusion.
    pub expect: Expectation,
    /// Task id of an accepted submission.
    pub id: Option<String>,
    /// Links of a finished task, or of an answer with links.
    pub links: Option<Vec<String>>,
    /// Kind of the fault of a failed task.
    pub fault: Option<FaultWord>,
    /// Cost that the answer says, such as `0.025 USD`.
    pub cost: Option<String>,
}

/// Request and what is sent for it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestExample {
    /// What the example shows.
    pub name: String,
    /// Fields of the request, by their names in a manifest; further names are parameters.
    pub given: Map<String, Value>,
    /// Path that is sent.
    pub path: Option<String>,
    /// Body that is sent, as JSON.
    pub body: Value,
}

const fn ok() -> u16 {
    200
}
