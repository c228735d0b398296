//! Pixel data of one PNG image or frame: inflated to the last row in bounded memory.
//!
//! Every row's filter type is checked. Chrome and the `png` crate use the same inflater, so the check accepts what
//! common decoders accept. As in libpng, data after the last row are skipped. Rows are counted and never unfiltered,
//! because unfiltering cannot fail.

use fdeflate::{DecompressionError, Decompressor};

use crate::images::validate::png::passes::{Layout, Pass};

/// Maximum distance of a back reference in deflate, in bytes.
const LOOKBACK_BYTES: usize = 32 << 10;

/// Maximum number of inflated bytes in memory. The window exceeds the lookback, so that bytes are moved seldom.
const WINDOW_BYTES: usize = 4 * LOOKBACK_BYTES;

/// Maximum number of bytes inflated after the last row, to reach the checksum at their end. After more bytes, no
/// checksum is required.
const SURPLUS_BYTES_MAX: u64 = 1 << 10;

/// Reason why pixel data are not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PngFlaw {
    /// Data that end early. Rows are counted over all passes.
    Short {
        /// Number of whole rows.
        n_rows: u64,
        /// Number of rows that the header promises.
        n_rows_max: u64,
    },
    /// Data that contradict the format.
    Damaged(&'static str),
}

/// Pixel data of one image, inflated as they arrive.
pub(super) struct PngPixelData {
    inflater: Decompressor,
    window: Vec<u8>,
    /// End of the inflated data in `window`.
    filled: usize,
    /// Number of bytes that may still be inflated.
    n_bytes_left: u64,
    passes: std::vec::IntoIter<Pass>,
    pass: Pass,
    /// Number of bytes of the current row that are still missing.
    n_row_bytes_left: u64,
    n_rows: u64,
    n_rows_max: u64,
    is_whole: bool,
    /// Unknown filter type, reported only if the stream has no worse flaw. The message thus does not depend on the
    /// pieces of the stream.
    has_unknown_filter: bool,
    flaw: Option<PngFlaw>,
}

impl PngPixelData {
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

    /// Inflates the next bytes of the compressed data.
    pub(super) fn take(&mut self, mut input: &[u8]) {
        while !self.is_over() {
            let Some((n_read, n_inflated)) = self.inflate(input, false) else { return };
            input = &input[n_read..];
            if input.is_empty() && n_inflated == 0 {
                return;
            }
        }
    }

    /// Returns an error if the inflated data are not all of the pixels.
    pub(super) fn finish(mut self) -> Result<(), PngFlaw> {
        while !self.is_over() {
            self.inflate(&[], true);
        }
        match self.flaw {
            Some(flaw) => Err(flaw),
            None if self.has_unknown_filter => Err(PngFlaw::Damaged("a row of its pixel data has an unknown filter")),
            None => Ok(()),
        }
    }

    /// Returns whether more data cannot change the result.
    const fn is_over(&self) -> bool {
        self.is_whole || self.flaw.is_some()
    }

    /// Runs one step of the inflater. Returns the numbers of bytes read and written, or `None` at a flaw.
    fn inflate(&mut self, input: &[u8], is_last: bool) -> Option<(usize, usize)> {
        if self.filled == self.window.len() {
            // Only a window of full size becomes full: a smaller window has room for more than the image.
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
                // The inflater has verified the checksum by then.
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

    /// Counts the rows in the window from `at` on.
    fn count(&mut self, mut at: usize) {
        while at < self.filled {
            if self.n_row_bytes_left == 0 {
                if self.n_rows == self.n_rows_max {
                    // Data after the last row: libpng skips them too, and nothing gives their length.
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

    const fn short(&self) -> PngFlaw {
        PngFlaw::Short { n_rows: self.n_rows, n_rows_max: self.n_rows_max }
    }

    fn told(&self, error: &DecompressionError) -> PngFlaw {
        use DecompressionError as E;
        match error {
            E::InsufficientInput if self.n_rows < self.n_rows_max => self.short(),
            E::InsufficientInput => PngFlaw::Damaged("its pixel data end without their checksum"),
            E::WrongChecksum => PngFlaw::Damaged("the checksum of its pixel data is wrong"),
            E::BadZlibHeader => PngFlaw::Damaged("its pixel data are not compressed as the format says"),
            E::DistanceTooFarBack | E::InputStartsWithRun => PngFlaw::Damaged("its pixel data refer to missing data"),
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
            | E::ExtraInput => PngFlaw::Damaged("its pixel data cannot be decompressed"),
        }
    }
}
