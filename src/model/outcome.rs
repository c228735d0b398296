//! Results of requests and jobs: the provider's answers, faults, and how a job ended.

use std::fmt;
use std::time::Duration;

use crate::model::money::Money;
use crate::model::time::Timestamp;

/// Task id: the provider's own id of an accepted job, as the API sends it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub String);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Address from which an image can be fetched, as the provider wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url(pub String);

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Answer to a submission that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Acceptance {
    /// Task that the submission became.
    pub task: TaskId,
    /// Fault that the next submission would meet, if the provider reported that this one used up the quota; otherwise `None`.
    pub spent: Option<Fault>,
    /// Time for which the provider accepts nothing more, if it announced that.
    pub pause: Option<Duration>,
    /// Number of further requests that the provider accepts for now, if it reported that.
    pub remaining: Option<u64>,
    /// Number of further submissions in the quota, if the provider reported that.
    pub quota_left: Option<u64>,
    /// Number of further submissions in the quota of this model, if the provider reported that.
    pub model_quota_left: Option<u64>,
    /// Addresses of the images, if the answer to the submission had them; empty for a task that is to be polled.
    pub images: Vec<Url>,
    /// Cost of the submission, if the answer says it.
    pub cost: Option<Money>,
}

impl From<TaskId> for Acceptance {
    fn from(task: TaskId) -> Self {
        Self {
            task,
            spent: None,
            pause: None,
            remaining: None,
            quota_left: None,
            model_quota_left: None,
            images: Vec::new(),
            cost: None,
        }
    }
}

/// What became of a submission whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It was accepted.
    Accepted(Box<Acceptance>),
    /// It was surely not accepted, and is not paid for.
    Absent,
    /// The provider cannot tell.
    Unknown,
}

/// Status of a task, from a poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Status {
    /// Queued at the provider.
    Queued,
    /// Running; also every status that is unknown here.
    Running,
    /// Done, with the addresses of its images, which are never empty.
    Done(Vec<Url>),
    /// Ended without an image.
    Failed(Fault),
    /// End of a task, of which the answer also says what it cost.
    Charged(Box<(Money, Status)>),
}

impl Status {
    /// Returns the status with what the answer says of the cost.
    #[must_use]
    pub fn charged(self, cost: Option<Money>) -> Self {
        match cost {
            Some(money) => Self::Charged(Box::new((money, self))),
            None => self,
        }
    }
}

/// Fault outside this program: its kind, as the provider's code classified it, and the message for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Classification, which determines what can be done.
    pub kind: FaultKind,
    /// Description of the fault, in the provider's words where it gave any, and the remedy.
    pub message: String,
    /// Images of the task that are on the local disk, although others of it could not be fetched.
    pub kept: Vec<Artifact>,
    /// Wait before the next request that the answer requested, whatever its status; `None` if it requested none. A throttling fault carries
    /// its wait in `kind` instead. This wait is not recorded: it concerns the provider, and not the job.
    pub retry_after: Option<Duration>,
    /// Time until the quota resets by the provider's own clock; `None` if the provider did not name a time. Not recorded either.
    pub resets_in: Option<Duration>,
    /// True if the used-up quota is that of the request's model alone. Not recorded either.
    pub is_model_quota: bool,
}

/// Maximum number of images of one task that are fetched.
pub const IMAGES_MAX: usize = 16;

/// Maximum number of images of one task that are counted: further ones that a provider names are ignored.
pub const IMAGES_COUNTED_MAX: usize = 32;

/// Kind of a fault. Providers classify, and the engine's retry policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Throttling: too many requests. `retry_after` is set if the provider named a time.
    Throttled {
        /// Wait that the provider requests.
        retry_after: Option<Duration>,
    },
    /// Quota or credit that is used up.
    QuotaExhausted {
        /// Time of the next quota, if it is known.
        resets_at: Option<Timestamp>,
    },
    /// Transient fault: busy servers, broken connections, requests that certainly never arrived.
    Transient,
    /// Doubt: the request may have been accepted, and the answer was lost.
    InDoubt,
    /// Refusal of the submission by a proxy, a firewall or another server, and not certainly by the API. The request may have been accepted
    /// behind that server, and would most likely be refused again.
    Rejected,
    /// Loss of a task that was accepted once: it is unknown now, or gave no result in time.
    TaskLost,
    /// Refusal for the content.
    Moderated,
    /// Refusal for the form: model, parameter, length.
    InvalidRequest,
    /// Token that is missing, wrong or not allowed.
    Unauthorized,
    /// Output without a complete image, from a task that ended well.
    BadOutput,
}

impl FaultKind {
    /// All kinds, without the times that some of them carry.
    pub(crate) const ALL: [Self; 10] = [
        Self::Throttled { retry_after: None },
        Self::QuotaExhausted { resets_at: None },
        Self::Transient,
        Self::InDoubt,
        Self::Rejected,
        Self::TaskLost,
        Self::Moderated,
        Self::InvalidRequest,
        Self::Unauthorized,
        Self::BadOutput,
    ];

    /// Codes of all kinds.
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

    /// Returns the code for scripts: `error_code` in the results.
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
}

impl Fault {
    /// Creates the doubt about a submission whose process ended before its answer came.
    pub fn unanswered() -> Self {
        Self::new(FaultKind::InDoubt, "the run ended before the response to this submission arrived")
    }

    /// Creates a fault of this kind with this message.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
            resets_in: None,
            is_model_quota: false,
            kept: Vec::new(),
        }
    }

    /// Returns the fault with the images of its task that are on the local disk.
    #[must_use]
    pub fn keeping(self, kept: Vec<Artifact>) -> Self {
        Self { kept, ..self }
    }

    /// Returns the fault with the wait that its answer requested.
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

/// Result of a job that has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Success: every image of the task is on the local disk and verified.
    Succeeded(Vec<Artifact>),
    /// Failure for this reason: some images of the job are missing, and mostly all.
    Failed(Fault),
}

/// Image on the local disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Path below OUT, with `/` between the parts.
    pub file_name: String,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Width, in pixels.
    pub width: u32,
    /// Height, in pixels.
    pub height: u32,
    /// Format of the bytes, whatever the link was called.
    pub format: ImageFormat,
}

/// Image formats that are recognised by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImageFormat {
    /// Portable Network Graphics.
    Png,
    /// JPEG (JFIF or Exif).
    Jpeg,
    /// WebP, lossy or lossless.
    WebP,
}

impl ImageFormat {
    /// Returns the name of the format in the results, the ledger and file extensions: `png`, `jpg`, `webp`.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
        }
    }

    /// Returns the format with this extension; `None` for any other text.
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
        assert_eq!(FaultKind::ALL.map(FaultKind::code), FaultKind::CODES);
    }

    /// Goal: no kind changes its meaning unnoticed. Method: the codes of all kinds with each property.
    #[test]
    fn every_kind_has_its_meaning() {
        let codes = |is: fn(FaultKind) -> bool| {
            FaultKind::ALL.into_iter().filter(|kind| is(*kind)).map(FaultKind::code).collect()
        };
        let codes: [Vec<_>; 3] = [FaultKind::is_limit, FaultKind::leaves_doubt, FaultKind::ends_task].map(codes);
        assert_eq!(codes[0], ["throttled", "quota_exhausted"]);
        assert_eq!(codes[1], ["in_doubt", "rejected"]);
        assert_eq!(codes[2], ["in_doubt", "rejected", "moderated", "invalid_request"]);
    }

    #[test]
    fn a_fault_says_its_code_and_its_words() {
        let fault = Fault::new(FaultKind::Moderated, "inappropriate content");
        assert_eq!(fault.to_string(), "moderated: inappropriate content");
    }
}
