//! Tables of a JPEG, which come before the scans that use them.

use std::io::BufRead;

use crate::images::validate::jpeg::frame::{Frame, Process};
use crate::images::validate::jpeg::huffman::Huffman;
use crate::images::validate::jpeg::markers::segment;
use crate::images::validate::jpeg::scan::Scan;
use crate::images::validate::jpeg::standard::{self, Codes};
use crate::images::validate::stream_validator::{StreamValidator, ValidationStop};
use crate::model::outcome::ImageFormat::Jpeg;

/// Maximum number of tables of each kind.
const TABLES_MAX: usize = 4;

/// Maximum length of a sample's difference in bits, for lossy and for lossless images.
const DIFFERENCE_BITS_MAX: u8 = 15;
const LOSSLESS_BITS_MAX: u8 = 16;

/// Huffman table, if the file has one. An invalid table is reported when a scan uses it.
#[derive(Debug, Default)]
enum Slot {
    #[default]
    Missing,
    Wrong,
    There(Huffman),
}

/// Tables that the file has defined so far.
#[derive(Debug, Default)]
pub(super) struct Tables {
    dc: [Slot; TABLES_MAX],
    ac: [Slot; TABLES_MAX],
    has_quantisation: [bool; TABLES_MAX],
    /// Number of steps between restart markers; 0 if there are none.
    pub(super) restart_interval: u16,
}

impl Tables {
    /// Reads a segment of Huffman tables.
    pub(super) fn read_huffman<R: BufRead>(&mut self, walk: &mut StreamValidator<R>) -> Result<(), ValidationStop> {
        let content = segment(walk)?;
        let mut rest = content.as_slice();
        while let Some((kind, counts, behind)) = split_counts(rest) {
            let n_symbols = counts.iter().map(|count| usize::from(*count)).sum();
            let slots = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = slots.get_mut(usize::from(kind & 15)).filter(|_| kind >> 4 < 2 && n_symbols <= 256);
            let (Some(slot), Some((symbols, behind))) = (slot, behind.split_at_checked(n_symbols)) else {
                return Err(walk.damaged(Jpeg, "a code table is invalid"));
            };
            *slot = Huffman::new(counts, symbols).map_or(Slot::Wrong, Slot::There);
            rest = behind;
        }
        if rest.is_empty() { Ok(()) } else { Err(walk.damaged(Jpeg, "a code table has an invalid length")) }
    }

    /// Reads a segment of quantisation tables, and notes only which tables exist.
    pub(super) fn read_quantisation<R: BufRead>(
        &mut self,
        walk: &mut StreamValidator<R>,
    ) -> Result<(), ValidationStop> {
        let content = segment(walk)?;
        let mut rest = content.as_slice();
        while let [kind, behind @ ..] = rest {
            let n_bytes = if kind >> 4 == 0 { 64 } else { 128 };
            let (Some(slot), Some(behind)) =
                (self.has_quantisation.get_mut(usize::from(kind & 15)), behind.get(n_bytes..))
            else {
                return Err(walk.damaged(Jpeg, "a quantisation table is invalid"));
            };
            *slot = true;
            rest = behind;
        }
        Ok(())
    }

    /// Reads the number of steps between restart markers.
    pub(super) fn read_restart_interval<R: BufRead>(
        &mut self,
        walk: &mut StreamValidator<R>,
    ) -> Result<(), ValidationStop> {
        match segment(walk)?[..] {
            [high, low] => {
                self.restart_interval = u16::from_be_bytes([high, low]);
                Ok(())
            }
            _ => Err(walk.damaged(Jpeg, "its restart interval has an invalid length")),
        }
    }

    /// Checks that all tables exist that the scan uses. In sequential images, standard tables replace missing ones.
    pub(super) fn require<R: BufRead>(
        &mut self,
        walk: &StreamValidator<R>,
        frame: &Frame,
        scan: &Scan,
    ) -> Result<(), ValidationStop> {
        for part in &scan.components {
            let number = usize::from(frame.components[part.component].quantisation);
            let has_quantisation = self.has_quantisation.get(number).copied().unwrap_or(false);
            if frame.process != Process::Lossless && !has_quantisation {
                return Err(walk.damaged(Jpeg, "a quantisation table is missing"));
            }
        }
        let (uses_first, uses_rest) = match frame.process {
            Process::Sequential => (true, true),
            Process::Progressive => (scan.is_base(frame.process), scan.first > 0),
            Process::Lossless => (true, false),
            Process::Arithmetic => (false, false),
        };
        let size_max = if frame.process == Process::Lossless { LOSSLESS_BITS_MAX } else { DIFFERENCE_BITS_MAX };
        if frame.process == Process::Sequential {
            put_standard(&mut self.dc, [standard::DC_LUMA, standard::DC_CHROMA]);
            put_standard(&mut self.ac, [standard::AC_LUMA, standard::AC_CHROMA]);
        }
        for part in &scan.components {
            for (is_used, slots, number) in [(uses_first, &self.dc, part.dc), (uses_rest, &self.ac, part.ac)] {
                let is_there = match slots.get(number).filter(|_| is_used) {
                    _ if !is_used => continue,
                    None | Some(Slot::Missing) => {
                        return Err(walk.damaged(Jpeg, "a code table is missing"));
                    }
                    Some(Slot::Wrong) => false,
                    Some(Slot::There(_)) => true,
                };
                if !is_there {
                    return Err(walk.damaged(Jpeg, "a code table is invalid"));
                }
            }
            if uses_first && !self.dc(part.dc).are_lengths(size_max) {
                return Err(walk.damaged(Jpeg, "a code table is invalid"));
            }
        }
        Ok(())
    }

    /// Returns a DC table that was [required](Self::require).
    pub(super) fn dc(&self, number: usize) -> &Huffman {
        required(&self.dc[number])
    }

    /// Returns an AC table that was [required](Self::require).
    pub(super) fn ac(&self, number: usize) -> &Huffman {
        required(&self.ac[number])
    }
}

fn required(slot: &Slot) -> &Huffman {
    match slot {
        Slot::There(table) => table,
        Slot::Missing | Slot::Wrong => unreachable!("the scan's tables are required first"),
    }
}

/// Returns the kind of a table, its number of codes of each length, and the bytes after them.
fn split_counts(content: &[u8]) -> Option<(u8, &[u8; 16], &[u8])> {
    let (kind, rest) = content.split_first()?;
    let (counts, rest) = rest.split_first_chunk()?;
    Some((*kind, counts, rest))
}

/// Fills in the first two tables if they are missing.
fn put_standard(slots: &mut [Slot; TABLES_MAX], codes: [Codes; 2]) {
    for (slot, (counts, symbols)) in slots.iter_mut().zip(codes) {
        if matches!(slot, Slot::Missing) {
            *slot = Huffman::new(&counts, symbols).map_or(Slot::Wrong, Slot::There);
        }
    }
}
