//! The boolean decoder of VP8: reads bits of known probabilities. RFC 6386, section 7.
//!
//! It notices the end of its data exactly when libwebp does, so that what libwebp opens is not refused.

/// Reads one partition. It is copied where many bits are read, so that it stays in registers.
#[derive(Clone, Copy)]
pub(super) struct Bools<'a> {
    data: &'a [u8],
    /// How much of the data has gone into the value.
    at: usize,
    value: u64,
    /// One less than the range.
    range: u32,
    /// Bits of the value that have not been used, less 8.
    n_bits: i32,
    /// Whether a byte was asked for that is not there.
    is_over: bool,
}

impl<'a> Bools<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, value: 0, range: 254, n_bits: -8, is_over: false }
    }

    /// A bit that is 0 with a probability of so many 256ths.
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

    /// A bit that is as likely 0 as 1.
    #[inline]
    pub(super) fn flag(&mut self) -> bool {
        self.bit(128)
    }

    /// A number of `n` bits.
    pub(super) fn number(&mut self, n: u32) -> u32 {
        (0..n).fold(0, |number, _| number << 1 | u32::from(self.flag()))
    }

    /// Passes over a number of `n` bits and its sign, if a flag says that there is one.
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

    /// Takes in one of the last bytes, or a zero in its place.
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

    /// Whether more was read than there is.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whole bytes that have not been used.
    pub(super) fn n_bytes_left(&self) -> usize {
        self.data.len() - self.at + usize::try_from(self.n_bits.max(0) / 8).unwrap_or(0)
    }
}
