//! Fuzz target for downloads: complete images are recognized however they arrive, and nothing else is accepted.

use std::io::BufReader;

use fastrand::Rng;
use promptbatch::images::validate::inspect;
use promptbatch::images::validate::verdict::CheckLimits;
use promptbatch::internals::simulator::Picture;
use promptbatch::model::outcome::ImageFormat;
use sha2::{Digest, Sha256};

use crate::{Target, assert_safe, outline};

pub const TARGET: Target = Target {
    name: "images",
    seeds: || {
        vec![Picture::new(7, "64x64".parse().unwrap()).png(), JPEG.to_vec(), WEBP.to_vec(), b"<html>no</html>".to_vec()]
    },
    words: &[
        "IHDR", "IDAT", "IEND", "PLTE", "tEXt", "RIFF", "WEBP", "VP8 ", "VP8L", "VP8X", "ANMF", "\0\0\0\0", "{", "<",
        "GIF8",
    ],
    mend,
    check,
};

/// One grey block with a quantization table and, as in Motion JPEG, without Huffman tables.
const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xdb\x00\x43\x00\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
    \xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00\
    \xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x2b\xff\xd9";

/// One lossless pixel.
const WEBP: &[u8] = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";

const LIMITS: CheckLimits = CheckLimits { bytes_max: 1 << 16, pixels_max: 1 << 20 };

fn check(input: &[u8]) -> String {
    let found = inspect(input, &LIMITS).expect("memory can be read");
    for piece_bytes in [1, 7, 300] {
        let in_pieces = inspect(BufReader::with_capacity(piece_bytes, input), &LIMITS).expect("memory can be read");
        assert_eq!(in_pieces, found, "in pieces of {piece_bytes} bytes");
    }
    match found {
        Ok(checked) => {
            assert_eq!(checked.bytes, input.len() as u64);
            assert_eq!(checked.sha256, <[u8; 32]>::from(Sha256::digest(input)));
            assert!(checked.bytes <= LIMITS.bytes_max && checked.width > 0 && checked.height > 0);
            assert!(u64::from(checked.width) * u64::from(checked.height) <= LIMITS.pixels_max);
            if checked.format == ImageFormat::Png {
                same_size(input, checked.width, checked.height);
            }
            format!("{:?} of {} digits", checked.format, checked.width.ilog10())
        }
        Err(why) => {
            assert_safe(&why.to_string());
            // The text after the colon is the beginning of the input.
            outline(why.to_string().split(": ").next().unwrap())
        }
    }
}

/// Checks that a PNG that a real decoder opens has the size that was found.
fn same_size(input: &[u8], width: u32, height: u32) {
    if let Ok(reader) = png::Decoder::new(std::io::Cursor::new(input)).read_info() {
        assert_eq!((reader.info().width, reader.info().height), (width, height));
    }
}

/// Usually corrects the checksums of a PNG. Otherwise nothing after the first change would be read.
fn mend(input: &mut [u8], rng: &mut Rng) {
    let mut at = 8;
    while input.starts_with(b"\x89PNG") && rng.u8(0..20) > 0 {
        let Some(Ok(n_bytes)) = input.get(at..at + 4).map(<[u8; 4]>::try_from) else { return };
        let end = (at + 8).saturating_add(u32::from_be_bytes(n_bytes) as usize);
        let Some(crc) = input.get(at + 4..end).map(crc32fast::hash) else { return };
        match input.get_mut(end..end + 4) {
            Some(place) => place.copy_from_slice(&crc.to_be_bytes()),
            None => return,
        }
        at = end + 4;
    }
}
