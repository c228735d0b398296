//! Answers in a description: acceptances, images, polls and errors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::description::body::Tree;
use crate::description::list::List;
use crate::description::path::PathTemplate;
use crate::description::pointer::Pointer;
use crate::description::requests::HeaderText;
use crate::description::status::Statuses;
use crate::description::words::{AnswerStage, FaultWord, ImageKind, Method, TaskWord};

/// Answer to a submission that became a task. An id that can be read in any answer means that the submission was accepted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Accepted {
    /// Task id.
    #[schemars(with = "List<String>")]
    pub id: List<Pointer>,
    /// Address at which the task is polled. If it is named here, it stands for the task, and `poll.path` is left out.
    #[schemars(with = "List<String>")]
    pub status_url: List<Pointer>,
    /// Codes of an error that says: a submission with this id was accepted before. The submission id is then the task id.
    #[schemars(with = "List<String>")]
    pub conflict: List<String>,
    /// Cost of the task.
    #[schemars(with = "List<String>")]
    pub cost: List<Pointer>,
}

/// Images of an answer or of a finished task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageRules {
    /// Images.
    #[schemars(with = "List<String>")]
    pub images: List<Pointer>,
    /// Form of the images.
    pub kind: ImageKind,
    /// Words beside the images, such as a finish reason.
    #[schemars(with = "List<String>")]
    pub reason: List<Pointer>,
    /// Meanings of the words that say that there is no usable image. Other words mean nothing.
    pub reasons: BTreeMap<String, FaultWord>,
    /// Meaning of a success without an image; `bad_output` if it is left out.
    pub empty: Option<FaultWord>,
    /// Cost of the answer.
    #[schemars(with = "List<String>")]
    pub cost: List<Pointer>,
}

/// Poll of a task.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Poll {
    /// HTTP method; `get` if it is left out.
    pub method: Option<Method>,
    /// Path below the base URL, such as `/v1/tasks/{id}`. Left out if `accepted.status_url` names the address.
    #[schemars(with = "Option<String>")]
    pub path: Option<PathTemplate>,
    /// Headers besides the token.
    #[schemars(with = "BTreeMap<String, String>")]
    pub headers: BTreeMap<String, HeaderText>,
    /// Body of a POST, a tree of JSON in which `$task_id` is the task.
    #[schemars(with = "Option<Value>")]
    pub body: Option<Tree>,
    /// Task id in the answer. An answer about another task says nothing.
    #[schemars(with = "List<String>")]
    pub id: List<Pointer>,
    /// Word for the status.
    #[schemars(with = "List<String>")]
    pub status: List<Pointer>,
    /// Meanings of the words; small and capital letters are the same. A word that is not listed means `running`.
    pub words: BTreeMap<String, TaskWord>,
    /// Error beside the status `done`: if it says something, the task has failed.
    #[schemars(with = "List<String>")]
    pub error: List<Pointer>,
    /// Address of the result of a finished task, if the images are not in the answer to the poll.
    #[schemars(with = "List<String>")]
    pub result: List<Pointer>,
}

/// Errors of the API, as far as its own answers say them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Errors {
    /// Message of an error.
    #[schemars(with = "List<String>")]
    pub message: List<Pointer>,
    /// Code or type of an error, a text or a number.
    #[schemars(with = "List<String>")]
    pub code: List<Pointer>,
    /// Values that only the API itself sends with an error, all of them besides the message or the code.
    #[schemars(with = "List<String>")]
    pub own: List<Pointer>,
    /// Rows from the top; the first that matches decides.
    pub table: List<ErrorRow>,
}

/// Row of the table of errors. All conditions that are given must hold.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRow {
    /// Requests that the row is for; every request if it is left out.
    #[serde(default)]
    #[schemars(with = "List<AnswerStage>")]
    pub stage: List<AnswerStage>,
    /// HTTP status: 429, 5xx or 400-404, or a list of them.
    #[serde(default)]
    #[schemars(with = "List<Value>")]
    pub status: List<Statuses>,
    /// Code of the error; one of them is enough, and small and capital letters are the same.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub code: List<String>,
    /// Text in the message, in small letters; one of them is enough.
    #[serde(default)]
    #[schemars(with = "List<String>")]
    pub contains: List<String>,
    /// Meaning.
    pub kind: FaultWord,
    /// True if the provider documents that a submission with this answer was surely not taken and is not paid for. Otherwise the submission
    /// is in doubt.
    #[serde(default)]
    pub clear: bool,
    /// True if a used-up quota is that of the requested model alone.
    #[serde(default)]
    pub model_quota: bool,
    /// What the user can do, in one sentence without a full stop.
    #[serde(default)]
    pub say: String,
}

/// Names of headers with what is left of a quota. Common names of rate-limit headers are known without this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateHeaders {
    /// Submissions left for all models together.
    pub quota_left: Option<String>,
    /// Submissions left for the requested model.
    pub model_quota_left: Option<String>,
}

impl ErrorRow {
    /// Returns whether the row matches an answer at this stage with this code and message.
    pub fn matches(&self, stage: AnswerStage, status: u16, code: &str, message: &str) -> bool {
        let message = message.to_lowercase();
        let has = |texts: &List<String>, is_met: &dyn Fn(&String) -> bool| texts.is_empty() || texts.iter().any(is_met);
        (self.stage.is_empty() || self.stage.contains(&stage))
            && (self.status.is_empty() || self.status.iter().any(|statuses| statuses.contains(status)))
            && has(&self.code, &|text| text.eq_ignore_ascii_case(code))
            && has(&self.contains, &|text| message.contains(text.as_str()))
    }
}
