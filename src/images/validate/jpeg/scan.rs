//! Scan header of a JPEG: its components, and the part of their coefficients that the scan holds.

use std::io::BufRead;

use crate::images::validate::jpeg::frame::{Frame, Grid, Process};
use crate::images::validate::jpeg::markers::segment;
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::model::outcome::ImageFormat::Jpeg;

/// Maximum number of blocks per MCU.
const MCU_BLOCKS_MAX: u32 = 10;

/// Component of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Index of the component in the frame.
    pub(super) component: usize,
    /// Numbers of the component's Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

/// Content of a scan header.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) components: Vec<Part>,
    /// First and last coefficient, in zigzag order.
    pub(super) first: u32,
    pub(super) last: u32,
    /// `true` if the scan holds one more bit of coefficients from an earlier scan.
    pub(super) is_refinement: bool,
}

impl Scan {
    pub(super) fn read<R: BufRead>(walk: &mut StreamValidator<R>, frame: &Frame) -> Result<Self, ValidationStop> {
        let content = segment(walk)?;
        let n = usize::from(content.first().copied().unwrap_or(0));
        if !(1..=4).contains(&n) || content.len() != 4 + 2 * n {
            return Err(walk.damaged(Jpeg, "a scan header has an invalid length"));
        }
        let mut components: Vec<Part> = Vec::new();
        for pair in content[1..=2 * n].chunks(2) {
            let is_free = |nth: usize| components.iter().all(|part| part.component != nth);
            let found = (0..frame.components.len()).find(|nth| frame.components[*nth].id == pair[0] && is_free(*nth));
            let Some(component) = found else {
                return Err(walk.damaged(Jpeg, "a scan has a colour that the image does not have"));
            };
            components.push(Part { component, dc: usize::from(pair[1] >> 4), ac: usize::from(pair[1] & 15) });
        }
        let n_blocks: u32 =
            components.iter().map(|part| frame.components[part.component]).map(|part| part.h * part.v).sum();
        if n > 1 && n_blocks > MCU_BLOCKS_MAX {
            return Err(walk.damaged(Jpeg, "a scan has too many blocks at once"));
        }
        let [first, last, bits]: [u8; 3] = [content[2 * n + 1], content[2 * n + 2], content[2 * n + 3]];
        let scan = Self { components, first: first.into(), last: last.into(), is_refinement: bits >> 4 != 0 };
        if frame.process == Process::Progressive && !scan.is_progression(bits) {
            return Err(walk.damaged(Jpeg, "a scan covers an invalid part of the image"));
        }
        Ok(scan)
    }

    /// Returns whether a progressive image may have such a scan, by the rules of libjpeg.
    fn is_progression(&self, bits: u8) -> bool {
        let (earlier, now) = (bits >> 4, bits & 15);
        let is_band = match self.first {
            0 => self.last == 0,
            first => first <= self.last && self.last < 64 && self.components.len() == 1,
        };
        is_band && now <= 13 && (earlier == 0 || earlier == now + 1)
    }

    /// Returns whether the scan holds the base to which all other scans of its components add.
    pub(super) const fn is_base(&self, process: Process) -> bool {
        match process {
            Process::Sequential | Process::Lossless => true,
            Process::Progressive | Process::Arithmetic => self.first == 0 && !self.is_refinement,
        }
    }

    /// Returns the grid of the scan: blocks if the scan has one component, and MCUs otherwise.
    pub(super) fn grid(&self, frame: &Frame) -> Grid {
        match self.components[..] {
            [part] => frame.blocks(frame.components[part.component]),
            _ => frame.mcus(),
        }
    }

    /// Returns the number of blocks of a component in one step over the grid.
    pub(super) fn blocks_of(&self, frame: &Frame, part: Part) -> u32 {
        match self.components[..] {
            [_] => 1,
            _ => frame.components[part.component].h * frame.components[part.component].v,
        }
    }
}
