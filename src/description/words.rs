//! Closed lists of words in a description: methods, stages, statuses of a task, kinds of faults, classes of doubt.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::outcome::FaultKind;

/// Shape of the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// A submission gives a task, which is polled until it is done.
    #[default]
    Task,
    /// The answer to the submission has the image.
    Answer,
}

/// HTTP method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `GET`, without a body.
    Get,
    /// `POST`.
    #[default]
    Post,
}

/// Encoding of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyEncoding {
    /// JSON.
    #[default]
    Json,
    /// Form with one part for each field (`multipart/form-data`).
    Multipart,
}

/// Form of the images in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageKind {
    /// Links to download.
    #[default]
    Link,
    /// Base64 texts, with or without a `data:` prefix. A web address in their place is a link.
    Base64,
    /// The body of the answer is the image. If it is JSON, the pointers lead to base64 texts.
    Body,
}

/// Request that an answer belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStage {
    /// Submission.
    #[default]
    Submit,
    /// Poll of a task, and the reason of a failed task.
    Poll,
    /// Reason of a failed task alone. Rows for polls are for it too.
    Failed,
    /// Fetch of the result of a finished task.
    Result,
}

/// Which status number inside an error body is accepted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusMark {
    /// Matches only if the number equals the HTTP status of the response.
    Same,
    /// Any number.
    Given,
}

/// Ranges of the numbers in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RangeWord {
    /// Sides of 1 to 16384 pixels, 1 to 1000 steps, a guidance of 0 to 100.
    #[default]
    Wide,
    /// What most services take: sides of 64 to 2048 pixels, 1 to 100 steps, a guidance of 1.5 to 20.
    Usual,
}

/// Status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskWord {
    /// Queued.
    Queued,
    /// Running.
    Running,
    /// Ended with an image.
    Done,
    /// Ended without an image.
    Failed,
    /// Refused for its content.
    Moderated,
    /// Unknown to the provider.
    Lost,
}

/// Kind of a fault, by the words of `error_code` in the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultWord {
    /// Too many requests.
    Throttled,
    /// Quota or credit is used up.
    QuotaExhausted,
    /// Fault that passes, such as a busy server.
    Transient,
    /// Submission that may have been accepted.
    InDoubt,
    /// Task that the provider does not know any more.
    TaskLost,
    /// Refusal for the content.
    Moderated,
    /// Refusal for the form: model, parameter, length.
    InvalidRequest,
    /// Token that is missing, wrong or not allowed.
    Unauthorized,
    /// Task or answer without a usable image.
    BadOutput,
}

impl FaultWord {
    /// Returns the kind of the fault, without the times that some kinds carry.
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::Throttled => FaultKind::Throttled { retry_after: None },
            Self::QuotaExhausted => FaultKind::QuotaExhausted { resets_at: None },
            Self::Transient => FaultKind::Transient,
            Self::InDoubt => FaultKind::InDoubt,
            Self::TaskLost => FaultKind::TaskLost,
            Self::Moderated => FaultKind::Moderated,
            Self::InvalidRequest => FaultKind::InvalidRequest,
            Self::Unauthorized => FaultKind::Unauthorized,
            Self::BadOutput => FaultKind::BadOutput,
        }
    }
}

/// Way in which a lost submission is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoubtClass {
    /// A second submission costs nothing.
    Free,
    /// A second submission with the same id is refused, or answered like the first.
    Guarded,
    /// The provider can be asked for a submission by its id.
    Lookable,
    /// The provider lists recent submissions.
    Listable,
    /// The provider cannot be asked.
    #[default]
    Unknown,
}

/// Scope of the provider's limits on the pace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaneScope {
    /// All models of an account share the limits.
    #[default]
    Account,
    /// Each model has its own limits.
    Model,
}

/// End of a task that is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Billed {
    /// Image that was made.
    Done,
    /// Image that was withheld for its content.
    Moderated,
    /// Task that failed.
    Failed,
}

/// Conclusion that an example of a description expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// Submission: accepted, as a task.
    Accepted,
    /// Submission: accepted, and the answer has the image.
    Images,
    /// Poll: queued.
    Queued,
    /// Poll: running.
    Running,
    /// Poll: done, with an image.
    Done,
    /// Accepted and paid for, and ended without an image; `fault` names the kind.
    Failed,
    /// Submission that may have been accepted.
    InDoubt,
    /// Submission that another server most likely refused. It may have been accepted.
    Rejected,
    /// Too many requests.
    Throttled,
    /// Quota or credit is used up.
    QuotaExhausted,
    /// Fault that passes. For a poll: the answer says nothing about the task.
    Transient,
    /// Task that the provider does not know any more.
    TaskLost,
    /// Refused for the content, and not paid for.
    Moderated,
    /// Refused for the form, and not paid for.
    InvalidRequest,
    /// Refused for the token.
    Unauthorized,
    /// Answer without a usable image.
    BadOutput,
}

impl Expectation {
    /// Returns the word in the description.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Images => "images",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Transient => "transient",
            Self::TaskLost => "task_lost",
            Self::Moderated => "moderated",
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::BadOutput => "bad_output",
        }
    }
}
