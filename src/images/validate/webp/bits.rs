//! Bit reader for one chunk of a WebP, the lowest bit of a byte first, as in the lossless format.

use std::io::BufRead;

use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};

/// Maximum number of bytes loaded at once.
const PIECE_BYTES: u64 = 8 << 10;

/// Bit reader over one chunk.
pub(super) struct WebpBitReader<'a, R> {
    walk: &'a mut StreamValidator<R>,
    /// Number of bytes of the chunk that are not loaded yet.
    n_left: u64,
    piece: Vec<u8>,
    /// Number of bytes of `piece` that are already in `word`.
    at: usize,
    /// Next bits, the first of them lowest.
    word: u64,
    /// Number of valid bits in `word`.
    n_ready: u32,
}

/// Reason why the pixels of a chunk are not whole.
#[derive(Debug)]
pub(super) enum WebpFault {
    /// Data that end early.
    Short,
    /// Data that contradict the format.
    Damaged(&'static str),
    /// Failure of the reader, or the end of the file.
    Stop(ValidationStop),
}

impl From<ValidationStop> for WebpFault {
    fn from(stop: ValidationStop) -> Self {
        Self::Stop(stop)
    }
}

impl<'a, R: BufRead> WebpBitReader<'a, R> {
    /// Creates a reader over the next `n_bytes` bytes.
    pub(super) fn new(walk: &'a mut StreamValidator<R>, n_bytes: u64) -> Self {
        Self { walk, n_left: n_bytes, piece: vec![], at: 0, word: 0, n_ready: 0 }
    }

    /// Returns the next bits, at least 32 unless the chunk ends before that. Zeros follow the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u64, WebpFault> {
        if self.n_ready < 32 {
            if let Some(next) = self.piece[self.at..].first_chunk::<8>() {
                self.word |= u64::from_le_bytes(*next) << self.n_ready;
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
    pub(super) fn pass(&mut self, n: u32) -> Result<(), WebpFault> {
        if n > self.n_ready {
            return Err(WebpFault::Short);
        }
        self.word >>= n;
        self.n_ready -= n;
        Ok(())
    }

    /// Consumes and returns the next `n` bits, at most 32.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> Result<u32, WebpFault> {
        let word = self.peek()?;
        self.pass(n)?;
        let low = word & ((1 << n) - 1);
        Ok(u32::try_from(low).expect("32 bits at most"))
    }

    #[cold]
    fn refill(&mut self) -> Result<(), WebpFault> {
        while self.n_ready <= 56 {
            if self.at == self.piece.len() {
                if self.n_left == 0 {
                    break;
                }
                self.at = 0;
                self.piece.clear();
                let n_bytes = self.n_left.min(PIECE_BYTES);
                let piece = &mut self.piece;
                self.walk.pass(n_bytes, |bytes| piece.extend_from_slice(bytes))?;
                self.n_left -= n_bytes;
            }
            self.word |= u64::from(self.piece[self.at]) << self.n_ready;
            self.at += 1;
            self.n_ready += 8;
        }
        Ok(())
    }

    /// Returns the number of whole bytes that have not been read.
    pub(super) fn n_bytes_left(&self) -> u64 {
        u64::from(self.n_ready / 8) + (self.piece.len() - self.at) as u64 + self.n_left
    }

    /// Skips the rest of the chunk.
    pub(super) fn finish(self) -> Result<(), ValidationStop> {
        self.walk.pass(self.n_left, |_| ())
    }
}
