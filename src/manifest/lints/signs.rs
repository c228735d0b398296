//! One look at the bytes of a text: which lints it may concern. It spares nearly all texts the rest.

use memchr::memchr2_iter;

/// Signs in a text, as a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signs(u8);

impl Signs {
    /// The text may have a trace of damage.
    pub(super) const DAMAGE: Self = Self(1);
    /// The text has a mark of a placeholder.
    pub(super) const PLACEHOLDER: Self = Self(2);
    /// The text has a sign of texts for other programs.
    const FOREIGN: Self = Self(4);
    /// The text has a hyphen or a full stop, which are such signs before some bytes only.
    const ASCII_PAIR: Self = Self(8);
    /// The text has a character that begins like a long dash or a full-width colon.
    const WIDE: Self = Self(16);

    /// Returns the signs of a text.
    pub(super) fn of(text: &str) -> Self {
        let mut signs = 0;
        for byte in text.as_bytes() {
            signs |= SIGNS[usize::from(*byte)];
        }
        Self(signs)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns whether the text with these signs may be for another program. How it begins and ends is checked separately.
    pub(super) fn may_be_foreign(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let has_pair = || {
            memchr2_iter(b'-', b'.', bytes).any(|i| match (bytes[i], bytes.get(i + 1)) {
                (b'-', next) => matches!(next, Some(b'-' | b'>')),
                // An ending such as `.png`.
                (_, next) => next.is_some_and(u8::is_ascii_alphabetic),
            })
        };
        let is_wide = |rest: &[u8]| {
            rest.starts_with("—".as_bytes()) || rest.starts_with("–".as_bytes()) || rest.starts_with("：".as_bytes())
        };
        let has_wide = || memchr2_iter(0xe2, 0xef, bytes).any(|i| is_wide(&bytes[i..]));
        self.has(Self::FOREIGN) || self.has(Self::ASCII_PAIR) && has_pair() || self.has(Self::WIDE) && has_wide()
    }
}

/// Signs of each byte.
static SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    mark(&mut signs, b"_&\\?<\xc2\xc3\xe2\xef", Signs::DAMAGE);
    mark(&mut signs, b"{<[%_", Signs::PLACEHOLDER);
    mark(&mut signs, b":<\t=|;", Signs::FOREIGN);
    mark(&mut signs, b"-.", Signs::ASCII_PAIR);
    mark(&mut signs, b"\xe2\xef", Signs::WIDE);
    signs
};

const fn mark(signs: &mut [u8; 256], bytes: &[u8], sign: Signs) {
    let mut i = 0;
    while i < bytes.len() {
        signs[bytes[i] as usize] |= sign.0;
        i += 1;
    }
}
