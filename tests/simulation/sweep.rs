//! Crash sweep: every fault of the simulator, every policy for doubts, and a crash at every step.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use promptbatch::internals::effort::stride;
use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::{FaultPlan, InjectedFault};

use crate::crash::Crash;
use crate::oracle::Ends;
use crate::world::{self, Session, World};
use crate::{calm, limits, survived};

/// Number of jobs in a swept world. Two of them request the same image.
const JOBS: u64 = 4;

/// Probability of a fault that occurs alone.
const ALONE: f64 = 0.3;

/// Probability of each fault, when all occur together.
const TOGETHER: f64 = 0.06;

/// Number of seeds of the sample.
const SEEDS_FEW: u64 = 2;

/// Number of seeds of the full sweep.
const SEEDS_MANY: u64 = 200;

/// Upper limit on the steps of a run in such a world. A run with more steps does not end.
const STEPS_MAX: u64 = 20_000;

/// World that is crashed at each of its steps.
#[derive(Clone, Debug)]
struct Scenario {
    faults: FaultPlan,
    limits: Limits,
    seed: u64,
}

/// Counts of a sweep, by name.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    played: BTreeMap<InjectedFault, u64>,
}

/// Returns fault plans: no fault, each fault alone, two random faults, and all together.
fn plans(seed: u64) -> Vec<FaultPlan> {
    let kinds: Vec<InjectedFault> = survived().collect();
    let mut rng = fastrand::Rng::with_seed(seed);
    let two = [rng.usize(..kinds.len()), rng.usize(..kinds.len())].map(|n| kinds[n]);
    let plan = |faults: &[InjectedFault], p| faults.iter().fold(FaultPlan::default(), |plan, f| plan.with(*f, p));
    let alone = kinds.iter().map(|fault| plan(&[*fault], ALONE));
    alone.chain([plan(&[], 0.0), plan(&two, ALONE), plan(&kinds, TOGETHER)]).collect()
}

fn scenarios(n_seeds: u64) -> Vec<Scenario> {
    let mut scenarios = vec![];
    for seed in 0..n_seeds {
        for (faults, nth) in plans(seed).into_iter().zip(seed..) {
            let in_doubt = [InDoubtPolicy::Resubmit, InDoubtPolicy::Hold, InDoubtPolicy::Fail, InDoubtPolicy::Resubmit]
                [(nth % 4) as usize];
            // Some scenarios allow few retries, so that jobs fail for that reason. Some have a given rate.
            let patience = if nth.is_multiple_of(5) { (1, 1) } else { (50, 20) };
            let rate = if nth.is_multiple_of(3) { "2/s".parse().ok() } else { None };
            let (retries_max, resubmits_max) = patience;
            let limits = Limits { in_doubt, retries_max, resubmits_max, rate, ..limits(seed) };
            scenarios.push(Scenario { faults, limits, seed });
        }
    }
    scenarios
}

/// Crashes a world at this step. In every second world, the next process crashes too, some steps later. Then runs the
/// world to the end. Returns whether the first crash came before the end of the run.
fn crashed_at(at_step: u64, scenario: &Scenario, expected: &Ends, tally: &mut Tally) -> bool {
    let Scenario { faults, limits, seed } = scenario.clone();
    world::simulate(async {
        let world = World::new(JOBS, SimulatorConfig { faults, ..calm(seed) });
        let again = at_step.is_multiple_of(2).then(|| fastrand::Rng::with_seed(at_step).u64(1..60));
        let mut n_crashes = 0;
        for crash in [Some(at_step), again].into_iter().flatten() {
            if !matches!(world.session(limits.clone(), &Crash::at(crash)).await, Session::Crashed) {
                break;
            }
            n_crashes += 1;
            world.check_after_crash();
        }
        world.run_to_the_end(&Limits { seed: seed + 1, ..limits.clone() }).await;
        if n_crashes == 0 {
            world.check_exact();
        }
        world.check_end(expected);
        for (status, _, _) in world.outcomes().into_values() {
            *tally.counts.entry(status).or_default() += 1;
        }
        for (fault, n) in world.server_stats().faults {
            *tally.played.entry(fault).or_default() += n;
        }
        let counts = [("worlds", 1), ("crashes", n_crashes), ("doubts", world.n_in_doubt()), ("lost", world.n_lost())];
        for (name, n) in counts {
            *tally.counts.entry(name).or_default() += n;
        }
        n_crashes > 0
    })
}

/// Distance between the steps of a world at which quick tests crash it.
const STRIDE: usize = 29;

/// Crashes a world at every step of its run, from the first to the last; or, in quick tests, at some of them.
fn crash_everywhere(scenario: &Scenario, expected: &Ends, tally: &mut Tally) {
    for at_step in (1..STEPS_MAX).step_by(stride(STRIDE)) {
        let _culprit = Culprit(scenario, at_step);
        if !crashed_at(at_step, scenario, expected, tally) {
            return;
        }
    }
    panic!("a world without an end: {scenario:?}");
}

/// Prints the scenario and the step, if a check panicked.
struct Culprit<'a>(&'a Scenario, u64);

impl Drop for Culprit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("crash at step {} of {:?}", self.1, self.0);
        }
    }
}

/// Sweeps over all scenarios, on every core. Each world belongs to one thread.
fn sweep(scenarios: &[Scenario]) -> Tally {
    let expected = world::simulate(World::new(JOBS, calm(0)).outcomes_of_a_calm_run());
    let (next, whole) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || {
        let mut tally = Tally::default();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            crash_everywhere(scenario, &expected, &mut tally);
        }
        whole.lock().unwrap().add(tally);
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    whole.into_inner().unwrap()
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (name, n) in other.counts {
            *self.counts.entry(name).or_default() += n;
        }
        for (fault, n) in other.played {
            *self.played.entry(fault).or_default() += n;
        }
    }
}

/// Goal: with any crash and any fault, nothing is paid for twice, nothing is lost, and no failure is invented.
///
/// Method: every fault alone, in pairs and all at once. For each, one world for every step of its run, with a crash at
/// that step.
fn crash_everywhere_under_every_fault(n_seeds: u64) {
    let began = Instant::now();
    let scenarios = scenarios(n_seeds);
    let Tally { counts, played } = sweep(&scenarios);
    println!("{} scenarios in {:.0?}: {counts:?}\n{played:?}", scenarios.len(), began.elapsed());
    for fault in survived() {
        assert!(played.get(&fault).is_some_and(|n| *n > 10), "{fault} was never played");
    }
    for name in ["crashes", "doubts", "lost", "succeeded", "failed", "in_doubt"] {
        assert!(counts[name] > 10, "the faults and crashes must bite: {counts:?}");
    }
    assert!(counts["worlds"] > (scenarios.len() * 50 / stride(STRIDE)) as u64, "{counts:?}");
}

#[test]
fn a_crash_at_every_step_under_every_fault_loses_and_doubles_nothing() {
    crash_everywhere_under_every_fault(SEEDS_FEW);
}

#[test]
#[ignore = "half a million worlds, six minutes of two cores"]
fn a_crash_at_every_step_under_every_fault_for_many_seeds() {
    crash_everywhere_under_every_fault(SEEDS_MANY);
}
