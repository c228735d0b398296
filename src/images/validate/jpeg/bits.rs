//! Bit reader for the coded data of a JPEG: removes the zeros stuffed after 0xff, and stops at markers.

use std::io::BufRead;

use memchr::memchr;

use crate::images::validate::jpeg::huffman::Huffman;
use crate::images::validate::jpeg::markers::{RST0, RST7};
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::images::validate::verdict::NotAnImage;
use crate::model::outcome::ImageFormat::Jpeg;

/// Maximum number of bytes loaded at once.
const PIECE_BYTES: usize = 8 << 10;

/// Maximum number of unread bytes between the last code and a marker. Some cameras and encoders pad the data so;
/// decoders skip the padding.
const PADDING_BYTES_MAX: usize = 16;

/// Reason why the coded data cannot be read further.
#[derive(Debug)]
pub(super) enum JpegFault {
    /// Marker before the end of the codes.
    Short,
    /// Unknown code, or a code that leads out of the block.
    Damaged(&'static str),
    /// Failure of the reader, or the end of the file.
    Stop(ValidationStop),
}

impl From<ValidationStop> for JpegFault {
    fn from(stop: ValidationStop) -> Self {
        Self::Stop(stop)
    }
}

/// Bit reader over one scan.
pub(super) struct JpegBitReader<'a, R> {
    walk: &'a mut StreamValidator<R>,
    piece: Vec<u8>,
    /// Number of bytes of `piece` that are already in `word`.
    at: usize,
    /// Next bits, the first of them on top.
    word: u64,
    /// Number of valid bits in `word`.
    n_ready: u32,
    is_behind_ff: bool,
    /// Marker that ends the data, once it is reached.
    marker: Option<u8>,
}

impl<'a, R: BufRead> JpegBitReader<'a, R> {
    pub(super) fn new(walk: &'a mut StreamValidator<R>) -> Self {
        let piece = Vec::with_capacity(PIECE_BYTES);
        Self { walk, piece, at: 0, word: 0, n_ready: 0, is_behind_ff: false, marker: None }
    }

    /// Returns the next bits, at least 32 unless the data end before that. Zeros follow the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u64, JpegFault> {
        if self.n_ready < 32 {
            if let Some(next) = self.piece[self.at..].first_chunk::<8>() {
                self.word |= u64::from_be_bytes(*next) >> self.n_ready;
                self.at += (63 - self.n_ready as usize) >> 3;
                // The new count is seven bytes and the odd bits. It equals the old count plus the bits of the bytes taken.
                self.n_ready |= 0x38;
            } else {
                self.refill()?;
            }
        }
        Ok(self.word)
    }

    /// Consumes bits that were [peeked](Self::peek) at, at most 32.
    #[inline]
    pub(super) fn pass(&mut self, n: u32) -> Result<(), JpegFault> {
        if n > self.n_ready {
            return Err(JpegFault::Short);
        }
        self.word <<= n;
        self.n_ready -= n;
        Ok(())
    }

    /// Consumes and returns the next `n` bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> Result<u32, JpegFault> {
        let word = self.peek()?;
        self.pass(n)?;
        // Two shifts, because a single shift by 64 bits is not possible.
        Ok(u32::try_from(word >> 1 >> (63 - n)).expect("16 bits at most"))
    }

    /// Consumes one code and returns its symbol.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, JpegFault> {
        let word = self.peek()?;
        let (symbol, n) = table.symbol(word).ok_or(JpegFault::Damaged("its pixel data contain an unknown code"))?;
        self.pass(n)?;
        Ok(symbol)
    }

    #[cold]
    fn refill(&mut self) -> Result<(), JpegFault> {
        while self.n_ready <= 56 {
            if self.at == self.piece.len() {
                if self.marker.is_some() {
                    break;
                }
                self.fetch()?;
                continue;
            }
            self.word |= u64::from(self.piece[self.at]) << (56 - self.n_ready);
            self.at += 1;
            self.n_ready += 8;
        }
        Ok(())
    }

    /// Loads the next piece of the data, after all of the previous piece was used.
    fn fetch(&mut self) -> Result<(), ValidationStop> {
        self.at = 0;
        self.piece.clear();
        while self.piece.is_empty() && self.marker.is_none() {
            let (piece, is_behind_ff, marker) = (&mut self.piece, &mut self.is_behind_ff, &mut self.marker);
            let is_over = self.walk.step(|bytes| unstuff(bytes, piece, is_behind_ff, marker))?;
            if is_over {
                let n_bytes = self.walk.n_passed();
                return Err(NotAnImage::CutOff { n_bytes, bytes_min: n_bytes + 1 }.into());
            }
        }
        Ok(())
    }

    /// Ends an interval after its last code and begins the next interval. The restart marker must be the `nth`.
    pub(super) fn restart(&mut self, nth: u32) -> Result<(), JpegFault> {
        let marker = self.end()?;
        if u32::from(marker) != u32::from(RST0) + nth % 8 {
            return Err(match marker {
                RST0..=RST7 => JpegFault::Damaged("its restart markers are out of order"),
                _ => JpegFault::Short,
            });
        }
        (self.word, self.n_ready, self.marker) = (0, 0, None);
        Ok(())
    }

    /// Skips the padding and returns the code of the marker at the end of the data.
    pub(super) fn end(&mut self) -> Result<u8, JpegFault> {
        let mut n_left = self.n_ready as usize / 8 + self.piece.len() - self.at;
        loop {
            if n_left > PADDING_BYTES_MAX {
                return Err(JpegFault::Damaged("its pixels end long before their data"));
            }
            if let Some(marker) = self.marker {
                self.at = self.piece.len();
                return Ok(marker);
            }
            self.fetch()?;
            n_left += self.piece.len();
        }
    }

    /// Converts a fault of the data into a reason to stop. `n_rows` is the number of whole pixel rows that were read.
    pub(super) fn told(&self, fault: JpegFault, n_rows: u64, height: u32) -> ValidationStop {
        match fault {
            JpegFault::Stop(stop) => stop,
            JpegFault::Damaged(why) => self.walk.damaged(Jpeg, why),
            JpegFault::Short => {
                let n_rows_max = height.into();
                NotAnImage::PixelsEnd { format: Jpeg, n_rows: n_rows.min(n_rows_max), n_rows_max }.into()
            }
        }
    }
}

/// Moves data into `piece` up to the next marker, without the zeros stuffed after 0xff. Returns the number of bytes taken.
fn unstuff(bytes: &[u8], piece: &mut Vec<u8>, is_behind_ff: &mut bool, marker: &mut Option<u8>) -> usize {
    let mut at = 0;
    while at < bytes.len() && piece.len() < PIECE_BYTES {
        if *is_behind_ff {
            *is_behind_ff = bytes[at] == 0xff;
            at += 1;
            match bytes[at - 1] {
                0xff => (),
                0 => piece.push(0xff),
                code => {
                    *marker = Some(code);
                    break;
                }
            }
            continue;
        }
        let rest = &bytes[at..bytes.len().min(at + PIECE_BYTES - piece.len())];
        let n = memchr(0xff, rest).unwrap_or(rest.len());
        piece.extend_from_slice(&rest[..n]);
        *is_behind_ff = n < rest.len();
        at += n + usize::from(*is_behind_ff);
    }
    at
}
