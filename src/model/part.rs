//! The first part of an image that is on our disk already, and how its host knows the rest of the very same bytes.

/// What an image host calls this version of an image: a strong validator of HTTP, equal for equal bytes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validator {
    /// A strong `ETag`, with its quotes.
    ETag(String),
    /// A `Last-Modified` that is older than the answer that told it.
    LastModified(String),
}

/// How much of an image is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first bytes, as they came.
    pub n_bytes: u64,
    /// How many the whole image has; `None` where the host did not say.
    pub bytes_total: Option<u64>,
    /// What the host calls the image that these are bytes of.
    pub validator: Validator,
}

impl Part {
    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.bytes_total == Some(self.n_bytes)
    }
}
