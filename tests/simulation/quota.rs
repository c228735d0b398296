//! Batch larger than a daily quota: the normal case, simulated in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use promptbatch::internals::engine::turn::StopReason;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{Concurrency, Limits, QuotaPolicy};
use promptbatch::simulator::config::SimulatorConfig;

use crate::crash::Crash;
use crate::world::{self, Session, World};
use crate::{calm, limits, stormy};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns a service with a quota of 125 per day, for a batch of 500 jobs.
fn batch(seed: u64) -> SimulatorConfig {
    SimulatorConfig { quota: Some(125), ..calm(seed) }
}

fn patient(seed: u64) -> Limits {
    Limits { on_quota: QuotaPolicy::Wait, concurrency: Concurrency::Fixed(8.try_into().unwrap()), ..limits(seed) }
}

/// Goal: four daily quotas make 500 images in four days, in one process, with no job lost or duplicated. Method: wait
/// for each reset, and compare the counts of both sides and the calendar.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_batch_of_four_allowances_waits_for_each_and_ends_on_the_fourth_day() {
    for seed in [11, 12] {
        world::simulate(async move {
            let world = World::new(500, batch(seed));
            let stop = world.run(patient(seed)).await;
            assert_eq!(stop, None);
            world.check();
            let stats = world.server_stats();
            assert_eq!(
                (stats.n_submits, stats.n_accepted),
                (500, 500),
                "nothing is refused, nothing is paid for twice"
            );
            assert!(world.outcomes().values().all(|outcome| outcome.0 == "succeeded"));
            let days: Vec<u64> = accepted_by_day(&world).into_values().collect();
            assert_eq!(days, [125, 125, 125, 125], "each day's allowance is used up, and on the day that it is for");
        });
    }
}

/// Returns the number of tasks accepted on each day, in the time zone Asia/Shanghai.
fn accepted_by_day(world: &World) -> BTreeMap<i64, u64> {
    let mut days = BTreeMap::new();
    for event in world.ledger_events() {
        if matches!(event.kind, EventKind::Accepted(_)) {
            *days.entry((event.at.millis() + 8 * 3_600_000).div_euclid(24 * 3_600_000)).or_default() += 1;
        }
    }
    days
}

/// Repeats the test with occasional crashes and faults. At most one submission per process is wasted on a used-up
/// quota.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn crashes_and_faults_do_not_change_that() {
    world::simulate(async {
        let faults = ["500=0.05", "cut=0.03", "truncated=0.05", "poll-not-found=0.05"];
        let world = World::new(500, SimulatorConfig { quota: Some(125), ..stormy(13, &faults) });
        let mut n_sessions = 0;
        for at_step in [700, 900, 50, 1100, 400] {
            n_sessions += 1;
            if !matches!(world.session(patient(n_sessions), &Crash::at(at_step)).await, Session::Crashed) {
                break;
            }
            world.check_after_crash();
        }
        world.run(patient(99)).await;
        world.check();
        let stats = world.server_stats();
        assert!(world.outcomes().values().all(|outcome| outcome.0 == "succeeded"));
        assert_eq!(stats.n_accepted - stats.n_accepted_twice, stats.n_contents);
        assert!(stats.n_refused("quota") < 40, "{} refusals", stats.n_refused("quota"));
    });
}

/// Simulates `--on-quota stop`: the user, or a timer, continues the run every day.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_run_that_stops_for_a_quota_is_gone_on_with_day_after_day() {
    world::simulate(async {
        let world = World::new(500, batch(14));
        let mut n_days = 0;
        while let Some(StopReason::Quota(_)) = world.run(limits(14)).await {
            world.check_after_crash();
            n_days += 1;
            assert_eq!(world.server_stats().n_accepted, 125 * n_days, "the whole of each allowance is used");
            tokio::time::sleep(DAY).await;
        }
        world.check();
        assert_eq!(n_days, 3);
        assert_eq!(world.server_stats().n_submits, 500, "what is under way with the last of an allowance is counted");
        assert!(world.outcomes().values().all(|outcome| outcome.0 == "succeeded"));
    });
}
