//! The walk over a WebP: every chunk within the length that the file claims, which must all be there.

use std::io::BufRead;

use crate::driver::images::check::walk::{Stop, Walk};
use crate::model::outcome::ImageFormat::WebP;

/// Passes over one WebP to the end that it claims and gives the width and height of the image, or of the canvas that it is put on.
pub(super) fn walk<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    let [_, _, _, _, l0, l1, l2, l3] = walk.array()?;
    let end = 8 + u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    walk.array::<4>()?;

    let mut size = None;
    let mut has_image = false;
    while walk.n_passed() < end {
        let kind: [u8; 4] = walk.array()?;
        let chunk_end = u64::from(u32::from_le_bytes(walk.array()?)) + walk.n_passed();
        if chunk_end > end {
            return Err(walk.damaged(WebP, "a chunk is longer than the file claims to be"));
        }
        let found = match &kind {
            b"VP8 " => Some(lossy(walk)?),
            b"VP8L" => Some(lossless(walk)?),
            b"VP8X" => Some(canvas(walk)?),
            _ => None,
        };
        // In the extended format the canvas comes first, and it is the size that counts.
        size = size.or(found);
        if size.is_none() {
            return Err(walk.damaged(WebP, "it does not begin with its header"));
        }
        has_image |= matches!(&kind, b"VP8 " | b"VP8L" | b"ANMF");
        let n_left =
            chunk_end.checked_sub(walk.n_passed()).ok_or_else(|| walk.damaged(WebP, "a chunk is too short"))?;
        // A byte of padding makes every length even; some writers leave it out behind the last chunk.
        let n_padding = (chunk_end % 2).min(end - chunk_end);
        walk.pass(n_left + n_padding, |_| ())?;
    }
    match size {
        Some(size) if has_image => Ok(size),
        _ => Err(walk.damaged(WebP, "it ends without any image data")),
    }
}

fn lossy<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    let [tag, _, _, s0, s1, s2, w0, w1, h0, h1] = walk.array()?;
    if tag & 1 != 0 || [s0, s1, s2] != [0x9d, 0x01, 0x2a] {
        return Err(walk.damaged(WebP, "its image data do not begin with a key frame"));
    }
    // The two upper bits of each are a hint for scaling.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok((side(w0, w1), side(h0, h1)))
}

fn lossless<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    let [signature, b0, b1, b2, b3] = walk.array()?;
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    let version = bits >> 29;
    if signature != 0x2f || version != 0 {
        return Err(walk.damaged(WebP, "its lossless data have an unknown encoding"));
    }
    Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}

fn canvas<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    let [_flags, _, _, _, w0, w1, w2, h0, h1, h2] = walk.array()?;
    let side = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) + 1;
    Ok((side(w0, w1, w2), side(h0, h1, h2)))
}
