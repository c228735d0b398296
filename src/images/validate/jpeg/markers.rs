//! Markers and segments of a JPEG, as every part of the file uses them.

use std::io::BufRead;

use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::model::outcome::ImageFormat::Jpeg;

pub(super) const TEM: u8 = 0x01;
pub(super) const DHT: u8 = 0xc4;
pub(super) const RST0: u8 = 0xd0;
pub(super) const RST7: u8 = 0xd7;
pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
pub(super) const DQT: u8 = 0xdb;
pub(super) const DRI: u8 = 0xdd;

/// Returns the code of the next marker, which follows one or several 0xff bytes.
pub(super) fn marker<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<u8, ValidationStop> {
    if walk.array()? != [0xff] {
        return Err(walk.damaged(Jpeg, "a marker is missing"));
    }
    match code(walk)? {
        0 => Err(walk.damaged(Jpeg, "a marker is missing")),
        code => Ok(code),
    }
}

fn code<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<u8, ValidationStop> {
    loop {
        let [code] = walk.array()?;
        if code != 0xff {
            return Ok(code);
        }
    }
}

/// Skips coded data and returns the code of the marker that ends them. A zero after 0xff means that 0xff was data.
pub(super) fn pass_scan<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<u8, ValidationStop> {
    loop {
        walk.pass_until(0xff)?;
        match code(walk)? {
            0 | RST0..=RST7 => (),
            marker => return Ok(marker),
        }
    }
}

/// Returns the length of a segment's content in bytes. The file's length field also counts its own two bytes.
pub(super) fn segment_bytes<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<u64, ValidationStop> {
    match u16::from_be_bytes(walk.array()?) {
        0 | 1 => Err(walk.damaged(Jpeg, "a segment has an invalid length")),
        length => Ok(u64::from(length) - 2),
    }
}

pub(super) fn pass_segment<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<(), ValidationStop> {
    let n_bytes = segment_bytes(walk)?;
    walk.pass(n_bytes, |_| ())
}

/// Returns the content of a segment, which is less than 64 KiB.
pub(super) fn segment<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<Vec<u8>, ValidationStop> {
    let n_bytes = segment_bytes(walk)?;
    let mut content = vec![];
    walk.pass(n_bytes, |bytes| content.extend_from_slice(bytes))?;
    Ok(content)
}
