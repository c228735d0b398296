//! Frame header of a JPEG: its size, its components, and their coding.

use std::io::BufRead;

use crate::images::validate::jpeg::markers::segment_bytes;
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::model::outcome::ImageFormat::Jpeg;

/// Coding process of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// Huffman coding, each block in one scan: baseline and extended.
    Sequential,
    /// Huffman coding, each block in several scans.
    Progressive,
    /// Huffman coding, sample by sample.
    Lossless,
    /// Arithmetic coding, in one scan or in several.
    Arithmetic,
}

/// Colour component.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks per MCU from left to right.
    pub(super) h: u32,
    /// Blocks per MCU from top to bottom.
    pub(super) v: u32,
    /// Number of the component's quantisation table.
    pub(super) quantisation: u8,
}

/// Content of the frame header.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) process: Process,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
    h_max: u32,
    v_max: u32,
}

/// Grid of MCUs, or of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) columns: u32,
    pub(super) rows: u32,
    /// Pixel rows per grid row.
    pub(super) pixels: u32,
}

impl Frame {
    /// Reads the frame header after `marker`.
    pub(super) fn read<R: BufRead>(walk: &mut StreamValidator<R>, marker: u8) -> Result<Self, ValidationStop> {
        let n_bytes = segment_bytes(walk)?;
        if n_bytes < 6 {
            return Err(walk.damaged(Jpeg, "its frame header is too short"));
        }
        let [precision, h0, h1, w0, w1, n_components] = walk.array()?;
        if n_components == 0 || n_bytes != 6 + 3 * u64::from(n_components) {
            return Err(walk.damaged(Jpeg, "its frame header has an invalid length"));
        }
        let mut components = Vec::new();
        for _ in 0..n_components {
            let [id, sampling, quantisation] = walk.array()?;
            components.push(Component { id, h: u32::from(sampling >> 4), v: u32::from(sampling & 15), quantisation });
        }
        let (width, height) = (u16::from_be_bytes([w0, w1]).into(), u16::from_be_bytes([h0, h1]).into());
        walk.measure(Jpeg, width, height)?;
        let process = match marker {
            0xc0 | 0xc1 => Process::Sequential,
            0xc2 => Process::Progressive,
            0xc3 => Process::Lossless,
            0xc9 | 0xca => Process::Arithmetic,
            _ => return Err(walk.damaged(Jpeg, "it uses a coding that common decoders do not support")),
        };
        let is_precision_known = match process {
            Process::Sequential | Process::Progressive | Process::Arithmetic => matches!(precision, 8 | 12),
            Process::Lossless => (2..=16).contains(&precision),
        };
        let is_sampling_known = |part: &Component| (1..=4).contains(&part.h) && (1..=4).contains(&part.v);
        if !is_precision_known || components.len() > 4 || !components.iter().all(is_sampling_known) {
            return Err(walk.damaged(Jpeg, "its frame header names an unknown encoding"));
        }
        let h_max = components.iter().map(|part| part.h).max().unwrap_or(1);
        let v_max = components.iter().map(|part| part.v).max().unwrap_or(1);
        Ok(Self { process, width, height, components, h_max, v_max })
    }

    /// Returns the MCUs of a scan with several components.
    pub(super) fn mcus(&self) -> Grid {
        let side = self.block_side();
        let pixels = side * self.v_max;
        Grid { columns: self.width.div_ceil(side * self.h_max), rows: self.height.div_ceil(pixels), pixels }
    }

    /// Returns the blocks of a scan with one component: as few as hold its samples.
    pub(super) fn blocks(&self, component: Component) -> Grid {
        let side = self.block_side();
        Grid {
            columns: (self.width * component.h).div_ceil(self.h_max).div_ceil(side),
            rows: (self.height * component.v).div_ceil(self.v_max).div_ceil(side),
            pixels: (side * self.v_max).div_ceil(component.v),
        }
    }

    /// Returns the number of samples along a side of a block.
    const fn block_side(&self) -> u32 {
        match self.process {
            Process::Sequential | Process::Progressive | Process::Arithmetic => 8,
            Process::Lossless => 1,
        }
    }
}

impl Grid {
    /// Returns the number of cells.
    pub(super) fn count(self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// Returns the number of pixel rows that are whole when the first `n` cells are.
    pub(super) fn whole_rows(self, n: usize) -> u64 {
        (n / self.columns as usize) as u64 * u64::from(self.pixels)
    }
}
