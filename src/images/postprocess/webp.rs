//! WebP: appends an EXIF chunk at the end, and announces it in the header at the beginning.

use crate::images::postprocess::exif;
use crate::images::postprocess::tags::EmbeddedMetadata;

/// Length of the file header: `RIFF`, a length, `WEBP`.
const HEADER_BYTES: usize = 12;

/// Header flag for an EXIF chunk.
const HAS_EXIF: u8 = 0x08;

/// Header flag for transparent pixels.
const HAS_ALPHA: u8 = 0x10;

/// Appends the chunk. Returns `false` if the image already has one, or cannot be parsed.
pub(super) fn insert(bytes: &mut Vec<u8>, tags: &EmbeddedMetadata) -> bool {
    let Some(end) = end(bytes) else { return false };
    let Some(kind) = bytes.get(HEADER_BYTES..HEADER_BYTES + 4) else { return false };
    if kind == b"VP8X" {
        let Some(flags) = bytes.get_mut(HEADER_BYTES + 8) else { return false };
        if *flags & HAS_EXIF != 0 {
            return false;
        }
        *flags |= HAS_EXIF;
        append(bytes, end, &chunk(*b"EXIF", &exif::block(tags)));
        return true;
    }
    let Some((width, height, has_alpha)) = measures(bytes) else { return false };
    let mut extended = vec![HAS_EXIF | if has_alpha { HAS_ALPHA } else { 0 }, 0, 0, 0];
    extended.extend_from_slice(&(width - 1).to_le_bytes()[..3]);
    extended.extend_from_slice(&(height - 1).to_le_bytes()[..3]);
    append(bytes, end, &chunk(*b"EXIF", &exif::block(tags)));
    let extended = chunk(*b"VP8X", &extended);
    grow(bytes, extended.len());
    bytes.splice(HEADER_BYTES..HEADER_BYTES, extended);
    true
}

/// Returns the offset of the image's end. Bytes after it stay after it.
fn end(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let end = 8 + usize::try_from(length).ok()?;
    (end <= bytes.len() && end.is_multiple_of(2)).then_some(end)
}

/// Returns width, height and transparency of an image with a single chunk.
fn measures(bytes: &[u8]) -> Option<(u32, u32, bool)> {
    let data = bytes.get(HEADER_BYTES + 8..HEADER_BYTES + 18)?;
    let side = |at: usize| u32::from(u16::from_le_bytes([data[at], data[at + 1]]) & 0x3fff);
    match bytes.get(HEADER_BYTES..HEADER_BYTES + 4)? {
        b"VP8 " => Some((side(6), side(8), false)).filter(|(width, height, _)| *width > 0 && *height > 0),
        b"VP8L" => {
            let bits = u32::from_le_bytes(data[1..5].try_into().ok()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, bits >> 28 & 1 == 1))
        }
        _ => None,
    }
}

fn append(bytes: &mut Vec<u8>, end: usize, chunk: &[u8]) {
    grow(bytes, chunk.len());
    bytes.splice(end..end, chunk.iter().copied());
}

/// Increases the length in the file header by `n` bytes.
fn grow(bytes: &mut [u8], n: usize) {
    let length = u32::from_le_bytes(bytes[4..8].try_into().expect("four bytes"));
    let longer = length.saturating_add(u32::try_from(n).expect("a chunk is some kilobytes long"));
    bytes[4..8].copy_from_slice(&longer.to_le_bytes());
}

/// Builds a chunk, padded to an even length.
fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("a chunk is some kilobytes long");
    let mut chunk = [&kind[..], &length.to_le_bytes(), data].concat();
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    chunk
}
