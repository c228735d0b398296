//! The walk over a PNG: every chunk's length and checksum, from the header to the end chunk.

use std::io::BufRead;

use crate::driver::images::check::walk::{Stop, Walk};
use crate::model::outcome::ImageFormat::Png;

/// Passes over one PNG from its signature to the end of `IEND` and gives its width and height.
pub(super) fn walk<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    walk.array::<8>()?;
    let size = header(walk)?;
    let mut n_data_bytes = 0;
    loop {
        let (kind, n_bytes) = chunk(walk)?;
        match &kind {
            b"IEND" if n_data_bytes == 0 => return Err(walk.damaged(Png, "it ends without any image data")),
            b"IEND" => return Ok(size),
            b"IDAT" => n_data_bytes += u64::from(n_bytes),
            b"IHDR" => return Err(walk.damaged(Png, "it has a second header")),
            b"PLTE" | [b'a'..=b'z', ..] => (),
            // A capital letter first means that no image can be made without knowing what is in the chunk.
            [b'A'..=b'Z', ..] => return Err(walk.damaged(Png, "it has a required chunk of an unknown kind")),
            _ => return Err(walk.damaged(Png, "it has a chunk without a name")),
        }
    }
}

fn header<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    let start: [u8; 8] = walk.array()?;
    if start != *b"\0\0\0\x0dIHDR" {
        return Err(walk.damaged(Png, "it does not begin with its header"));
    }
    let fields: [u8; 13] = walk.array()?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(b"IHDR");
    crc.update(&fields);
    verify(walk, crc)?;

    let [w0, w1, w2, w3, h0, h1, h2, h3, depth, colour, compression, filter, interlace] = fields;
    let is_depth_known = match colour {
        0 => matches!(depth, 1 | 2 | 4 | 8 | 16),
        3 => matches!(depth, 1 | 2 | 4 | 8),
        2 | 4 | 6 => matches!(depth, 8 | 16),
        _ => false,
    };
    if !is_depth_known || compression != 0 || filter != 0 || interlace > 1 {
        return Err(walk.damaged(Png, "its header names an unknown encoding"));
    }
    Ok((u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3])))
}

/// Passes over one chunk and gives its kind and the length of its data.
fn chunk<R: BufRead>(walk: &mut Walk<R>) -> Result<([u8; 4], u32), Stop> {
    let n_bytes = u32::from_be_bytes(walk.array()?);
    if n_bytes > i32::MAX.cast_unsigned() {
        return Err(walk.damaged(Png, "a chunk is longer than the format allows"));
    }
    let kind: [u8; 4] = walk.array()?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&kind);
    walk.pass(u64::from(n_bytes), |bytes| crc.update(bytes))?;
    verify(walk, crc)?;
    Ok((kind, n_bytes))
}

fn verify<R: BufRead>(walk: &mut Walk<R>, crc: crc32fast::Hasher) -> Result<(), Stop> {
    if u32::from_be_bytes(walk.array()?) != crc.finalize() {
        return Err(walk.damaged(Png, "the checksum of a chunk is wrong"));
    }
    Ok(())
}
