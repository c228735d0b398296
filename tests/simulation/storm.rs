//! Everything at once: a tenth of all submissions, polls, tasks and images for each fault that the simulator knows.

use std::collections::BTreeMap;
use std::time::Duration;

use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::outcome::Outcome;
use promptbatch::provider::simulator::config::Config;
use promptbatch::provider::simulator::faults::PlannedFault;

use crate::world::{self, World};
use crate::{calm, limits};

const JOBS: u64 = 1000;

/// In which a thousand jobs are done, whatever befalls them.
const TIME_MAX: Duration = Duration::from_secs(6 * 3600);

/// Goal: every job ends, with its image or for a reason that the provider itself gave, in bounded time, and both sides' books agree
/// to the task.
///
/// Method: four requests in five go wrong, some with a Retry-After of minutes, and so do three tasks in ten; the story of every job is checked line by line.
#[test]
fn a_tenth_of_every_fault_at_once_ends_in_images_and_true_reasons() {
    let expected = world::simulate(World::new(JOBS, calm(0)).outcomes_of_a_calm_run());
    world::simulate(async {
        let faults = PlannedFault::all().fold(Config::default().faults, |plan, fault| plan.with(fault, 0.1));
        let world = World::new(JOBS, Config { faults, ..calm(11) });
        // Patience for what passes; tasks that fail or are lost may be paid for again twice.
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
        assert_eq!(ends.values().sum::<u64>(), JOBS);
        for fault in PlannedFault::all() {
            assert!(stats.n_faults(fault) > 20, "{fault} was never played");
        }
    });
}
