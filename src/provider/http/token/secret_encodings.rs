//! Search for a secret in a text: in plain form, in base64 and in hexadecimal.
//! Each form may also be percent-encoded, or escaped as in JSON, HTML or a programming language.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Longest supported escape of one byte, in bytes, as in `\u{00000067}` or `&#x0000067;`.
pub(super) const ESCAPE_BYTES_MAX: usize = 12;

/// First bytes of the escapes.
const ESCAPES: &[u8] = b"%\\&=";

/// Longest number in an escape, in digits, including leading zeros.
const DIGITS_MAX: usize = 8;

/// All forms of one secret.
pub(super) struct SecretEncodings {
    forms: Vec<SecretEncoding>,
    /// By byte: whether a form may begin with it. Few do, and all of a response is searched.
    begins: [bool; 256],
}

impl SecretEncodings {
    /// Returns the forms of a secret.
    pub(super) fn new(secret: &[u8]) -> Self {
        let forms = SecretEncoding::all(secret);
        let mut begins = [false; 256];
        for byte in forms.iter().filter_map(|form| form.letters.first()).chain(ESCAPES) {
            for same in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
                begins[usize::from(same)] = true;
            }
        }
        Self { forms, begins }
    }

    /// Returns the forms of a text that is no secret: none.
    pub(super) fn none() -> Self {
        Self { forms: vec![], begins: [false; 256] }
    }

    /// Finds the secret: where it begins, and its length in bytes.
    pub(super) fn find(&self, text: &[u8]) -> Option<(usize, usize)> {
        let mut candidates = text.iter().enumerate().filter(|(_, byte)| self.begins[usize::from(**byte)]);
        candidates.find_map(|(at, _)| Some((at, self.n_bytes_at(&text[at..])?)))
    }

    /// Returns the length of the longest form that the text begins with, in bytes.
    fn n_bytes_at(&self, text: &[u8]) -> Option<usize> {
        self.forms.iter().filter_map(|form| form.n_bytes_at(text)).max()
    }
}

/// Form of a secret; each of its characters may be escaped.
struct SecretEncoding {
    letters: Vec<u8>,
    /// True if the form is the same secret in upper and in lower case.
    has_no_case: bool,
}

impl SecretEncoding {
    /// Returns all forms of a secret.
    fn all(secret: &[u8]) -> Vec<Self> {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        let hexadecimal = secret.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        let plain = [secret.to_vec(), hexadecimal].map(|letters| Self { letters, has_no_case: true });
        let in_base64 = (0..3).flat_map(|n_before| {
            let alphabets = [STANDARD_NO_PAD, URL_SAFE_NO_PAD];
            alphabets.map(|alphabet| Self {
                letters: within(&alphabet.encode(shifted(secret, n_before)), secret.len(), n_before),
                has_no_case: false,
            })
        });
        plain.into_iter().chain(in_base64).collect()
    }

    /// Returns the length of the secret in bytes, if the text begins with it.
    fn n_bytes_at(&self, text: &[u8]) -> Option<usize> {
        let mut rest = text;
        for letter in &self.letters {
            rest = &rest[self.n_bytes_of(*letter, rest)?..];
        }
        Some(text.len() - rest.len())
    }

    /// Returns the length of this letter in bytes, if the text begins with it.
    fn n_bytes_of(&self, letter: u8, text: &[u8]) -> Option<usize> {
        let is_same = |other: u8| other == letter || (self.has_no_case && other.eq_ignore_ascii_case(&letter));
        let first = *text.first()?;
        // A JSON string may have a backslash before a slash.
        let escaped = || escape(text).filter(|(value, _)| u8::try_from(*value).is_ok_and(is_same)).map(|(_, n)| n);
        match first {
            _ if ESCAPES.contains(&first) => escaped().or_else(|| is_same(first).then_some(1)),
            _ => is_same(first).then_some(1),
        }
    }
}

/// Prepends `n_before` zero bytes to a secret.
fn shifted(secret: &[u8], n_before: usize) -> Vec<u8> {
    [&[0; 2][..n_before], secret].concat()
}

/// Returns the letters that the secret alone determines. The letters at its ends also depend on its neighbours.
fn within(encoded: &str, n_bytes: usize, n_before: usize) -> Vec<u8> {
    let (first, end) = ((n_before * 8).div_ceil(6), (n_before + n_bytes) * 8 / 6);
    encoded.as_bytes()[first..end].to_vec()
}

/// Decodes the escape at the beginning of a text: the number that it encodes, and its length in bytes.
fn escape(text: &[u8]) -> Option<(u32, usize)> {
    let after = |n: usize| text.get(n..).unwrap_or_default();
    match text {
        // A percent sign may be percent-encoded several times.
        [b'%', ..] => {
            let n_again = after(1).chunks(2).take_while(|pair| *pair == b"25").count();
            let at = 1 + 2 * n_again;
            two_digits(after(at)).map(|value| (value, at + 2))
        }
        [b'=', ..] => two_digits(after(1)).map(|value| (value, 3)),
        // A text that is quoted in another text has doubled backslashes.
        [b'\\', ..] => {
            let n_slashes = text.iter().take_while(|byte| **byte == b'\\').count();
            match after(n_slashes) {
                [b'u', b'{', ..] => number(after(n_slashes + 2), 16, b'}').map(|(value, n)| (value, n_slashes + 2 + n)),
                [b'u' | b'U', ..] => {
                    let digits = after(n_slashes + 1).get(..4)?;
                    Some((value(digits, 16)?, n_slashes + 5))
                }
                [b'x', ..] => two_digits(after(n_slashes + 1)).map(|value| (value, n_slashes + 3)),
                [other, ..] => Some((u32::from(*other), n_slashes + 1)),
                [] => None,
            }
        }
        [b'&', b'#', b'x' | b'X', ..] => number(after(3), 16, b';').map(|(value, n)| (value, 3 + n)),
        [b'&', b'#', ..] => number(after(2), 10, b';').map(|(value, n)| (value, 2 + n)),
        _ => None,
    }
}

fn two_digits(text: &[u8]) -> Option<u32> {
    value(text.get(..2)?, 16)
}

/// Parses a number up to the character `end`; returns the number and the length of both in bytes.
fn number(text: &[u8], radix: u32, end: u8) -> Option<(u32, usize)> {
    let n_digits = text.iter().take(DIGITS_MAX + 1).position(|byte| *byte == end)?;
    Some((value(&text[..n_digits], radix)?, n_digits + 1))
}

fn value(digits: &[u8], radix: u32) -> Option<u32> {
    let digits =
        str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_found(secret: &str, text: &str) -> bool {
        SecretEncodings::new(secret.as_bytes()).find(text.as_bytes()).is_some()
    }

    const SECRET: &str = "ms-1f+2/3=zZ";

    fn each(write: impl Fn(u8) -> String) -> String {
        SECRET.bytes().map(write).collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let texts = [
            SECRET.to_owned(),
            SECRET.to_uppercase(),
            "ms-1f%2B2%2F3%3DzZ".to_owned(),
            "ms-1f%2b2%2f3%3dzZ".to_owned(),
            "ms-1f%252B2%25252F3%3DzZ".to_owned(),
            "ms-1f+2\\/3=zZ".to_owned(),
            "ms-1f+2\\\\\\/3=zZ".to_owned(),
            "ms\\u002d1f\\u002B2\\u002f3\\u003dzZ".to_owned(),
            each(|byte| format!("%{byte:02X}")),
            each(|byte| format!("%{byte:02x}")),
            each(|byte| format!("={byte:02X}")),
            each(|byte| format!("\\u{byte:04x}")),
            each(|byte| format!("\\u{byte:04X}")),
            each(|byte| format!("\\\\u{byte:04x}")),
            each(|byte| format!("\\x{byte:02x}")),
            each(|byte| format!("\\u{{{byte:x}}}")),
            each(|byte| format!("&#{byte};")),
            each(|byte| format!("&#x{byte:X};")),
            each(|byte| format!("{byte:02x}")),
            each(|byte| format!("{byte:02X}")),
        ];
        for text in texts {
            assert!(is_found(SECRET, &format!("xx{text}yy")), "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_stands() {
        for before in ["", "a", "ab", "Bearer ", "{\"token\":\"", "\u{ff}"] {
            for after in ["", "a", "ab", "\"}"] {
                let text = format!("{before}{SECRET}{after}");
                for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    assert!(is_found(SECRET, &encoded), "{text}: {encoded}");
                    let percent = encoded.replace('+', "%2B").replace('/', "%2F");
                    assert!(is_found(SECRET, &percent) && is_found(SECRET, &encoded.replace('/', "\\/")), "{percent}");
                }
            }
        }
    }

    #[test]
    fn what_only_resembles_a_secret_stays() {
        for text in [
            "",
            "ms-1f+2/3=z",
            "ms-1f+2/3=zX",
            "ms-1f%2B2%2F3%3Dz",
            "ms-1f%2B2%2F3%3Dz%5",
            "%",
            "\\u00",
            "&#;",
            "&#99",
            "\\",
        ] {
            assert!(!is_found(SECRET, text), "{text}");
        }
        let other = STANDARD_NO_PAD.encode("ms-1f+2/3=zY and more");
        assert!(!is_found(SECRET, &other));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_search(text in prop::collection::vec(any::<u8>(), 0..200), odd in "[%\\\\&#xu{};=0-9a-f]{0,40}") {
            let encodings = SecretEncoding::all(SECRET.as_bytes());
            for text in [text.as_slice(), odd.as_bytes()] {
                for at in 0..text.len() {
                    let found = encodings.iter().filter_map(|spelling| spelling.n_bytes_at(&text[at..])).max();
                    prop_assert!(found.is_none_or(|n_bytes| n_bytes <= text.len() - at));
                }
            }
        }

        #[test]
        fn any_mix_of_escapes_is_found(ways in prop::collection::vec(0..6_u8, SECRET.len()), n_before in 0..4_usize) {
            let text: String = SECRET.bytes().zip(ways).map(|(byte, way)| match way {
                0 => format!("%{byte:02x}"),
                1 => format!("\\u{byte:04X}"),
                2 => format!("&#{byte};"),
                3 => format!("\\x{byte:02X}"),
                _ => char::from(byte).to_string(),
            }).collect();
            let text = format!("{}{text} ", " ".repeat(n_before));
            prop_assert!(is_found(SECRET, &text), "{}", text);
        }
    }
}
