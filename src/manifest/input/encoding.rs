//! Text encodings: detection from the first bytes of a file, and the mistakes for a file in an unexpected encoding.

use std::fmt;
use std::io;
use std::str::FromStr;

use encoding_rs::{Decoder, DecoderResult, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memchr_iter;

use crate::manifest::diagnostics::{Issue, Location, wrong};

/// Text encoding, such as UTF-8 or GB18030.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// Default encoding of a manifest.
    pub const UTF8: Self = Self(UTF_8);

    pub(crate) const UTF16_LE: Self = Self(UTF_16LE);
    pub(crate) const UTF16_BE: Self = Self(UTF_16BE);
    pub(crate) const GB18030: Self = Self(GB18030);

    /// Wraps the encoding. GBK becomes GB18030, which contains all its characters and more.
    pub(crate) fn new(encoding: &'static encoding_rs::Encoding) -> Self {
        if encoding == GBK { Self::GB18030 } else { Self(encoding) }
    }

    /// Returns the name of the encoding. `--encoding` and iconv accept this name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns a new decoder, which does not handle a byte order mark.
    pub(crate) fn decoder(self) -> Decoder {
        self.0.new_decoder_without_bom_handling()
    }

    fn is_utf16(self) -> bool {
        self == Self::UTF16_LE || self == Self::UTF16_BE
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(label: &str) -> Result<Self, String> {
        let found = encoding_rs::Encoding::for_label_no_replacement(label.trim().as_bytes());
        found.map(Self::new).ok_or_else(|| {
            "known encodings include utf-8, utf-16le, gb18030, gbk, big5, shift_jis, euc-kr, windows-1252".into()
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns the encoding of a text that begins with `head`, and the length of its byte order mark in bytes.
/// `wanted` is the encoding that the user named or an earlier detection found.
pub(crate) fn of_head(head: &[u8], wanted: Option<Encoding>) -> Result<(Encoding, usize), Unreadable> {
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return Err(Unreadable::Utf32);
    }
    match (encoding_rs::Encoding::for_bom(head), wanted) {
        (Some((mark, len)), Some(wanted)) => {
            let mark = Encoding(mark);
            let agree = mark == wanted || mark.is_utf16() && wanted.is_utf16();
            if agree { Ok((mark, len)) } else { Err(Unreadable::Mark { mark, wanted }) }
        }
        (Some((mark, len)), None) => Ok((Encoding(mark), len)),
        (None, Some(wanted)) => Ok((wanted, 0)),
        (None, None) => Ok((unmarked_utf16(head).unwrap_or(Encoding::UTF8), 0)),
    }
}

/// Detects UTF-16 without a byte order mark, only where it is certain. The text has line ends, or else ASCII characters, in one byte
/// order and none in the other. They are too many for UTF-8, and every character is one that texts contain.
fn unmarked_utf16(head: &[u8]) -> Option<Encoding> {
    let [mut n_ascii, mut n_returns] = [[0_usize; 2]; 2];
    for pair in head.as_chunks::<2>().0 {
        for (order, [low, high]) in [*pair, [pair[1], pair[0]]].into_iter().enumerate() {
            if high == 0 && matches!(low, b'\t' | b'\n' | b'\r' | b' '..=b'~') {
                n_ascii[order] += 1;
                n_returns[order] += usize::from(matches!(low, b'\n' | b'\r'));
            }
        }
    }
    let signs = if n_returns == [0, 0] { n_ascii } else { n_returns };
    let (encoding, n_ascii) = match signs {
        [_, 0] => (Encoding::UTF16_LE, n_ascii[0]),
        [0, _] => (Encoding::UTF16_BE, n_ascii[1]),
        _ => return None,
    };
    if n_ascii < 2 || n_ascii < head.len() / 8 && str::from_utf8(head).is_ok() {
        return None;
    }
    // Ignores a partial character at the end of the head: the text has no error there.
    let whole = &head[..head.len() & !1];
    let mut text = String::with_capacity(2 * whole.len() + 16);
    let (result, _) = encoding.decoder().decode_to_string_without_replacement(whole, &mut text, false);
    let is_whole = result == DecoderResult::InputEmpty;
    (is_whole && text.chars().all(is_of_text)).then_some(encoding)
}

/// Returns whether texts contain such a character on purpose.
fn is_of_text(c: char) -> bool {
    !matches!(c, '\u{e000}'..='\u{f8ff}') && (!c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// Reason why a file gives no text. It is passed as an [`io::Error`] and finally becomes a mistake of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the file holds bytes that are not UTF-8 text")]
    NotUtf8,
    #[error("line {line} is not {encoding} text")]
    Malformed { line: u64, encoding: Encoding },
    #[error("the file begins with the byte order mark of {mark}")]
    Mark { mark: Encoding, wanted: Encoding },
    #[error("the file is UTF-32 text")]
    Utf32,
    #[error("this line holds a carriage return (U+000D) that ends no line: other lines end in a line feed")]
    BareReturn { line: u64 },
    #[error("the gzip data is damaged: {problem}")]
    Gzip { problem: String },
}

impl Unreadable {
    /// Returns the reason inside a read error. `None` if the error is of another type.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns the location and the mistake in words for an author of prompts.
    pub(crate) fn told(&self) -> (Location, Issue) {
        match self {
            Self::NotUtf8 => (Location::File, wrong(self.to_string(), SAVE_AS_UTF8)),
            Self::Malformed { line, encoding } => {
                let what = format!("this line is not {encoding} text");
                (Location::Line(*line), wrong(what, "give the right --encoding, or save the file as UTF-8"))
            }
            Self::Mark { mark, wanted } => {
                let what = format!("the file begins with the byte order mark of {mark}, and --encoding says {wanted}");
                (Location::Line(1), wrong(what, "omit --encoding"))
            }
            Self::Utf32 => {
                (Location::Line(1), wrong(self.to_string(), "convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW"))
            }
            Self::BareReturn { line } => {
                let remedy =
                    "replace it with a space, or put the CSV cell in quotes; --verbatim reads it as a line end";
                (Location::Line(*line), wrong(self.to_string(), remedy))
            }
            Self::Gzip { .. } => (Location::File, wrong(self.to_string(), "compress it again from the original")),
        }
    }
}

const SAVE_AS_UTF8: &str = "save the file as UTF-8 (in Excel as \"CSV UTF-8\")";

impl From<Unreadable> for io::Error {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(io::ErrorKind::InvalidData, unreadable)
    }
}

/// Counts the line ends in a text.
pub(crate) fn n_line_ends(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn marks_are_believed() {
        for (head, encoding, len) in [
            (&b"\xef\xbb\xbfa"[..], Encoding::UTF8, 3),
            (b"\xff\xfea\0", Encoding::UTF16_LE, 2),
            (b"\xfe\xff\0a", Encoding::UTF16_BE, 2),
            (b"a", Encoding::UTF8, 0),
            (b"", Encoding::UTF8, 0),
        ] {
            assert_eq!(of_head(head, None), Ok((encoding, len)), "{head:?}");
        }
        assert_eq!(of_head(b"\xff\xfe\0\0a\0\0\0", None), Err(Unreadable::Utf32));
        assert_eq!(of_head(b"\0\0\xfe\xff\0\0\0a", None), Err(Unreadable::Utf32));
    }

    #[test]
    fn a_mark_and_the_user_must_agree() {
        let gbk = "gbk".parse().ok();
        assert_eq!(of_head(b"a", gbk), Ok((Encoding::GB18030, 0)));
        let told = Unreadable::Mark { mark: Encoding::UTF8, wanted: Encoding::GB18030 };
        assert_eq!(of_head(b"\xef\xbb\xbfa", gbk), Err(told));
        assert_eq!(of_head(b"\xfe\xff\0a", "utf-16".parse().ok()), Ok((Encoding::UTF16_BE, 2)), "of either order");
    }

    #[test]
    fn utf16_without_a_mark_is_known_where_it_is_certain() {
        for text in ["prompt\r\na cat\r\n", "猫\n狗\n", "prompt,类别\n一只猫,动物\n"] {
            assert_eq!(unmarked_utf16(&utf16(text, u16::to_le_bytes)), Some(Encoding::UTF16_LE), "{text:?}");
            assert_eq!(unmarked_utf16(&utf16(text, u16::to_be_bytes)), Some(Encoding::UTF16_BE), "{text:?}");
        }
        for head in [
            &b"prompt\na\0 cat\n\0"[..],
            b"a\0b",
            b"\0\0\0\0",
            b"prompt\na cat\n",
            b"a\0\x07\0b\0c\0",
            b"prompt\na black cat\0 and a dog\0",
            b"prompt\n\xbd\xf0\xc9\xab\xb5\xc4\xc3\xa8\0\xbd\xf0\0",
        ] {
            assert_eq!(unmarked_utf16(head), None, "{head:?}");
        }
    }

    #[test]
    fn encodings_are_found_by_any_of_their_names() {
        for (label, name) in [("UTF8", "UTF-8"), ("gb2312", "gb18030"), ("latin1", "windows-1252"), ("cp936", "")] {
            assert_eq!(label.parse().map_or("", Encoding::name), name, "{label}");
        }
    }
}
