//! Refusals of the simulated service: status, message, and name in the statistics.

/// Refusal of a request; its text is the `message` that the client receives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Status 400: the body is not a submission.
    #[error("{0}")]
    Invalid(String),
    /// Status 400: the model does not exist.
    #[error("Model id : {0} , has no provider supported")]
    NoModel(String),
    /// Status 400: the header that requests an asynchronous task is missing.
    #[error(
        "The current model does not support synchronous calls, please set the header X-ModelScope-Async-Mode: true"
    )]
    Synchronous,
    /// Status 401: the token is missing or wrong.
    #[error("Please bind your Alibaba Cloud account before use.")]
    Unauthorized,
    /// Status 403: the token may not do this.
    #[error("Forbidden")]
    Forbidden,
    /// Status 400: the prompt is refused for its content.
    #[error("Your request was refused because of its content")]
    Content,
    /// Status 404: the path does not exist.
    #[error("there is nothing at {0}")]
    NoPath(String),
    /// Status 405: the path accepts this method only.
    #[error("use {0}")]
    Method(&'static str),
    /// Status 413: the body is longer than the service accepts.
    #[error("Request body too large")]
    TooLarge,
    /// Status 429: submissions exceed the rate limit.
    #[error("limit_burst_rate: requests come too fast, please slow down")]
    Rate,
    /// Status 429: too many tasks are unfinished.
    #[error("Too many requests")]
    Concurrency,
    /// Status 429: the daily quota is used up.
    #[error("You have exceeded today's quota for model {0}, please try again tomorrow")]
    Quota(String),
    /// Status 500: the service is busy.
    #[error("Server is busy, please try again later")]
    Busy,
}

impl Refusal {
    /// Returns the HTTP status code.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) | Self::NoModel(_) | Self::Synchronous | Self::Content => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NoPath(_) => 404,
            Self::Method(_) => 405,
            Self::TooLarge => 413,
            Self::Rate | Self::Concurrency | Self::Quota(_) => 429,
            Self::Busy => 500,
        }
    }

    /// Returns the name in the statistics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::NoModel(_) => "model",
            Self::Synchronous => "synchronous",
            Self::Unauthorized => "unauthorized",
            Self::NoPath(_) => "path",
            Self::Method(_) => "method",
            Self::TooLarge => "too-large",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Quota(_) => "quota",
            Self::Forbidden => "forbidden",
            Self::Content => "content",
            Self::Busy => "busy",
        }
    }
}
