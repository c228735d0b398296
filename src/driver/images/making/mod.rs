//! What is made of an image before it gets its name: another format, and the words that it was made from written into it and beside it.
//!
//! All of it depends on the bytes that came and on their origin alone: an image that is fetched again after a crash becomes the same file.

mod convert;
mod exif;
mod jpeg;
mod png;
mod tags;
#[cfg(test)]
mod tests;
mod webp;

pub(super) use crate::driver::images::making::convert::convert;
pub(super) use crate::driver::images::making::jpeg::head_bytes as jpeg_head_bytes;

use crate::driver::images::making::tags::Tags;
use crate::model::outcome::ImageFormat;
use crate::model::style::Sidecar;

use super::check::Checked;
use crate::model::origin::Origin;

/// Writes prompt and parameters into an image of this format, of which its first bytes are here. False if they have no place
/// there, or their place is taken.
pub(super) fn tag_head(format: ImageFormat, head: &mut Vec<u8>, origin: &Origin) -> bool {
    match format {
        ImageFormat::Png => png::insert(head, &Tags::of(origin)),
        ImageFormat::Jpeg => jpeg::insert(head, &Tags::of(origin)),
        // Its length stands in front, and what is new behind.
        ImageFormat::WebP => false,
    }
}

/// The same for a whole image.
pub(super) fn tag(format: ImageFormat, bytes: &mut Vec<u8>, origin: &Origin) -> bool {
    match format {
        ImageFormat::Png | ImageFormat::Jpeg => tag_head(format, bytes, origin),
        ImageFormat::WebP => webp::insert(bytes, &Tags::of(origin)),
    }
}

/// What stands in the file beside an image.
pub(super) fn beside(sidecar: Sidecar, origin: &Origin, checked: &Checked) -> String {
    match sidecar {
        Sidecar::Txt => tags::caption(&origin.job.request.prompt) + "\n",
        Sidecar::Json => tags::record(origin, Some(checked)) + "\n",
    }
}
