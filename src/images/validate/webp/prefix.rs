//! Prefix codes of lossless WebP: their form in the file, and the symbols that they encode.

use std::io::BufRead;

use crate::images::validate::webp::bits::{WebpBitReader, WebpFault};

/// Maximum number of bits in a table index; longer codes are searched for.
const INDEX_BITS_MAX: usize = 8;

/// Length of the longest code, in bits.
const CODE_BITS_MAX: usize = 15;

/// Order of the code lengths for the alphabet of code lengths.
const LENGTHS_ORDER: [usize; 19] = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Length that a repeat uses before any length was read.
const LENGTH_BEFORE: u8 = 8;

const LONG: u16 = u16::MAX;

const IMPOSSIBLE: WebpFault = WebpFault::Damaged("a code table is invalid");

/// Codes of one alphabet.
#[derive(Debug)]
pub(super) struct Prefix {
    /// Table by the first bits of a code, in reverse order. The lowest four bits are the code's length, and the upper
    /// bits its symbol.
    short: Vec<u16>,
    /// Limit and offset per code length. The limit is the first code too large for that length, at the top of 16 bits.
    /// A code plus the offset is the index of its symbol.
    lengths: [(u32, i32); CODE_BITS_MAX],
    /// Symbols in the order of their codes; empty if no code is long.
    symbols: Vec<u16>,
}

impl Prefix {
    /// Reads the codes of an alphabet of `n_symbols` symbols.
    pub(super) fn read<R: BufRead>(bits: &mut WebpBitReader<R>, n_symbols: usize) -> Result<Self, WebpFault> {
        let mut lengths = vec![0; n_symbols.max(256)];
        if bits.take(1)? == 1 {
            let (has_two, is_long) = (bits.take(1)? == 1, bits.take(1)? == 1);
            lengths[bits.take(if is_long { 8 } else { 1 })? as usize] = 1;
            if has_two {
                lengths[bits.take(8)? as usize] = 1;
            }
        } else {
            let mut of_lengths = [0; LENGTHS_ORDER.len()];
            let n = 4 + bits.take(4)? as usize;
            for place in &LENGTHS_ORDER[..n] {
                of_lengths[*place] = u8::try_from(bits.take(3)?).expect("three bits");
            }
            let codes = Self::new(&of_lengths).ok_or(IMPOSSIBLE)?;
            read_lengths(bits, &codes, &mut lengths[..n_symbols])?;
        }
        Self::new(&lengths[..n_symbols]).ok_or(IMPOSSIBLE)
    }

    /// Builds the codes of these lengths, 0 for symbols without a code. `None` if the set of codes is incomplete or too large.
    fn new(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0_u32; CODE_BITS_MAX + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            counts[usize::from(*length)] += 1;
        }
        let mut with_code = (0_u16..).zip(lengths).filter(|(_, length)| **length > 0);
        if counts.iter().sum::<u32>() == 1 {
            // A single symbol takes no bits, whatever its length.
            let (symbol, _) = with_code.next()?;
            return Some(Self { short: vec![symbol << 4], lengths: [(0, 0); CODE_BITS_MAX], symbols: vec![] });
        }
        let length_max = counts.iter().rposition(|count| *count > 0)?;
        let index_bits = length_max.min(INDEX_BITS_MAX);
        let mut next = [0_u32; CODE_BITS_MAX + 1];
        let mut limits = [(0, 0); CODE_BITS_MAX];
        let (mut code, mut place) = (0_u32, 0_u32);
        for length in 1..=CODE_BITS_MAX {
            next[length] = code;
            limits[length - 1].1 = i32::try_from(place).ok()? - i32::try_from(code).ok()?;
            (code, place) = (code + counts[length], place + counts[length]);
            limits[length - 1].0 = code << (16 - length);
            code <<= 1;
        }
        if code != 2 << CODE_BITS_MAX {
            return None;
        }
        let mut short = vec![LONG; 1 << index_bits];
        let mut symbols = vec![0; if length_max > INDEX_BITS_MAX { place as usize } else { 0 }];
        for (symbol, length) in with_code {
            let length = usize::from(*length);
            let code = next[length];
            next[length] += 1;
            if let Some(slot) = symbols.get_mut(usize::try_from(code.cast_signed() + limits[length - 1].1).ok()?) {
                *slot = symbol;
            }
            if length <= index_bits {
                let first = (code << (32 - length)).reverse_bits() as usize;
                let entry = symbol << 4 | u16::try_from(length).ok()?;
                short.iter_mut().skip(first).step_by(1 << length).for_each(|slot| *slot = entry);
            }
        }
        Some(Self { short, lengths: limits, symbols })
    }

    /// Consumes one code and returns its symbol.
    #[inline]
    pub(super) fn symbol<R: BufRead>(&self, bits: &mut WebpBitReader<R>) -> Result<u16, WebpFault> {
        let word = bits.peek()?;
        let entry = self.short[usize::try_from(word & (self.short.len() as u64 - 1)).expect("an index")];
        if entry == LONG {
            return self.long(bits, word);
        }
        bits.pass(u32::from(entry & 15))?;
        Ok(entry >> 4)
    }

    #[cold]
    fn long<R: BufRead>(&self, bits: &mut WebpBitReader<R>, word: u64) -> Result<u16, WebpFault> {
        let top = u32::try_from(word & 0xffff).expect("sixteen bits").reverse_bits() >> 16;
        let found = self.lengths.iter().zip(1_u32..).find(|((limit, _), _)| top < *limit);
        let ((_, offset), length) = found.ok_or(IMPOSSIBLE)?;
        bits.pass(length)?;
        let place = (top >> (16 - length)).cast_signed() + offset;
        usize::try_from(place).ok().and_then(|place| self.symbols.get(place)).copied().ok_or(IMPOSSIBLE)
    }

    /// Returns the symbol that takes no bits; `None` if the alphabet has several symbols.
    pub(super) fn only(&self) -> Option<u16> {
        match self.short[..] {
            [entry] => Some(entry >> 4),
            _ => None,
        }
    }

    /// Returns the memory of the table in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>() + 2 * (self.short.len() + self.symbols.len())
    }
}

/// Reads the code lengths of an alphabet, which are themselves written in codes.
fn read_lengths<R: BufRead>(bits: &mut WebpBitReader<R>, codes: &Prefix, lengths: &mut [u8]) -> Result<(), WebpFault> {
    let mut n_codes = lengths.len();
    if bits.take(1)? == 1 {
        let n_bits = 2 + 2 * bits.take(3)?;
        n_codes = 2 + bits.take(n_bits)? as usize;
        if n_codes > lengths.len() {
            return Err(IMPOSSIBLE);
        }
    }
    let (mut at, mut before) = (0, LENGTH_BEFORE);
    while at < lengths.len() && n_codes > 0 {
        n_codes -= 1;
        let symbol = codes.symbol(bits)?;
        let (length, n) = match symbol {
            16 => (before, 3 + bits.take(2)? as usize),
            17 => (0, 3 + bits.take(3)? as usize),
            18 => (0, 11 + bits.take(7)? as usize),
            length => (u8::try_from(length).expect("19 symbols"), 1),
        };
        if length > 0 {
            before = length;
        }
        lengths.get_mut(at..at + n).ok_or(IMPOSSIBLE)?.fill(length);
        at += n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_codes_are_codes() {
        assert!(Prefix::new(&[0, 0]).is_none());
        assert_eq!(Prefix::new(&[0, 3, 0]).unwrap().only(), Some(1), "one symbol needs no complete code");
        assert!(Prefix::new(&[1, 1]).is_some());
        assert!(Prefix::new(&[1, 2]).is_none());
        assert!(Prefix::new(&[1, 2, 2]).is_some());
        assert!(Prefix::new(&[1, 1, 1]).is_none());
        let mut long: Vec<u8> = (1..=15).collect();
        assert!(Prefix::new(&long).is_none());
        long.push(15);
        assert!(Prefix::new(&long).is_some());
    }
}
