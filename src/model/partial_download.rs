//! Partial download: the first bytes of an image on the local disk, and the host's identifier of the same image.

/// Strong validator of HTTP: the host's identifier of an image version, equal for equal bytes only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validator {
    /// Strong `ETag`, with its quotes.
    ETag(String),
    /// `Last-Modified` that is older than the answer that carried it.
    LastModified(String),
}

/// First bytes of an image that are on the local disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialDownload {
    /// Number of bytes, unchanged from the host.
    pub n_bytes: u64,
    /// Length of the whole image, in bytes; `None` if the host did not say.
    pub bytes_total: Option<u64>,
    /// Validator of the image to which the bytes belong.
    pub validator: Validator,
}

impl PartialDownload {
    /// Returns whether no byte is missing.
    pub fn is_whole(&self) -> bool {
        self.bytes_total == Some(self.n_bytes)
    }
}
