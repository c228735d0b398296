//! Boolean decoder of VP8: reads bits of known probabilities (RFC 6386, section 7).
//!
//! The decoder detects the end of its data exactly when libwebp does. Files that libwebp opens are thus not refused.

/// Decoder of one partition. The value is copied where many bits are read, so that it stays in registers.
#[derive(Clone, Copy)]
pub(super) struct BoolDecoder<'a> {
    data: &'a [u8],
    /// Number of bytes of `data` that are already in `value`.
    at: usize,
    value: u64,
    /// Range, minus one.
    range: u32,
    /// Number of unused bits of `value`, minus 8.
    n_bits: i32,
    /// `true` if a byte after the end of the data was needed.
    is_over: bool,
}

impl<'a> BoolDecoder<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, value: 0, range: 254, n_bits: -8, is_over: false }
    }

    /// Reads a bit that is 0 with a probability of `probability` 256ths.
    #[inline]
    pub(super) fn bit(&mut self, probability: u8) -> bool {
        if self.n_bits < 0 {
            self.load();
        }
        let split = (self.range * u32::from(probability)) >> 8;
        let is_set = self.value >> self.n_bits > u64::from(split);
        let range = if is_set {
            self.value -= u64::from(split + 1) << self.n_bits;
            self.range - split
        } else {
            split + 1
        };
        let shift = range.leading_zeros() - 24;
        self.range = (range << shift) - 1;
        self.n_bits -= shift.cast_signed();
        is_set
    }

    /// Reads a bit that is 0 or 1 with equal probability.
    #[inline]
    pub(super) fn flag(&mut self) -> bool {
        self.bit(128)
    }

    /// Reads a number of `n` bits.
    pub(super) fn number(&mut self, n: u32) -> u32 {
        (0..n).fold(0, |number, _| number << 1 | u32::from(self.flag()))
    }

    /// Skips a number of `n` bits and its sign, if a flag says that there is one.
    pub(super) fn pass_signed(&mut self, n: u32) {
        if self.flag() {
            self.number(n + 1);
        }
    }

    #[inline]
    fn load(&mut self) {
        if let Some(next) = self.data[self.at..].first_chunk::<8>() {
            self.value = self.value << 56 | u64::from_be_bytes(*next) >> 8;
            self.at += 7;
            self.n_bits += 56;
        } else {
            *self = self.with_last();
        }
    }

    /// Loads one of the last bytes, or a zero in its place.
    #[cold]
    fn with_last(mut self) -> Self {
        if let Some(next) = self.data.get(self.at) {
            self.value = self.value << 8 | u64::from(*next);
            self.at += 1;
            self.n_bits += 8;
        } else if self.is_over {
            self.n_bits = 0;
        } else {
            self.value <<= 8;
            self.n_bits += 8;
            self.is_over = true;
        }
        self
    }

    /// Returns whether more data were read than there are.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Returns the number of whole bytes that have not been used.
    pub(super) fn n_bytes_left(&self) -> usize {
        self.data.len() - self.at + usize::try_from(self.n_bits.max(0) / 8).unwrap_or(0)
    }
}
