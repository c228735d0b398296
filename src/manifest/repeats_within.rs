//! Requests with a fixed seed that one entry makes more than once, because a list has a value twice.

use std::collections::HashSet;

use crate::manifest::diagnostics::{Issue, Location, wrong};
use crate::manifest::entry_set::EntrySet;

/// Entries that make the same image more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RepeatsWithin {
    /// Present entry, its first request, and the requests of an entry with several jobs, as hashes.
    entry: u64,
    first_hash: u64,
    hashes: HashSet<u64>,
    /// Place of the first such entry.
    first: Option<Location>,
    entries: EntrySet,
}

impl RepeatsWithin {
    /// Looks at the request of a job, in the order of the manifest.
    pub(super) fn see(&mut self, hash: u64, entry: u64, place: Location) {
        if self.entry != entry {
            (self.entry, self.first_hash) = (entry, hash);
            if !self.hashes.is_empty() {
                // A new set, because a large one takes long to clear.
                self.hashes = HashSet::new();
            }
            return;
        }
        // Nearly all entries have one job, and need no set.
        if self.hashes.is_empty() {
            self.hashes.insert(self.first_hash);
        }
        if !self.hashes.insert(hash) {
            self.first.get_or_insert(place);
            self.entries.insert(entry);
        }
    }

    /// Returns the warning about such entries. `None` if there are none.
    pub(super) fn warning(&self) -> Option<(Location, Issue)> {
        let place = self.first?;
        let others = match self.entries.n() {
            1 => String::new(),
            2 => "; 1 other entry does so too".to_owned(),
            n => format!("; {} other entries do so too", n - 1),
        };
        let what = format!(
            "this entry makes the same image more than once, from the same prompt, seed and parameters, and each is paid for{others}"
        );
        Some((place, wrong(what, "remove the value that a list has twice, or give each its own seed")))
    }
}
