//! Post-processing of an image before its final name: another format, embedded metadata, and a sidecar file.
//!
//! The result depends only on the received bytes and their origin. An image that is fetched again after a crash becomes
//! the same file.

mod convert;
mod exif;
mod jpeg;
mod png;
mod tags;
#[cfg(test)]
mod tests;
mod webp;

pub(super) use crate::images::postprocess::convert::convert;
pub(crate) use crate::images::postprocess::convert::is_available;
pub(super) use crate::images::postprocess::jpeg::head_bytes as jpeg_head_bytes;

use crate::images::postprocess::tags::EmbeddedMetadata;
use crate::model::one_line::one_line;
use crate::model::outcome::ImageFormat;
use crate::model::output_options::Sidecar;

use crate::images::validate::verdict::Checked;
use crate::model::provenance::Provenance;

/// Inserts prompt and parameters into an image of this format, given its first bytes. Returns `false` if the format has
/// no place for them there, or the place is occupied.
pub(super) fn tag_head(format: ImageFormat, head: &mut Vec<u8>, origin: &Provenance) -> bool {
    match format {
        ImageFormat::Png => png::insert(head, &EmbeddedMetadata::of(origin)),
        ImageFormat::Jpeg => jpeg::insert(head, &EmbeddedMetadata::of(origin)),
        // WebP stores its length at the beginning, and new chunks go to the end.
        ImageFormat::WebP => false,
    }
}

/// Inserts prompt and parameters into a whole image. Returns `false` if that is impossible, or their place is occupied.
pub(super) fn tag(format: ImageFormat, bytes: &mut Vec<u8>, origin: &Provenance) -> bool {
    match format {
        ImageFormat::Png | ImageFormat::Jpeg => tag_head(format, bytes, origin),
        ImageFormat::WebP => webp::insert(bytes, &EmbeddedMetadata::of(origin)),
    }
}

/// Returns the text of an image's sidecar file.
pub(super) fn beside(sidecar: Sidecar, origin: &Provenance, checked: &Checked) -> String {
    match sidecar {
        // Training tools read one line per image.
        Sidecar::Txt => one_line(&origin.job.request.prompt) + "\n",
        Sidecar::Json => tags::record(origin, Some(checked)) + "\n",
    }
}
