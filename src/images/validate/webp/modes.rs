//! Prediction modes of a lossy WebP: all data after the header of the first partition.
//!
//! RFC 6386, sections 8, 10 and 11. Two facts matter for the data that follow: whether a macroblock has coefficients,
//! and in how many kinds of blocks.

use crate::images::validate::webp::bools::BoolDecoder;
use crate::images::validate::webp::probabilities::BLOCK_MODES;

/// Modes of blocks of 4x4 pixels that represent the modes of whole macroblocks.
const DC: u8 = 0;
const TRUE_MOTION: u8 = 1;
const VERTICAL: u8 = 2;
const HORIZONTAL: u8 = 3;

/// Tree of the block modes. A number above 0 is the index of the next pair; any other number is a mode, negated.
const BLOCK_TREE: [i8; 18] = [0, 2, -1, 4, -2, 6, 8, 12, -3, 10, -5, -6, -4, 14, -7, 16, -8, -9];

/// Segments of an image, which are coded differently.
pub(super) struct Segments {
    /// Probabilities of a macroblock's segment number; `None` if the file has no such numbers.
    probabilities: Option<[u8; 3]>,
}

impl Segments {
    pub(super) fn read(first: &mut BoolDecoder) -> Self {
        if !first.flag() {
            return Self { probabilities: None };
        }
        let (is_map_new, is_data_new) = (first.flag(), first.flag());
        if is_data_new {
            // Flag for differences, four quantisers, and four levels of the filter.
            first.flag();
            for n_bits in [7, 7, 7, 7, 6, 6, 6, 6] {
                first.pass_signed(n_bits);
            }
        }
        let mut probability = || if first.flag() { u8::try_from(first.number(8)).unwrap_or(u8::MAX) } else { u8::MAX };
        Self { probabilities: is_map_new.then(|| [probability(), probability(), probability()]) }
    }
}

/// Properties of one macroblock that matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Macroblock {
    /// `true` if the macroblock has no coefficients.
    pub(super) is_skipped: bool,
    /// `true` if the 16 blocks are predicted separately.
    pub(super) has_block_modes: bool,
}

/// Prediction modes, row by row.
pub(super) struct Modes {
    segments: Segments,
    /// Probability that a macroblock is not skipped, in 256ths; `None` if the file does not give it.
    skip: Option<u8>,
    /// Modes of the lowest blocks in the row above.
    above: Vec<[u8; 4]>,
    row: Vec<Macroblock>,
}

impl Modes {
    pub(super) fn read(first: &mut BoolDecoder, segments: Segments, columns: usize) -> Self {
        let skip = first.flag().then(|| u8::try_from(first.number(8)).unwrap_or(u8::MAX));
        Self { segments, skip, above: vec![[DC; 4]; columns], row: vec![Macroblock::default(); columns] }
    }

    /// Returns the row that was read last.
    pub(super) fn row(&self) -> &[Macroblock] {
        &self.row
    }

    pub(super) fn read_row(&mut self, first: &mut BoolDecoder) {
        let mut left = [DC; 4];
        for (macroblock, above) in self.row.iter_mut().zip(&mut self.above) {
            if let Some([which, low, high]) = self.segments.probabilities {
                let which = first.bit(which);
                first.bit(if which { high } else { low });
            }
            macroblock.is_skipped = self.skip.is_some_and(|skip| first.bit(skip));
            macroblock.has_block_modes = !first.bit(145);
            if macroblock.has_block_modes {
                read_blocks(first, above, &mut left);
            } else {
                let mode = match first.bit(156) {
                    true if first.bit(128) => TRUE_MOTION,
                    true => HORIZONTAL,
                    false if first.bit(163) => VERTICAL,
                    false => DC,
                };
                (*above, left) = ([mode; 4], [mode; 4]);
            }
            // Mode of the chroma blocks.
            let _ = first.bit(142) && first.bit(114) && first.bit(183);
        }
    }
}

fn read_blocks(first: &mut BoolDecoder, above: &mut [u8; 4], left: &mut [u8; 4]) {
    for left in left {
        for above in &mut *above {
            let place = (usize::from(*above) * 10 + usize::from(*left)) * 9;
            let probabilities = &BLOCK_MODES[place..place + 9];
            let mut at = 0_usize;
            let mode = loop {
                match BLOCK_TREE[at + usize::from(first.bit(probabilities[at / 2]))] {
                    next @ 1.. => at = usize::from(next.unsigned_abs()),
                    mode => break mode.unsigned_abs(),
                }
            };
            (*above, *left) = (mode, mode);
        }
    }
}
