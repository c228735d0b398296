//! JPEG check: reads every segment by its length and every scan code by code, up to the end marker.
//!
//! Codes of Huffman-coded images (baseline, extended, progressive, lossless) are read to the last block. Arithmetic
//! codes are skipped: a decoder makes pixels of any bytes there, and replaces missing bytes by zeros. Hierarchical
//! images are refused, because no common decoder opens them.

mod bits;
mod frame;
mod huffman;
mod intervals;
mod markers;
mod progressive;
mod scan;
mod sequential;
mod standard;
mod tables;

use std::io::BufRead;

use crate::images::validate::jpeg::frame::{Frame, Process};
use crate::images::validate::jpeg::markers::{
    DHT, DQT, DRI, EOI, RST0, RST7, SOI, SOS, TEM, marker, pass_scan, pass_segment,
};
use crate::images::validate::jpeg::progressive::Nonzero;
use crate::images::validate::jpeg::scan::Scan;
use crate::images::validate::jpeg::tables::Tables;
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::model::outcome::ImageFormat::Jpeg;

/// Maximum number of scans per image. Encoders write about ten; thousands of empty scans would keep a decoder busy for hours.
const SCANS_MAX: u32 = 1_000;

/// Reads one JPEG from its start marker to its end marker and returns its width and height.
pub(super) fn walk<R: BufRead>(walk: &mut StreamValidator<R>) -> Result<(u32, u32), ValidationStop> {
    walk.array::<2>()?;
    let mut tables = Tables::default();
    let mut image: Option<Image> = None;
    let mut next = marker(walk)?;
    loop {
        next = match (next, &mut image) {
            (EOI, _) => break,
            (SOS, None) => return Err(walk.damaged(Jpeg, "its data come before its size")),
            (SOS, Some(image)) => image.scan(walk, &mut tables)?,
            (DHT, _) => {
                tables.read_huffman(walk)?;
                marker(walk)?
            }
            (DQT, _) => {
                tables.read_quantisation(walk)?;
                marker(walk)?
            }
            (DRI, _) => {
                tables.read_restart_interval(walk)?;
                marker(walk)?
            }
            // All frame headers. The two codes left out are tables of arithmetic codes and an extension.
            (0xc0..=0xcf, Some(_)) if !matches!(next, 0xc8 | 0xcc) => {
                return Err(walk.damaged(Jpeg, "it names its size twice"));
            }
            (0xc0..=0xcf, None) if !matches!(next, 0xc8 | 0xcc) => {
                image = Some(Image::new(Frame::read(walk, next)?));
                marker(walk)?
            }
            (TEM | RST0..=RST7, _) => marker(walk)?,
            (SOI, _) => return Err(walk.damaged(Jpeg, "it begins a second time")),
            // Application data, tables of arithmetic codes, a number of lines, or a comment.
            (0xcc | 0xdc | 0xe0..=0xef | 0xfe, _) => {
                pass_segment(walk)?;
                marker(walk)?
            }
            _ => return Err(walk.damaged(Jpeg, "it has a segment of an unknown kind")),
        };
    }
    let Some(image) = image.filter(|image| image.n_scans > 0) else {
        return Err(walk.damaged(Jpeg, "it ends without any image data"));
    };
    if !image.has_data.iter().all(|has_data| *has_data) {
        return Err(walk.damaged(Jpeg, "it ends without the data of one of its colours"));
    }
    Ok((image.frame.width, image.frame.height))
}

/// Image of which some scans may have been read.
struct Image {
    frame: Frame,
    n_scans: u32,
    /// `true` for each component whose base was in a scan. A decoder requires no more.
    has_data: Vec<bool>,
    /// Coefficients of earlier scans that later scans of a progressive image depend on.
    nonzero: Nonzero,
}

impl Image {
    fn new(frame: Frame) -> Self {
        Self { n_scans: 0, has_data: vec![false; frame.components.len()], nonzero: Nonzero::of(&frame), frame }
    }

    /// Reads one scan and returns the code of the marker after it.
    fn scan<R: BufRead>(&mut self, walk: &mut StreamValidator<R>, tables: &mut Tables) -> Result<u8, ValidationStop> {
        self.n_scans += 1;
        if self.n_scans > SCANS_MAX {
            return Err(walk.damaged(Jpeg, "it has more than 1,000 scans"));
        }
        let scan = Scan::read(walk, &self.frame)?;
        for nth in &scan.components {
            self.has_data[nth.component] |= scan.is_base(self.frame.process);
        }
        tables.require(walk, &self.frame, &scan)?;
        match self.frame.process {
            Process::Arithmetic => pass_scan(walk),
            Process::Sequential | Process::Lossless => sequential::pass(walk, &self.frame, &scan, tables),
            Process::Progressive => progressive::pass(walk, &self.frame, &scan, tables, &mut self.nonzero),
        }
    }
}
