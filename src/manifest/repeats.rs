//! Requests that several entries have: found among any number of jobs, reported, made once if the user wants, and given different seeds.
//!
//! Several images of one entry are meant, and are no repetition. A hash of each request is sorted with its entry. Only requests that
//! repeat are kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::{io, mem};

use crate::manifest::diagnostics::{Issue, Location, wrong};
use crate::manifest::entry_set::EntrySet;
use crate::manifest::fields::parse::{RANDOM_SEED, SEED_MAX};
use crate::manifest::hash_runs::{HashRuns, RUN_MAX};
use crate::manifest::places::PlaceList;
use crate::manifest::repeats_within::RepeatsWithin;
use crate::model::job::JobSpec;
use crate::model::request::ContentHash;

/// Requests that are named in a report.
const NAMED_MAX: usize = 5;

/// Bits of a hash that say what kind of seed the request has.
const DRAWN: u64 = 1;
const SEEDED: u64 = 2;

/// Requests that several entries have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeats {
    /// Entries with a request that a later one has, and entries with a request that an earlier one has.
    originals: EntrySet,
    again: EntrySet,
    n_jobs_again: u64,
    /// First of the originals, in the order of the manifest: the number of the entry, and the places of all with such a request.
    named: Vec<(u64, PlaceList)>,
    /// First request with a fixed seed, and the entries with such a request that a later one has.
    seeded: Option<(u64, PlaceList)>,
    seeded_originals: EntrySet,
    /// Entries that themselves make a request more than once.
    within: RepeatsWithin,
    /// Number of the first entry of each request, by its hash. Empty unless each is to be made once.
    firsts: HashMap<u64, u64>,
    /// Hashes of the requests whose seeds are drawn.
    drawn: HashSet<u64>,
}

impl Repeats {
    /// Returns the number of entries with a request that a later one has too, however many requests that are.
    pub fn n(&self) -> u64 {
        self.originals.n()
    }

    /// Returns the number of entries that have the request of an earlier one.
    pub fn n_again(&self) -> u64 {
        self.again.n()
    }

    /// Returns the number of entries that share a request with another one.
    pub fn n_entries(&self) -> u64 {
        self.originals.n_with(&self.again)
    }

    /// Returns the number of jobs whose request an earlier entry has.
    pub const fn n_jobs_again(&self) -> u64 {
        self.n_jobs_again
    }

    /// Returns the places of each of the first such entries, with those of the entries that repeat it.
    pub fn places(&self) -> impl Iterator<Item = &PlaceList> {
        self.named.iter().map(|(_, places)| places)
    }

    /// Returns whether the jobs depend on what repeats, so that a manifest is read once more when that is known.
    pub(super) fn changes_jobs(&self) -> bool {
        !self.firsts.is_empty() || !self.drawn.is_empty()
    }

    /// Returns the warnings about equal requests with equal seeds, which give equal images. If `is_unique`, those of several entries are
    /// made once.
    pub(super) fn warnings(&self, is_unique: bool) -> impl Iterator<Item = (Location, Issue)> {
        self.among_entries().filter(|_| !is_unique).into_iter().chain(self.within.warning())
    }

    fn among_entries(&self) -> Option<(Location, Issue)> {
        let (_, places) = self.seeded.as_ref()?;
        let others = match self.seeded_originals.n() {
            1 => String::new(),
            2 => "; 1 other prompt is repeated like this".to_owned(),
            n => format!("; {} other prompts are repeated like this", n - 1),
        };
        let what = format!(
            "this prompt is in {} with the same seed and parameters, so the same image is made and paid for {} times{others}",
            places.words(),
            places.n()
        );
        Some((places.first()?, wrong(what, "add --unique to make one job of each, or give them different seeds")))
    }

    /// Adds a request with the entries that have it.
    fn add(&mut self, Group { hash, first, places, .. }: Group, is_unique: bool) {
        if places.n() < 2 {
            return;
        }
        if hash & DRAWN != 0 {
            self.drawn.insert(hash);
            return;
        }
        self.originals.insert(first);
        if hash & SEEDED != 0 {
            self.seeded_originals.insert(first);
            if self.seeded.as_ref().is_none_or(|(other, _)| first < *other) {
                self.seeded = Some((first, places.clone()));
            }
        }
        match self.named.binary_search_by_key(&first, |(first, _)| *first) {
            // Another request of the same entry, which may be in more entries.
            Ok(i) if self.named[i].1.n() < places.n() => self.named[i].1 = places,
            Ok(_) => {}
            Err(i) => {
                self.named.insert(i, (first, places));
                self.named.truncate(NAMED_MAX);
            }
        }
        if is_unique {
            self.firsts.insert(hash, first);
        }
    }
}

/// Entries with the same request, in their order.
#[derive(Default)]
struct Group {
    hash: u64,
    first: u64,
    last: u64,
    places: PlaceList,
}

/// Search for repeated requests in one pass over a manifest.
#[derive(Debug)]
pub(super) struct RepeatCheck {
    phase: Phase,
    /// Images so far of the present entry, and of repeated requests of all entries, by the hash of the request.
    entry: u64,
    n_of_entry: HashMap<u64, u32>,
    n_of_all: HashMap<u64, u32>,
    within: RepeatsWithin,
}

#[derive(Debug)]
enum Phase {
    /// First pass, which collects the hashes of all requests.
    Gathered { runs: HashRuns, is_unique: bool },
    /// Pass in which it is known what repeats.
    Known(Arc<Repeats>),
}

impl RepeatCheck {
    /// Creates the collector for a first pass. If `is_unique`, later passes leave out the entries that repeat an earlier one.
    pub(super) fn gathered(is_unique: bool) -> Self {
        Self::new(Phase::Gathered { runs: HashRuns::new(RUN_MAX), is_unique })
    }

    pub(super) fn known(repeats: Arc<Repeats>) -> Self {
        Self::new(Phase::Known(repeats))
    }

    fn new(phase: Phase) -> Self {
        let within = RepeatsWithin::default();
        Self { phase, entry: 0, n_of_entry: HashMap::new(), n_of_all: HashMap::new(), within }
    }

    /// Draws the seed of a job if it is to be drawn, and notes or leaves out a request that repeats.
    pub(super) fn see(&mut self, draft: &mut JobSpec, entry: u64, place: Location) {
        let is_drawn = draft.request.seed == Some(RANDOM_SEED);
        if !is_drawn && matches!(&self.phase, Phase::Known(repeats) if repeats.firsts.is_empty()) {
            return;
        }
        draft.request.seed = draft.request.seed.filter(|_| !is_drawn);
        let content = draft.request.content();
        let seeded = if draft.request.seed.is_some() { SEEDED } else { 0 };
        let hash = head(content.bytes()) & !(DRAWN | SEEDED) | if is_drawn { DRAWN } else { seeded };
        if is_drawn {
            draft.request.seed = Some(drawn(&content, self.nth(hash, entry)));
        }
        let is_known = matches!(self.phase, Phase::Known(_));
        if seeded == SEEDED && !is_known && !is_drawn && !draft.row.is_skipped {
            self.within.see(hash, entry, place);
        }
        match &mut self.phase {
            Phase::Gathered { runs, .. } if is_drawn || !draft.row.is_skipped => {
                runs.add((hash, entry << 32 | place.line().unwrap_or_default() & u64::from(u32::MAX)));
            }
            Phase::Gathered { .. } => {}
            Phase::Known(repeats) => {
                draft.row.is_skipped |= repeats.firsts.get(&hash).is_some_and(|first| *first != entry);
            }
        }
    }

    /// Returns how many earlier jobs have this request.
    fn nth(&mut self, hash: u64, entry: u64) -> u32 {
        if self.entry != entry {
            self.entry = entry;
            self.n_of_entry.clear();
        }
        let is_repeated = matches!(&self.phase, Phase::Known(repeats) if repeats.drawn.contains(&hash));
        let n = if is_repeated { &mut self.n_of_all } else { &mut self.n_of_entry }.entry(hash).or_default();
        *n += 1;
        *n - 1
    }

    /// Ends a pass, and returns what repeats.
    pub(super) fn found(self) -> io::Result<Arc<Repeats>> {
        let (runs, is_unique) = match self.phase {
            Phase::Gathered { runs, is_unique } => (runs, is_unique),
            Phase::Known(repeats) => return Ok(repeats),
        };
        let mut repeats = Repeats { within: self.within, ..Repeats::default() };
        let mut group = Group::default();
        for pair in runs.sorted()? {
            let (hash, packed) = pair?;
            let (entry, line) = (packed >> 32, packed & u64::from(u32::MAX));
            if hash != group.hash {
                repeats.add(mem::take(&mut group), is_unique);
                (group.hash, group.first) = (hash, entry);
            }
            let place = if line == 0 { Location::Entry(entry) } else { Location::Line(line) };
            // The images of one entry may be in several runs.
            if mem::replace(&mut group.last, entry) != entry {
                group.places.add(place);
            }
            if entry != group.first && hash & DRAWN == 0 {
                repeats.again.insert(entry);
                repeats.n_jobs_again += 1;
            }
        }
        repeats.add(group, is_unique);
        Ok(Arc::new(repeats))
    }
}

fn head(hash: &[u8; 32]) -> u64 {
    let (head, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*head)
}

/// Draws the seed of the `n`-th job of a content without one: the same on every machine, and different for each `n`.
fn drawn(content: &ContentHash, n: u32) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"promptbatch seed 1").update(content.bytes());
    let base = head(hasher.finalize().as_bytes());
    // An odd step visits every seed before it repeats one.
    base.wrapping_add(u64::from(n) * 0x9e37_79b1) & SEED_MAX.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::job::ManifestRow;
    use crate::model::request::Request;

    fn draft(prompt: &str, seed: Option<u64>) -> JobSpec {
        JobSpec::from(Request { prompt: prompt.into(), model: "a/b".into(), seed, ..Request::default() })
    }

    /// Runs a pass over entries of one job each, on the lines from 2 on. Returns the jobs.
    fn pass(check: &mut RepeatCheck, entries: &[JobSpec]) -> Vec<JobSpec> {
        let see = |(entry, draft): (u64, &JobSpec)| {
            let mut draft = draft.clone();
            check.see(&mut draft, entry, Location::Line(entry + 1));
            draft
        };
        (1..).zip(entries).map(see).collect()
    }

    fn found(check: RepeatCheck) -> Arc<Repeats> {
        check.found().unwrap()
    }

    /// Goal: equal requests are found across runs of any length, with their lines. Method: runs that hold two hashes each.
    #[test]
    fn requests_that_several_entries_have_are_counted() {
        let entries = ["a", "b", "a", "c", "b", "a"].map(|prompt| draft(prompt, None));
        for run_max in [1, 2, 100] {
            let runs = HashRuns::new(run_max);
            let mut check = RepeatCheck::new(Phase::Gathered { runs, is_unique: false });
            pass(&mut check, &entries);
            let repeats = found(check);
            let words: Vec<_> = repeats.places().map(PlaceList::words).collect();
            assert_eq!((repeats.n(), repeats.n_again()), (2, 3));
            assert_eq!(words, ["lines 2, 4, 7", "lines 3, 6"]);
            assert!(!repeats.changes_jobs() && repeats.warnings(false).next().is_none());
        }
    }

    #[test]
    fn images_of_one_entry_are_meant_unless_they_have_the_same_seed() {
        for (seed, n_warnings) in [(None, 0), (Some(RANDOM_SEED), 0), (Some(7), 1)] {
            let mut check = RepeatCheck::gathered(true);
            for _ in 0..3 {
                check.see(&mut draft("a", seed), 1, Location::Line(1));
            }
            let repeats = found(check);
            assert_eq!(
                (repeats.n(), repeats.n_again(), repeats.warnings(false).count()),
                (0, 0, n_warnings),
                "{seed:?}"
            );
        }
    }

    /// Goal: a repeated entry counts once, however many combinations its lists make. Method: three entries of six requests each, of which
    /// the second repeats the first one wholly and the third one in part.
    #[test]
    fn combinations_of_one_entry_are_one_repetition() {
        let mut check = RepeatCheck::gathered(false);
        for (entry, seeds) in [(1, 0..6), (2, 0..6), (3, 4..10), (4, 20..26)] {
            for seed in seeds {
                check.see(&mut draft("a", Some(seed)), entry, Location::Line(entry));
            }
        }
        let repeats = found(check);
        assert_eq!((repeats.n(), repeats.n_again(), repeats.n_entries(), repeats.n_jobs_again()), (1, 2, 3, 8));
        assert_eq!(repeats.places().map(PlaceList::words).collect::<Vec<_>>(), ["lines 1, 2, 3"]);
        let (_, wrong) = repeats.warnings(false).next().unwrap();
        assert!(!wrong.what.contains("other prompt"), "{}", wrong.what);
    }

    #[test]
    fn a_repeated_seed_is_a_warning_and_another_parameter_is_none() {
        let mut check = RepeatCheck::gathered(false);
        let mut large = draft("a", Some(7));
        large.request.steps = Some(9);
        pass(&mut check, &[draft("a", Some(7)), draft("a", Some(8)), large, draft("a", Some(7))]);
        let (place, wrong) = found(check).warnings(false).next().unwrap();
        assert_eq!(place, Location::Line(2));
        assert!(wrong.what.starts_with("this prompt is in lines 2, 5 with the same seed"), "{}", wrong.what);
    }

    /// Goal: later repetitions are left out, and the first wanted one is kept. Method: the first of three rows is skipped.
    #[test]
    fn each_request_is_made_once_if_wanted() {
        let skipped = JobSpec { row: ManifestRow { number: Some(1), is_skipped: true }, ..draft("a", None) };
        let entries = [skipped, draft("a", None), draft("b", None), draft("a", None)];
        let mut first = RepeatCheck::gathered(true);
        pass(&mut first, &entries);
        let repeats = found(first);
        assert!(repeats.changes_jobs());
        let jobs = pass(&mut RepeatCheck::known(repeats), &entries);
        assert_eq!(jobs.iter().map(|job| job.row.is_skipped).collect::<Vec<_>>(), [true, false, false, true]);
    }

    /// Goal: a drawn seed depends on the request and its number among equal ones only, is in range, and differs from all others.
    #[test]
    fn drawn_seeds_differ_and_stay_the_same() {
        let random = |prompt: &str| draft(prompt, Some(RANDOM_SEED));
        let seeds = |entries: &[JobSpec]| -> Vec<u64> {
            let mut first = RepeatCheck::gathered(false);
            pass(&mut first, entries);
            let jobs = pass(&mut RepeatCheck::known(found(first)), entries);
            jobs.iter().map(|job| job.request.seed.unwrap()).collect()
        };
        let before = seeds(&[random("a"), random("b"), random("a")]);
        assert_eq!(before, [1_781_495_726, 492_685_416, 140_964_191], "a change would make other images of paid jobs");
        assert_eq!(seeds(&[random("b"), random("c"), random("a")])[2], before[0]);
        let again = seeds(&[random("a"), random("a"), random("b")]);
        assert_eq!(again, [before[0], before[2], before[1]]);
        let content = Request::default().content();
        let all: HashSet<u64> = (0..10_000).map(|n| drawn(&content, n)).collect();
        assert!(all.len() == 10_000 && all.iter().all(|seed| *seed <= SEED_MAX.cast_unsigned()));
    }
}
