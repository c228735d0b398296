//! Tests of PNGs with valid chunks around valid or invalid pixel data.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{look, why};
use crate::images::validate::PNG;
use crate::images::validate::verdict::NotAnImage;
use crate::model::outcome::ImageFormat;

const IHDR: &[u8] = b"\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0";

/// Builds a chunk as a PNG writer does.
fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(&[kind, data].concat());
    [&u32::try_from(data.len()).unwrap().to_be_bytes(), kind, data, &crc.to_be_bytes()].concat()
}

fn png_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    [PNG.to_vec(), chunks.concat()].concat()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Builds a whole PNG around the compressed data.
fn around(header: &[u8], data: &[u8]) -> Vec<u8> {
    png_of(&[chunk(b"IHDR", header), chunk(b"PLTE", b"abc"), chunk(b"IDAT", data), chunk(b"IEND", b"")])
}

fn header(width: u32, height: u32, depth: u8, colour: u8, interlace: u8) -> Vec<u8> {
    [&width.to_be_bytes(), &height.to_be_bytes(), &[depth, colour, 0, 0, interlace][..]].concat()
}

/// Returns the rows of an image of this kind: a valid filter type per row, and noise after it. Columns and rows of the
/// seven passes are counted pixel by pixel.
fn rows(width: u32, height: u32, bits: u32, interlace: u8) -> Vec<Vec<u8>> {
    const PASSES: [&[u8; 8]; 8] =
        [b"16462646", b"77777777", b"56565656", b"77777777", b"36463646", b"77777777", b"56565656", b"77777777"];
    let mut noise = fastrand::Rng::with_seed(7);
    let mut rows = vec![];
    for pass in b'1'..=b'7' {
        for y in 0..height {
            let is_in = |x: u32| interlace == 0 || PASSES[y as usize % 8][x as usize % 8] == pass;
            let n_columns = (0..width).filter(|x| is_in(*x)).count();
            if n_columns > 0 && (interlace == 1 || pass == b'1') {
                let n_bytes = (n_columns * bits as usize).div_ceil(8);
                let row = std::iter::once(noise.u8(0..5)).chain(std::iter::repeat_with(|| noise.u8(..)).take(n_bytes));
                rows.push(row.collect());
            }
        }
    }
    rows
}

#[test]
fn a_png_must_be_made_as_the_format_says() {
    let header = || chunk(b"IHDR", IHDR);
    let header_with = |at: usize, byte: u8| {
        let mut fields = IHDR.to_vec();
        fields[at] = byte;
        chunk(b"IHDR", &fields)
    };
    let pixels = zlib(&[0; 14]);
    let (data, end) = (|| chunk(b"IDAT", &pixels), || chunk(b"IEND", b""));
    assert!(look(&png_of(&[header(), chunk(b"tEXt", b"hi"), chunk(b"PLTE", b"abc"), data(), data(), end()])).is_ok());

    assert_eq!(why(&png_of(&[header(), end()])), "it ends without any image data");
    assert_eq!(why(&png_of(&[data(), header(), data(), end()])), "it does not begin with its header");
    assert_eq!(why(&png_of(&[header(), header(), data(), end()])), "it has a second header");
    assert_eq!(
        why(&png_of(&[header(), chunk(b"NEWS", b""), data(), end()])),
        "it has a required chunk of an unknown kind"
    );
    assert_eq!(why(&png_of(&[header(), chunk(b"\0\0\0\0", b""), data(), end()])), "it has a chunk without a name");
    assert_eq!(why(&[PNG, &header(), b"\xff\xff\xff\xffIDAT"].concat()), "a chunk is longer than the format allows");
    assert_eq!(why(&png_of(&[header_with(3, 0), data(), end()])), "it has no pixels");
    for (at, byte) in [(8, 3), (9, 1), (10, 1), (11, 1), (12, 2)] {
        let bytes = png_of(&[header_with(at, byte), data(), end()]);
        assert_eq!(why(&bytes), "its header names an unknown encoding", "byte {at} of the header is {byte}");
    }
    let palette = [header_with(9, 3), chunk(b"PLTE", b"abc"), data(), end()];
    assert!(look(&png_of(&palette)).is_ok());
    assert_eq!(why(&png_of(&[header_with(9, 3), data(), end()])), "its colours are missing");
}

/// Goal: every kind of PNG passes, and none passes with a byte missing. Method: every colour type, depth and size
/// around eight, in one pass and in seven, with all filters. Then each image without its last byte, and with an unknown
/// filter in one row.
#[test]
fn pixels_of_every_kind_are_counted_to_the_last_byte() {
    const KINDS: [(u8, u8, u32); 15] = [
        (0, 1, 1),
        (0, 2, 1),
        (0, 4, 1),
        (0, 8, 1),
        (0, 16, 1),
        (2, 8, 3),
        (2, 16, 3),
        (3, 1, 1),
        (3, 2, 1),
        (3, 4, 1),
        (3, 8, 1),
        (4, 8, 2),
        (4, 16, 2),
        (6, 8, 4),
        (6, 16, 4),
    ];
    for (colour, depth, n_channels) in KINDS {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 2), (4, 4), (5, 3), (8, 8), (9, 17), (3, 2)] {
            for interlace in [0, 1] {
                let name = format!("colour {colour}, depth {depth}, {width}x{height}, interlace {interlace}");
                let header = header(width, height, depth, colour, interlace);
                let mut rows = rows(width, height, u32::from(depth) * n_channels, interlace);
                let whole = rows.concat();
                let found = look(&around(&header, &zlib(&whole))).unwrap_or_else(|why| panic!("{name}: {why}"));
                assert_eq!((found.width, found.height), (width, height));
                let (n_rows, n_rows_max) = (rows.len() as u64 - 1, rows.len() as u64);
                assert_eq!(
                    look(&around(&header, &zlib(&whole[..whole.len() - 1]))),
                    Err(NotAnImage::PixelsEnd { format: ImageFormat::Png, n_rows, n_rows_max }),
                    "{name}"
                );
                let middle = rows.len() / 2;
                rows[middle][0] = 5;
                let unknown = around(&header, &zlib(&rows.concat()));
                assert_eq!(why(&unknown), "a row of its pixel data has an unknown filter", "{name}");
            }
        }
    }
}

/// Covers files that passed an earlier check, although no decoder opens them.
#[test]
fn damaged_streams_in_whole_chunks_are_refused() {
    let (width, height) = (64, 64);
    let header = header(width, height, 8, 2, 0);
    let raw = rows(width, height, 24, 0).concat();
    let stream = zlib(&raw);
    let verify_job = |data: &[u8]| look(&around(&header, data)).map(|_| ()).map_err(|why| why.to_string());
    assert_eq!(verify_job(&stream), Ok(()));

    let mut wrong = stream.clone();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(verify_job(&wrong).unwrap_err().ends_with("the checksum of its pixel data is wrong"));
    let n = stream.len();
    assert!(verify_job(&stream[..n - 4]).unwrap_err().ends_with("its pixel data end without their checksum"));
    let half = verify_job(&stream[..n / 2]).unwrap_err();
    assert!(half.starts_with("the PNG's pixel data end after row 3") && half.ends_with(" of 64"), "{half}");
    assert_eq!(verify_job(&zlib(&raw[..raw.len() / 10])).unwrap_err(), "the PNG's pixel data end after row 6 of 64");
    assert_eq!(verify_job(&zlib(b"")).unwrap_err(), "the PNG's pixel data end after row 0 of 64");
    assert_eq!(verify_job(b"").unwrap_err(), "the PNG's pixel data end after row 0 of 64");
    let mut noise = fastrand::Rng::with_seed(3);
    for _ in 0..200 {
        let random: Vec<u8> = std::iter::repeat_with(|| noise.u8(..)).take(n).collect();
        verify_job(&random).unwrap_err();
        verify_job(&[&[0x78, 0x9c], &random[..]].concat()).unwrap_err();
    }
    for n_kept in 0..n {
        verify_job(&stream[..n_kept]).unwrap_err();
    }
}

/// Covers files that libpng, Pillow and browsers open. They have data after the last row or the stream, or chunks of any length.
#[test]
fn what_decoders_pass_over_is_no_damage() {
    let header = header(5, 3, 8, 2, 0);
    let raw = rows(5, 3, 24, 0).concat();
    let stream = zlib(&raw);
    let is_whole = |data: &[u8]| look(&around(&header, data)).is_ok();
    assert!(is_whole(&[&stream[..], b"junk behind the stream"].concat()));
    assert!(is_whole(&zlib(&[&raw[..], b"more rows"].concat())));
    let pieces = |size: usize| -> Vec<Vec<u8>> { stream.chunks(size).map(|piece| chunk(b"IDAT", piece)).collect() };
    for size in [1, 2, 3, 7] {
        let chunks = [vec![chunk(b"IHDR", &header), chunk(b"IDAT", b"")], pieces(size), vec![chunk(b"IEND", b"")]];
        assert!(look(&png_of(&chunks.concat())).is_ok(), "in pieces of {size}");
    }
    // Decoders stop at a chunk between two pieces.
    let [first, second] = [&stream[..20], &stream[20..]].map(|piece| chunk(b"IDAT", piece));
    let apart = png_of(&[chunk(b"IHDR", &header), first, chunk(b"tEXt", b"hi"), second, chunk(b"IEND", b"")]);
    assert!(matches!(look(&apart), Err(NotAnImage::PixelsEnd { .. })));
}
