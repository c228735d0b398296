//! Tests of the image check: whole images pass with their true size, and no incomplete image passes.

mod jpeg;
mod png;
mod webp;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::images::validate::fixtures::{self, bytes, png as noise};
use crate::test_effort::cases;

fn look(bytes: &[u8]) -> Result<Checked, NotAnImage> {
    inspect(bytes, &CheckLimits::default()).expect("a slice cannot fail to be read")
}

/// Name, bytes, format and size of a sample.
type Sample = (&'static str, Vec<u8>, ImageFormat, (u32, u32));

/// Returns every image that the tests use.
fn images() -> Vec<Sample> {
    vec![
        ("png", noise(9, 7, 1), ImageFormat::Png, (9, 7)),
        ("baseline jpeg", bytes(fixtures::JPEG_BASELINE), ImageFormat::Jpeg, (24, 16)),
        ("jpeg with restart markers", bytes(fixtures::JPEG_RESTARTS), ImageFormat::Jpeg, (40, 8)),
        ("progressive jpeg", bytes(fixtures::JPEG_PROGRESSIVE), ImageFormat::Jpeg, (24, 16)),
        ("lossy webp", bytes(fixtures::WEBP_LOSSY), ImageFormat::WebP, (20, 12)),
        ("lossless webp", bytes(fixtures::WEBP_LOSSLESS), ImageFormat::WebP, (20, 12)),
        ("webp with alpha", bytes(fixtures::WEBP_ALPHA), ImageFormat::WebP, (20, 12)),
        ("animated webp", bytes(fixtures::WEBP_ANIMATED), ImageFormat::WebP, (20, 12)),
    ]
}

#[test]
fn whole_images_pass_with_their_size_and_hash() {
    for (name, bytes, format, (width, height)) in images() {
        let sha256 = Sha256::digest(&bytes).into();
        let expected = Checked { format, width, height, bytes: bytes.len() as u64, sha256 };
        assert_eq!(look(&bytes), Ok(expected), "{name}");
    }
}

/// Goal: no incomplete image passes. Method: cut each image after every byte.
#[test]
fn an_image_cut_off_anywhere_is_refused() {
    for (name, bytes, ..) in images() {
        assert_eq!(look(&[]), Err(NotAnImage::Empty));
        for n_kept in 1..bytes.len() {
            match look(&bytes[..n_kept]) {
                Err(NotAnImage::CutOff { n_bytes, bytes_min }) => {
                    assert_eq!(n_bytes, n_kept as u64, "{name} cut after {n_kept}");
                    assert!(bytes_min > n_bytes, "{name} cut after {n_kept}");
                }
                other => panic!("{name} cut after {n_kept}: {other:?}"),
            }
        }
    }
}

/// Goal: damage within an image is detected. Method: flip every bit of a PNG; a checksum covers each bit.
#[test]
fn a_png_with_any_bit_flipped_is_refused() {
    let whole = noise(5, 3, 2);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(look(&flipped).is_err(), "bit {bit} flipped");
    }
}

/// Goal: the result does not depend on the pieces in which a reader returns its bytes.
#[test]
fn a_walk_does_not_depend_on_the_size_of_the_buffer() {
    for (name, bytes, ..) in images() {
        for capacity in [1, 2, 3, 7, 64] {
            let reader = io::BufReader::with_capacity(capacity, bytes.as_slice());
            let checked = inspect(reader, &CheckLimits::default()).unwrap();
            assert_eq!(checked, look(&bytes), "{name} in pieces of {capacity}");
        }
    }
}

#[test]
fn what_follows_the_end_is_counted_and_hashed() {
    for (name, mut bytes, ..) in images() {
        bytes.extend(b"a camera's own data");
        let checked = look(&bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(checked.bytes, bytes.len() as u64, "{name}");
        assert_eq!(checked.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)), "{name}");
    }
}

#[test]
fn what_is_not_an_image_is_called_by_its_name() {
    let table: [(&[u8], &str); 16] = [
        (b"", "the download is empty"),
        (b"<!DOCTYPE html>\n<html>", "the download is an HTML page, not an image: <!DOCTYPE html>\\n<html>"),
        (b"\xef\xbb\xbf  <HTML><body>", "the download is an HTML page, not an image: <HTML><body>"),
        (
            b"<?xml version=\"1.0\"?><Error>",
            "the download is an XML or HTML text, not an image: <?xml version=\"1.0\"?><Error>",
        ),
        (b"{\"error\": \"expired\"}", "the download is JSON, not an image: {\"error\": \"expired\"}"),
        (b" []", "the download is JSON, not an image: []"),
        (b"Not Found", "the download is plain text, not an image: Not Found"),
        ("未找到".as_bytes(), "the download is plain text, not an image: 未找到"),
        (b"<html>\x1b[31m", "the download is an HTML page, not an image: <html>\\u{1b}[31m"),
        (b"GIF89a\x01\0\x01\0\x80", "the download is a GIF, not a PNG, JPEG or WebP"),
        (b"\0\0\0\x20ftypavif\0", "the download is an AVIF, not a PNG, JPEG or WebP"),
        (b"\0\0\0\x20ftypisom\0", "the download is a video or a HEIF, not a PNG, JPEG or WebP"),
        (b"\x1f\x8b\x08\0", "the download is compressed data, not a PNG, JPEG or WebP"),
        (b"RIFF\x04\0\0\0WAVE", "the download is data of an unknown type, not a PNG, JPEG or WebP"),
        (b"\0\0\0\0", "the download is data of an unknown type, not a PNG, JPEG or WebP"),
        (b"\x89PNG", "the image is cut off after 4 of at least 8 bytes"),
    ];
    for (bytes, words) in table {
        assert_eq!(look(bytes).unwrap_err().to_string(), words, "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn a_long_text_is_shown_in_part_even_if_a_character_is_cut() {
    let page = "猫".repeat(1000);
    let words = look(page.as_bytes()).unwrap_err().to_string();
    assert!(words.starts_with("the download is plain text, not an image: 猫猫"), "{words}");
    assert!(words.chars().count() < 200, "{words}");
}

#[test]
fn limits_hold() {
    let image = noise(9, 7, 1);
    let limits = |bytes_max, pixels_max| CheckLimits { bytes_max, pixels_max };
    let look = |limits: CheckLimits| inspect(image.as_slice(), &limits).unwrap();
    let n_bytes = image.len() as u64;
    assert!(look(limits(n_bytes, 63)).is_ok());
    assert_eq!(look(limits(n_bytes - 1, 63)), Err(NotAnImage::TooLong { bytes_max: n_bytes - 1 }));
    assert_eq!(look(limits(n_bytes, 62)), Err(NotAnImage::TooLarge { width: 9, height: 7, pixels_max: 62 }));
}

fn why(bytes: &[u8]) -> &'static str {
    match look(bytes) {
        Err(NotAnImage::Damaged { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_that_fails_is_no_fault_of_the_image() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let image = noise(9, 7, 1);
    for n_kept in [0, 100, image.len()] {
        let reader = io::BufReader::new(image[..n_kept].chain(Broken));
        assert_eq!(inspect(reader, &CheckLimits::default()).unwrap_err().to_string(), "the disk is gone");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(1000)))]

    #[test]
    fn no_bytes_make_it_panic(which in 0..8_usize, tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        const BEGINNINGS: [&[u8]; 8] = [
            b"", PNG, b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0\xff\xda",
            b"RIFF\xff\0\0\0WEBP", b"RIFF\xff\0\0\0WEBPVP8X", b"RIFF\xff\0\0\0WEBPVP8 ", b"RIFF\xff\xff\xff\xffWEBPVP8L\x05\0\0\0\x2f",
        ];
        let _ = look(&[BEGINNINGS[which], &tail].concat());
    }

    #[test]
    fn damage_never_makes_it_panic(which in 0..8_usize, at: prop::sample::Index, byte: u8) {
        let mut bytes = images().swap_remove(which).1;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = look(&bytes);
    }
}
