//! Pixels of lossy WebP, one VP8 key frame: reads every mode and coefficient to the last macroblock (RFC 6386).
//!
//! The rows of macroblocks alternate between up to eight partitions, and each row depends on the row above it. The
//! compressed data are therefore held in memory, and no decoded data.

use crate::images::validate::webp::bools::BoolDecoder;
use crate::images::validate::webp::modes::{Modes, Segments};
use crate::images::validate::webp::tokens::{Contexts, Tokens};

/// Maximum number of unread bytes after the last code of a partition. Encoders pad with up to four bytes.
const PADDING_BYTES_MAX: usize = 16;

/// Pixel rows per macroblock.
const ROWS: u32 = 16;

/// Reason why the data of an image are not whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Vp8Flaw {
    /// Data that end early, after this number of whole pixel rows.
    Short(u32),
    /// Data that contradict the format.
    Damaged(&'static str),
}

/// Reads one frame. `tag` is its first three bytes, and `data` all bytes after its size. The bytes between them have been read.
pub(super) fn pass(tag: [u8; 3], data: &[u8], width: u32, height: u32) -> Result<(), Vp8Flaw> {
    let [low, middle, high] = tag;
    let tag = u32::from_le_bytes([low, middle, high, 0]);
    if tag >> 1 & 7 > 3 || tag >> 4 & 1 == 0 {
        return Err(Vp8Flaw::Damaged("its image data are marked as not shown"));
    }
    let (first, rest) = data.split_at_checked((tag >> 5) as usize).ok_or(Vp8Flaw::Short(0))?;
    let mut first = BoolDecoder::new(first);
    // Colour space, and whether colours have to be clamped.
    first.number(2);
    let segments = Segments::read(&mut first);
    pass_filter(&mut first);
    let n_partitions = 1_usize << first.number(2);
    let mut partitions = partitions(rest, n_partitions).ok_or(Vp8Flaw::Short(0))?;
    pass_quantisers(&mut first);
    // Flag: the probabilities are kept for the next frame.
    first.flag();
    let tokens = Tokens::read(&mut first);
    let columns = width.div_ceil(16) as usize;
    let mut modes = Modes::read(&mut first, segments, columns);
    let mut contexts = Contexts::new(columns);
    for row in 0..height.div_ceil(ROWS) {
        modes.read_row(&mut first);
        if first.is_over() {
            return Err(Vp8Flaw::Short(row * ROWS));
        }
        let partition = &mut partitions[row as usize % n_partitions];
        contexts.begin_row();
        for (column, macroblock) in modes.row().iter().enumerate() {
            if macroblock.is_skipped {
                contexts.skip(column, macroblock.has_block_modes);
            } else {
                tokens.pass(partition, &mut contexts, column, macroblock.has_block_modes);
            }
            if partition.is_over() {
                return Err(Vp8Flaw::Short(row * ROWS));
            }
        }
    }
    if partitions.iter().chain([&first]).any(|partition| partition.n_bytes_left() > PADDING_BYTES_MAX) {
        return Err(Vp8Flaw::Damaged("its pixels end long before their data"));
    }
    Ok(())
}

/// Skips the settings of the edge filter.
fn pass_filter(first: &mut BoolDecoder) {
    // Kind, level and sharpness of the filter.
    first.number(1 + 6 + 3);
    let has_changes = first.flag();
    if has_changes && first.flag() {
        for _ in 0..8 {
            first.pass_signed(6);
        }
    }
}

fn pass_quantisers(first: &mut BoolDecoder) {
    first.number(7);
    for _ in 0..5 {
        first.pass_signed(4);
    }
}

/// Splits the coefficients into partitions. The lengths of all but the last come first. As in libwebp, a partition that
/// claims to be longer than the data ends with them. `None` if the data are too short.
fn partitions(rest: &[u8], n: usize) -> Option<Vec<BoolDecoder<'_>>> {
    let (lengths, mut rest) = rest.split_at_checked(3 * (n - 1))?;
    let mut partitions = Vec::new();
    for length in lengths.chunks_exact(3) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], 0]) as usize;
        let (partition, behind) = rest.split_at(length.min(rest.len()));
        partitions.push(BoolDecoder::new(partition));
        rest = behind;
    }
    partitions.push(BoolDecoder::new(rest));
    (!rest.is_empty()).then_some(partitions)
}
