//! Hashing reader: computes the hash of all bytes that are read through it, to detect a changed file.

use std::io::{self, Read};

/// Reader of `R` that hashes its data.
#[derive(Debug)]
pub(super) struct HashingReader<R> {
    input: R,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl<R: Read> HashingReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, hasher: blake3::Hasher::new(), n_bytes: 0 }
    }

    /// Returns the hash of the bytes read so far.
    pub(super) fn digest(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Returns the number of bytes read so far.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.input.read(buffer)?;
        self.hasher.update(&buffer[..n_bytes]);
        self.n_bytes += n_bytes as u64;
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_through_is_hashed_and_unchanged() {
        let bytes = "prompt\n猫\n".repeat(10_000).into_bytes();
        let mut hashed = HashingReader::new(bytes.as_slice());
        let mut read = Vec::new();
        hashed.read_to_end(&mut read).expect("memory can be read");
        assert_eq!(read, bytes);
        assert_eq!((hashed.digest(), hashed.n_bytes()), (blake3::hash(&bytes), bytes.len() as u64));
    }
}
