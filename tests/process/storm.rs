//! Stress test of the real program: all quick faults of the simulator at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::model::outcome::Outcome;
use promptbatch::model::phase::Phase;
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::{FaultPlan, InjectedFault};

use crate::bench::{Bench, expect_code, quick};
use crate::books::Books;

/// Faults that take minutes, stop a run, or are indistinguishable from the truth. Some pages request a wait, and some
/// requests are routed wrongly for seconds. A token is refused at random, and a cache repeats an answer that was lost.
/// `tests/simulation` covers these faults in virtual time.
const SLOW: [&str; 4] = ["gateway", "misrouted", "-401", "cached"];

fn quick_faults() -> impl Iterator<Item = InjectedFault> {
    InjectedFault::all().filter(|fault| !SLOW.iter().any(|part| fault.name().contains(part)))
}

/// Flags under which a job ends only for a reason that the provider gave: many retries for transient faults, and few
/// for others.
const FLAGS: [&str; 12] = [
    "-j",
    "500",
    "--retries",
    "50",
    "--resubmits",
    "2",
    "--request-timeout",
    "2s",
    "--task-timeout",
    "5s",
    "--in-doubt",
    "resubmit",
];

/// Goal: every job ends with its image or for a reason that the provider itself gave. The counts of both sides agree.
///
/// Method: every fault with the same probability, and short timeouts for single requests and tasks. The history of
/// every job is checked event by event.
fn storm(n_jobs: usize, probability: f64) {
    let began = Instant::now();
    let faults = quick_faults().fold(FaultPlan::default(), |plan, fault| plan.with(fault, probability));
    let bench = Bench::new(SimulatorConfig { faults, ..quick() });
    bench.csv(n_jobs);
    expect_code(&bench.run_to_the_end("prompts.csv", &FLAGS), 100);
    let elapsed = began.elapsed();

    let task_timeout = Duration::from_secs(5);
    let limits = Limits {
        retries_max: 50,
        resubmits_max: 2,
        task_timeout,
        in_doubt: InDoubtPolicy::Resubmit,
        ..Limits::default()
    };
    let books = Books::read(&bench);
    let told = books.check(&bench, &limits);
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for known in &books.known {
        let end = match &known.state.phase {
            Phase::Finished(Outcome::Succeeded(_)) => "an image".to_owned(),
            Phase::Finished(Outcome::Failed(fault)) => fault.to_string(),
            // A job that may not be paid for again is held.
            Phase::Submitting | Phase::Running(_) if known.state.n_repaid() >= limits.resubmits_max => {
                "held".to_owned()
            }
            phase => panic!("{} is left {phase:?}", known.job.index),
        };
        *ends.entry(end).or_default() += 1;
    }
    let (stats, n_doubts) = (bench.stats(), told.doubts.values().sum::<u32>());
    println!("{} submissions, {} accepted, {} twice", stats.n_submits, stats.n_accepted, stats.n_accepted_twice);
    println!("{n_doubts} doubts, {} tasks lost or failed, in {elapsed:.0?}: {ends:#?}", told.n_lost);
    assert_eq!(ends.values().sum::<usize>(), n_jobs);
    // A job that a firewall refuses never reaches the API.
    assert!((n_jobs as u64 * 9 / 10..=n_jobs as u64).contains(&stats.n_contents), "{stats:?}");
    assert!(ends["an image"] * 10 >= n_jobs * 7, "{ends:?}");
    assert!(stats.n_accepted_twice <= u64::from(n_doubts + told.n_lost), "{stats:?}");
    assert_eq!((stats.n_token_leaks, stats.n_polls_lost), (0, 0));
    // Every fault must have occurred, or the test has not tested it.
    let unseen: Vec<_> = quick_faults().filter(|fault| stats.n_faults(*fault) == 0).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_storm_ends_in_images_and_true_reasons() {
    storm(150, 0.04);
}

#[test]
#[ignore = "a tenth of every fault at once: forty minutes, most of it spent waiting out what looks like an outage"]
fn a_thousand_jobs_through_a_tenth_of_every_fault() {
    storm(1000, 0.1);
}
