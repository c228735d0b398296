//! Tests of the input: the text is the same from any container, and other data is reported.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::manifest::input::encoding::Unreadable;
use crate::manifest::input::text::ManifestInput;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// Reads the text of a file. An error contains the text before it.
fn read(bytes: &[u8], encoding: Option<&str>) -> Result<String, (String, Unreadable)> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("p");
    fs::write(&path, bytes).expect("a file can be written there");
    let encoding = encoding.map(|label| label.parse().expect("the encoding is known"));
    let mut text = Vec::new();
    let told = |error: &io::Error| Unreadable::of(error).cloned().expect("the file can be read");
    let read = ManifestInput::open(&path, encoding).and_then(|mut input| input.read_to_end(&mut text));
    let text = String::from_utf8(text).expect("it is always UTF-8");
    read.map(|_| text.clone()).map_err(|error| (text, told(&error)))
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_text_is_the_same_whatever_it_lies_in() {
    let text = "prompt\r\n一只猫 🐈, é\n".repeat(20_000);
    let (gb, _, _) = encoding_rs::GB18030.encode(&text);
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let members = [gzip(&text.as_bytes()[..7]), gzip(b""), gzip(&text.as_bytes()[7..])].concat();
    for (what, bytes, encoding) in [
        ("UTF-8", text.as_bytes(), None),
        ("UTF-8 with its mark", format!("\u{feff}{text}").as_bytes(), None),
        ("UTF-8 with its mark, as is said", format!("\u{feff}{text}").as_bytes(), Some("utf-8")),
        ("GB18030, as is said", &gb, Some("gbk")),
        ("UTF-16 with its mark", &utf16, None),
        ("UTF-16 with its mark, as is said", &utf16, Some("utf-16")),
        ("UTF-16 without its mark", &utf16[2..], None),
        ("compressed", &gzip(text.as_bytes()), None),
        ("compressed UTF-16", &gzip(&utf16), None),
        ("compressed piece by piece", &members, None),
    ] {
        assert!(read(bytes, encoding) == Ok(text.replace("\r\n", "\n")), "{what}");
    }
    assert_eq!(read(b"", None), Ok(String::new()));
}

#[test]
fn text_ends_where_it_has_no_meaning() {
    let gb18030 = "gb18030".parse().expect("it is known");
    for (bytes, encoding, text, told) in [
        (&b"a\n\xc3\xa8\n\xd6\xed"[..], None, "a\nè\n", Unreadable::NotUtf8),
        (b"a\xe7\x8c", None, "a", Unreadable::NotUtf8),
        (b"\r\na\r\n\xc3\xa8\xff\n", Some("gbk"), "\na\n猫", Unreadable::Malformed { line: 3, encoding: gb18030 }),
        (b"a\n\xc3", Some("gbk"), "a\n", Unreadable::Malformed { line: 2, encoding: gb18030 }),
    ] {
        assert_eq!(read(bytes, encoding), Err((text.to_owned(), told)), "{bytes:?}");
    }
}

#[test]
fn damaged_gzip_is_told() {
    let good = gzip("prompt\na cat\n".repeat(1_000).as_bytes());
    let mut flipped = good.clone();
    flipped[good.len() - 6] ^= 1;
    for (what, bytes) in [
        ("cut", &good[..good.len() - 9]),
        ("cut in the head", &good[..5]),
        ("flipped", &flipped),
        ("with rubbish behind it", &[&good[..], b"rubbish, and more of it"].concat()),
    ] {
        assert!(matches!(read(bytes, None), Err((_, Unreadable::Gzip { .. }))), "{what}");
    }
}

proptest! {
    /// Goal: no character is lost or added at chunk boundaries, and each line end is one `\n`. Method: texts much longer than a chunk, shifted by any offset.
    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn any_text_is_read_whole(shift in 0_usize..8, text in "[a猫🐈é\r\n]{1,40}") {
        let text = "x".repeat(shift) + &text.repeat(4_000);
        let unified = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert!(read(text.as_bytes(), None) == Ok(unified.clone()));
        let (gb, _, _) = encoding_rs::GB18030.encode(&text);
        prop_assert!(read(&gb, Some("gb18030")) == Ok(unified));
    }
}
