//! How things went: the provider's answers, what went wrong out there, and how a job ended.

use std::fmt;
use std::time::Duration;

use crate::model::time::Timestamp;

/// The provider's own id of an accepted job, whatever the API sends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub String);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an image can be fetched, as the provider wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url(pub String);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A submission that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Acceptance {
    /// The task that it became.
    pub task: TaskId,
    /// The fault that the next submission would meet, where the provider said that this one has used up the allowance.
    pub spent: Option<Fault>,
    /// How long the provider takes nothing more, where it said so beforehand.
    pub pause: Option<Duration>,
    /// How many more requests the provider said that it takes for now, where it did.
    pub remaining: Option<u64>,
    /// How many more submissions the provider said that the allowance has, where it did.
    pub quota_left: Option<u64>,
}

impl From<TaskId> for Acceptance {
    fn from(task: TaskId) -> Self {
        Self { task, spent: None, pause: None, remaining: None, quota_left: None }
    }
}

/// What a poll told about a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// In line for its turn.
    Queued,
    /// At work; also every status that we do not know.
    Running,
    /// Done, with the links of its images; never empty.
    Done(Vec<Url>),
    /// Ended without an image.
    Failed(Fault),
}

/// What went wrong out there: its kind, as the provider's code classified it, and the words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What may be done about it.
    pub kind: FaultKind,
    /// What happened, in the provider's words where it gave any, and what to do.
    pub message: String,
    /// Images of the task that are on our disk all the same, where only others of it could not be had.
    pub kept: Vec<Artifact>,
    /// How long the answer asked to wait before the next request, whatever its status; `None` if it did not. Not for throttling,
    /// which carries it in its kind, and not recorded: it is about the provider, not about the job.
    pub retry_after: Option<Duration>,
    /// How long the allowance is used up by the provider's own clock, where it told the time; not recorded either.
    pub resets_in: Option<Duration>,
}

/// Images of one task that are fetched.
pub const IMAGES_MAX: usize = 16;

/// Images of one task that are counted: a provider that names more is not followed any further.
pub const IMAGES_COUNTED_MAX: usize = 32;

/// The kinds of fault. Providers classify, the engine's retry policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many requests; `retry_after` where the provider named a time.
    Throttled {
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The allowance or the credit is used up.
    QuotaExhausted {
        /// When there is a new one, where that is known.
        resets_at: Option<Timestamp>,
    },
    /// Likely to pass: busy servers, broken connections, requests that surely never arrived.
    Transient,
    /// The request may have been accepted, and the answer was lost.
    InDoubt,
    /// A proxy, a firewall or another server refused the submission, not surely the API. It may have been accepted behind that, and the
    /// same request would most likely be refused again.
    Rejected,
    /// The task was accepted once and is unknown now, or gave no result in time.
    TaskLost,
    /// Refused for its content.
    Moderated,
    /// Refused for its form: model, parameter, length.
    InvalidRequest,
    /// The token is missing, wrong or not allowed.
    Unauthorized,
    /// The task ended well and gave no whole image.
    BadOutput,
}

impl FaultKind {
    /// The words of all kinds.
    pub const CODES: [&'static str; 10] = [
        "throttled",
        "quota_exhausted",
        "transient",
        "in_doubt",
        "rejected",
        "task_lost",
        "moderated",
        "invalid_request",
        "unauthorized",
        "bad_output",
    ];

    /// The word for scripts: `error_code` in the results.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::Transient => "transient",
            Self::InDoubt => "in_doubt",
            Self::Rejected => "rejected",
            Self::TaskLost => "task_lost",
            Self::Moderated => "moderated",
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::BadOutput => "bad_output",
        }
    }

    /// Whether a submission that ends with this fault may have been accepted, and so may be paid for.
    pub const fn leaves_doubt(self) -> bool {
        match self {
            Self::InDoubt | Self::Rejected => true,
            Self::Throttled { .. }
            | Self::QuotaExhausted { .. }
            | Self::Transient
            | Self::TaskLost
            | Self::Moderated
            | Self::InvalidRequest
            | Self::Unauthorized
            | Self::BadOutput => false,
        }
    }
}

impl Fault {
    /// The doubt about a submission whose process ended before its answer came.
    pub fn unanswered() -> Self {
        Self::new(FaultKind::InDoubt, "the run ended before the answer to this submission came")
    }

    /// A fault of this kind with these words.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, resets_in: None, kept: Vec::new() }
    }

    /// The same fault of a task of which these images are on our disk.
    #[must_use]
    pub fn keeping(self, kept: Vec<Artifact>) -> Self {
        Self { kept, ..self }
    }

    /// The same fault with the wait that its answer asked for.
    #[must_use]
    pub fn with_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every image of the task is on our disk and was checked.
    Succeeded(Vec<Artifact>),
    /// It ended without all of its images, for this reason; mostly without any.
    Failed(Fault),
}

/// An image on our disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its path below OUT, with `/` between the parts.
    pub file_name: String,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
    /// Length of the file.
    pub bytes: u64,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// What the bytes are, whatever the link was called.
    pub format: ImageFormat,
}

/// The image formats that are recognised by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// Portable Network Graphics.
    Png,
    /// JPEG (JFIF or Exif).
    Jpeg,
    /// WebP, lossy or lossless.
    WebP,
}

impl ImageFormat {
    /// The word for it in the results, the ledger and file extensions: `png`, `jpg`, `webp`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
        }
    }

    /// The format with this extension.
    pub fn from_extension(text: &str) -> Option<Self> {
        [Self::Png, Self::Jpeg, Self::WebP].into_iter().find(|format| format.extension() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_by_its_extension() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            assert_eq!(ImageFormat::from_extension(format.extension()), Some(format));
        }
        assert_eq!(ImageFormat::from_extension("gif"), None);
    }

    #[test]
    fn every_kind_has_its_word_in_the_list() {
        let kinds = [
            FaultKind::Throttled { retry_after: None },
            FaultKind::QuotaExhausted { resets_at: None },
            FaultKind::Transient,
            FaultKind::InDoubt,
            FaultKind::Rejected,
            FaultKind::TaskLost,
            FaultKind::Moderated,
            FaultKind::InvalidRequest,
            FaultKind::Unauthorized,
            FaultKind::BadOutput,
        ];
        assert_eq!(kinds.map(FaultKind::code), FaultKind::CODES);
    }

    #[test]
    fn a_fault_says_its_code_and_its_words() {
        let fault = Fault::new(FaultKind::Moderated, "inappropriate content");
        assert_eq!(fault.to_string(), "moderated: inappropriate content");
    }
}
