//! Scans of progressive JPEGs, each of which holds some bits of some coefficients.
//!
//! The length of a refinement depends on the coefficients that are already nonzero. One bit per coefficient is kept for
//! that: an eighth of the bytes of the pixels. Images with no more than their base need none.

use std::io::BufRead;

use crate::images::validate::jpeg::bits::{JpegBitReader, JpegFault};
use crate::images::validate::jpeg::frame::Frame;
use crate::images::validate::jpeg::huffman::Huffman;
use crate::images::validate::jpeg::intervals::{self, IntervalSteps};
use crate::images::validate::jpeg::scan::Scan;
use crate::images::validate::jpeg::sequential::difference;
use crate::images::validate::jpeg::tables::Tables;
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};

/// Nonzero coefficients of each block of each component, as bits.
#[derive(Debug, Default)]
pub(super) struct Nonzero(Vec<Vec<u64>>);

impl Nonzero {
    pub(super) fn of(frame: &Frame) -> Self {
        Self(vec![vec![]; frame.components.len()])
    }

    /// Returns the blocks of one component, all zero if the component is new.
    fn blocks(&mut self, component: usize, n_blocks: usize) -> &mut [u64] {
        let blocks = &mut self.0[component];
        blocks.resize(n_blocks, 0);
        blocks
    }
}

/// Reads the data of one scan and returns the code of the marker after it.
pub(super) fn pass<R: BufRead>(
    walk: &mut StreamValidator<R>,
    frame: &Frame,
    scan: &Scan,
    tables: &Tables,
    nonzero: &mut Nonzero,
) -> Result<u8, ValidationStop> {
    let (grid, interval) = (scan.grid(frame), tables.restart_interval);
    if scan.first == 0 {
        let parts: Vec<_> = scan.components.iter().map(|part| (scan.blocks_of(frame, *part), part.dc)).collect();
        return intervals::pass(walk, frame, grid, interval, |bits, steps| {
            while steps.next < steps.end {
                for (n_blocks, table) in &parts {
                    for _ in 0..*n_blocks {
                        if scan.is_refinement {
                            bits.take(1)?;
                        } else {
                            difference(bits, tables.dc(*table))?;
                        }
                    }
                }
                steps.next += 1;
            }
            Ok(())
        });
    }
    let [part] = scan.components[..] else { unreachable!("the scan header is checked") };
    let blocks = nonzero.blocks(part.component, grid.count());
    let table = tables.ac(part.ac);
    intervals::pass(walk, frame, grid, interval, |bits, steps| {
        if scan.is_refinement {
            refine(bits, table, scan, blocks, steps)
        } else {
            begin(bits, table, scan, blocks, steps)
        }
    })
}

/// Reads the first bits of coefficients.
fn begin<R: BufRead>(
    bits: &mut JpegBitReader<R>,
    table: &Huffman,
    scan: &Scan,
    blocks: &mut [u64],
    steps: &mut IntervalSteps,
) -> Result<(), JpegFault> {
    while steps.next < steps.end {
        let mut at = scan.first;
        let mut n_ended = 1;
        while at <= scan.last {
            let symbol = bits.symbol(table)?;
            let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && run < 15 {
                n_ended = ended(bits, run)?;
                break;
            }
            bits.take(size)?;
            at += run;
            if at > scan.last {
                return Err(JpegFault::Damaged("its pixel data contain a block that is too long"));
            }
            blocks[steps.next] |= u64::from(size > 0) << at;
            at += 1;
        }
        // A run of ended blocks takes no time, whatever its length.
        steps.next = steps.end.min(steps.next + n_ended);
    }
    Ok(())
}

/// Returns how many blocks end, the current block first.
fn ended<R: BufRead>(bits: &mut JpegBitReader<R>, run: u32) -> Result<usize, JpegFault> {
    Ok((1 << run) + bits.take(run)? as usize)
}

/// Reads one more bit of coefficients. Some coefficients become nonzero with it.
fn refine<R: BufRead>(
    bits: &mut JpegBitReader<R>,
    table: &Huffman,
    scan: &Scan,
    blocks: &mut [u64],
    steps: &mut IntervalSteps,
) -> Result<(), JpegFault> {
    let band = (!0_u64 >> (63 - scan.last)) & (!0 << scan.first);
    let mut n_ended = 0;
    while steps.next < steps.end {
        let known = &mut blocks[steps.next];
        let mut at = scan.first;
        while n_ended == 0 && at <= scan.last {
            let symbol = bits.symbol(table)?;
            let (run, size) = (u32::from(symbol >> 4), symbol & 15);
            match size {
                0 if run < 15 => {
                    n_ended = ended(bits, run)?;
                    break;
                }
                0 => (),
                1 => {
                    bits.take(1)?;
                }
                _ => return Err(JpegFault::Damaged("its pixel data contain an unknown code")),
            }
            at = pass_known(bits, *known, at, scan.last, run)?;
            if size == 1 {
                if at > scan.last {
                    return Err(JpegFault::Damaged("its pixel data contain a block that is too long"));
                }
                *known |= 1 << at;
            }
            at += 1;
        }
        if n_ended > 0 {
            n_ended -= 1;
            // The rest of the block holds one bit of each nonzero coefficient.
            let left = if at < 64 { *known & band & (!0 << at) } else { 0 };
            pass_bits(bits, left.count_ones())?;
        }
        steps.next += 1;
    }
    Ok(())
}

/// Skips `run` coefficients that stay zero, and one bit of each nonzero coefficient before and after them. Returns the
/// position after that.
fn pass_known<R: BufRead>(
    bits: &mut JpegBitReader<R>,
    known: u64,
    mut at: u32,
    last: u32,
    mut run: u32,
) -> Result<u32, JpegFault> {
    let mut n_known = 0;
    while at <= last {
        if known >> at & 1 == 1 {
            n_known += 1;
        } else if run == 0 {
            break;
        } else {
            run -= 1;
        }
        at += 1;
    }
    pass_bits(bits, n_known)?;
    Ok(at)
}

/// Skips at most 64 bits.
fn pass_bits<R: BufRead>(bits: &mut JpegBitReader<R>, mut n: u32) -> Result<(), JpegFault> {
    while n > 0 {
        let n_now = n.min(32);
        bits.peek()?;
        bits.pass(n_now)?;
        n -= n_now;
    }
    Ok(())
}
