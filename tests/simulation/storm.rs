//! Stress test: every fault that the simulator knows at once, for submissions, polls, tasks and images.

use std::collections::BTreeMap;
use std::time::Duration;

use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::outcome::Outcome;
use promptbatch::model::phase::{JobRecord, Phase};
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::InjectedFault;

use crate::world::{self, World};
use crate::{calm, limits, survived};

const JOBS: u64 = 1000;

/// Time limit for a thousand jobs under all faults.
const TIME_MAX: Duration = Duration::from_secs(6 * 3600);

/// Returns all faults except a randomly refused token, which stops a run after three refusals in a row.
fn passing() -> impl Iterator<Item = InjectedFault> {
    survived().filter(|fault| !fault.name().ends_with("-401"))
}

/// Goal: every job ends in bounded time, with its image or for a reason that the provider itself gave. The counts of
/// both sides agree to the task.
///
/// Method: two requests in five fail, some with a Retry-After of minutes, and so does one task in ten. The history of
/// every job is checked event by event.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn some_of_every_fault_at_once_ends_in_images_and_true_reasons() {
    let expected = world::simulate(World::new(JOBS, calm(0)).outcomes_of_a_calm_run());
    world::simulate(async {
        // A fault that affects every submission for seconds is rarer than one that affects a single submission.
        // Otherwise it would hide all other faults.
        let chance = |fault: InjectedFault| if fault.name() == "submit-misrouted" { 0.01 } else { 0.03 };
        let faults = passing().fold(SimulatorConfig::default().faults, |plan, fault| plan.with(fault, chance(fault)));
        let world = World::new(JOBS, SimulatorConfig { faults, ..calm(11) });
        // Retries suffice for transient faults. Failed or lost tasks may be paid for again twice.
        let concurrency = Concurrency::Fixed(100.try_into().unwrap());
        let limits = Limits { concurrency, look_ahead_max: 256, resubmits_max: 2, ..limits(11) };
        world.run_to_the_end(&limits).await;
        world.check_end(&expected);
        world.check_exact();
        let events = world.ledger_events();
        let span = events.last().unwrap().at.since(events[0].at);
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for event in events {
            if let EventKind::Finished(outcome) = event.kind {
                let end = match outcome {
                    Outcome::Succeeded(_) => "an image".to_owned(),
                    Outcome::Failed(fault) => fault.to_string(),
                };
                *ends.entry(end).or_default() += 1;
            }
        }
        let stats = world.server_stats();
        let (n_doubts, n_lost) = (world.n_in_doubt(), world.n_lost());
        println!("{} submissions, {} accepted for {} contents", stats.n_submits, stats.n_accepted, stats.n_contents);
        println!("{n_doubts} doubts, {n_lost} tasks lost or failed, in {span:?}: {ends:#?}");
        assert!(span < TIME_MAX, "{span:?}");
        // A job that may not be paid for again is held.
        let is_held =
            |known: &JobRecord| !matches!(known.state.phase, Phase::Finished(_)) && known.state.n_repaid() >= 2;
        let n_held = world.ledger.known().iter().filter(|known| is_held(known)).count() as u64;
        assert_eq!(ends.values().sum::<u64>() + n_held, JOBS);
        assert!(n_held < JOBS / 8, "{n_held} jobs are held");
        for fault in passing() {
            let n_played = stats.n_faults(fault);
            assert!(n_played >= 10, "{fault} was played {n_played} times");
        }
    });
}
