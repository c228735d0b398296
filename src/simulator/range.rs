//! Byte range of a request that resumes an interrupted download.

use std::ops::Range;

/// Byte range up to the end or up to a last byte, as in `bytes=100-` or `bytes=100-199`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: Option<u64>,
}

impl ByteRange {
    /// Parses a `Range` header. Returns `None` for other forms, which every server may ignore.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let first = first.parse().ok()?;
        let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
        last.is_none_or(|last| first <= last).then_some(Self { first, last })
    }

    /// Returns the covered part of a body of this length; `None` if the range begins after its end.
    pub fn within(self, n_bytes: usize) -> Option<Range<usize>> {
        let first = usize::try_from(self.first).ok().filter(|first| *first < n_bytes)?;
        let last = self.last.and_then(|last| usize::try_from(last).ok()).unwrap_or(usize::MAX);
        Some(first..last.min(n_bytes - 1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_and_cut_to_the_body() {
        let within = |text| ByteRange::parse(text).unwrap().within(100);
        assert_eq!(within("bytes=0-"), Some(0..100));
        assert_eq!(within("bytes=99-"), Some(99..100));
        assert_eq!(within("bytes=10-19"), Some(10..20));
        assert_eq!(within("bytes=10-1000"), Some(10..100));
        assert_eq!(within("bytes=10-18446744073709551615"), Some(10..100));
        assert_eq!(within("bytes=100-"), None);
        for text in ["", "bytes=", "bytes=-", "bytes=-5", "bytes=9-8", "bytes=1-2,5-6", "items=1-", "bytes=x-"] {
            assert_eq!(ByteRange::parse(text), None, "{text}");
        }
    }
}
