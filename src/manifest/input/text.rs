//! Manifest input as UTF-8 text: from a file, a pipe or standard input, compressed or not, in any encoding.
//!
//! UTF-8 is passed on after validation. Any other encoding is converted to UTF-8 here. A byte without a meaning ends the read: no text is
//! ever read as a replacement character. The line ends of every system become `\n`.

use std::io::{self, BufRead, Read};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult};

use crate::manifest::input::bytes::{CHUNK, DecompressedReader};
use crate::manifest::input::encoding::{Encoding, Unreadable, of_head};
use crate::manifest::input::hashing_reader::HashingReader;
use crate::manifest::input::line_ends::LineEnds;

/// Buffer size for a decoded chunk. One byte of another encoding becomes at most three bytes. The rest of the previous chunk may be added.
const TEXT_MAX: usize = 3 * CHUNK + 16;

/// Reader of a manifest as UTF-8 text.
pub struct ManifestInput {
    bytes: DecompressedReader,
    encoding: Encoding,
    /// `None` for UTF-8, and after decoding has ended.
    decoder: Option<Decoder>,
    /// Bytes that were read and are not decoded yet.
    chunk: Vec<u8>,
    is_last: bool,
    text: Vec<u8>,
    begin: usize,
    line_ends: LineEnds,
    /// Decoding error that is returned after the text before it.
    trouble: Option<Unreadable>,
}

impl ManifestInput {
    /// Opens the file. `wanted` is the known encoding; `None` uses the byte order mark, or detects UTF-16, or else assumes UTF-8.
    pub(crate) fn open(path: &Path, wanted: Option<Encoding>) -> io::Result<Self> {
        let mut bytes = DecompressedReader::open(path)?;
        let mut chunk = Vec::with_capacity(CHUNK);
        let is_last = bytes.fill(&mut chunk)?;
        let (encoding, mark_len) = of_head(&chunk, wanted)?;
        chunk.drain(..mark_len);
        let decoder = (encoding != Encoding::UTF8).then(|| encoding.decoder());
        let (text, line_ends) = (Vec::new(), LineEnds::default());
        Ok(Self { bytes, encoding, decoder, chunk, is_last, text, begin: 0, line_ends, trouble: None })
    }

    /// Ends the read with an error at a carriage return that ends no line.
    pub(crate) fn check_line_ends(&mut self) {
        self.line_ends.check();
    }

    /// Excludes the text between quotes from the check of the line ends.
    pub(crate) fn with_quotes(mut self) -> Self {
        self.line_ends.exclude_quoted();
        self
    }

    /// Returns the encoding of the file.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns the bytes of the file that have been read, before decompression.
    pub fn hashed(&self) -> &HashingReader {
        self.bytes.hashed()
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
        self.unify_line_ends();
        self.chunk.drain(..n_good);
    }

    fn decode(&mut self, mut decoder: Decoder) {
        self.text.resize(TEXT_MAX, 0);
        let (result, n_read, n_written) =
            decoder.decode_to_utf8_without_replacement(&self.chunk, &mut self.text, self.is_last);
        self.text.truncate(n_written);
        self.chunk.drain(..n_read);
        self.unify_line_ends();
        match result {
            // Drops a finished decoder: it must not be called again, and no bytes are left for it.
            DecoderResult::InputEmpty if self.is_last => {}
            DecoderResult::InputEmpty | DecoderResult::OutputFull => self.decoder = Some(decoder),
            DecoderResult::Malformed(..) => {
                self.trouble =
                    Some(Unreadable::Malformed { line: self.line_ends.n_lines() + 1, encoding: self.encoding });
            }
        }
    }

    fn unify_line_ends(&mut self) {
        if let Some(line) = self.line_ends.unify(&mut self.text) {
            // Drops the text, in which this character has become a line end.
            self.text.clear();
            self.trouble = Some(Unreadable::BareReturn { line });
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
