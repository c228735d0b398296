//! Scans of baseline, extended and lossless JPEGs, in which each block or sample occurs once.

use std::io::BufRead;

use crate::images::validate::jpeg::bits::{JpegBitReader, JpegFault};
use crate::images::validate::jpeg::frame::{Frame, Process};
use crate::images::validate::jpeg::huffman::{Huffman, HuffmanSteps};
use crate::images::validate::jpeg::intervals;
use crate::images::validate::jpeg::scan::Scan;
use crate::images::validate::jpeg::tables::Tables;
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};

/// Coding of the blocks of one component.
struct Coded<'a> {
    /// Blocks in one step over the grid.
    n_blocks: u32,
    dc: &'a Huffman,
    /// AC codes; `None` for a lossless image, which has no such codes.
    ac: Option<&'a HuffmanSteps<'a>>,
}

/// Reads the data of one scan and returns the code of the marker after it.
pub(super) fn pass<R: BufRead>(
    walk: &mut StreamValidator<R>,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
) -> Result<u8, ValidationStop> {
    // Components usually share tables.
    let mut shared: Vec<(usize, HuffmanSteps)> = vec![];
    for part in &scan.components {
        if frame.process == Process::Sequential && shared.iter().all(|(number, _)| *number != part.ac) {
            shared.push((part.ac, HuffmanSteps::of(tables.ac(part.ac))));
        }
    }
    let parts: Vec<Coded> = scan
        .components
        .iter()
        .map(|part| Coded {
            n_blocks: scan.blocks_of(frame, *part),
            dc: tables.dc(part.dc),
            ac: shared.iter().find(|(number, _)| *number == part.ac).map(|(_, steps)| steps),
        })
        .collect();
    intervals::pass(walk, frame, scan.grid(frame), tables.restart_interval, |bits, steps| {
        while steps.next < steps.end {
            for part in &parts {
                for _ in 0..part.n_blocks {
                    difference(bits, part.dc)?;
                    if let Some(ac) = part.ac {
                        block(bits, ac)?;
                    }
                }
            }
            steps.next += 1;
        }
        Ok(())
    })
}

/// Skips a difference: a code for its length, and its bits. A difference of length 16 has no bits, and occurs only in lossless images.
#[inline]
pub(super) fn difference<R: BufRead>(bits: &mut JpegBitReader<R>, table: &Huffman) -> Result<(), JpegFault> {
    let word = bits.peek()?;
    let (size, n_bits) = table.symbol(word).ok_or(JpegFault::Damaged("its pixel data contain an unknown code"))?;
    bits.pass(n_bits + if size < 16 { u32::from(size) } else { 0 })
}

/// Skips the coefficients of a block except the first.
#[inline]
fn block<R: BufRead>(bits: &mut JpegBitReader<R>, table: &HuffmanSteps) -> Result<(), JpegFault> {
    let mut at = 1;
    while at < 64 {
        let word = bits.peek()?;
        let step = table.next(word, at).ok_or(JpegFault::Damaged("its pixel data contain an unknown code"))?;
        bits.pass(step.n_bits)?;
        at += step.n;
        if step.is_end {
            return Ok(());
        }
    }
    if at > 64 { Err(JpegFault::Damaged("its pixel data contain a block that is too long")) } else { Ok(()) }
}
