//! Manifest input as bytes: from a file, a pipe or standard input, compressed or not.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::folder;
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::path::STANDARD_INPUT;
use crate::manifest::input::spool::SpoolReader;

/// Bytes per read.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes of a manifest after decompression.
pub struct DecompressedReader(Decoder);

/// Decoder of the file.
enum Decoder {
    Plain(Box<BufReader<HashingReader>>),
    Gzip(Box<MultiGzDecoder<BufReader<HashingReader>>>),
}

/// First bytes of every gzip file.
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

impl DecompressedReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(CHUNK, HashingReader::new(source(path)?));
        let is_gzip = input.fill_buf()?.starts_with(GZIP_MAGIC);
        let gzip = |input| Decoder::Gzip(Box::new(MultiGzDecoder::new(input)));
        Ok(Self(if is_gzip { gzip(input) } else { Decoder::Plain(Box::new(input)) }))
    }

    /// Reads until the chunk is full. Returns whether the input has ended.
    pub(crate) fn fill(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        let wanted = CHUNK.saturating_sub(chunk.len()) as u64;
        let n_bytes = self.by_ref().take(wanted).read_to_end(chunk)?;
        Ok((n_bytes as u64) < wanted)
    }

    /// Returns the bytes of the file that have been read, before decompression.
    pub fn hashed(&self) -> &HashingReader {
        match &self.0 {
            Decoder::Plain(input) => input.get_ref(),
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref(),
        }
    }
}

impl Read for DecompressedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Decoder::Plain(input) => input.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Unreadable::Gzip { problem: error.to_string() }.into()
                }
                _ => error,
            }),
        }
    }
}

/// Opens the bytes of a file, a pipe, a device or standard input.
fn source(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    // Detects a pipe, because a pipe that is opened twice waits for a second writer.
    let is_pipe = || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if path == Path::new(STANDARD_INPUT) || is_pipe() {
        return Ok(Box::new(SpoolReader::of(path)?));
    }
    Ok(Box::new(File::open(path)?))
}

/// Returns the number of bytes to read. `None` if it is unknown, as for a pipe.
pub(crate) fn n_bytes(path: &Path) -> Option<u64> {
    if path == Path::new(STANDARD_INPUT) {
        return SpoolReader::of(path).and_then(|spooled| spooled.n_bytes()).ok();
    }
    // Reads only the metadata: opening a pipe and reading from it would take data away.
    fs::metadata(path).ok().filter(Metadata::is_file).map(|file| file.len())
}

/// Computes the hash of all bytes as they are on disk. Needs the memory of one buffer.
pub(crate) fn digest(path: &Path) -> io::Result<blake3::Hash> {
    if path.is_dir() {
        return folder::digest(path);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(source(path)?)?;
    Ok(hasher.finalize())
}
