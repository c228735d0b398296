//! Forward-only reader: counts and hashes all bytes that it reads, and enforces the limits.

use std::io::{self, BufRead, ErrorKind};

use sha2::{Digest, Sha256};

use crate::images::validate::verdict::{CheckLimits, NotAnImage};
use crate::model::outcome::ImageFormat;

/// Reader that only moves forwards.
pub(super) struct StreamValidator<R> {
    reader: R,
    hasher: Sha256,
    n_passed: u64,
    limits: CheckLimits,
}

/// Reason why reading ended early.
#[derive(Debug)]
pub(super) enum ValidationStop {
    /// Failure of the reader.
    Read(io::Error),
    /// Bytes that are not a whole image.
    NotAnImage(NotAnImage),
}

impl From<NotAnImage> for ValidationStop {
    fn from(why: NotAnImage) -> Self {
        Self::NotAnImage(why)
    }
}

impl<R: BufRead> StreamValidator<R> {
    pub(super) fn new(reader: R, limits: CheckLimits) -> Self {
        Self { reader, hasher: Sha256::new(), n_passed: 0, limits }
    }

    /// Returns the number of bytes read so far.
    pub(super) fn n_passed(&self) -> u64 {
        self.n_passed
    }

    /// Returns the next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ValidationStop> {
        let mut array = [0; N];
        let mut n_filled = 0;
        self.pass(N as u64, |bytes| {
            array[n_filled..n_filled + bytes.len()].copy_from_slice(bytes);
            n_filled += bytes.len();
        })?;
        Ok(array)
    }

    /// Reads the next `n_bytes` bytes, and passes them to `show` piece by piece.
    pub(super) fn pass(&mut self, n_bytes: u64, mut show: impl FnMut(&[u8])) -> Result<(), ValidationStop> {
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

    /// Reads all bytes up to and including the next `wanted`.
    pub(super) fn pass_until(&mut self, wanted: u8) -> Result<(), ValidationStop> {
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

    /// Reads the remaining bytes and returns the length and the SHA-256 of the whole file.
    pub(super) fn finish(mut self) -> Result<(u64, [u8; 32]), ValidationStop> {
        while !self.step(<[u8]>::len)? {}
        Ok((self.n_passed, self.hasher.finalize().into()))
    }

    /// Returns the error that the bytes just read contradict `format`.
    pub(super) fn damaged(&self, format: ImageFormat, why: &'static str) -> ValidationStop {
        NotAnImage::Damaged { format, near: self.n_passed, why }.into()
    }

    /// Checks the size of an image against the limits. Call this function before any use of its pixels.
    pub(super) fn measure(&self, format: ImageFormat, width: u32, height: u32) -> Result<(), ValidationStop> {
        let pixels_max = self.limits.pixels_max;
        if width == 0 || height == 0 {
            return Err(self.damaged(format, "it has no pixels"));
        }
        if u64::from(width) * u64::from(height) > pixels_max {
            return Err(NotAnImage::TooLarge { width, height, pixels_max }.into());
        }
        Ok(())
    }

    /// Passes the buffered bytes to `take`, which returns how many of them to consume. Returns `true` at the end, where
    /// no bytes are left.
    pub(super) fn step(&mut self, take: impl FnOnce(&[u8]) -> usize) -> Result<bool, ValidationStop> {
        while self.reader.fill_buf().is_err_and(|error| error.kind() == ErrorKind::Interrupted) {}
        let bytes = self.reader.fill_buf().map_err(ValidationStop::Read)?;
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
