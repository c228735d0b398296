//! Fuzz tests of all input from outside: random damage causes no panic, no hang, no escape and no unsafe text.
//!
//! Plain `cargo test` replays the stored inputs and tries some hundred new ones, always the same. For longer runs, one
//! target at a time: `PROMPTBATCH_FUZZ_SECS=600 cargo test --test fuzz answers -- --ignored --nocapture`. Inputs that
//! cause a failure are stored in `tests/corpus`.

mod answers;
mod images;
mod ledgers;
mod manifests;
mod mutate;
mod names;

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::mutate::mutated;

/// Time after which an input counts as a hang, even on the slowest machine.
const HANG: Duration = Duration::from_secs(60);

/// Maximum number of inputs that are mutated further.
const POOL_MAX: usize = 4000;

/// Fuzz target: a part of the program that reads input from outside.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name of the target, and of its folder below `tests/corpus`.
    pub name: &'static str,
    /// Inputs to start with, in addition to the stored ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces that such inputs consist of.
    pub words: &'static [&'static str],
    /// Corrects what random changes cannot: checksums and lengths.
    pub mend: fn(&mut [u8], &mut Rng),
    /// Reads an input, and panics if an invariant does not hold. Returns the result as text. An input with a new text
    /// is mutated further.
    pub check: fn(&[u8]) -> String,
}

/// Extent of a fuzz test: a number of tries, or a time.
#[derive(Clone, Copy)]
enum Budget {
    Tries(usize),
    Time(Duration),
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn manifests() {
    fuzz(manifests::TARGET, Budget::Tries(600), 1);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn answers() {
    fuzz(answers::TARGET, Budget::Tries(3000), 2);
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn names() {
    fuzz(names::TARGET, Budget::Tries(3000), 3);
}

#[test]
fn images() {
    fuzz(images::TARGET, Budget::Tries(3000), 4);
}

#[test]
fn ledgers() {
    fuzz(ledgers::TARGET, Budget::Tries(100), 5);
}

#[test]
#[ignore = "ten minutes"]
fn manifests_for_long() {
    for_long(manifests::TARGET);
}

#[test]
#[ignore = "ten minutes"]
fn answers_for_long() {
    for_long(answers::TARGET);
}

#[test]
#[ignore = "ten minutes"]
fn names_for_long() {
    for_long(names::TARGET);
}

#[test]
#[ignore = "ten minutes"]
fn images_for_long() {
    for_long(images::TARGET);
}

#[test]
#[ignore = "ten minutes"]
fn ledgers_for_long() {
    for_long(ledgers::TARGET);
}

fn for_long(target: Target) {
    let secs = std::env::var("PROMPTBATCH_FUZZ_SECS").map_or(600, |text| text.parse().unwrap());
    fuzz(target, Budget::Time(Duration::from_secs(secs)), fastrand::u64(..));
}

/// Goal: every input is read or refused. Method: replay the stored inputs, then mutate those that gave a new text. A
/// separate thread reads the inputs, and this one detects hangs.
fn fuzz(target: Target, budget: Budget, seed: u64) {
    let under_way = Arc::new(Mutex::new((Instant::now(), vec![])));
    let watched = under_way.clone();
    let worker = thread::spawn(move || work(target, budget, seed, &watched));
    while !worker.is_finished() {
        thread::sleep(Duration::from_millis(10));
        let (since, input) = &*under_way.lock().unwrap();
        assert!(since.elapsed() < HANG, "{}: this input hangs: {}", target.name, keep(target, input).display());
    }
    worker.join().unwrap_or_else(|panic| resume_unwind(panic));
}

fn work(target: Target, budget: Budget, seed: u64, under_way: &Mutex<(Instant, Vec<u8>)>) {
    let mut rng = Rng::with_seed(seed);
    let mut pool = kept(target);
    let n_kept = pool.len();
    pool.extend((target.seeds)());
    let mut ends = HashSet::new();
    for input in &pool {
        ends.insert(checked(target, input, under_way));
    }
    let began = Instant::now();
    let mut n_tries = 0_usize;
    while match budget {
        Budget::Tries(n) => n_tries < n,
        Budget::Time(span) => began.elapsed() < span,
    } {
        n_tries += 1;
        let mut input = mutated(&pool, target.words, &mut rng);
        (target.mend)(&mut input, &mut rng);
        if ends.insert(checked(target, &input, under_way)) && pool.len() < POOL_MAX {
            pool.push(input);
        }
    }
    let (secs, n_ends) = (began.elapsed().as_secs(), ends.len());
    println!("{}: {n_kept} kept, {n_tries} tried in {secs} s from seed {seed}, {n_ends} different ends", target.name);
}

fn checked(target: Target, input: &[u8], under_way: &Mutex<(Instant, Vec<u8>)>) -> String {
    *under_way.lock().unwrap() = (Instant::now(), input.to_vec());
    catch_unwind(AssertUnwindSafe(|| (target.check)(input))).unwrap_or_else(|panic| {
        println!("{}: this input fails: {}", target.name, keep(target, input).display());
        resume_unwind(panic)
    })
}

fn folder(target: Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target.name)
}

/// Returns the stored inputs, sorted by name.
fn kept(target: Target) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder(target)).expect("the corpus is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Stores an input that caused a failure.
fn keep(target: Target, input: &[u8]) -> PathBuf {
    let path = folder(target).join(format!("found-{}", &blake3::hash(input).to_hex()[..12]));
    fs::create_dir_all(folder(target)).and_then(|()| fs::write(&path, input)).unwrap();
    path
}

/// Removes from a text what differs from input to input: numbers, and quoted parts.
pub fn outline(words: &str) -> String {
    let mut outline = String::new();
    let mut quote = None;
    for c in words.chars() {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => {}
            None if matches!(c, '`' | '"') => quote = Some(c),
            None if c.is_ascii_digit() => {}
            None => outline.push(c),
        }
    }
    outline
}

/// Checks that a text contains nothing that a terminal would obey, except line breaks.
#[track_caller]
pub fn assert_safe(words: &str) {
    let is_safe =
        |c: char| c == '\n' || !(c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'));
    assert!(words.chars().all(is_safe), "{words:?}");
}
