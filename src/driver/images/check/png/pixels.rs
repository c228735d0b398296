//! The pixel data of one PNG image or frame: inflated to the last row in bounded memory, with every row's filter type checked.
//!
//! The inflater is the one of Chrome and of the `png` crate, so what it takes is what common decoders take. As in libpng, data behind
//! the last row are passed over. Rows are counted and never unfiltered: that cannot fail.

use fdeflate::{DecompressionError, Decompressor};

use crate::driver::images::check::png::passes::{Layout, Pass};

/// Bytes that a back reference of deflate reaches back at most.
const LOOKBACK_BYTES: usize = 32 << 10;

/// Bytes of inflated data that are held at most: some more than the lookback, so that bytes are moved seldom.
const WINDOW_BYTES: usize = 4 * LOOKBACK_BYTES;

/// Bytes behind the last row that are inflated for the sake of the checksum at their end; it is not asked for behind more of them.
const SURPLUS_BYTES_MAX: u64 = 1 << 10;

/// Why pixel data are not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They end early. Rows are counted over all passes.
    Short {
        /// Whole rows that are there.
        n_rows: u64,
        /// Rows that the header promises.
        n_rows_max: u64,
    },
    /// They contradict the format.
    Damaged(&'static str),
}

/// The pixel data of one image on their way in.
pub(super) struct Pixels {
    inflater: Decompressor,
    window: Vec<u8>,
    /// Where inflated data end in the window.
    filled: usize,
    /// Bytes that may still be inflated.
    n_bytes_left: u64,
    passes: std::vec::IntoIter<Pass>,
    pass: Pass,
    /// Bytes of the current row that are still to come.
    n_row_bytes_left: u64,
    n_rows: u64,
    n_rows_max: u64,
    is_whole: bool,
    /// Told when the stream has nothing worse, so that the words do not depend on the pieces in which it comes.
    has_unknown_filter: bool,
    flaw: Option<Flaw>,
}

impl Pixels {
    pub(super) fn new(layout: Layout) -> Self {
        let passes = layout.passes();
        let n_rows_max = passes.iter().map(|pass| pass.n_rows).sum();
        let n_bytes: u64 = passes.iter().map(|pass| pass.n_rows * pass.row_bytes).sum();
        let n_bytes_left = n_bytes + SURPLUS_BYTES_MAX;
        let window_bytes = usize::try_from(n_bytes_left).unwrap_or(WINDOW_BYTES);
        let mut passes = passes.into_iter();
        let pass = passes.next().unwrap_or_default();
        Self {
            inflater: Decompressor::new(),
            window: vec![0; window_bytes.min(WINDOW_BYTES)],
            filled: 0,
            n_bytes_left,
            passes,
            pass,
            n_row_bytes_left: 0,
            n_rows: 0,
            n_rows_max,
            is_whole: false,
            has_unknown_filter: false,
            flaw: None,
        }
    }

    /// Takes in the next bytes of the compressed data.
    pub(super) fn take(&mut self, mut input: &[u8]) {
        while !self.is_over() {
            let Some((n_read, n_inflated)) = self.inflate(input, false) else { return };
            input = &input[n_read..];
            if input.is_empty() && n_inflated == 0 {
                return;
            }
        }
    }

    /// Says whether the data that were taken in are all of the pixels.
    pub(super) fn finish(mut self) -> Result<(), Flaw> {
        while !self.is_over() {
            self.inflate(&[], true);
        }
        match self.flaw {
            Some(flaw) => Err(flaw),
            None if self.has_unknown_filter => Err(Flaw::Damaged("a row of its pixel data has an unknown filter")),
            None => Ok(()),
        }
    }

    /// Whether nothing more can be learnt from the data.
    const fn is_over(&self) -> bool {
        self.is_whole || self.flaw.is_some()
    }

    /// One step of the inflater: bytes read and written, or `None` at a flaw.
    fn inflate(&mut self, input: &[u8], is_last: bool) -> Option<(usize, usize)> {
        if self.filled == self.window.len() {
            // Only a window of full size fills: a smaller one has room for more than the image.
            let begin = self.filled.saturating_sub(LOOKBACK_BYTES);
            self.window.copy_within(begin.., 0);
            self.filled -= begin;
        }
        let room = usize::try_from(self.n_bytes_left).unwrap_or(WINDOW_BYTES);
        let end = self.window.len().min(self.filled.saturating_add(room));
        match self.inflater.read(input, &mut self.window[..end], self.filled, is_last) {
            Ok((n_read, n_inflated)) => {
                let begin = self.filled;
                self.filled += n_inflated;
                self.n_bytes_left -= n_inflated as u64;
                self.count(begin);
                // The inflater has compared the checksum by then.
                self.is_whole |= self.flaw.is_none() && self.inflater.is_done() && self.n_rows == self.n_rows_max;
                if self.inflater.is_done() && !self.is_over() {
                    self.flaw = Some(self.short());
                }
                Some((n_read, n_inflated))
            }
            Err(error) => {
                self.flaw = Some(self.told(&error));
                None
            }
        }
    }

    /// Goes over the rows in the window from `at` on.
    fn count(&mut self, mut at: usize) {
        while at < self.filled {
            if self.n_row_bytes_left == 0 {
                if self.n_rows == self.n_rows_max {
                    // Data behind the last row: libpng passes over them too, and nothing says how many there are.
                    self.is_whole |= self.n_bytes_left == 0;
                    return;
                }
                self.has_unknown_filter |= self.window[at] > 4;
                self.n_row_bytes_left = self.pass.row_bytes;
            }
            let n_here = self.n_row_bytes_left.min((self.filled - at) as u64);
            self.n_row_bytes_left -= n_here;
            at += usize::try_from(n_here).expect("it is less than the window");
            if self.n_row_bytes_left == 0 {
                self.end_row();
            }
        }
    }

    fn end_row(&mut self) {
        self.n_rows += 1;
        self.pass.n_rows -= 1;
        if self.pass.n_rows == 0 {
            self.pass = self.passes.next().unwrap_or_default();
        }
    }

    const fn short(&self) -> Flaw {
        Flaw::Short { n_rows: self.n_rows, n_rows_max: self.n_rows_max }
    }

    fn told(&self, error: &DecompressionError) -> Flaw {
        use DecompressionError as E;
        match error {
            E::InsufficientInput if self.n_rows < self.n_rows_max => self.short(),
            E::InsufficientInput => Flaw::Damaged("its pixel data end without their checksum"),
            E::WrongChecksum => Flaw::Damaged("the checksum of its pixel data is wrong"),
            E::BadZlibHeader => Flaw::Damaged("its pixel data are not compressed as the format says"),
            E::DistanceTooFarBack | E::InputStartsWithRun => Flaw::Damaged("its pixel data refer to what is not there"),
            E::InvalidBlockType
            | E::InvalidUncompressedBlockLength
            | E::InvalidHlit
            | E::InvalidHdist
            | E::InvalidCodeLengthRepeat
            | E::BadCodeLengthHuffmanTree
            | E::BadLiteralLengthHuffmanTree
            | E::BadDistanceHuffmanTree
            | E::InvalidLiteralLengthCode
            | E::InvalidDistanceCode
            | E::ExtraInput => Flaw::Damaged("its pixel data cannot be decompressed"),
        }
    }
}
