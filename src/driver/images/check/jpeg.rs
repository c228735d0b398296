//! The walk over a JPEG: every segment by its length, every scan byte by byte, up to the end marker.

use std::io::BufRead;

use crate::driver::images::check::walk::{Stop, Walk};
use crate::model::outcome::ImageFormat::Jpeg;

const TEM: u8 = 0x01;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// Passes over one JPEG from its start marker to its end marker and gives its width and height.
pub(super) fn walk<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    walk.array::<2>()?;
    let mut size = None;
    let mut has_scan = false;
    let mut next = marker(walk)?;
    loop {
        next = match next {
            EOI => break,
            SOS if size.is_none() => return Err(walk.damaged(Jpeg, "its data come before its size")),
            SOS => {
                has_scan = true;
                pass_segment(walk)?;
                pass_scan(walk)?
            }
            // All the frame headers; the four left out among them are tables and an extension.
            0xc0..=0xcf if !matches!(next, 0xc4 | 0xc8 | 0xcc) => {
                if size.replace(frame(walk)?).is_some() {
                    return Err(walk.damaged(Jpeg, "it names its size twice"));
                }
                marker(walk)?
            }
            TEM | RST0..=RST7 => marker(walk)?,
            SOI => return Err(walk.damaged(Jpeg, "it begins a second time")),
            _ => {
                pass_segment(walk)?;
                marker(walk)?
            }
        };
    }
    match size {
        Some(size) if has_scan => Ok(size),
        _ => Err(walk.damaged(Jpeg, "it ends without any image data")),
    }
}

/// The next marker's code, which stands behind one 0xff or several.
fn marker<R: BufRead>(walk: &mut Walk<R>) -> Result<u8, Stop> {
    if walk.array()? != [0xff] {
        return Err(walk.damaged(Jpeg, "a marker is missing"));
    }
    match code(walk)? {
        0 => Err(walk.damaged(Jpeg, "a marker is missing")),
        code => Ok(code),
    }
}

fn code<R: BufRead>(walk: &mut Walk<R>) -> Result<u8, Stop> {
    loop {
        let [code] = walk.array()?;
        if code != 0xff {
            return Ok(code);
        }
    }
}

/// Passes over coded data and gives the code of the marker that ends it. A zero behind 0xff means that it was data.
fn pass_scan<R: BufRead>(walk: &mut Walk<R>) -> Result<u8, Stop> {
    loop {
        walk.pass_until(0xff)?;
        match code(walk)? {
            0 | RST0..=RST7 => (),
            marker => return Ok(marker),
        }
    }
}

/// The length of a segment's content; the two bytes that tell it are counted in the file but not here.
fn segment_bytes<R: BufRead>(walk: &mut Walk<R>) -> Result<u64, Stop> {
    match u16::from_be_bytes(walk.array()?) {
        0 | 1 => Err(walk.damaged(Jpeg, "a segment has an impossible length")),
        length => Ok(u64::from(length) - 2),
    }
}

fn pass_segment<R: BufRead>(walk: &mut Walk<R>) -> Result<(), Stop> {
    let n_bytes = segment_bytes(walk)?;
    walk.pass(n_bytes, |_| ())
}

/// Passes over a frame header and gives the width and height in it.
fn frame<R: BufRead>(walk: &mut Walk<R>) -> Result<(u32, u32), Stop> {
    let n_bytes = segment_bytes(walk)?;
    if n_bytes < 6 {
        return Err(walk.damaged(Jpeg, "its frame header is too short"));
    }
    let [_precision, h0, h1, w0, w1, n_components] = walk.array()?;
    if n_components == 0 || n_bytes != 6 + 3 * u64::from(n_components) {
        return Err(walk.damaged(Jpeg, "its frame header has an impossible length"));
    }
    walk.pass(n_bytes - 6, |_| ())?;
    Ok((u32::from(u16::from_be_bytes([w0, w1])), u32::from(u16::from_be_bytes([h0, h1]))))
}
