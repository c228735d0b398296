//! JPEG: inserts an EXIF segment at the beginning, after the JFIF header if there is one.

use crate::images::postprocess::exif;
use crate::images::postprocess::tags::EmbeddedMetadata;

/// Inserts the segment. Returns `false` if the image already has an EXIF segment there, or `head` is too short.
pub(super) fn insert(head: &mut Vec<u8>, tags: &EmbeddedMetadata) -> bool {
    let Some(place) = place(head) else { return false };
    let block = exif::block(tags);
    let length = u16::try_from(2 + exif::JPEG_PREFIX.len() + block.len()).expect("the texts are cut to fit");
    let segment = [b"\xff\xe1", &length.to_be_bytes()[..], exif::JPEG_PREFIX, &block].concat();
    head.splice(place..place, segment);
    true
}

fn place(head: &[u8]) -> Option<usize> {
    let mut at = 2;
    while let Some([0xff, marker @ 0xe0..=0xef, high, low]) = head.get(at..at + 4) {
        let is_exif = *marker == 0xe1 && head.get(at + 4..)?.starts_with(exif::JPEG_PREFIX);
        if is_exif {
            return None;
        }
        // The segment follows the first application segment, which is JFIF's. All other application segments may follow it.
        if at > 2 || *marker != 0xe0 {
            break;
        }
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    (at <= head.len()).then_some(at)
}

/// Returns how many leading bytes are needed to find the position of the segment.
pub(in crate::images) fn head_bytes(head: &[u8]) -> usize {
    let first = match head.get(2..6) {
        Some([0xff, 0xe0, high, low]) => 2 + usize::from(u16::from_be_bytes([*high, *low])),
        Some(_) | None => 0,
    };
    2 + first + 4 + exif::JPEG_PREFIX.len()
}
