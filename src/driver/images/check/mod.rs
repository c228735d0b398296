//! Whether bytes are one whole image, told in a single pass and in bounded memory.
//!
//! A general decoder is content with half a JPEG. This walk is not: it goes over every chunk or segment to the end marker, and
//! hashes on the way. The pixels' codes are read to the last row, so that a decoder will read them too; no picture is held.

mod jpeg;
mod png;
mod walk;
mod webp;

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};

use crate::driver::images::check::walk::{Stop, Walk};
use crate::model::outcome::ImageFormat;
use crate::model::text::{excerpt, kind_of_text, trimmed};

/// What an image may measure at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckLimits {
    /// Length of the file.
    pub bytes_max: u64,
    /// Width times height.
    pub pixels_max: u64,
}

impl Default for CheckLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, pixels_max: 100_000_000 }
    }
}

/// What was found out about a whole image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it is.
    pub format: ImageFormat,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Its length, whatever follows the image included.
    pub bytes: u64,
    /// SHA-256 of all of that.
    pub sha256: [u8; 32],
}

/// Why bytes are not a whole image of an acceptable size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// There are none.
    #[error("the download is empty")]
    Empty,
    /// A text, such as an error page.
    #[error("the download is {what}, not an image: {beginning}")]
    Text {
        /// What kind of text.
        what: &'static str,
        /// How it begins, escaped.
        beginning: String,
    },
    /// A file of a kind that is not taken.
    #[error("the download is {what}, not a PNG, JPEG or WebP")]
    Other {
        /// What kind of file.
        what: &'static str,
    },
    /// It ends too early.
    #[error("the image is cut off after {n_bytes} of at least {bytes_min} bytes")]
    CutOff {
        /// How many bytes there are.
        n_bytes: u64,
        /// How many there must be, as far as it was read.
        bytes_min: u64,
    },
    /// Its bytes contradict its format.
    #[error("the {} is damaged near byte {near}: {why}", words(*.format))]
    Damaged {
        /// What it began as.
        format: ImageFormat,
        /// How far the walk had come.
        near: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// Its pixel data end early, though the file is whole.
    #[error("the {}'s pixel data end after row {n_rows} of {n_rows_max}", words(*.format))]
    PixelsEnd {
        /// What it began as.
        format: ImageFormat,
        /// Whole rows that are there; those of all passes together in an interlaced PNG.
        n_rows: u64,
        /// Rows that the image has.
        n_rows_max: u64,
    },
    /// It is longer than `bytes_max`.
    #[error("the download is longer than the limit of {bytes_max} bytes (--image-bytes-max)")]
    TooLong {
        /// The limit.
        bytes_max: u64,
    },
    /// It has more pixels than `pixels_max`.
    #[error("the image has {width}x{height} pixels, more than the limit of {pixels_max} (--image-pixels-max)")]
    TooLarge {
        /// Pixels from left to right.
        width: u32,
        /// Pixels from top to bottom.
        height: u32,
        /// The limit.
        pixels_max: u64,
    },
}

/// Walks over all of `reader`. The outer error is the reader's own, the inner one says why the bytes are not an image.
pub fn inspect(mut reader: impl BufRead, limits: &CheckLimits) -> io::Result<Result<Checked, NotAnImage>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    match inspect_from(&head, Walk::new(head.chain(reader), *limits)) {
        Ok(checked) => Ok(Ok(checked)),
        Err(Stop::NotAnImage(why)) => Ok(Err(why)),
        Err(Stop::Read(error)) => Err(error),
    }
}

fn inspect_from<R: BufRead>(head: &[u8], mut walk: Walk<R>) -> Result<Checked, Stop> {
    let format = recognise(head)?;
    let (width, height) = match format {
        ImageFormat::Png => png::walk(&mut walk)?,
        ImageFormat::Jpeg => jpeg::walk(&mut walk)?,
        ImageFormat::WebP => webp::walk(&mut walk)?,
    };
    // Real files have things behind their end: padding, a second picture, a camera's own data. Every reader passes over them, and
    // refusing would throw a whole, paid image away. They are part of the file, so they are counted and hashed.
    let (bytes, sha256) = walk.finish()?;
    Ok(Checked { format, width, height, bytes, sha256 })
}

/// As much of the beginning as tells formats apart and shows what an error page says.
const HEAD_BYTES: usize = 256;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
const RIFF: &[u8] = b"RIFF";

fn recognise(head: &[u8]) -> Result<ImageFormat, NotAnImage> {
    let is_cut = |magic: &[u8]| head.len() < magic.len() && magic.starts_with(head);
    let cut_off = |bytes_min| NotAnImage::CutOff { n_bytes: head.len() as u64, bytes_min };
    match head {
        [] => Err(NotAnImage::Empty),
        _ if head.starts_with(PNG) => Ok(ImageFormat::Png),
        _ if head.starts_with(JPEG) => Ok(ImageFormat::Jpeg),
        _ if head.starts_with(RIFF) && head.get(8..12) == Some(b"WEBP") => Ok(ImageFormat::WebP),
        _ if is_cut(PNG) || is_cut(JPEG) => Err(cut_off(8)),
        _ if is_cut(RIFF) || (head.starts_with(RIFF) && head.len() < 12) => Err(cut_off(12)),
        _ => Err(name_other(head)),
    }
}

/// The format of what begins so, if it is one that is taken.
pub(super) fn recognised(head: &[u8]) -> Option<ImageFormat> {
    recognise(head).ok()
}

/// What it is instead, for the user to see why the link did not give an image.
fn name_other(head: &[u8]) -> NotAnImage {
    match kind_of_text(head) {
        Some(what) => NotAnImage::Text { what, beginning: excerpt(trimmed(&String::from_utf8_lossy(head)), 120) },
        None => NotAnImage::Other { what: name_binary(head) },
    }
}

fn name_binary(head: &[u8]) -> &'static str {
    const MAGIC: [(usize, &[u8], &str); 7] = [
        (0, b"GIF8", "a GIF"),
        (0, b"II*\0", "a TIFF"),
        (0, b"MM\0*", "a TIFF"),
        (4, b"ftypavif", "an AVIF"),
        (4, b"ftyp", "a video or a HEIF"),
        (0, b"\x1f\x8b", "compressed data"),
        (0, b"PK\x03\x04", "a ZIP archive"),
    ];
    let is_here = |at: usize, magic| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    MAGIC.into_iter().find(|(at, magic, _)| is_here(*at, magic)).map_or("something unknown", |(_, _, what)| what)
}

/// The format's name in a sentence.
const fn words(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::WebP => "WebP",
    }
}
