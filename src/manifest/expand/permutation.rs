//! Pseudorandom permutation of `0..size` with direct access to every position, identical on all machines and in all versions.
//!
//! The permutation is a Feistel network over the next even number of bits. A result outside `0..size` goes through the network again
//! until it is inside (cycle walking). A sample is a prefix of the permutation, so a larger sample contains the smaller one.

/// Rounds of the network. Four rounds make a permutation that looks random. The others are for small sizes, whose halves have few bits.
const N_ROUNDS: usize = 10;

/// Minimum of bits per half. A network with fewer bits makes only some of the permutations.
const HALF_BITS_MIN: u32 = 4;

/// Permutation of the numbers below `size`; only `key` decides the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permutation {
    size: u64,
    half_bits: u32,
    round_keys: [u64; N_ROUNDS],
}

impl Permutation {
    pub(crate) fn new(key: &[u8], size: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = [0; N_ROUNDS * 8];
        hasher.update(b"promptbatch draw 1").update(key).finalize_xof().fill(&mut bytes);
        let (words, _) = bytes.as_chunks();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let round_keys = std::array::from_fn(|_| words.next().expect("there are 8 bytes for each"));
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        Self { size, half_bits: bits.div_ceil(2).max(HALF_BITS_MIN), round_keys }
    }

    /// Returns the number at position `i`. Both are below `size`.
    pub(crate) fn nth(&self, i: u64) -> u64 {
        assert!(i < self.size, "there are only {} places", self.size);
        // Termination: the network is a permutation, so repeated application returns to `i` at the latest.
        let mut number = self.permuted(i);
        while number >= self.size {
            number = self.permuted(number);
        }
        number
    }

    fn permuted(&self, number: u64) -> u64 {
        let mask = u64::MAX >> (u64::BITS - self.half_bits);
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for key in self.round_keys {
            (left, right) = (right, left ^ mixed(right ^ key) & mask);
        }
        left << self.half_bits | right
    }
}

/// Mixes the bits of a number with the finalizer of `SplitMix64`.
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn order(key: &[u8], size: u64) -> Vec<u64> {
        let draw = Permutation::new(key, size);
        (0..size).map(|i| draw.nth(i)).collect()
    }

    /// Goal: permutations stay the same in all versions. A changed order would make different jobs of a manifest that was paid for.
    #[test]
    fn known_orders_are_kept_for_ever() {
        assert_eq!(order(b"42", 10), [3, 1, 0, 6, 5, 9, 8, 4, 2, 7]);
        let draw = Permutation::new(b"42", u64::MAX);
        assert_eq!(
            [0, 1, u64::MAX - 1].map(|i| draw.nth(i)),
            [2_359_842_781_138_622_153, 9_602_522_178_645_978_429, 14_790_379_145_179_620_828]
        );
    }

    #[test]
    fn every_number_has_one_place() {
        for size in (0..300).chain([1_000, 4_096, 4_097, 65_537]) {
            let mut order = order(b"key", size);
            order.sort_unstable();
            assert!(order.into_iter().eq(0..size), "{size}");
        }
    }

    /// Goal: all numbers and all orders are equally likely. Method: many keys, and a chi-square statistic. It is near the number of cases
    /// for a uniform distribution.
    #[test]
    fn all_numbers_and_all_orders_are_drawn_about_equally_often() {
        for size in [2_u64, 3, 4, 5, 10, 17, 100] {
            let mut n_drawn = BTreeMap::<_, u64>::new();
            for key in 0..200 * size {
                *n_drawn.entry(Permutation::new(&key.to_le_bytes(), size).nth(size / 2)).or_default() += 1;
            }
            assert!(chi_square(&n_drawn, size, 200) < 2 * size + 12, "{n_drawn:?}");
        }
        let mut n_drawn = BTreeMap::new();
        for key in 0..24_000_u64 {
            *n_drawn.entry(order(&key.to_le_bytes(), 4)).or_default() += 1;
        }
        assert!(chi_square(&n_drawn, 24, 1_000) < 2 * 24 + 12, "{n_drawn:?}");
    }

    fn chi_square<T>(n_drawn: &BTreeMap<T, u64>, n_cases: u64, n_each: u64) -> u64 {
        let n_missing = n_cases - n_drawn.len() as u64;
        let squares = n_drawn.values().map(|n| n.abs_diff(n_each).pow(2)).sum::<u64>() + n_missing * n_each.pow(2);
        squares / n_each
    }

    proptest! {
        #[test]
        fn numbers_stay_below_any_size_and_do_not_meet(key in any::<[u8; 8]>(), size in 2_u64.., a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (a % size, b % size);
            let draw = Permutation::new(&key, size);
            prop_assert!(draw.nth(a) < size);
            prop_assert_eq!(a == b, draw.nth(a) == draw.nth(b));
        }
    }
}
