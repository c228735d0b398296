//! Huffman tables of JPEG: return the symbol of a code, or several symbols at once if only their lengths matter.

/// Number of bits in a table index; longer codes are searched for.
const INDEX_BITS: u32 = 10;

const ENTRIES: usize = 1 << INDEX_BITS;

/// Huffman codes of at most 16 bits, shorter codes first.
#[derive(Clone, Debug)]
pub(super) struct Huffman {
    /// Table by the first bits: the symbol in the low byte, and the code's length in the high byte. The length is 0 if
    /// the code is longer than the index.
    short: Box<[u16; ENTRIES]>,
    /// Limit and offset per code length, from 1 bit on. The limit is the first code too large for that length, at the
    /// top of 16 bits. A code plus the offset is the index of its symbol.
    lengths: [(u32, i32); 16],
    symbols: Vec<u8>,
}

impl Huffman {
    /// Builds the table of these symbols. `counts` gives the number of symbols with codes of 1 to 16 bits. `None` if
    /// the codes are impossible: too many codes, or a code of ones only, which libjpeg refuses too.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut short = Box::new([0; ENTRIES]);
        let mut lengths = [(0, 0); 16];
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            lengths[length as usize - 1].1 = i32::try_from(place).ok()? - i32::try_from(code).ok()?;
            for _ in 0..*count {
                if length <= INDEX_BITS {
                    let begin = (code << (INDEX_BITS - length)) as usize;
                    let entry = u16::try_from(length << 8).ok()? | u16::from(*symbols.get(place)?);
                    short.get_mut(begin..begin + (1 << (INDEX_BITS - length)))?.fill(entry);
                }
                code += 1;
                place += 1;
            }
            if *count > 0 && code >= 1 << length {
                return None;
            }
            lengths[length as usize - 1].0 = code << (16 - length);
            code <<= 1;
        }
        Some(Self { short, lengths, symbols: symbols.to_vec() })
    }

    /// Returns the symbol whose code is on top of `word`, and the length of the code. `None` if no code matches.
    #[inline]
    pub(super) fn symbol(&self, word: u64) -> Option<(u8, u32)> {
        let entry = self.short[(word >> (64 - INDEX_BITS)) as usize];
        let [symbol, length] = entry.to_le_bytes();
        if length > 0 { Some((symbol, length.into())) } else { self.long(word) }
    }

    #[cold]
    fn long(&self, word: u64) -> Option<(u8, u32)> {
        let top = (word >> 48) as u32;
        let found = self.lengths.iter().zip(1_u32..).find(|((limit, _), _)| top < *limit);
        let ((_, offset), length) = found?;
        let place = i32::try_from(top >> (16 - length)).ok()? + offset;
        let symbol = *self.symbols.get(usize::try_from(place).ok()?)?;
        Some((symbol, length))
    }

    /// Returns whether every symbol can be the length of a difference, at most `max`.
    pub(super) fn are_lengths(&self, max: u8) -> bool {
        self.symbols.iter().all(|symbol| *symbol <= max)
    }
}

/// Result of one table lookup, for the coefficients of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Bits of codes and values together; 0 if there is no such step.
    pub(super) n_bits: u32,
    /// Number of coefficients that the step skips.
    pub(super) n: u32,
    /// `true` if the block ends after the step. The coefficients before the end must fit in the block.
    pub(super) is_end: bool,
}

impl Step {
    /// Interprets a symbol of a sequential scan. The symbol is a run of zeros and the length of a value, or the end of the block.
    fn of((symbol, length): (u8, u32)) -> Self {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let is_end = size == 0 && run < 15;
        Self { n_bits: length + size, n: if is_end { 0 } else { run + 1 }, is_end }
    }

    fn packed(self) -> u32 {
        self.n_bits | self.n << 6 | u32::from(self.is_end) << 14
    }

    #[inline]
    const fn unpacked(packed: u32) -> Self {
        Self { n_bits: packed & 63, n: packed >> 6 & 255, is_end: packed >> 14 & 1 == 1 }
    }
}

/// Huffman codes as steps over the coefficients of a block. The values do not matter, so one step can cover several codes.
#[derive(Debug)]
pub(super) struct HuffmanSteps<'a> {
    table: &'a Huffman,
    /// Two steps by the first bits. The lower half is the step over all codes that end within the index; the upper half
    /// covers the first code alone.
    entries: Box<[u32; ENTRIES]>,
}

impl<'a> HuffmanSteps<'a> {
    pub(super) fn of(table: &'a Huffman) -> Self {
        let mut entries = Box::new([0; ENTRIES]);
        for (index, packed) in entries.iter_mut().enumerate() {
            let first = Self::known(table, index, 0);
            let mut all = first;
            while all.n_bits > 0 && !all.is_end {
                let next = Self::known(table, index, all.n_bits);
                if next.n_bits == 0 || all.n + next.n > 64 {
                    break;
                }
                all = Step { n_bits: all.n_bits + next.n_bits, n: all.n + next.n, is_end: next.is_end };
            }
            *packed = all.packed() | first.packed() << 16;
        }
        Self { table, entries }
    }

    /// Returns the step over the code after the first `n_passed` bits of an index. The step is empty if the code does
    /// not end within the index.
    fn known(table: &Huffman, index: usize, n_passed: u32) -> Step {
        if n_passed >= INDEX_BITS {
            return Step::default();
        }
        let entry = table.short[index << n_passed & (ENTRIES - 1)];
        let [symbol, length] = entry.to_le_bytes();
        let is_known = length > 0 && n_passed + u32::from(length) <= INDEX_BITS;
        if is_known { Step::of((symbol, length.into())) } else { Step::default() }
    }

    /// Returns the longest step that the bits on top of `word` allow, from coefficient `at` of a block on. `None` if no code matches.
    #[inline]
    pub(super) fn next(&self, word: u64, at: u32) -> Option<Step> {
        let packed = self.entries[(word >> (64 - INDEX_BITS)) as usize];
        let all = Step::unpacked(packed);
        if all.n_bits > 0 && at + all.n + u32::from(all.is_end) <= 64 {
            return Some(all);
        }
        // The codes after the first one belong to the next block, or the first code is longer than the index.
        let first = Step::unpacked(packed >> 16);
        if first.n_bits > 0 { Some(first) } else { self.table.symbol(word).map(Step::of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_at_every_length() {
        // One code of each length, without the last one: 0, 10, 110 and so on.
        let symbols: Vec<u8> = (1..=16).collect();
        let table = Huffman::new(&[1; 16], &symbols).unwrap();
        for length in 1..=16_u32 {
            let word = !(!0 >> (length - 1));
            assert_eq!(table.symbol(word), Some((u8::try_from(length).unwrap(), length)));
        }
        assert_eq!(table.symbol(!0), None, "no code is all ones");
    }

    #[test]
    fn what_is_no_code_is_no_table() {
        let counts = |first: &[u8]| {
            let mut counts = [0; 16];
            counts[..first.len()].copy_from_slice(first);
            counts
        };
        assert!(Huffman::new(&counts(&[1]), b"a").is_some());
        assert!(Huffman::new(&counts(&[2]), b"ab").is_none(), "one of them is all ones");
        assert!(Huffman::new(&counts(&[1, 1]), b"ab").is_some());
        assert!(Huffman::new(&counts(&[1, 2]), b"abc").is_none());
        assert!(Huffman::new(&counts(&[0, 5]), b"abcde").is_none(), "two bits have four codes");
        assert!(Huffman::new(&counts(&[]), b"").is_some_and(|table| table.symbol(0).is_none()));
    }

    #[test]
    fn steps_over_several_codes_are_those_over_each() {
        // Code 0 is a value of 1 bit; 10 is a run of 3 and a value of 2 bits; 110 is the end.
        let table = Huffman::new(&[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0x01, 0x32, 0x00]).unwrap();
        let steps = HuffmanSteps::of(&table);
        let word = 0b0_0101_1110 << 55;
        assert_eq!(steps.next(word, 1), Some(Step { n_bits: 9, n: 5, is_end: true }));
        assert_eq!(steps.next(word, 58), Some(Step { n_bits: 9, n: 5, is_end: true }), "it ends before the last one");
        assert_eq!(steps.next(word, 59), Some(Step { n_bits: 2, n: 1, is_end: false }), "the end is the next block's");
    }
}
