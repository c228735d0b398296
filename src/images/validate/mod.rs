//! Image check: decides in a single pass and in bounded memory whether bytes are one whole image.
//!
//! A general decoder accepts half a JPEG. This check does not: it reads every chunk or segment up to the end marker,
//! and hashes the bytes meanwhile. The pixels' codes are read to the last row, so that a decoder will read them too. No
//! picture is kept in memory.

mod jpeg;
mod png;
mod stream_validator;
pub mod verdict;
mod webp;

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Read};

use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::images::validate::verdict::{CheckLimits, Checked, NotAnImage};
use crate::model::escape::{excerpt, kind_of_text, trimmed};
use crate::model::outcome::ImageFormat;

/// Reads all of `reader` and checks it. The outer error is the reader's own; the inner error says why the bytes are not an image.
pub fn inspect(mut reader: impl BufRead, limits: &CheckLimits) -> io::Result<Result<Checked, NotAnImage>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    match inspect_from(&head, StreamValidator::new(head.chain(reader), *limits)) {
        Ok(checked) => Ok(Ok(checked)),
        Err(ValidationStop::NotAnImage(why)) => Ok(Err(why)),
        Err(ValidationStop::Read(error)) => Err(error),
    }
}

fn inspect_from<R: BufRead>(head: &[u8], mut walk: StreamValidator<R>) -> Result<Checked, ValidationStop> {
    let format = recognise(head)?;
    let (width, height) = match format {
        ImageFormat::Png => png::walk(&mut walk)?,
        ImageFormat::Jpeg => jpeg::walk(&mut walk)?,
        ImageFormat::WebP => webp::walk(&mut walk)?,
    };
    // Real files have data after their end: padding, a second picture, or a camera's own data. Every reader skips such
    // data, and a refusal would lose a whole, paid image. The data are part of the file, so they are counted and hashed.
    let (bytes, sha256) = walk.finish()?;
    Ok(Checked { format, width, height, bytes, sha256 })
}

/// Number of leading bytes that are enough to distinguish formats and to show the text of an error page.
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

/// Returns the format of a file that begins with `head`; `None` if that format is not accepted.
pub(super) fn recognised(head: &[u8]) -> Option<ImageFormat> {
    recognise(head).ok()
}

/// Names the kind of a file that is not an image. The user then sees why the link gave no image.
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
    MAGIC.into_iter().find(|(at, magic, _)| is_here(*at, magic)).map_or("data of an unknown type", |(_, _, what)| what)
}
