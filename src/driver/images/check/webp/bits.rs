//! Reads the bits of one chunk of a WebP, the lowest of a byte first, as the lossless format has them.

use std::io::BufRead;

use crate::driver::images::check::walk::{Stop, Walk};

/// Bytes that are taken in at once.
const PIECE_BYTES: u64 = 8 << 10;

/// The bits of a chunk.
pub(super) struct Bits<'a, R> {
    walk: &'a mut Walk<R>,
    /// Bytes of the chunk that have not been taken in.
    n_left: u64,
    piece: Vec<u8>,
    /// How much of the piece has gone into the word.
    at: usize,
    /// The next bits, the first of them lowest.
    word: u64,
    /// How many bits of the word count.
    n_ready: u32,
}

/// Why a chunk of pixels is not whole.
#[derive(Debug)]
pub(super) enum Fault {
    /// It ends early.
    Short,
    /// It contradicts the format.
    Damaged(&'static str),
    /// The reader's own failure, or the end of the file.
    Stop(Stop),
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl<'a, R: BufRead> Bits<'a, R> {
    /// Those of the next `n_bytes`.
    pub(super) fn new(walk: &'a mut Walk<R>, n_bytes: u64) -> Self {
        Self { walk, n_left: n_bytes, piece: vec![], at: 0, word: 0, n_ready: 0 }
    }

    /// The next bits, at least 32 of them unless the chunk ends before that; zeros follow the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<u64, Fault> {
        if self.n_ready < 32 {
            if let Some(next) = self.piece[self.at..].first_chunk::<8>() {
                self.word |= u64::from_le_bytes(*next) << self.n_ready;
                self.at += (63 - self.n_ready as usize) >> 3;
                // Seven bytes and the odd bits: the same as adding the bits of the bytes taken.
                self.n_ready |= 0x38;
            } else {
                self.refill()?;
            }
        }
        Ok(self.word)
    }

    /// Passes over bits that were [peeked](Self::peek) at: 32 at most.
    #[inline]
    pub(super) fn pass(&mut self, n: u32) -> Result<(), Fault> {
        if n > self.n_ready {
            return Err(Fault::Short);
        }
        self.word >>= n;
        self.n_ready -= n;
        Ok(())
    }

    /// The next `n` bits, 32 at most.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> Result<u32, Fault> {
        let word = self.peek()?;
        self.pass(n)?;
        let low = word & ((1 << n) - 1);
        Ok(u32::try_from(low).expect("32 bits at most"))
    }

    #[cold]
    fn refill(&mut self) -> Result<(), Fault> {
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

    /// Whole bytes that have not been read.
    pub(super) fn n_bytes_left(&self) -> u64 {
        u64::from(self.n_ready / 8) + (self.piece.len() - self.at) as u64 + self.n_left
    }

    /// Passes over the rest of the chunk.
    pub(super) fn finish(self) -> Result<(), Stop> {
        self.walk.pass(self.n_left, |_| ())
    }
}
