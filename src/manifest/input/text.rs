//! Manifest input as UTF-8 text: from a file, a pipe or standard input, compressed or not, in any encoding.
//!
//! UTF-8 is passed on after validation. Any other encoding is converted to UTF-8 here. A byte without a meaning ends the read: no text is
//! ever read as a replacement character. The line ends of every system become `\n`.

use std::io::{self, BufRead, Read};
use std::path::Path;

use encoding_rs::{Decoder, DecoderResult};
use memchr::memchr;

use crate::manifest::input::bytes::{CHUNK, DecompressedReader};
use crate::manifest::input::encoding::{Encoding, Unreadable, n_line_ends, of_head};
use crate::manifest::input::hashing_reader::HashingReader;

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
    n_lines: u64,
    /// Records that the last chunk ended with a carriage return. A line feed that comes next belongs to that line end.
    after_return: bool,
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
        let (text, n_lines, after_return) = (Vec::new(), 0, false);
        Ok(Self { bytes, encoding, decoder, chunk, is_last, text, begin: 0, n_lines, after_return, trouble: None })
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
        unify_line_ends(&mut self.text, &mut self.after_return);
        self.chunk.drain(..n_good);
    }

    fn decode(&mut self, mut decoder: Decoder) {
        self.text.resize(TEXT_MAX, 0);
        let (result, n_read, n_written) =
            decoder.decode_to_utf8_without_replacement(&self.chunk, &mut self.text, self.is_last);
        self.text.truncate(n_written);
        self.chunk.drain(..n_read);
        unify_line_ends(&mut self.text, &mut self.after_return);
        self.n_lines += n_line_ends(&self.text);
        match result {
            // Drops a finished decoder: it must not be called again, and no bytes are left for it.
            DecoderResult::InputEmpty if self.is_last => {}
            DecoderResult::InputEmpty | DecoderResult::OutputFull => self.decoder = Some(decoder),
            DecoderResult::Malformed(..) => {
                self.trouble = Some(Unreadable::Malformed { line: self.n_lines + 1, encoding: self.encoding });
            }
        }
    }
}

/// Replaces each line end, CRLF or CR, by LF. `after_return` is the state from one piece of the text to the next.
pub(crate) fn unify_line_ends(text: &mut Vec<u8>, after_return: &mut bool) {
    if !*after_return && memchr(b'\r', text).is_none() {
        return;
    }
    text.retain_mut(|byte| {
        let is_second = *byte == b'\n' && *after_return;
        *after_return = *byte == b'\r';
        if *after_return {
            *byte = b'\n';
        }
        !is_second
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a line end is one `\n`, wherever the text is cut. Method: a text with all line ends, cut at every two places.
    #[test]
    fn line_ends_of_every_system_become_one_byte() {
        let text = b"a\r\nb\rc\n\n\r\r\r\nd\r";
        for i in 0..=text.len() {
            for j in i..=text.len() {
                let mut after_return = false;
                let mut unified = Vec::new();
                for piece in [&text[..i], &text[i..j], &text[j..]] {
                    let mut piece = piece.to_vec();
                    unify_line_ends(&mut piece, &mut after_return);
                    unified.append(&mut piece);
                }
                assert_eq!(str::from_utf8(&unified), Ok("a\nb\nc\n\n\n\n\nd\n"), "cut at {i} and {j}");
            }
        }
    }
}
