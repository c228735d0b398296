//! WebP check: keeps every chunk within the length that the file claims, and reads all images to the last pixel.

mod bits;
mod bools;
mod lossless;
mod lossy;
mod modes;
mod prefix;
mod probabilities;
mod tokens;

use std::io::BufRead;

use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::images::validate::verdict::NotAnImage;
use crate::images::validate::webp::bits::{WebpBitReader, WebpFault};
use crate::images::validate::webp::lossy::Vp8Flaw;
use crate::model::outcome::ImageFormat::WebP;

/// Maximum number of unread bytes after the last pixel of a lossless image.
const PADDING_BYTES_MAX: u64 = 16;

/// Width and height in pixels.
type Size = (u32, u32);

/// Reads one WebP to the end that it claims. Returns the width and height of the image, or of its canvas.
pub(super) fn walk<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<Size, ValidationStop> {
    let [_, _, _, _, l0, l1, l2, l3] = walk.array()?;
    let end = 8 + u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
    walk.array::<4>()?;

    let mut size = None;
    let mut has_image = false;
    while walk.n_passed() < end {
        let chunk = Chunk::begin(walk, end, "a chunk is longer than the file claims to be")?;
        match &chunk.kind {
            b"VP8X" if size.is_none() => size = Some(canvas(walk, &chunk)?),
            b"VP8 " | b"VP8L" if !has_image => {
                size = Some(image(walk, &chunk, size)?);
                has_image = true;
            }
            b"ALPH" if !has_image => alpha(walk, &chunk, size)?,
            b"ANMF" => {
                frame(walk, &chunk, size)?;
                has_image = true;
            }
            _ => (),
        }
        if size.is_none() {
            return Err(walk.damaged(WebP, "it does not begin with its header"));
        }
        chunk.finish(walk, end)?;
    }
    match size {
        Some(size) if has_image => Ok(size),
        _ => Err(walk.damaged(WebP, "it ends without any image data")),
    }
}

/// Chunk whose header has been read.
struct Chunk {
    kind: [u8; 4],
    end: u64,
}

impl Chunk {
    fn begin<R: BufRead>(
        walk: &mut StreamValidator<R>,
        end_max: u64,
        too_long: &'static str,
    ) -> Result<Self, ValidationStop> {
        let kind = walk.array()?;
        let end = u64::from(u32::from_le_bytes(walk.array()?)) + walk.n_passed();
        if end > end_max { Err(walk.damaged(WebP, too_long)) } else { Ok(Self { kind, end }) }
    }

    /// Returns the number of unread bytes of the chunk.
    fn n_left<R: BufRead>(&self, walk: &StreamValidator<R>) -> Result<u64, ValidationStop> {
        self.end.checked_sub(walk.n_passed()).ok_or_else(|| walk.damaged(WebP, "a chunk is too short"))
    }

    /// Skips the rest of the chunk.
    fn finish<R: BufRead>(&self, walk: &mut StreamValidator<R>, end_max: u64) -> Result<(), ValidationStop> {
        // A byte of padding makes every length even. Some writers omit it after the last chunk.
        let n_padding = (self.end % 2).min(end_max - self.end);
        let n_left = self.n_left(walk)?;
        walk.pass(n_left + n_padding, |_| ())
    }
}

fn canvas<R: BufRead>(walk: &mut StreamValidator<R>, chunk: &Chunk) -> Result<Size, ValidationStop> {
    // Follows libwebp, which accepts no longer headers.
    if chunk.n_left(walk)? != 10 {
        return Err(walk.damaged(WebP, "its header has an invalid length"));
    }
    let [_flags, _, _, _, w0, w1, w2, h0, h1, h2] = walk.array()?;
    let size = (side([w0, w1, w2]) + 1, side([h0, h1, h2]) + 1);
    walk.measure(WebP, size.0, size.1)?;
    Ok(size)
}

const fn side([low, middle, high]: [u8; 3]) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

/// Reads one frame of an animation.
fn frame<R: BufRead>(walk: &mut StreamValidator<R>, chunk: &Chunk, canvas: Option<Size>) -> Result<(), ValidationStop> {
    let [x0, x1, x2, y0, y1, y2, w0, w1, w2, h0, h1, h2, _, _, _, _] = walk.array()?;
    let (width, height) = (side([w0, w1, w2]) + 1, side([h0, h1, h2]) + 1);
    // Positions are stored in steps of two pixels.
    let (right, bottom) = (2 * side([x0, x1, x2]) + width, 2 * side([y0, y1, y2]) + height);
    if canvas.is_none_or(|canvas| right > canvas.0 || bottom > canvas.1) {
        return Err(walk.damaged(WebP, "a frame lies outside of its canvas"));
    }
    let mut has_image = false;
    while walk.n_passed() < chunk.end {
        let inner = Chunk::begin(walk, chunk.end, "a chunk is longer than its frame")?;
        match &inner.kind {
            b"VP8 " | b"VP8L" if !has_image => {
                image(walk, &inner, Some((width, height)))?;
                has_image = true;
            }
            b"ALPH" if !has_image => alpha(walk, &inner, Some((width, height)))?,
            _ => (),
        }
        inner.finish(walk, chunk.end)?;
    }
    if has_image { Ok(()) } else { Err(walk.damaged(WebP, "a frame has no image data")) }
}

/// Reads an image and returns its size, which must equal the size of its canvas or frame, if known.
fn image<R: BufRead>(
    walk: &mut StreamValidator<R>,
    chunk: &Chunk,
    place: Option<Size>,
) -> Result<Size, ValidationStop> {
    let is_lossy = &chunk.kind == b"VP8 ";
    let (size, tag) = if is_lossy { lossy_header(walk)? } else { (lossless_header(walk)?, [0; 3]) };
    walk.measure(WebP, size.0, size.1)?;
    if place.is_some_and(|place| place != size) {
        return Err(walk.damaged(WebP, "its image data have a different size than its header"));
    }
    let n_bytes = chunk.n_left(walk)?;
    if !is_lossy {
        lossless(walk, n_bytes, size)?;
        return Ok(size);
    }
    // The buffer grows with the data that arrive, not with the length that the chunk claims.
    let mut data = vec![];
    walk.pass(n_bytes, |bytes| data.extend_from_slice(bytes))?;
    match lossy::pass(tag, &data, size.0, size.1) {
        Ok(()) => Ok(size),
        Err(Vp8Flaw::Damaged(why)) => Err(walk.damaged(WebP, why)),
        Err(Vp8Flaw::Short(n_rows)) => Err(ended(n_rows, size)),
    }
}

/// Returns the size of lossy data, and the three bytes at their beginning.
fn lossy_header<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<(Size, [u8; 3]), ValidationStop> {
    let [t0, t1, t2, s0, s1, s2, w0, w1, h0, h1] = walk.array()?;
    if t0 & 1 != 0 || [s0, s1, s2] != [0x9d, 0x01, 0x2a] {
        return Err(walk.damaged(WebP, "its image data do not begin with a key frame"));
    }
    // The two upper bits of each value are a hint for scaling.
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok(((side(w0, w1), side(h0, h1)), [t0, t1, t2]))
}

fn lossless_header<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<Size, ValidationStop> {
    let [signature, b0, b1, b2, b3] = walk.array()?;
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    let version = bits >> 29;
    if signature != 0x2f || version != 0 {
        return Err(walk.damaged(WebP, "its lossless data have an unknown encoding"));
    }
    Ok(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}

/// Reads the transparency of a lossy image of this size.
fn alpha<R: BufRead>(walk: &mut StreamValidator<R>, chunk: &Chunk, size: Option<Size>) -> Result<(), ValidationStop> {
    let Some(size) = size else { return Ok(()) };
    let [kind] = walk.array()?;
    let n_bytes = chunk.n_left(walk)?;
    // Compression, filter, preprocessing, and two reserved bits. Libwebp accepts no value above 1 in the last two fields.
    let (compression, before, reserved) = (kind & 3, kind >> 4 & 3, kind >> 6);
    match compression {
        _ if before > 1 || reserved > 1 => Err(walk.damaged(WebP, "its transparency has an unknown encoding")),
        0 if n_bytes < u64::from(size.0) * u64::from(size.1) => {
            let n_rows = n_bytes / u64::from(size.0);
            Err(ended(u32::try_from(n_rows).unwrap_or(size.1), size))
        }
        0 => Ok(()),
        1 => lossless(walk, n_bytes, size),
        _ => Err(walk.damaged(WebP, "its transparency has an unknown encoding")),
    }
}

/// Reads lossless data of `n_bytes` bytes.
fn lossless<R: BufRead>(walk: &mut StreamValidator<R>, n_bytes: u64, size: Size) -> Result<(), ValidationStop> {
    let mut bits = WebpBitReader::new(walk, n_bytes);
    let passed = lossless::pass(&mut bits, size.0, size.1);
    let n_left = bits.n_bytes_left();
    match passed {
        Ok(()) if n_left <= PADDING_BYTES_MAX => bits.finish(),
        Ok(()) => Err(walk.damaged(WebP, "its pixels end long before their data")),
        Err((WebpFault::Stop(stop), _)) => Err(stop),
        Err((WebpFault::Damaged(why), _)) => Err(walk.damaged(WebP, why)),
        Err((WebpFault::Short, n_rows)) => Err(ended(n_rows, size)),
    }
}

fn ended(n_rows: u32, size: Size) -> ValidationStop {
    NotAnImage::PixelsEnd { format: WebP, n_rows: n_rows.into(), n_rows_max: size.1.into() }.into()
}
