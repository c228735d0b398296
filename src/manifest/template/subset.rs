//! Subsets of a list of options: the subset at an index is found by combinatorial counting (unranking).
//!
//! Options keep the order in which they were written. Dynamic Prompts also makes every other order of the same words. Here each text is
//! a paid image, and "red, blue" adds nothing to "blue, red". A user who needs both orders can write both.

use std::ops::RangeInclusive;

/// Limit on the entries of the table of counts, 8 bytes each.
const COUNTS_MAX: usize = 1 << 22;

/// All subsets of a list of options with an allowed size, numbered consecutively.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subsets {
    sizes: RangeInclusive<usize>,
    /// Number of texts of each option.
    n_texts: Box<[u64]>,
    /// Number of ways to choose `k` options from those at `at` and after it, each with its texts. The index is `at * (max + 1) + k`.
    counts: Box<[u64]>,
}

impl Subsets {
    /// Counts the subsets of `sizes` options. Returns `None` if the table of counts is too large. Sizes above the number of options mean
    /// all.
    pub(crate) fn new(n_texts: Vec<u64>, sizes: RangeInclusive<u64>) -> Option<Self> {
        let clamp = |size: u64| usize::try_from(size).unwrap_or(usize::MAX).min(n_texts.len());
        let sizes = clamp(*sizes.start())..=clamp(*sizes.end());
        let width = sizes.end() + 1;
        if (n_texts.len() + 1).checked_mul(width)? > COUNTS_MAX {
            return None;
        }
        let counts = counts(&n_texts, width).into();
        Some(Self { sizes, n_texts: n_texts.into(), counts })
    }

    /// Returns the number of subsets, each counted once for every combination of its texts. `u64::MAX` means at least as many.
    pub(crate) fn n(&self) -> u64 {
        self.sizes.clone().fold(0, |n: u64, k| n.saturating_add(self.count(0, k)))
    }

    /// Returns the size of the largest subset.
    pub(crate) fn size_max(&self) -> usize {
        *self.sizes.end()
    }

    fn count(&self, at: usize, k: usize) -> u64 {
        self.counts[at * (self.sizes.end() + 1) + k]
    }

    /// Returns the options of the subset at index `i`, and the index of the text of each. Small subsets come before large ones, and
    /// earlier options before later ones.
    pub(crate) fn at(&self, mut i: u64) -> Vec<(usize, u64)> {
        let mut n_left = 0;
        for k in self.sizes.clone() {
            n_left = k;
            let n = self.count(0, k);
            if i < n {
                break;
            }
            i -= n;
        }
        let mut at = 0;
        let mut chosen = Vec::with_capacity(n_left);
        for n_behind in (0..n_left).rev() {
            let (first, n_before) = self.first(at, n_behind + 1, i);
            i -= n_before;
            at = first + 1;
            let n_each = self.count(at, n_behind);
            chosen.push((first, i / n_each));
            i %= n_each;
        }
        chosen
    }

    /// Finds the first option of way `i` to choose `k` options from `at` on. Also returns the number of ways with an earlier first option.
    fn first(&self, at: usize, k: usize, i: u64) -> (usize, u64) {
        let n = self.count(at, k);
        if n == u64::MAX {
            return self.first_of_many(at, k, i);
        }
        let n_before = |other| n - self.count(other, k);
        let (mut first, mut end) = (at, self.n_texts.len());
        while end - first > 1 {
            let middle = first.midpoint(end);
            if n_before(middle) <= i { first = middle } else { end = middle }
        }
        (first, n_before(first))
    }

    /// Finds the same option by a linear search where counts are saturated. Few options are visited, because each begins very many ways.
    fn first_of_many(&self, at: usize, k: usize, i: u64) -> (usize, u64) {
        let mut n_before: u64 = 0;
        for (other, n_texts) in self.n_texts.iter().enumerate().skip(at) {
            let n = n_before.saturating_add(n_texts.saturating_mul(self.count(other + 1, k - 1)));
            if i < n {
                return (other, n_before);
            }
            n_before = n;
        }
        unreachable!("{i} is below the number of ways, which is the sum of all of these")
    }
}

/// Fills the table of counts, from the last option to the first.
fn counts(n_texts: &[u64], width: usize) -> Vec<u64> {
    let mut counts = vec![0_u64; (n_texts.len() + 1) * width];
    counts[n_texts.len() * width] = 1;
    for (at, n_texts) in n_texts.iter().enumerate().rev() {
        let (here, behind) = counts[at * width..(at + 2) * width].split_at_mut(width);
        here[0] = 1;
        for k in 1..width {
            here[k] = behind[k].saturating_add(n_texts.saturating_mul(behind[k - 1]));
        }
    }
    counts
}
