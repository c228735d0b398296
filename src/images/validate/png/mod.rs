//! PNG check: verifies the length and checksum of every chunk, and the pixels to the last row.
//!
//! The check covers the file from the header to the end chunk.

mod passes;
mod pixels;

use std::io::BufRead;

use crate::images::validate::png::passes::Layout;
use crate::images::validate::png::pixels::{PngFlaw, PngPixelData};
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::images::validate::verdict::NotAnImage;
use crate::model::outcome::ImageFormat::Png;

/// Colour type of images whose pixels are indices into a palette.
const INDEXED: u8 = 3;

/// Progress over the pixel data.
enum Data {
    /// State before the first chunk of pixel data.
    Ahead(Layout),
    /// State within consecutive chunks of pixel data.
    Here(Box<PngPixelData>),
    /// State after complete pixel data. Decoders skip pixel data in later chunks, and so does this check.
    Behind,
}

/// Reads one PNG from its signature to the end of `IEND` and returns its width and height.
pub(super) fn walk<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<(u32, u32), ValidationStop> {
    walk.array::<8>()?;
    let (layout, colour) = header(walk)?;
    let mut data = Data::Ahead(layout);
    let mut has_palette = false;
    loop {
        let n_bytes = u32::from_be_bytes(walk.array()?);
        if n_bytes > i32::MAX.cast_unsigned() {
            return Err(walk.damaged(Png, "a chunk is longer than the format allows"));
        }
        let kind: [u8; 4] = walk.array()?;
        if &kind == b"IDAT" {
            if colour == INDEXED && !has_palette {
                return Err(walk.damaged(Png, "its colours are missing"));
            }
            data = match data {
                Data::Ahead(layout) => Data::Here(Box::new(PngPixelData::new(layout))),
                begun => begun,
            };
            pass_chunk(walk, kind, n_bytes, |bytes| {
                if let Data::Here(pixels) = &mut data {
                    pixels.take(bytes);
                }
            })?;
            continue;
        }
        data = match data {
            Data::Here(pixels) => {
                finish(walk, *pixels)?;
                Data::Behind
            }
            other => other,
        };
        pass_chunk(walk, kind, n_bytes, |_| ())?;
        match &kind {
            b"IEND" if !matches!(data, Data::Behind) => {
                return Err(walk.damaged(Png, "it ends without any image data"));
            }
            b"IEND" => return Ok((layout.width, layout.height)),
            b"IHDR" => return Err(walk.damaged(Png, "it has a second header")),
            b"PLTE" => has_palette = true,
            [b'a'..=b'z', ..] => (),
            // A capital first letter means that a decoder must know the chunk to make an image.
            [b'A'..=b'Z', ..] => return Err(walk.damaged(Png, "it has a required chunk of an unknown kind")),
            _ => return Err(walk.damaged(Png, "it has a chunk without a name")),
        }
    }
}

/// Returns an error if the pixel data are not complete.
fn finish<R: BufRead>(walk: &StreamValidator<R>, pixels: PngPixelData) -> Result<(), ValidationStop> {
    pixels.finish().map_err(|flaw| match flaw {
        PngFlaw::Damaged(why) => walk.damaged(Png, why),
        PngFlaw::Short { n_rows, n_rows_max } => NotAnImage::PixelsEnd { format: Png, n_rows, n_rows_max }.into(),
    })
}

/// Reads the header and returns the layout of the pixels and their colour type.
fn header<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<(Layout, u8), ValidationStop> {
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
    let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
    walk.measure(Png, width, height)?;
    let n_channels = match colour {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    Ok((Layout { width, height, bits_per_pixel: n_channels * depth, is_interlaced: interlace == 1 }, colour))
}

/// Reads the data of one chunk and verifies its checksum.
fn pass_chunk<R: BufRead>(
    walk: &mut StreamValidator<R>,
    kind: [u8; 4],
    n_bytes: u32,
    mut show: impl FnMut(&[u8]),
) -> Result<(), ValidationStop> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&kind);
    walk.pass(u64::from(n_bytes), |bytes| {
        crc.update(bytes);
        show(bytes);
    })?;
    verify(walk, crc)
}

fn verify<R: BufRead>(walk: &mut StreamValidator<R>, crc: crc32fast::Hasher) -> Result<(), ValidationStop> {
    if u32::from_be_bytes(walk.array()?) != crc.finalize() {
        return Err(walk.damaged(Png, "the checksum of a chunk is wrong"));
    }
    Ok(())
}
