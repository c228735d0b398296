//! Tests of WebP files with valid chunks around valid or invalid pixels.

use super::{bytes, fixtures, look, why};
use crate::images::validate::verdict::NotAnImage;

fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    [kind, &length, data, if data.len() % 2 == 1 { b"\0" } else { b"" }].concat()
}

fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    let length = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
    [b"RIFF", length.as_slice(), b"WEBP", &chunks].concat()
}

/// Builds the header of a canvas of 3x2 pixels.
fn canvas() -> Vec<u8> {
    chunk(b"VP8X", b"\0\0\0\0\x02\0\0\x01\0\0")
}

/// Builds 3x2 pixels of one colour, with neither transforms nor a cache nor a map. The five alphabets have one symbol
/// each. One byte is spare.
fn lossless() -> Vec<u8> {
    chunk(b"VP8L", b"\x2f\x02\x40\0\0\x88\x88\x08\0")
}

#[test]
fn a_webp_must_be_made_as_the_format_says() {
    let whole = look(&webp(&[lossless()])).unwrap();
    assert_eq!((whole.width, whole.height), (3, 2));
    let whole = look(&webp(&[canvas(), chunk(b"EXIF", b"odd"), lossless()])).unwrap();
    assert_eq!((whole.width, whole.height), (3, 2));

    let mut unpadded = webp(&[lossless()]);
    unpadded.pop();
    unpadded[4] -= 1;
    assert!(look(&unpadded).is_ok(), "the last byte of padding may be missing");

    let wide = chunk(b"VP8X", b"\0\0\0\0\x09\0\0\x04\0\0");
    assert_eq!(why(&webp(&[wide, lossless()])), "its image data have a different size than its header");
    assert_eq!(why(&webp(&[])), "it ends without any image data");
    assert_eq!(why(&webp(&[canvas()])), "it ends without any image data");
    assert_eq!(why(&webp(&[chunk(b"EXIF", b"odd"), lossless()])), "it does not begin with its header");
    assert_eq!(why(&webp(&[chunk(b"VP8L", b"\x2f\x02\x40\0\x20")])), "its lossless data have an unknown encoding");
    assert_eq!(
        why(&webp(&[chunk(b"VP8 ", b"\x01\0\0\x9d\x01\x2a\x03\0\x02\0")])),
        "its image data do not begin with a key frame"
    );
    assert_eq!(why(&webp(&[chunk(b"VP8X", b"\0"), lossless()])), "its header has an invalid length");
    assert_eq!(why(&webp(&[chunk(b"VP8L", b"\x2f"), lossless()])), "its lossless data have an unknown encoding");
    assert_eq!(why(&webp(&[canvas(), chunk(b"ANMF", &[0; 16])])), "a frame has no image data");
    let outside = [&[1, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &lossless()].concat();
    assert_eq!(why(&webp(&[canvas(), chunk(b"ANMF", &outside)])), "a frame lies outside of its canvas");
    let inside = [&[0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &lossless()].concat();
    assert!(look(&webp(&[canvas(), chunk(b"ANMF", &inside)])).is_ok());
    let mut long = webp(&[lossless()]);
    long[16] = 200;
    assert_eq!(why(&long), "a chunk is longer than the file claims to be");
}

/// Returns the range of the data in the only chunk of this kind.
fn data(image: &[u8], kind: [u8; 4]) -> (usize, usize) {
    let at = image.windows(4).position(|window| *window == kind).unwrap() + 8;
    (at, at + u32::from_le_bytes(image[at - 4..at].try_into().unwrap()) as usize)
}

/// Returns the image with other data in the chunk at this range.
fn with(image: &[u8], (begin, end): (usize, usize), data: &[u8]) -> Vec<u8> {
    let behind = end + (end - begin) % 2;
    let chunks = [&image[12..begin - 8], &chunk(&image[begin - 8..begin - 4], data), &image[behind..]].concat();
    webp(&[chunks])
}

/// Goal: no image whose pixels end early passes. Method: remove bytes from the end of a chunk and correct its length.
#[test]
fn pixels_that_end_early_are_refused() {
    // The encoder of lossy images pads with some bits, which no decoder needs.
    for (image, kind, n_head, n_spare) in [
        (fixtures::WEBP_LOSSY, b"VP8 ", 10, 1),
        (fixtures::WEBP_LOSSLESS, b"VP8L", 5, 0),
        (fixtures::WEBP_ALPHA, b"ALPH", 1, 0),
        (fixtures::WEBP_ALPHA, b"VP8 ", 10, 1),
    ] {
        let image = bytes(image);
        let place = data(&image, *kind);
        let whole = &image[place.0..place.1];
        assert!(look(&with(&image, place, whole)).is_ok());
        let last_bytes = whole.len() - n_spare - usize::from(whole.ends_with(b"\0"));
        for n_kept in n_head..last_bytes {
            let found = look(&with(&image, place, &whole[..n_kept]));
            assert!(found.is_err(), "{n_kept} of {} bytes of {kind:?}: {found:?}", whole.len());
        }
        let zeroed = [&whole[..n_head], &vec![0; whole.len() - n_head]].concat();
        let found = look(&with(&image, place, &zeroed));
        assert!(found.is_err() || kind == b"ALPH", "zeroed {kind:?}: {found:?}");
        let half = look(&with(&image, place, &whole[..=whole.len() / 2]));
        assert!(matches!(half, Err(NotAnImage::PixelsEnd { .. } | NotAnImage::Damaged { .. })), "{half:?}");
    }
}

#[test]
fn every_frame_of_an_animation_is_read() {
    let image = bytes(fixtures::WEBP_ANIMATED);
    let places: Vec<usize> = (0..image.len() - 4).filter(|at| image[*at..].starts_with(b"VP8L")).collect();
    assert_eq!(places.len(), 2);
    for at in places {
        let mut damaged = image.clone();
        damaged[at + 8 + 5..at + 8 + 15].fill(0);
        look(&damaged).unwrap_err();
    }
}

/// The size of the image gives the length of its transparency: one byte per pixel.
#[test]
fn transparency_that_is_not_compressed_has_a_byte_a_pixel() {
    let image = bytes(fixtures::WEBP_ALPHA);
    let place = data(&image, *b"ALPH");
    let raw = |n: usize| look(&with(&image, place, &vec![0; 1 + n]));
    assert!(raw(240).is_ok());
    assert!(matches!(raw(239), Err(NotAnImage::PixelsEnd { n_rows: 11, n_rows_max: 12, .. })), "{:?}", raw(239));
    for kind in [2, 3, 0x20, 0x80] {
        let unknown = with(&image, place, &[&[kind], &[0; 240][..]].concat());
        assert_eq!(why(&unknown), "its transparency has an unknown encoding");
    }
}
