//! Draws lots: a shuffled order of `0..size` that is known at every place without shuffling, and is the same on every machine for ever.
//!
//! The order is a Feistel network over the next even number of bits; what falls outside of `0..size` is sent through again until
//! it falls inside. A sample is the beginning of the order, so a larger sample holds the smaller one.

/// Rounds of the network. Four make it a permutation that looks random; the rest is for small numbers, whose halves hold little.
const N_ROUNDS: usize = 10;

/// Bits of a half at least: a network over fewer makes only some of the orders.
const HALF_BITS_MIN: u32 = 4;

/// The numbers below `size` in an order that only `key` decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    size: u64,
    half_bits: u32,
    round_keys: [u64; N_ROUNDS],
}

impl Draw {
    pub(super) fn new(key: &[u8], size: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = [0; N_ROUNDS * 8];
        hasher.update(b"promptbatch draw 1").update(key).finalize_xof().fill(&mut bytes);
        let (words, _) = bytes.as_chunks();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let round_keys = std::array::from_fn(|_| words.next().expect("there are 8 bytes for each"));
        let bits = u64::BITS - size.saturating_sub(1).leading_zeros();
        Self { size, half_bits: bits.div_ceil(2).max(HALF_BITS_MIN), round_keys }
    }

    /// The number at place `i`, which is below `size` as the number is.
    pub(super) fn nth(&self, i: u64) -> u64 {
        assert!(i < self.size, "there are only {} places", self.size);
        // The network puts every number somewhere else and none twice: going round from `i` comes back to `i` at the latest.
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

/// A number that looks unlike the one it is made from: the finalizer of `SplitMix64`.
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
        let draw = Draw::new(key, size);
        (0..size).map(|i| draw.nth(i)).collect()
    }

    /// A changed order would make other jobs of a manifest that was paid for.
    #[test]
    fn known_orders_are_kept_for_ever() {
        assert_eq!(order(b"42", 10), [3, 1, 0, 6, 5, 9, 8, 4, 2, 7]);
        let draw = Draw::new(b"42", u64::MAX);
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

    /// Goal: no number is favoured, and no order. Method: many keys; chi-square is about the number of cases where
    /// all is well.
    #[test]
    fn all_numbers_and_all_orders_are_drawn_about_equally_often() {
        for size in [2_u64, 3, 4, 5, 10, 17, 100] {
            let mut n_drawn = BTreeMap::<_, u64>::new();
            for key in 0..200 * size {
                *n_drawn.entry(Draw::new(&key.to_le_bytes(), size).nth(size / 2)).or_default() += 1;
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
            let draw = Draw::new(&key, size);
            prop_assert!(draw.nth(a) < size);
            prop_assert_eq!(a == b, draw.nth(a) == draw.nth(b));
        }
    }
}
