//! Verdict of the image check: the properties of a whole image, or the reason why bytes are not one.

use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat};

/// Limits on the size of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckLimits {
    /// Maximum length of the file, in bytes.
    pub bytes_max: u64,
    /// Maximum number of pixels: width times height.
    pub pixels_max: u64,
}

impl Default for CheckLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, pixels_max: 100_000_000 }
    }
}

/// Properties of a whole image, found by the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Image format, by the bytes of the file.
    pub format: ImageFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Length of the file in bytes, including bytes after the end of the image.
    pub bytes: u64,
    /// SHA-256 of the whole file, including bytes after the end of the image.
    pub sha256: [u8; 32],
}

impl Checked {
    /// Builds the record of the image, which is in the store under this name.
    pub(in crate::images) fn artifact(self, file_name: String) -> Artifact {
        let Self { format, width, height, bytes, sha256 } = self;
        Artifact { file_name, sha256, bytes, width, height, format }
    }
}

/// Reason why bytes are not a whole image of an acceptable size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// Empty file.
    #[error("the download is empty")]
    Empty,
    /// Text in place of an image, such as an error page.
    #[error("the download is {what}, not an image: {beginning}")]
    Text {
        /// Kind of text, for a message.
        what: &'static str,
        /// First characters of the text, escaped.
        beginning: String,
    },
    /// File of a format that is not accepted.
    #[error("the download is {what}, not a PNG, JPEG or WebP")]
    Other {
        /// Kind of file, for a message.
        what: &'static str,
    },
    /// File that ends too early.
    #[error("the image is cut off after {n_bytes} of at least {bytes_min} bytes")]
    CutOff {
        /// Number of bytes in the file.
        n_bytes: u64,
        /// Minimum number of bytes that the file needs, as far as it was read.
        bytes_min: u64,
    },
    /// File whose bytes contradict its format.
    #[error("the {} is damaged near byte {near}: {why}", words(*.format))]
    Damaged {
        /// Format by the first bytes.
        format: ImageFormat,
        /// Number of bytes that the check had read.
        near: u64,
        /// Description of the damage.
        why: &'static str,
    },
    /// Image whose pixel data end early, although the file is complete.
    #[error("the {}'s pixel data end after row {n_rows} of {n_rows_max}", words(*.format))]
    PixelsEnd {
        /// Format by the first bytes.
        format: ImageFormat,
        /// Number of whole rows, summed over all passes in an interlaced PNG.
        n_rows: u64,
        /// Number of rows that the image needs, counted likewise.
        n_rows_max: u64,
    },
    /// File longer than `bytes_max`.
    #[error("the download is larger than the limit of {bytes_max} bytes (--image-bytes-max)")]
    TooLong {
        /// Limit in bytes.
        bytes_max: u64,
    },
    /// Image with more pixels than `pixels_max`.
    #[error("the image has {width}x{height} pixels, more than the limit of {pixels_max} (--image-pixels-max)")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Limit in pixels.
        pixels_max: u64,
    },
}

impl NotAnImage {
    /// Builds the fault of a task that succeeded, but whose link returned no valid image.
    pub(in crate::images) fn fault(&self) -> Fault {
        Fault::new(FaultKind::BadOutput, self.to_string())
    }
}

/// Returns the format's name for a message.
const fn words(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
    }
}
