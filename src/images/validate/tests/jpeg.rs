//! Tests of JPEGs with valid segments around valid or invalid codes.

use super::{bytes, fixtures, look, why};
use crate::images::validate::verdict::NotAnImage;

const SOF: &[u8] = b"\xff\xc0\0\x0b\x08\0\x02\0\x03\x01\x01\x11\0";
const END: &[u8] = b"\xff\xd9";

/// Returns a quantisation table with number 0.
fn dqt() -> Vec<u8> {
    [&b"\xff\xdb\0\x43\0"[..], &[1; 64]].concat()
}

/// Scan of one zero block with the standard tables. The bits are 00 for no difference, 1010 for the end of the block, and ones.
const SCAN: &[u8] = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x2b";

fn jpeg(parts: &[&[u8]]) -> Vec<u8> {
    [b"\xff\xd8", parts.concat().as_slice()].concat()
}

#[test]
fn a_jpeg_must_be_made_as_the_format_says() {
    let dqt = dqt();
    let whole = look(&jpeg(&[b"\xff\xfe\0\x04hi", &dqt, SOF, b"\xff\xff", SCAN, SCAN, END])).unwrap();
    assert_eq!((whole.width, whole.height), (3, 2));
    assert_eq!(why(&jpeg(&[SOF, END])), "it ends without any image data");
    assert_eq!(why(&jpeg(&[SCAN, END])), "its data come before its size");
    assert_eq!(why(&jpeg(&[SOF, SOF, SCAN, END])), "it names its size twice");
    assert_eq!(why(&jpeg(&[SOF, b"\xff\xd8"])), "it begins a second time");
    assert_eq!(why(&jpeg(&[b"\xff\xfe\0\x01", SOF, SCAN, END])), "a segment has an invalid length");
    assert_eq!(why(&jpeg(&[b"\xff\xfe\0\x02junk", SOF, SCAN, END])), "a marker is missing");
    assert_eq!(why(&jpeg(&[b"\xff\0", SOF, SCAN, END])), "a marker is missing");
    assert_eq!(why(&jpeg(&[b"\xff\xc0\0\x07\x08\0\x02\0\x03", SCAN, END])), "its frame header is too short");
    assert_eq!(
        why(&jpeg(&[b"\xff\xc0\0\x0b\x08\0\x02\0\x03\x02\x01\x11\0", SCAN])),
        "its frame header has an invalid length"
    );
    assert_eq!(why(&jpeg(&[b"\xff\xc0\0\x0b\x08\0\0\0\x03\x01\x01\x11\0", SCAN, END])), "it has no pixels");

    for marker in [0x02, 0xbf, 0xc8, 0xde, 0xdf, 0xf0, 0xfd] {
        let segment = [0xff, marker, 0, 2];
        assert_eq!(why(&jpeg(&[&segment, &dqt, SOF, SCAN, END])), "it has a segment of an unknown kind");
    }
    for marker in [0xcc, 0xdc, 0xe0, 0xef, 0xfe] {
        assert!(look(&jpeg(&[&[0xff, marker, 0, 2], &dqt, SOF, SCAN, END])).is_ok(), "{marker:x}");
    }
    assert_eq!(why(&jpeg(&[SOF, SCAN, END])), "a quantisation table is missing");
    let with = |at: usize, byte: u8, sof: bool| {
        let mut parts = [SOF.to_vec(), SCAN.to_vec()];
        parts[usize::from(!sof)][at] = byte;
        why(&jpeg(&[&dqt, &parts[0], &parts[1], END]))
    };
    assert_eq!(with(4, 9, true), "its frame header names an unknown encoding", "nine bits a sample");
    assert_eq!(with(11, 0x51, true), "its frame header names an unknown encoding", "five blocks in a row");
    assert_eq!(with(1, 0xc5, true), "it uses a coding that common decoders do not support");
    assert_eq!(with(5, 9, false), "a scan has a colour that the image does not have");
    assert_eq!(with(4, 2, false), "a scan header has an invalid length");
    assert_eq!(with(6, 0x30, false), "a code table is missing");
    assert_eq!(
        why(&jpeg(&[&dqt, b"\xff\xc4\0\x02", SOF, b"\xff\xdd\0\x03\0", SCAN, END])),
        "its restart interval has an invalid length"
    );
}

/// Covers codes that fit no block, and blocks without codes.
#[test]
fn codes_are_read_to_the_last_block() {
    let dqt = dqt();
    let scan = |data: &[u8]| {
        look(&jpeg(&[&dqt, SOF, &SCAN[..SCAN.len() - 1], data, END])).map(|_| ()).map_err(|why| why.to_string())
    };
    assert_eq!(scan(b"\x2b"), Ok(()));
    assert_eq!(scan(b"").unwrap_err(), "the JPEG's pixel data end after row 0 of 2");
    assert_eq!(scan(b"\x2b0123456789abcdef"), Ok(()), "padding of 16 bytes");
    assert!(scan(b"\x2b0123456789abcdefg").unwrap_err().ends_with("its pixels end long before their data"));
    assert!(
        scan(&[0; 16]).unwrap_err().ends_with("the JPEG's pixel data end after row 0 of 2"),
        "a run of coefficients"
    );
    // A run of sixteen zeros is 11111111001. The fourth run leads out of the block.
    let runs = b"\x3f\xcf\xf9\xff\0\x3f\xe4\0\0";
    assert!(scan(runs).unwrap_err().ends_with("its pixel data contain a block that is too long"));
    assert!(scan(b"\xff\0\xff\0\xff\0").unwrap_err().ends_with("its pixel data contain an unknown code"));
}

/// Returns the range of bytes of each scan's data.
fn scans(image: &[u8]) -> Vec<(usize, usize)> {
    let mut scans = vec![];
    for at in 0..image.len() - 1 {
        if image[at..].starts_with(b"\xff\xda") {
            let begin = at + 2 + usize::from(u16::from_be_bytes([image[at + 2], image[at + 3]]));
            let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7);
            let n_bytes = image[begin..].windows(2).position(is_end).unwrap();
            scans.push((begin, begin + n_bytes));
        }
    }
    scans
}

/// Goal: no scan that ends early passes. Method: remove 1 to all of its bytes, with all bytes after it in place.
#[test]
fn a_scan_without_its_last_bytes_is_refused() {
    for image in [fixtures::JPEG_BASELINE, fixtures::JPEG_RESTARTS, fixtures::JPEG_PROGRESSIVE].map(bytes) {
        let scans = scans(&image);
        for (begin, end) in &scans {
            for n_kept in 0..end - begin {
                let cut = [&image[..begin + n_kept], &image[*end..]].concat();
                match look(&cut) {
                    Err(NotAnImage::PixelsEnd { n_rows, n_rows_max: 8 | 16, .. }) => assert!(n_rows <= 16),
                    other => panic!("{n_kept} of {} bytes: {other:?}", end - begin),
                }
            }
        }
        assert!(scans.len() == 1 || scans.len() == 10, "{}", scans.len());
    }
}

#[test]
fn zeroed_scans_are_refused() {
    let mut image = bytes(fixtures::JPEG_BASELINE);
    let (begin, end) = scans(&image)[0];
    image[begin..end].fill(0);
    look(&image).unwrap_err();
    let mut image = bytes(fixtures::JPEG_PROGRESSIVE);
    for (begin, end) in scans(&image) {
        image[begin..end].fill(0);
    }
    look(&image).unwrap_err();
}

#[test]
fn a_missing_table_or_scan_is_told() {
    let image = bytes(fixtures::JPEG_PROGRESSIVE);
    let without = |marker: u8| {
        let mut left = image[..2].to_vec();
        let mut at = 2;
        while image[at + 1] != 0xda {
            let end = at + 2 + usize::from(u16::from_be_bytes([image[at + 2], image[at + 3]]));
            if image[at + 1] != marker {
                left.extend_from_slice(&image[at..end]);
            }
            at = end;
        }
        [left, image[at..].to_vec()].concat()
    };
    assert_eq!(why(&without(0xdb)), "a quantisation table is missing");
    assert_eq!(why(&without(0xc4)), "a code table is missing");
    let mut one = bytes(fixtures::JPEG_BASELINE);
    let sos = one.windows(2).position(|pair| pair == b"\xff\xda").unwrap();
    // The scan has one colour instead of three and ends at once, so the image lacks the others.
    one.truncate(sos);
    one.extend_from_slice(b"\xff\xda\0\x08\x01\x01\0\0\x3f\0");
    one.extend_from_slice(END);
    assert!(look(&one).is_err());
}

#[test]
fn restart_markers_must_come_in_turn() {
    let image = bytes(fixtures::JPEG_RESTARTS);
    let (begin, end) = scans(&image)[0];
    let markers: Vec<usize> =
        (begin..end).filter(|at| image[*at] == 0xff && matches!(image[at + 1], 0xd0..=0xd7)).collect();
    assert_eq!(markers.len(), 4);
    for at in markers {
        let mut wrong = image.clone();
        wrong[at + 1] = 0xd0 + (image[at + 1] - 0xd0 + 1) % 8;
        assert_eq!(why(&wrong), "its restart markers are out of order");
        let missing = [&image[..at], &image[at + 2..]].concat();
        look(&missing).unwrap_err();
    }
}
