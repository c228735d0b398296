//! Hashing reader: computes the hash of all bytes that are read through it, to detect a changed file.

use std::io::{self, Read};

/// Reader that hashes its data.
pub struct HashingReader {
    input: Box<dyn Read + Send>,
    hasher: blake3::Hasher,
    n_bytes: u64,
}

impl HashingReader {
    /// Begins to hash this input.
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, hasher: blake3::Hasher::new(), n_bytes: 0 }
    }

    /// Hashes bytes that were read elsewhere. Their length precedes them, so that two adjacent parts cannot be confused.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        self.n_bytes += bytes.len() as u64;
    }

    /// Returns the hash of the bytes read so far.
    pub fn digest(&self) -> blake3::Hash {
        self.hasher.finalize()
    }

    /// Returns the number of bytes read so far.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }
}

impl Read for HashingReader {
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
        let mut hashed = HashingReader::new(Box::new(io::Cursor::new(bytes.clone())));
        let mut read = Vec::new();
        hashed.read_to_end(&mut read).expect("memory can be read");
        assert_eq!(read, bytes);
        assert_eq!((hashed.digest(), hashed.n_bytes()), (blake3::hash(&bytes), bytes.len() as u64));
    }
}
