//! Detector of duplicate ids: finds ids of different prompts among any number, in the memory of half a million ids.
//!
//! A hash of each id and a hash of its prompt are kept. Sorted runs of both go to disk (external merge sort). Several images of one prompt
//! may share its id.

use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use crate::manifest::diagnostics::Location;

/// Limit on the ids in memory, 16 bytes each.
const RUN_MAX: usize = 1 << 19;

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

/// Hashes of an id and of its prompt.
type Hashes = (u64, u64);

/// Hashes of all ids so far.
#[derive(Debug)]
pub(super) struct IdHashes {
    hasher: RandomState,
    run_max: usize,
    run: Vec<Hashes>,
    /// Sorted runs on disk, in unnamed temporary files that are deleted with this value.
    runs: Vec<File>,
}

impl IdHashes {
    fn new(run_max: usize) -> Self {
        Self { hasher: RandomState::new(), run_max, run: Vec::with_capacity(run_max), runs: Vec::new() }
    }

    fn add(&mut self, id: &str, prompt: &str) {
        let hashes = (self.hasher.hash_one(id), self.hasher.hash_one(prompt));
        // Skips a repetition, because the images of one prompt usually follow each other.
        if self.run.last() == Some(&hashes) {
            return;
        }
        self.run.push(hashes);
        if self.run.len().is_multiple_of(self.run_max) {
            self.run.sort_unstable();
            // Keeps the run in memory if the disk is full.
            if let Ok(file) = written(&self.run) {
                self.runs.push(file);
                self.run.clear();
            }
        }
    }

    /// Returns the ids that were given to several prompts, if any. Different ids may have equal hashes; the second pass detects that.
    fn repeated(mut self) -> io::Result<Option<DuplicateIds>> {
        self.run.sort_unstable();
        let mut runs: Vec<Box<dyn Iterator<Item = io::Result<Hashes>>>> = vec![Box::new(self.run.into_iter().map(Ok))];
        for mut file in self.runs {
            file.rewind()?;
            runs.push(Box::new(hashes(BufReader::new(file))));
        }
        let mut next = BinaryHeap::new();
        for (n, run) in (0..).zip(&mut runs) {
            next.extend(run.next().transpose()?.map(|hash| Reverse((hash, n))));
        }
        let mut twice = HashSet::new();
        let mut last = None;
        while let Some(Reverse((hash, n))) = next.pop() {
            if last.is_some_and(|(id, prompt)| id == hash.0 && prompt != hash.1) && twice.len() < REPEATED_MAX {
                twice.insert(hash.0);
            }
            last = Some(hash);
            let run: &mut Box<_> = &mut runs[n];
            next.extend(run.next().transpose()?.map(|hash| Reverse((hash, n))));
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

fn written(run: &[Hashes]) -> io::Result<File> {
    let mut out = BufWriter::new(tempfile::tempfile()?);
    for (id, prompt) in run {
        out.write_all(&id.to_ne_bytes())?;
        out.write_all(&prompt.to_ne_bytes())?;
    }
    Ok(out.into_inner()?)
}

fn hashes(mut input: BufReader<File>) -> impl Iterator<Item = io::Result<Hashes>> {
    std::iter::from_fn(move || {
        let mut bytes = [[0; 8]; 2];
        match input.read_exact(bytes.as_flattened_mut()) {
            Ok(()) => Some(Ok(bytes.map(u64::from_ne_bytes).into())),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    })
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
