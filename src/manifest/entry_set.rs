//! Set of entries of a manifest by their numbers, at one bit each.

/// Set of entries. Its memory grows with the highest number.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct EntrySet(Vec<u64>);

impl EntrySet {
    /// Adds an entry by its number.
    pub(super) fn insert(&mut self, entry: u64) {
        let i = usize::try_from(entry / 64).expect("as many entries as bits in memory");
        if self.0.len() <= i {
            self.0.resize(i + 1, 0);
        }
        self.0[i] |= 1 << (entry % 64);
    }

    /// Returns the number of entries.
    pub(super) fn n(&self) -> u64 {
        self.n_with(&Self::default())
    }

    /// Returns the number of entries in this set or in the other one.
    pub(super) fn n_with(&self, other: &Self) -> u64 {
        let word = |set: &Self, i: usize| set.0.get(i).copied().unwrap_or_default();
        (0..self.0.len().max(other.0.len())).map(|i| u64::from((word(self, i) | word(other, i)).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_once() {
        let set = |entries: &[u64]| {
            let mut set = EntrySet::default();
            for entry in entries {
                set.insert(*entry);
            }
            set
        };
        let (one, other) = (set(&[1, 63, 64, 1, 1000]), set(&[2, 64]));
        assert_eq!((one.n(), other.n(), one.n_with(&other), other.n_with(&one)), (4, 2, 5, 5));
    }
}
