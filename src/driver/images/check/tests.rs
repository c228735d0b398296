//! What is whole passes with its true size, and nothing that is less than whole does.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::driver::images::check::fixtures::{self, bytes, png};

fn look(bytes: &[u8]) -> Result<Checked, NotAnImage> {
    inspect(bytes, &CheckLimits::default()).expect("a slice cannot fail to be read")
}

/// Its name, its bytes, what it is and how large.
type Sample = (&'static str, Vec<u8>, ImageFormat, (u32, u32));

/// Every image that the tests know.
fn images() -> Vec<Sample> {
    vec![
        ("png", png(9, 7, 1), ImageFormat::Png, (9, 7)),
        ("baseline jpeg", bytes(fixtures::JPEG_BASELINE), ImageFormat::Jpeg, (24, 16)),
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

/// Goal: no image is called whole that is not. Method: cut each after every byte.
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

/// Goal: damage on the way does not go unseen. Method: flip every bit of a PNG, each of which a checksum covers.
#[test]
fn a_png_with_any_bit_flipped_is_refused() {
    let whole = png(5, 3, 2);
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(look(&flipped).is_err(), "bit {bit} flipped");
    }
}

/// The pieces in which a reader hands out its bytes must not matter.
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
        (b"RIFF\x04\0\0\0WAVE", "the download is something unknown, not a PNG, JPEG or WebP"),
        (b"\0\0\0\0", "the download is something unknown, not a PNG, JPEG or WebP"),
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
    let image = png(9, 7, 1);
    let limits = |bytes_max, pixels_max| CheckLimits { bytes_max, pixels_max };
    let look = |limits: CheckLimits| inspect(image.as_slice(), &limits).unwrap();
    let n_bytes = image.len() as u64;
    assert!(look(limits(n_bytes, 63)).is_ok());
    assert_eq!(look(limits(n_bytes - 1, 63)), Err(NotAnImage::TooLong { bytes_max: n_bytes - 1 }));
    assert_eq!(look(limits(n_bytes, 62)), Err(NotAnImage::TooLarge { width: 9, height: 7, pixels_max: 62 }));
}

/// A chunk as a PNG writer would write it.
fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(&[kind, data].concat());
    [&u32::try_from(data.len()).unwrap().to_be_bytes(), kind, data, &crc.to_be_bytes()].concat()
}

fn png_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    [PNG.to_vec(), chunks.concat()].concat()
}

fn why(bytes: &[u8]) -> &'static str {
    match look(bytes) {
        Err(NotAnImage::Damaged { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_png_must_be_made_as_the_format_says() {
    const IHDR: &[u8] = b"\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0";
    let header = || chunk(b"IHDR", IHDR);
    let header_with = |at: usize, byte: u8| {
        let mut fields = IHDR.to_vec();
        fields[at] = byte;
        chunk(b"IHDR", &fields)
    };
    let (data, end) = (|| chunk(b"IDAT", b"x"), || chunk(b"IEND", b""));
    assert!(look(&png_of(&[header(), chunk(b"tEXt", b"hi"), chunk(b"PLTE", b"abc"), data(), data(), end()])).is_ok());

    assert_eq!(why(&png_of(&[header(), end()])), "it ends without any image data");
    assert_eq!(why(&png_of(&[header(), chunk(b"IDAT", b""), end()])), "it ends without any image data");
    assert_eq!(why(&png_of(&[data(), header(), data(), end()])), "it does not begin with its header");
    assert_eq!(why(&png_of(&[header(), header(), data(), end()])), "it has a second header");
    assert_eq!(
        why(&png_of(&[header(), chunk(b"NEWS", b""), data(), end()])),
        "it has a required chunk of an unknown kind"
    );
    assert_eq!(why(&png_of(&[header(), chunk(b"\0\0\0\0", b""), data(), end()])), "it has a chunk without a name");
    assert_eq!(why(&[PNG, &header(), b"\xff\xff\xff\xffIDAT"].concat()), "a chunk is longer than the format allows");
    assert_eq!(why(&png_of(&[header_with(3, 0), data(), end()])), "it has no pixels");
    for (at, byte) in [(8, 3), (9, 1), (9, 3), (10, 1), (11, 1), (12, 2)] {
        let bytes = png_of(&[header_with(at, byte), data(), end()]);
        let is_palette_of_8_bits = (at, byte) == (9, 3);
        assert_eq!(look(&bytes).is_ok(), is_palette_of_8_bits, "byte {at} of the header is {byte}");
    }
}

#[test]
fn a_jpeg_must_be_made_as_the_format_says() {
    const SOF: &[u8] = b"\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0";
    const SCAN: &[u8] = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0data\xff\0\xff\xd3more";
    const END: &[u8] = b"\xff\xd9";
    let jpeg = |parts: &[&[u8]]| [b"\xff\xd8", parts.concat().as_slice()].concat();

    let whole = look(&jpeg(&[b"\xff\xfe\0\x04hi", SOF, b"\xff\xff", SCAN, SCAN, END])).unwrap();
    assert_eq!((whole.width, whole.height), (3, 2));
    assert_eq!(why(&jpeg(&[SOF, END])), "it ends without any image data");
    assert_eq!(why(&jpeg(&[SCAN, END])), "its data come before its size");
    assert_eq!(why(&jpeg(&[SOF, SOF, SCAN, END])), "it names its size twice");
    assert_eq!(why(&jpeg(&[SOF, b"\xff\xd8"])), "it begins a second time");
    assert_eq!(why(&jpeg(&[b"\xff\xfe\0\x01", SOF, SCAN, END])), "a segment has an impossible length");
    assert_eq!(why(&jpeg(&[b"\xff\xfe\0\x02junk", SOF, SCAN, END])), "a marker is missing");
    assert_eq!(why(&jpeg(&[b"\xff\0", SOF, SCAN, END])), "a marker is missing");
    assert_eq!(why(&jpeg(&[b"\xff\xc0\0\x07\x08\0\x02\0\x03", SCAN, END])), "its frame header is too short");
    assert_eq!(
        why(&jpeg(&[b"\xff\xc0\0\x0b\x08\0\x02\0\x03\x02\x01\x11\0", SCAN])),
        "its frame header has an impossible length"
    );
    assert_eq!(why(&jpeg(&[b"\xff\xc0\0\x0b\x08\0\0\0\x03\x01\x01\x11\0", SCAN, END])), "it has no pixels");
}

#[test]
fn a_webp_must_be_made_as_the_format_says() {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap().to_le_bytes();
        [kind.as_slice(), &length, data, if data.len() % 2 == 1 { b"\0" } else { b"" }].concat()
    };
    let webp = |chunks: &[Vec<u8>]| {
        let chunks = chunks.concat();
        let length = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
        [b"RIFF", length.as_slice(), b"WEBP", &chunks].concat()
    };
    let lossless = || chunk(b"VP8L", b"\x2f\x02\x40\0\0");
    let canvas = || chunk(b"VP8X", b"\0\0\0\0\x09\0\0\x04\0\0");

    let whole = look(&webp(&[lossless()])).unwrap();
    assert_eq!((whole.width, whole.height), (3, 2));
    let whole = look(&webp(&[canvas(), chunk(b"EXIF", b"odd"), lossless()])).unwrap();
    assert_eq!((whole.width, whole.height), (10, 5), "the canvas counts");

    let mut unpadded = webp(&[lossless()]);
    unpadded.pop();
    unpadded[4] -= 1;
    assert!(look(&unpadded).is_ok(), "the last byte of padding may be missing");

    assert_eq!(why(&webp(&[])), "it ends without any image data");
    assert_eq!(why(&webp(&[canvas()])), "it ends without any image data");
    assert_eq!(why(&webp(&[chunk(b"EXIF", b"odd"), lossless()])), "it does not begin with its header");
    assert_eq!(why(&webp(&[chunk(b"VP8L", b"\x2f\x02\x40\0\x20")])), "its lossless data have an unknown encoding");
    assert_eq!(
        why(&webp(&[chunk(b"VP8 ", b"\x01\0\0\x9d\x01\x2a\x03\0\x02\0")])),
        "its image data do not begin with a key frame"
    );
    assert_eq!(why(&webp(&[chunk(b"VP8X", b"\0"), lossless()])), "a chunk is too short");
    let mut long = webp(&[lossless()]);
    long[16] = 200;
    assert_eq!(why(&long), "a chunk is longer than the file claims to be");
}

#[test]
fn a_reader_that_fails_is_no_fault_of_the_image() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let image = png(9, 7, 1);
    for n_kept in [0, 100, image.len()] {
        let reader = io::BufReader::new(image[..n_kept].chain(Broken));
        assert_eq!(inspect(reader, &CheckLimits::default()).unwrap_err().to_string(), "the disk is gone");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_bytes_make_it_panic(which in 0..8_usize, tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        const BEGINNINGS: [&[u8]; 8] = [
            b"", PNG, b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0\xff\xda",
            b"RIFF\xff\0\0\0WEBP", b"RIFF\xff\0\0\0WEBPVP8X", b"RIFF\xff\0\0\0WEBPVP8 ", b"RIFF\xff\xff\xff\xffWEBPVP8L\x05\0\0\0\x2f",
        ];
        let _ = look(&[BEGINNINGS[which], &tail].concat());
    }

    #[test]
    fn damage_never_makes_it_panic(which in 0..7_usize, at: prop::sample::Index, byte: u8) {
        let mut bytes = images().swap_remove(which).1;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = look(&bytes);
    }
}
