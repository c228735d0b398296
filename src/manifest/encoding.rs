//! Tells UTF-8 text, with or without its mark, from everything else, and says where it stops being that.

use crate::manifest::mistake::{Place, Wrong, wrong};

/// What some programs write in front of UTF-8 text.
pub(super) const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

const UTF16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// What is wrong with a file that begins like this, if its first bytes tell.
pub(super) fn wrong_mark(head: &[u8]) -> Option<Wrong> {
    let is_utf16 = UTF16_MARKS.iter().any(|mark| head.starts_with(mark));
    is_utf16.then(|| wrong("this is UTF-16 text, not UTF-8", "save the file as UTF-8"))
}

/// What is wrong with a line in another encoding.
pub(super) fn not_utf8() -> Wrong {
    wrong("this line is not UTF-8 text", "save the file as UTF-8 (in Excel as \"CSV UTF-8\")")
}

/// The text that `bytes` are, without its mark.
pub(super) fn text(bytes: &[u8]) -> Result<&str, (Place, Wrong)> {
    if let Some(wrong) = wrong_mark(bytes) {
        return Err((Place::Line(1), wrong));
    }
    let bytes = bytes.strip_prefix(UTF8_MARK).unwrap_or(bytes);
    str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        (Place::Line(1 + n_breaks(&before)), not_utf8())
    })
}

/// How often the text goes on to a new line, whichever way its lines end.
pub(super) fn n_breaks(text: &str) -> u64 {
    let n_returns = text.matches('\r').count() - text.matches("\r\n").count();
    (n_returns + text.matches('\n').count()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_is_read_with_and_without_its_mark() {
        assert_eq!(text("猫".as_bytes()), Ok("猫"));
        assert_eq!(text("\u{feff}猫".as_bytes()), Ok("猫"));
        assert_eq!(text(b""), Ok(""));
    }

    #[test]
    fn other_text_is_refused_with_its_line() {
        for (bytes, line, what) in [
            (&b"\xff\xfep\0"[..], 1, "this is UTF-16 text, not UTF-8"),
            (b"\xfe\xff\0p", 1, "this is UTF-16 text, not UTF-8"),
            (b"\xc3\xa8\xd6\xed", 1, "this line is not UTF-8 text"),
            (b"- a\n- b\n- \xc3\n", 3, "this line is not UTF-8 text"),
            (b"- a\r\n- b\r- \xd6\xed\n", 3, "this line is not UTF-8 text"),
        ] {
            let (place, wrong) = text(bytes).expect_err("it is not UTF-8");
            assert_eq!((place, wrong.what.as_str()), (Place::Line(line), what), "{bytes:?}");
        }
    }
}
