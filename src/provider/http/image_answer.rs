//! Answer with images in it: long base64 strings of its JSON are decoded into the spool while they arrive.
//!
//! What is left is a short JSON document in which the address of the spooled image stands in place of each string. Memory therefore does
//! not grow with the images. An answer that is an image itself, and no JSON, is spooled as a whole.

use std::io::Write;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use flate2::write::MultiGzDecoder;

use crate::model::outcome::Fault;
use crate::provider::http::spool::{SpoolEntry, SpooledImage};

/// Length of a string of the answer from which it may be an image, in bytes. Shorter ones stay in the JSON.
const IMAGE_TEXT_BYTES_MIN: usize = 4096;

/// Longest JSON that is left of an answer, in bytes.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Characters that are decoded at a time: a multiple of four.
const BATCH_CHARS: usize = 1 << 16;

/// Key of the JSON that stands for an answer that is an image itself.
pub(in crate::provider) const BODY_KEY: &str = "$body";

/// Decompression of an answer, as a gateway may compress what nobody asked it to.
#[derive(Debug, Default)]
pub(super) enum Inflater {
    #[default]
    Start,
    Plain(Vec<u8>),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// Decoder of base64, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reader of an answer.
#[derive(Debug, Default)]
pub(super) struct ImageAnswer {
    state: State,
    json: Vec<u8>,
    is_too_long: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Before the first byte that is not white space.
    #[default]
    Start,
    /// Outside of strings.
    Json,
    /// Inside a string that begins at this byte of the JSON, after its quotation mark.
    Text { begin: usize, is_escaped: bool },
    /// Inside a string that is an image.
    Image(Box<Base64Image>),
    /// An answer that is an image itself.
    Body(Box<SpooledImage>),
}

/// Image whose base64 arrives.
#[derive(Debug)]
struct Base64Image {
    image: SpooledImage,
    chars: Vec<u8>,
    is_escaped: bool,
    /// Set after a character that is not base64, or after the padding: nothing more is decoded.
    is_ended: bool,
}

impl ImageAnswer {
    /// Takes in the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], entry: &mut SpoolEntry) -> Result<(), Fault> {
        let mut rest = bytes;
        while let Some(byte) = rest.first().copied() {
            match &mut self.state {
                State::Start if byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf) => rest = &rest[1..],
                State::Start if is_image(rest) => self.state = State::Body(Box::new(entry.begin()?)),
                State::Start => self.state = State::Json,
                State::Body(image) => {
                    image.write(rest)?;
                    return Ok(());
                }
                State::Json => {
                    let n = memchr::memchr(b'"', rest).map_or(rest.len(), |at| at + 1);
                    self.keep(&rest[..n]);
                    if rest[..n].ends_with(b"\"") {
                        self.state = State::Text { begin: self.json.len(), is_escaped: false };
                    }
                    rest = &rest[n..];
                }
                State::Text { begin, is_escaped } => {
                    let (begin, n) = (*begin, text_end(rest, is_escaped));
                    let is_over = rest.get(n) == Some(&b'"') && !*is_escaped;
                    self.keep(&rest[..n]);
                    rest = &rest[n..];
                    if is_over {
                        self.keep(b"\"");
                        rest = &rest[1..];
                        self.state = State::Json;
                    } else if self.json.len() - begin >= IMAGE_TEXT_BYTES_MIN && is_base64(&self.json[begin..]) {
                        self.begin_image(begin, entry)?;
                    }
                }
                State::Image(image) => {
                    let n = memchr::memchr(b'"', rest).unwrap_or(rest.len());
                    image.push(&rest[..n])?;
                    rest = &rest[n..];
                    if rest.first() == Some(&b'"') {
                        rest = &rest[1..];
                        self.end_image(entry)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the answer, and returns the JSON that is left, and what is wrong with it.
    pub(super) fn end(mut self, entry: &mut SpoolEntry) -> Result<(Vec<u8>, Option<&'static str>), Fault> {
        match std::mem::take(&mut self.state) {
            State::Body(image) => {
                let url = entry.end(*image)?;
                self.json = format!("{{\"{BODY_KEY}\":\"{url}\"}}").into_bytes();
            }
            // The answer broke off within an image.
            State::Image(_) | State::Start | State::Json | State::Text { .. } => (),
        }
        Ok((self.json, self.is_too_long.then_some("a response of more than 1048576 bytes besides its images")))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.json.len() + bytes.len() <= JSON_BYTES_MAX {
            self.json.extend_from_slice(bytes);
        } else {
            self.is_too_long = true;
        }
    }

    fn begin_image(&mut self, begin: usize, entry: &SpoolEntry) -> Result<(), Fault> {
        let image = entry.begin()?;
        let mut image = Base64Image { image, chars: Vec::new(), is_escaped: false, is_ended: false };
        let text = self.json.split_off(begin);
        image.push(without_prefix(&text))?;
        self.state = State::Image(Box::new(image));
        Ok(())
    }

    fn end_image(&mut self, entry: &mut SpoolEntry) -> Result<(), Fault> {
        let State::Image(image) = std::mem::replace(&mut self.state, State::Json) else { return Ok(()) };
        let mut image = *image;
        image.decode(true)?;
        let url = entry.end(image.image)?;
        self.keep(url.0.as_bytes());
        self.keep(b"\"");
        Ok(())
    }
}

impl Inflater {
    /// Returns the bytes that these ones stand for. Damaged bytes stand for nothing: the JSON is then found to be cut.
    pub(super) fn push(&mut self, bytes: &[u8]) -> &[u8] {
        if let Self::Start = self {
            *self = match bytes {
                [0x1f, 0x8b, ..] => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
                _ => Self::Plain(Vec::new()),
            };
        }
        match self {
            Self::Start => &[],
            Self::Plain(plain) => {
                plain.clear();
                plain.extend_from_slice(bytes);
                plain
            }
            Self::Gzip(decoder) => {
                decoder.get_mut().clear();
                let _ = decoder.write_all(bytes).and_then(|()| decoder.flush());
                decoder.get_ref()
            }
        }
    }
}

impl Base64Image {
    fn push(&mut self, text: &[u8]) -> Result<(), Fault> {
        for byte in text {
            if std::mem::take(&mut self.is_escaped) {
                match byte {
                    // An escaped slash; other escapes are line breaks.
                    b'/' => self.chars.push(b'/'),
                    b'n' | b'r' | b't' => (),
                    _ => self.is_ended = true,
                }
                continue;
            }
            match byte {
                b'\\' => self.is_escaped = true,
                b'-' => self.chars.push(b'+'),
                b'_' => self.chars.push(b'/'),
                b' ' | b'\n' | b'\r' | b'\t' => (),
                _ if self.is_ended => return Ok(()),
                byte => self.chars.push(*byte),
            }
        }
        if self.chars.len() >= BATCH_CHARS { self.decode(false) } else { Ok(()) }
    }

    /// Decodes the characters, in whole groups of four before the last.
    fn decode(&mut self, is_last: bool) -> Result<(), Fault> {
        let n = if is_last { self.chars.len() } else { self.chars.len() / 4 * 4 };
        let mut whole: Vec<u8> = self.chars.drain(..n).collect();
        if self.is_ended {
            return Ok(());
        }
        loop {
            match BASE64.decode(&whole) {
                Ok(bytes) => return self.image.write(&bytes),
                // The bytes before the damage are kept: the image is then found to be cut.
                Err(_) if whole.len() >= 4 => {
                    self.is_ended = true;
                    let at = whole.iter().position(|byte| !is_base64_char(*byte)).unwrap_or(whole.len() - 1);
                    whole.truncate(at / 4 * 4);
                }
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Returns the number of bytes before the end of a string, and whether the byte after them is escaped.
fn text_end(text: &[u8], is_escaped: &mut bool) -> usize {
    // Looks at a string often enough to find an image early.
    let text = &text[..text.len().min(IMAGE_TEXT_BYTES_MIN)];
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if *is_escaped => *is_escaped = false,
            b'\\' => *is_escaped = true,
            b'"' => return at,
            _ => (),
        }
    }
    text.len()
}

/// Returns whether bytes begin an image of a kind that is not JSON.
fn is_image(bytes: &[u8]) -> bool {
    let begins: [&[u8]; 6] = [b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"\x00\x00\x00"];
    begins.iter().any(|begin| bytes.starts_with(begin))
}

/// Returns whether the text of a string is base64 as far as it goes.
fn is_base64(text: &[u8]) -> bool {
    let text = without_prefix(text);
    text.iter().all(|byte| is_base64_char(*byte) || matches!(byte, b'-' | b'_' | b'\\' | b'=' | b' '))
}

/// Returns the base64 of a data URI, or the whole text.
fn without_prefix(text: &[u8]) -> &[u8] {
    let comma = text.starts_with(b"data:").then(|| memchr::memchr(b',', &text[..text.len().min(128)])).flatten();
    comma.map_or(text, |at| &text[at + 1..])
}

const fn is_base64_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

#[cfg(test)]
mod tests;
