//! Manifest input as UTF-8 text: from a file, a pipe or standard input, compressed or not, in any encoding.
//!
//! UTF-8 is passed on unchanged after validation. Any other encoding is converted to UTF-8 here. A byte without a meaning ends the read:
//! no text is ever read as a replacement character.

use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult};
use flate2::bufread::MultiGzDecoder;

use crate::manifest::encoding::{Encoding, LineCount, Unreadable, of_head};
use crate::manifest::format::STANDARD_INPUT;
use crate::manifest::hashing_reader::HashingReader;
use crate::manifest::spool::SpoolReader;

/// Bytes per read.
const CHUNK: usize = 64 * 1024;

/// Buffer size for a decoded chunk. One byte of another encoding becomes at most three bytes. The rest of the previous chunk may be added.
const TEXT_MAX: usize = 3 * CHUNK + 16;

/// Reader of a manifest as UTF-8 text.
pub(super) struct ManifestInput {
    bytes: DecompressedReader,
    encoding: Encoding,
    /// `None` for UTF-8, and after decoding has ended.
    decoder: Option<Decoder>,
    /// Bytes that were read and are not decoded yet.
    chunk: Vec<u8>,
    is_last: bool,
    text: Vec<u8>,
    begin: usize,
    lines: LineCount,
    /// Decoding error that is returned after the text before it.
    trouble: Option<Unreadable>,
}

impl ManifestInput {
    /// Opens the file. `wanted` is the known encoding; `None` uses the byte order mark, or detects UTF-16, or else assumes UTF-8.
    pub(super) fn open(path: &Path, wanted: Option<Encoding>) -> io::Result<Self> {
        let mut bytes = DecompressedReader::open(path)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        let is_last = bytes.fill(&mut chunk)?;
        let (encoding, mark_len) = of_head(&chunk, wanted)?;
        chunk.drain(..mark_len);
        let decoder = (encoding != Encoding::UTF8).then(|| encoding.decoder());
        let (text, lines) = (Vec::new(), LineCount::default());
        Ok(Self { bytes, encoding, decoder, chunk, is_last, text, begin: 0, lines, trouble: None })
    }

    /// Returns the encoding of the file.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns how many bytes of the file have been read, before decompression.
    pub(super) fn n_bytes(&self) -> u64 {
        self.bytes.hashed().n_bytes()
    }

    /// Returns the hash of the bytes that have been read, before decompression.
    pub(super) fn digest(&self) -> blake3::Hash {
        self.bytes.hashed().digest()
    }

    /// Decodes more text if there is any. An error that follows this text is returned by the next call.
    fn refill(&mut self) -> io::Result<()> {
        if let Some(trouble) = self.trouble.clone() {
            return Err(trouble.into());
        }
        while self.begin == self.text.len() && self.trouble.is_none() {
            if !self.is_last {
                self.is_last = self.bytes.fill(&mut self.chunk)?;
            }
            self.begin = 0;
            self.text.clear();
            match self.decoder.take() {
                None => self.check(),
                Some(decoder) => self.decode(decoder),
            }
            if self.is_last {
                break;
            }
        }
        match self.trouble.clone() {
            Some(trouble) if self.text.is_empty() => Err(trouble.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// Validates the chunk as UTF-8. A partial character at its end stays for the next chunk.
    fn check(&mut self) {
        let (n_good, is_cut) = match str::from_utf8(&self.chunk) {
            Ok(text) => (text.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_none() && !self.is_last),
        };
        if n_good < self.chunk.len() && !is_cut {
            self.trouble = Some(Unreadable::NotUtf8);
        }
        self.text.extend_from_slice(&self.chunk[..n_good]);
        self.chunk.drain(..n_good);
    }

    fn decode(&mut self, mut decoder: Decoder) {
        self.text.resize(TEXT_MAX, 0);
        let (result, n_read, n_written) =
            decoder.decode_to_utf8_without_replacement(&self.chunk, &mut self.text, self.is_last);
        self.text.truncate(n_written);
        self.chunk.drain(..n_read);
        self.lines.add(&self.text);
        match result {
            // Drops a finished decoder: it must not be called again, and no bytes are left for it.
            DecoderResult::InputEmpty if self.is_last => {}
            DecoderResult::InputEmpty | DecoderResult::OutputFull => self.decoder = Some(decoder),
            DecoderResult::Malformed(..) => {
                self.trouble = Some(Unreadable::Malformed { line: self.lines.line(), encoding: self.encoding });
            }
        }
    }
}

impl BufRead for ManifestInput {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.begin == self.text.len() {
            self.refill()?;
        }
        Ok(&self.text[self.begin..])
    }

    fn consume(&mut self, n_bytes: usize) {
        self.begin += n_bytes;
    }
}

impl Read for ManifestInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.fill_buf()?.read(buffer)?;
        self.consume(n_bytes);
        Ok(n_bytes)
    }
}

/// Bytes of a manifest after decompression.
pub(super) enum DecompressedReader {
    Plain(Box<BufReader<HashingReader<ByteSource>>>),
    Gzip(Box<MultiGzDecoder<BufReader<HashingReader<ByteSource>>>>),
}

/// First bytes of every gzip file.
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

impl DecompressedReader {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(CHUNK, HashingReader::new(ByteSource::open(path)?));
        let is_gzip = input.fill_buf()?.starts_with(GZIP_MAGIC);
        let gzip = |input| Self::Gzip(Box::new(MultiGzDecoder::new(input)));
        Ok(if is_gzip { gzip(input) } else { Self::Plain(Box::new(input)) })
    }

    /// Reads until the chunk is full. Returns whether the input has ended.
    fn fill(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        let wanted = CHUNK.saturating_sub(chunk.len()) as u64;
        let n_bytes = self.by_ref().take(wanted).read_to_end(chunk)?;
        Ok((n_bytes as u64) < wanted)
    }

    fn hashed(&self) -> &HashingReader<ByteSource> {
        match self {
            Self::Plain(input) => input.get_ref(),
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
        }
    }
}

impl Read for DecompressedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Unreadable::Gzip { problem: error.to_string() }.into()
                }
                _ => error,
            }),
        }
    }
}

/// Source of the bytes.
pub(super) enum ByteSource {
    File(File),
    /// Pipe, device or standard input.
    Pipe(SpoolReader),
}

impl ByteSource {
    fn open(path: &Path) -> io::Result<Self> {
        // Detects a pipe, because a pipe that is opened twice waits for a second writer.
        let is_pipe = || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        if path == Path::new(STANDARD_INPUT) || is_pipe() {
            return SpoolReader::of(path).map(Self::Pipe);
        }
        File::open(path).map(Self::File)
    }
}

impl Read for ByteSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Pipe(spooled) => spooled.read(buffer),
        }
    }
}

/// Returns the number of bytes to read. `None` if it is unknown, as for a pipe.
pub(super) fn n_bytes(path: &Path) -> Option<u64> {
    if path == Path::new(STANDARD_INPUT) {
        return SpoolReader::of(path).and_then(|spooled| spooled.n_bytes()).ok();
    }
    // Reads only the metadata: opening a pipe and reading from it would take data away.
    fs::metadata(path).ok().filter(Metadata::is_file).map(|file| file.len())
}

/// Computes the hash of all bytes as they are on disk. Needs the memory of one buffer.
pub(super) fn digest(path: &Path) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(ByteSource::open(path)?)?;
    Ok(hasher.finalize())
}
