//! Records of an XLS workbook, and the texts in them, which may go on in the next record.

use crate::manifest::formats::xlsx::compound::number16;

/// Kind of a record that goes on with the one before.
const CONTINUE: u16 = 0x003c;

/// Record with its continuations.
pub(super) struct XlsRecord<'a> {
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
    /// Bytes behind the data that belong to the same record, with their headers.
    more: &'a [u8],
}

/// Returns the records from a place on. A record that is cut off ends them.
pub(super) fn records(stream: &[u8], at: usize) -> impl Iterator<Item = XlsRecord<'_>> {
    let mut rest = stream.get(at..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (kind, data, behind) = split(rest)?;
        let mut end = behind;
        while let Some((CONTINUE, _, next)) = split(end) {
            end = next;
        }
        rest = end;
        Some(XlsRecord { kind, data, more: &behind[..behind.len() - end.len()] })
    })
}

fn split(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (kind, n_bytes) = (number16(bytes, 0)?, usize::from(number16(bytes, 2)?));
    let rest = &bytes[4..];
    (n_bytes <= rest.len()).then(|| (kind, &rest[..n_bytes], &rest[n_bytes..]))
}

impl<'a> XlsRecord<'a> {
    /// Returns a reader of the texts behind the first `at` bytes.
    pub(super) fn texts(&self, at: usize) -> XlsTextReader<'a> {
        XlsTextReader { data: self.data.get(at..).unwrap_or_default(), more: self.more }
    }
}

/// Reader of the texts of a record.
pub(super) struct XlsTextReader<'a> {
    data: &'a [u8],
    more: &'a [u8],
}

impl XlsTextReader<'_> {
    /// Returns the next text, whose length has two bytes. `None` at the end, or if the record is damaged.
    pub(super) fn text(&mut self) -> Option<String> {
        if self.data.is_empty() {
            self.go_on().then_some(())?;
        }
        let n_chars = usize::from(number16(self.data, 0)?);
        self.data = &self.data[2..];
        self.chars(n_chars)
    }

    /// Returns the next text, whose length has one byte.
    pub(super) fn short_text(&mut self) -> Option<String> {
        let (n_chars, rest) = self.data.split_first()?;
        self.data = rest;
        self.chars(usize::from(*n_chars))
    }

    fn chars(&mut self, n_chars: usize) -> Option<String> {
        let (flags, rest) = self.data.split_first()?;
        self.data = rest;
        let mut n_skipped = 0;
        if flags & 8 != 0 {
            n_skipped += 4 * usize::from(number16(self.data, 0)?);
            self.data = &self.data[2..];
        }
        if flags & 4 != 0 {
            n_skipped += number16(self.data, 0).map(usize::from)? + (usize::from(number16(self.data, 2)?) << 16);
            self.data = &self.data[4..];
        }
        let mut units = Vec::with_capacity(n_chars.min(1 << 16));
        let mut is_wide = flags & 1 != 0;
        while units.len() < n_chars {
            if self.data.is_empty() {
                self.go_on().then_some(())?;
                let (flags, rest) = self.data.split_first()?;
                (is_wide, self.data) = (flags & 1 != 0, rest);
            }
            let unit = if is_wide { number16(self.data, 0)? } else { u16::from(*self.data.first()?) };
            units.push(unit);
            self.data = &self.data[if is_wide { 2 } else { 1 }..];
        }
        self.skip(n_skipped)?;
        Some(String::from_utf16_lossy(&units))
    }

    fn skip(&mut self, mut n_bytes: usize) -> Option<()> {
        while n_bytes > 0 {
            if self.data.is_empty() {
                self.go_on().then_some(())?;
            }
            let n = n_bytes.min(self.data.len());
            (self.data, n_bytes) = (&self.data[n..], n_bytes - n);
            if n == 0 && self.more.is_empty() {
                return None;
            }
        }
        Some(())
    }

    /// Goes on with the next continuation. Returns `false` if there is none.
    fn go_on(&mut self) -> bool {
        let Some((_, data, more)) = split(self.more) else { return false };
        (self.data, self.more) = (data, more);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        let n_bytes = u16::try_from(data.len()).unwrap();
        [&kind.to_le_bytes()[..], &n_bytes.to_le_bytes(), data].concat()
    }

    /// Goal: texts are whole wherever they are cut. Method: a text that goes on in a wider encoding, one with formats behind it, and one that
    /// ends with its record.
    #[test]
    fn texts_go_on_in_the_next_record() {
        let stream = [
            record(0xfc, b"\x05\x00\x00ab"),
            record(CONTINUE, b"\x01c\x00\x2b\x73d\x00\x01\x00\x08\x01\x00x\x01"),
            record(CONTINUE, b"\x02\x03\x04\x01\x00\x00y"),
            record(0x0a, b""),
        ]
        .concat();
        let all: Vec<_> = records(&stream, 0).collect();
        assert_eq!(all.iter().map(|record| record.kind).collect::<Vec<_>>(), [0xfc, 0x0a]);
        let mut texts = all[0].texts(0);
        let found: Vec<_> = std::iter::from_fn(|| texts.text()).collect();
        assert_eq!(found, ["abc猫d", "x", "y"]);
    }

    #[test]
    fn what_is_cut_off_ends_the_records() {
        let whole = [record(1, b"abc"), record(CONTINUE, b"d"), record(2, b"")].concat();
        for n in 0..whole.len() {
            for record in records(&whole[..n], 0) {
                let mut texts = record.texts(0);
                while texts.text().is_some() {}
                assert!(record.texts(9).short_text().is_none());
            }
        }
        assert_eq!(records(&whole, 99).count(), 0);
    }
}
