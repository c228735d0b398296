//! Answers in a description: acceptances, images, polls and errors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::description::body::Tree;
use crate::description::error_row::ErrorRow;
use crate::description::list::List;
use crate::description::path::PathTemplate;
use crate::description::pointer::Pointer;
use crate::description::requests::HeaderText;
use crate::description::words::{FaultWord, ImageKind, Method, StatusMark, TaskWord};

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
    /// HTTP status that an error repeats, or that the error of a failed task names: a number from 0 to 65535, or its digits.
    #[schemars(with = "List<String>")]
    pub status: List<Pointer>,
    /// Values that only the API itself sends with an error, all of them besides the message or the code.
    #[schemars(with = "List<String>")]
    pub own: List<Pointer>,
    /// Forms of an error that only the API itself sends; one of them is enough.
    pub forms: Vec<OwnForm>,
    /// Rows from the top; the first that matches decides.
    pub table: List<ErrorRow>,
}

/// Form of an error that only the API itself sends. All that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OwnForm {
    /// Texts that are there and not blank.
    #[schemars(with = "List<String>")]
    pub texts: List<Pointer>,
    /// Places that say nothing: absent, null or empty.
    #[schemars(with = "List<String>")]
    pub empty: List<Pointer>,
    /// What the number at `errors.status` is.
    pub status: Option<StatusMark>,
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

/// Words about a used-up quota, in messages to the user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaWords {
    /// Beginning of the message, before the provider's words.
    pub lead: String,
    /// What follows them, in one sentence without a full stop.
    pub say: String,
}
