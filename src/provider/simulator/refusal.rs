//! Why the simulated service refuses a request: its status, its words, and its name in the statistics.

/// One refusal; its text is the `message` that the client gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400: the body is not a submission.
    #[error("{0}")]
    Invalid(String),
    /// 400: no such model.
    #[error("Model id : {0} , has no provider supported")]
    NoModel(String),
    /// 400: the header that asks for a task is missing.
    #[error(
        "The current model does not support synchronous calls, please set the header X-ModelScope-Async-Mode: true"
    )]
    Synchronous,
    /// 401: no token, or a wrong one.
    #[error("Please bind your Alibaba Cloud account before use.")]
    Unauthorized,
    /// 404: there is nothing at this path.
    #[error("there is nothing at {0}")]
    NoPath(String),
    /// 405: the path takes this method only.
    #[error("use {0}")]
    Method(&'static str),
    /// 413: the body is longer than anything that the service takes.
    #[error("Request body too large")]
    TooLarge,
    /// 429: submissions come faster than they are taken.
    #[error("limit_burst_rate: requests come too fast, please slow down")]
    Rate,
    /// 429: too many tasks are unfinished.
    #[error("Too many requests")]
    Concurrency,
    /// 429: the day's allowance is used up.
    #[error("You have exceeded today's quota for model {0}, please try again tomorrow")]
    Quota(String),
}

impl Refusal {
    /// The status code that goes with it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) | Self::NoModel(_) | Self::Synchronous => 400,
            Self::Unauthorized => 401,
            Self::NoPath(_) => 404,
            Self::Method(_) => 405,
            Self::TooLarge => 413,
            Self::Rate | Self::Concurrency | Self::Quota(_) => 429,
        }
    }

    /// Its name in the statistics.
    pub const fn reason(&self) -> &'static str {
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
        }
    }
}
