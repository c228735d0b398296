//! Normalization of response bodies: decompression, and conversion of UTF-16 and UTF-32 to UTF-8.
//! A gateway may compress a body that was requested without compression. A byte order mark is removed.
//!
//! An incomplete or damaged body is kept as far as it can be read. Invalid bytes stay unchanged in UTF-8, and become U+FFFD in UTF-16 and
//! UTF-32.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

/// Longest body after decompression, in bytes; the rest is dropped.
const BYTES_MAX: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16 { is_big_endian: bool },
    Utf32 { is_big_endian: bool },
}

/// Returns the body decompressed, in UTF-8, without a byte order mark.
pub(crate) fn bytes(body: Vec<u8>) -> Vec<u8> {
    let body = unpacked(body);
    let (encoding, n_mark) = encoding(&body);
    match encoding {
        Encoding::Utf8 if n_mark == 0 => body,
        Encoding::Utf8 => body[n_mark..].to_vec(),
        Encoding::Utf16 { is_big_endian } => {
            let unit: fn([u8; 2]) -> u16 = if is_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
            let units = body[n_mark..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
            let text: String =
                char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            text.into_bytes()
        }
        Encoding::Utf32 { is_big_endian } => {
            let unit: fn([u8; 4]) -> u32 = if is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
            let units = body[n_mark..].chunks_exact(4).map(|four| unit([four[0], four[1], four[2], four[3]]));
            let text: String = units.map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            text.into_bytes()
        }
    }
}

/// Decompresses gzip and zlib, as far as the stream can be read.
fn unpacked(body: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    // Bytes read before an error stay in `plain`: an incomplete stream still yields its beginning.
    let _whole = match body.as_slice() {
        [0x1f, 0x8b, 8, ..] => MultiGzDecoder::new(body.as_slice()).take(BYTES_MAX).read_to_end(&mut plain),
        [0x78, flags, ..] if (0x7800 + u16::from(*flags)).is_multiple_of(31) => {
            ZlibDecoder::new(body.as_slice()).take(BYTES_MAX).read_to_end(&mut plain)
        }
        _ => return body,
    };
    if plain.is_empty() { body } else { plain }
}

/// Detects the encoding and the length of its byte order mark in bytes. Without a mark, the zero bytes around the first character decide.
fn encoding(body: &[u8]) -> (Encoding, usize) {
    let (big, little) = (true, false);
    let utf16 = |is_big_endian| Encoding::Utf16 { is_big_endian };
    let utf32 = |is_big_endian| Encoding::Utf32 { is_big_endian };
    match body {
        [0xef, 0xbb, 0xbf, ..] => (Encoding::Utf8, 3),
        [0, 0, 0xfe, 0xff, ..] => (utf32(big), 4),
        [0xff, 0xfe, 0, 0, ..] => (utf32(little), 4),
        [0xfe, 0xff, ..] => (utf16(big), 2),
        [0xff, 0xfe, ..] => (utf16(little), 2),
        [0, 0, 0, 1..=u8::MAX, ..] => (utf32(big), 0),
        [1..=u8::MAX, 0, 0, 0, ..] => (utf32(little), 0),
        [0, 1..=u8::MAX, ..] => (utf16(big), 0),
        [1..=u8::MAX, 0, ..] => (utf16(little), 0),
        _ => (Encoding::Utf8, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    /// Returns the normalized body as text; invalid bytes become U+FFFD.
    fn text(body: &[u8]) -> String {
        String::from_utf8_lossy(&bytes(body.to_vec())).into_owned()
    }

    const JSON: &str = r#"{"task_id":"5075521","prompt":"猫 🐈"}"#;

    fn gzipped(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_unicode_encoding_is_read_with_and_without_a_mark() {
        let utf16: Vec<u16> = JSON.encode_utf16().collect();
        let utf32: Vec<u32> = JSON.chars().map(u32::from).collect();
        for body in [
            JSON.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf], JSON.as_bytes()].concat(),
            utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            [0xfeff].iter().chain(&utf16).flat_map(|unit| unit.to_le_bytes()).collect(),
            [0xfeff].iter().chain(&utf16).flat_map(|unit| unit.to_be_bytes()).collect(),
            utf32.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
            utf32.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            [0xfeff].iter().chain(&utf32).flat_map(|unit| unit.to_le_bytes()).collect(),
            [0xfeff].iter().chain(&utf32).flat_map(|unit| unit.to_be_bytes()).collect(),
        ] {
            assert_eq!(text(&body), JSON, "{body:?}");
        }
    }

    #[test]
    fn a_compressed_body_is_read_as_far_as_it_goes() {
        assert_eq!(text(&gzipped(JSON)), JSON);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(JSON.as_bytes()).unwrap();
        assert_eq!(text(&zlib.finish().unwrap()), JSON);
        // Without compression the bytes are stored in sequence, so a cut stream still holds the beginning.
        let mut stored = GzEncoder::new(Vec::new(), Compression::none());
        stored.write_all(JSON.as_bytes()).unwrap();
        let stored = stored.finish().unwrap();
        let cut = text(&stored[..stored.len() - 12]);
        assert!(
            cut.starts_with(r#"{"task_id":"5075521""#) && JSON.starts_with(cut.trim_end_matches('\u{fffd}')),
            "{cut}"
        );
        let broken = text(&[0x1f, 0x8b, 8, 0, 1, 2, 3]);
        assert!(broken.contains('\u{fffd}'), "left as it came");
    }

    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn a_small_body_does_not_unpack_without_bounds() {
        let bomb = gzipped(&" ".repeat(64 << 20));
        assert!(bomb.len() < 100_000);
        assert_eq!(bytes(bomb).len() as u64, BYTES_MAX);
    }

    #[test]
    fn other_bytes_stay_as_they_came() {
        for body in [&b""[..], b"\xff", b"x", b"{\xff}", b"\x00", b"<html>"] {
            assert_eq!(bytes(body.to_vec()), body);
        }
    }
}
