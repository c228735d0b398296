//! Subset choice: several of several options, joined; the subset at an index is found by combinatorial counting (unranking).
//!
//! Options keep the order in which they were written. Dynamic Prompts also makes every other order of the same words. Here each text is
//! a paid image, and "red, blue" adds nothing to "blue, red". A user who needs both orders can write both.

use std::ops::RangeInclusive;

use super::node::{Measure, Node, distinct};

/// Limit on the entries of the table of counts, 8 bytes each.
const COUNTS_MAX: usize = 1 << 22;

/// Choice of a subset of the options.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subset {
    options: Box<[Node]>,
    sizes: RangeInclusive<usize>,
    joiner: Box<str>,
    /// Number of ways to choose `k` options from those at `at` and after it, each with its texts. The index is `at * (max + 1) + k`.
    counts: Box<[u64]>,
    measure: Measure,
}

impl Subset {
    /// Builds a choice of `sizes` options. Returns `None` if the table of counts is too large. Sizes above the number of options mean all.
    pub(super) fn new(options: Vec<Node>, sizes: RangeInclusive<u64>, joiner: &str) -> Option<Self> {
        let options = distinct(options);
        let clamp = |size: u64| usize::try_from(size).unwrap_or(usize::MAX).min(options.len());
        let sizes = clamp(*sizes.start())..=clamp(*sizes.end());
        let width = sizes.end() + 1;
        if (options.len() + 1).checked_mul(width)? > COUNTS_MAX {
            return None;
        }
        let counts = counts(&options, width);
        let n = sizes.clone().fold(0, |n: u64, k| n.saturating_add(counts[k]));
        let deepest = options.iter().map(|option| option.measure().depth).max().unwrap_or(0);
        let longest = options.iter().map(|option| option.measure().effort_max).max().unwrap_or(0);
        let effort_max = (longest + joiner.len() as u64).saturating_mul(*sizes.end() as u64).saturating_add(1);
        let measure = Measure { n, depth: deepest + 1, effort_max };
        let counts = counts.into();
        Some(Self { options: options.into(), sizes, joiner: joiner.into(), counts, measure })
    }

    pub(super) fn measure(&self) -> Measure {
        self.measure
    }

    fn count(&self, at: usize, k: usize) -> u64 {
        self.counts[at * (self.sizes.end() + 1) + k]
    }

    /// Renders the text at index `i`. Small subsets come before large ones, and earlier options before later ones.
    pub(super) fn write<'a>(&self, mut i: u64, value: &dyn Fn(&str) -> &'a str, out: &mut String) {
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
        let begin = out.len();
        for n_behind in (0..n_left).rev() {
            let (first, n_before) = self.first(at, n_behind + 1, i);
            i -= n_before;
            at = first + 1;
            let n_each = self.count(at, n_behind);
            self.join(&self.options[first], i / n_each, begin, value, out);
            i %= n_each;
        }
    }

    /// Finds the first option of way `i` to choose `k` options from `at` on. Also returns the number of ways with an earlier first option.
    fn first(&self, at: usize, k: usize, i: u64) -> (usize, u64) {
        let n = self.count(at, k);
        if n == u64::MAX {
            return self.first_of_many(at, k, i);
        }
        let n_before = |other| n - self.count(other, k);
        let (mut first, mut end) = (at, self.options.len());
        while end - first > 1 {
            let middle = first.midpoint(end);
            if n_before(middle) <= i { first = middle } else { end = middle }
        }
        (first, n_before(first))
    }

    /// Finds the same option by a linear search where counts are saturated. Few options are visited, because each begins very many ways.
    fn first_of_many(&self, at: usize, k: usize, i: u64) -> (usize, u64) {
        let mut n_before: u64 = 0;
        for (other, option) in self.options.iter().enumerate().skip(at) {
            let n = n_before.saturating_add(option.n().saturating_mul(self.count(other + 1, k - 1)));
            if i < n {
                return (other, n_before);
            }
            n_before = n;
        }
        unreachable!("{i} is below the number of ways, which is the sum of all of these")
    }

    /// Appends an option to the text since `begin`. An empty option needs no joiner.
    fn join<'a>(&self, option: &Node, i: u64, begin: usize, value: &dyn Fn(&str) -> &'a str, out: &mut String) {
        let end = out.len();
        if end > begin {
            out.push_str(&self.joiner);
        }
        let joined = out.len();
        option.write(i, value, out);
        if out.len() == joined {
            out.truncate(end);
        }
    }
}

/// Fills the table of counts, from the last option to the first.
fn counts(options: &[Node], width: usize) -> Vec<u64> {
    let mut counts = vec![0_u64; (options.len() + 1) * width];
    counts[options.len() * width] = 1;
    for (at, option) in options.iter().enumerate().rev() {
        let (here, behind) = counts[at * width..(at + 2) * width].split_at_mut(width);
        here[0] = 1;
        for k in 1..width {
            here[k] = behind[k].saturating_add(option.n().saturating_mul(behind[k - 1]));
        }
    }
    counts
}
