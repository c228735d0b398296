//! Going over bytes once and forwards: whatever is passed is counted, hashed and kept below the limit.

use std::io::{self, BufRead, ErrorKind};

use sha2::{Digest, Sha256};

use crate::driver::images::check::{CheckLimits, NotAnImage};
use crate::model::outcome::ImageFormat;

/// A reader on its way to its end.
pub(super) struct Walk<R> {
    reader: R,
    hasher: Sha256,
    n_passed: u64,
    limits: CheckLimits,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The reader failed.
    Read(io::Error),
    /// The bytes are not a whole image.
    NotAnImage(NotAnImage),
}

impl From<NotAnImage> for Stop {
    fn from(why: NotAnImage) -> Self {
        Self::NotAnImage(why)
    }
}

impl<R: BufRead> Walk<R> {
    pub fn new(reader: R, limits: CheckLimits) -> Self {
        Self { reader, hasher: Sha256::new(), n_passed: 0, limits }
    }

    /// How many bytes lie behind.
    pub fn n_passed(&self) -> u64 {
        self.n_passed
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut array = [0; N];
        let mut n_filled = 0;
        self.pass(N as u64, |bytes| {
            array[n_filled..n_filled + bytes.len()].copy_from_slice(bytes);
            n_filled += bytes.len();
        })?;
        Ok(array)
    }

    /// Passes over the next `n_bytes`, showing them piece by piece.
    pub fn pass(&mut self, n_bytes: u64, mut show: impl FnMut(&[u8])) -> Result<(), Stop> {
        let end = self.n_passed.saturating_add(n_bytes);
        while self.n_passed < end {
            let n_left = usize::try_from(end - self.n_passed).unwrap_or(usize::MAX);
            let is_over = self.step(|bytes| {
                let piece = &bytes[..bytes.len().min(n_left)];
                show(piece);
                piece.len()
            })?;
            if is_over {
                return Err(NotAnImage::CutOff { n_bytes: self.n_passed, bytes_min: end }.into());
            }
        }
        Ok(())
    }

    /// Passes over everything up to and including the next `wanted`.
    pub fn pass_until(&mut self, wanted: u8) -> Result<(), Stop> {
        let mut is_found = false;
        while !is_found {
            let is_over = self.step(|bytes| match bytes.iter().position(|byte| *byte == wanted) {
                Some(at) => {
                    is_found = true;
                    at + 1
                }
                None => bytes.len(),
            })?;
            if is_over {
                return Err(NotAnImage::CutOff { n_bytes: self.n_passed, bytes_min: self.n_passed + 1 }.into());
            }
        }
        Ok(())
    }

    /// Passes over whatever is left and gives the length and the SHA-256 of it all.
    pub fn finish(mut self) -> Result<(u64, [u8; 32]), Stop> {
        while !self.step(<[u8]>::len)? {}
        Ok((self.n_passed, self.hasher.finalize().into()))
    }

    /// The complaint that the bytes just passed contradict `format`.
    pub fn damaged(&self, format: ImageFormat, why: &'static str) -> Stop {
        NotAnImage::Damaged { format, near: self.n_passed, why }.into()
    }

    /// Whether an image may measure so much. To be asked before anything is made of its pixels.
    pub fn measure(&self, format: ImageFormat, width: u32, height: u32) -> Result<(), Stop> {
        let pixels_max = self.limits.pixels_max;
        if width == 0 || height == 0 {
            return Err(self.damaged(format, "it has no pixels"));
        }
        if u64::from(width) * u64::from(height) > pixels_max {
            return Err(NotAnImage::TooLarge { width, height, pixels_max }.into());
        }
        Ok(())
    }

    /// Shows what the reader has ready to `take`, which says how much of it to pass over. True at the end, where there is nothing.
    pub fn step(&mut self, take: impl FnOnce(&[u8]) -> usize) -> Result<bool, Stop> {
        while self.reader.fill_buf().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
        let bytes = self.reader.fill_buf().map_err(Stop::Read)?;
        if bytes.is_empty() {
            return Ok(true);
        }
        let n_taken = take(bytes);
        self.hasher.update(&bytes[..n_taken]);
        self.reader.consume(n_taken);
        self.n_passed += n_taken as u64;
        if self.n_passed > self.limits.bytes_max {
            return Err(NotAnImage::TooLong { bytes_max: self.limits.bytes_max }.into());
        }
        Ok(false)
    }
}
