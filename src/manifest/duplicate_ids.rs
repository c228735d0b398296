//! Detector of duplicate ids: finds ids of different prompts among any number, in the memory of half a million ids.
//!
//! A hash of each id and a hash of its prompt are sorted. Several images of one prompt may share its id.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::io;

use crate::manifest::diagnostics::Location;
use crate::manifest::hash_runs::{HashRuns, RUN_MAX};

/// Limit on the duplicate ids that are reported. A file with more of them has another problem.
const REPEATED_MAX: usize = 100_000;

/// Phase of the search for duplicate ids.
#[derive(Debug)]
pub(super) enum IdCheck {
    /// First pass, which collects the hashes of the ids.
    Gathered(IdHashes),
    /// Second pass, which reports the locations of the duplicates that the first pass found.
    Told(DuplicateIds),
    /// Pass without a search, because an earlier pass found no duplicate.
    Different,
}

impl IdCheck {
    /// Creates the collector for a first pass.
    pub(super) fn gathered() -> Self {
        Self::Gathered(IdHashes::new(RUN_MAX))
    }

    /// Records the id of a prompt. Returns the location where another prompt got the same id, if that is known yet.
    pub(super) fn add(&mut self, id: &str, prompt: &str, place: Location) -> Option<Location> {
        match self {
            Self::Gathered(gathered) => {
                gathered.add(id, prompt);
                None
            }
            Self::Told(told) => told.add(id, prompt, place),
            Self::Different => None,
        }
    }

    /// Ends a first pass. Returns the duplicates for a second pass, or `None` if there are none.
    pub(super) fn repeated(self) -> io::Result<Option<Self>> {
        match self {
            Self::Gathered(gathered) => Ok(gathered.repeated()?.map(Self::Told)),
            Self::Told(_) | Self::Different => Ok(None),
        }
    }
}

/// Hashes of all ids so far, each with that of its prompt.
#[derive(Debug)]
pub(super) struct IdHashes {
    hasher: RandomState,
    runs: HashRuns,
}

impl IdHashes {
    fn new(run_max: usize) -> Self {
        Self { hasher: RandomState::new(), runs: HashRuns::new(run_max) }
    }

    fn add(&mut self, id: &str, prompt: &str) {
        self.runs.add((self.hasher.hash_one(id), self.hasher.hash_one(prompt)));
    }

    /// Returns the ids that were given to several prompts, if any. Different ids may have equal hashes; the second pass detects that.
    fn repeated(self) -> io::Result<Option<DuplicateIds>> {
        let mut twice = HashSet::new();
        let mut last = None;
        for hash in self.runs.sorted()? {
            let hash = hash?;
            if last.is_some_and(|(id, prompt)| id == hash.0 && prompt != hash.1) && twice.len() < REPEATED_MAX {
                twice.insert(hash.0);
            }
            last = Some(hash);
        }
        Ok((!twice.is_empty()).then(|| DuplicateIds { hasher: self.hasher, twice, first: HashMap::new() }))
    }
}

/// Probable duplicate ids, and the first location of each.
#[derive(Debug)]
pub(super) struct DuplicateIds {
    hasher: RandomState,
    twice: HashSet<u64>,
    /// First location of each id, and the hash of its prompt.
    first: HashMap<String, (Location, u64)>,
}

impl DuplicateIds {
    fn add(&mut self, id: &str, prompt: &str, place: Location) -> Option<Location> {
        if !self.twice.contains(&self.hasher.hash_one(id)) {
            return None;
        }
        let prompt = self.hasher.hash_one(prompt);
        let (first, its_prompt) = *self.first.entry(id.to_owned()).or_insert((place, prompt));
        (its_prompt != prompt).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(line: u64) -> String {
        format!("prompt {line}")
    }

    /// Returns the lines whose id another prompt had before, each with the earlier line. Runs both passes.
    fn found(ids: &[String], run_max: usize) -> Vec<(u64, u64)> {
        let mut gathered = IdCheck::Gathered(IdHashes::new(run_max));
        for (line, id) in (1..).zip(ids) {
            assert_eq!(gathered.add(id, &prompt(line), Location::File), None);
        }
        let Some(mut told) = gathered.repeated().unwrap() else { return vec![] };
        let mut found = vec![];
        for (line, id) in (1..).zip(ids) {
            if let Some(Location::Line(first)) = told.add(id, &prompt(line), Location::Line(line)) {
                found.push((line, first));
            }
        }
        found
    }

    /// Goal: every duplicate id is found, within one run and across runs. Method: ids that fill several runs, three of them repeated at
    /// the end. Run lengths go from one id to a single run that stays in memory.
    #[test]
    fn ids_that_come_again_are_found_wherever_they_are() {
        let mut ids: Vec<String> = (1..=100).map(|n| format!("id {n}")).collect();
        for run_max in [1, 2, 7, 50, 100, 103, 1000] {
            assert_eq!(found(&ids, run_max), [], "runs of {run_max}");
        }
        ids.extend(["id 1", "id 50", "id 1"].map(str::to_owned));
        for run_max in [1, 2, 7, 50, 100, 103, 1000] {
            assert_eq!(found(&ids, run_max), [(101, 1), (102, 50), (103, 1)], "runs of {run_max}");
        }
    }

    #[test]
    fn two_ids_of_one_hash_are_not_the_same() {
        let hasher = RandomState::new();
        let twice = ["a", "b"].map(|id| hasher.hash_one(id)).into();
        let mut told = DuplicateIds { hasher, twice, first: HashMap::new() };
        assert_eq!((told.add("a", "x", Location::Line(1)), told.add("b", "y", Location::Line(2))), (None, None));
        assert_eq!(told.add("a", "z", Location::Line(3)), Some(Location::Line(1)));
        assert_eq!(told.add("a", "x", Location::Line(4)), None, "another image of the first prompt");
    }

    #[test]
    fn images_of_one_prompt_share_its_id() {
        for run_max in [1, 2, 100] {
            let mut ids = IdCheck::Gathered(IdHashes::new(run_max));
            for (id, prompt) in [("a", "x"), ("a", "x"), ("b", "x"), ("a", "x"), ("b", "x")] {
                ids.add(id, prompt, Location::File);
            }
            assert!(ids.repeated().unwrap().is_none());
        }
    }
}
