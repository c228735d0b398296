//! Simulation of a whole run in virtual time: engine, driver, in-memory ledger, and the simulated API called directly.
//!
//! There are no sockets, no threads and no real clock. The same seed gives the same run.
//!
//! Goal: after any fault outside and a crash at any point, the results equal those of a run without faults. No accepted
//! task is submitted again, unless its submission was in doubt or the task was lost.
//!
//! Method: run the world, move the crash by one step, and run the world again.

mod beats;
mod conserving;
mod crash;
mod direct;
mod disk;
mod exchanges;
mod money;
mod oracle;
mod outage;
mod pace;
mod polls;
mod quota;
mod redo;
mod several;
mod shared;
mod storm;
mod story;
mod sweep;
mod witness;
mod world;
mod worth;

use std::time::Duration;

use promptbatch::internals::effort::cases;
use promptbatch::internals::engine::turn::StopReason;
use promptbatch::model::limits::{Concurrency, InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::simulator::faults::{FaultSetting, InjectedFault};

use crate::crash::Crash;
use crate::world::{Session, World};

fn limits(seed: u64) -> Limits {
    Limits {
        concurrency: Concurrency::Fixed(3.try_into().unwrap()),
        look_ahead_max: 2,
        retries_max: 50,
        resubmits_max: 20,
        task_timeout: Duration::from_secs(120),
        in_doubt: InDoubtPolicy::Resubmit,
        seed,
        ..Limits::default()
    }
}

fn calm(seed: u64) -> SimulatorConfig {
    SimulatorConfig {
        latency: Duration::from_secs(3),
        image_size: "16x16".parse().ok(),
        answer_delay: Duration::from_millis(40),
        seed,
        ..SimulatorConfig::default()
    }
}

fn stormy(seed: u64, faults: &[&str]) -> SimulatorConfig {
    SimulatorConfig { faults: faults.iter().map(|text| text.parse::<FaultSetting>().unwrap()).collect(), ..calm(seed) }
}

/// Transient faults, which a run must survive without losing a job.
const PASSING: [&str; 12] = [
    "500=0.08",
    "cut=0.05",
    "garbage=0.05",
    "429=0.05",
    "hang=0.03",
    "truncated=0.08",
    "image-html=0.05",
    "poll-not-found=0.05",
    "image-404=0.05",
    "submit-id-error=0.05",
    "poll-gateway=0.05",
    "poll-mixed=0.05",
];

/// Returns all faults except a cache that repeats an answer whose first delivery was lost. Such an answer is
/// indistinguishable from a new one.
fn survived() -> impl Iterator<Item = InjectedFault> {
    InjectedFault::all().filter(|fault| fault.name() != "submit-cached")
}

/// Faults that lose or fail tasks, which must then be paid for again.
const LOSING: [&str; 2] = ["task-failed=0.15", "task-stuck=0.1"];

#[test]
fn a_calm_run_succeeds_with_one_submission_a_job() {
    world::simulate(async {
        let world = World::new(20, calm(1));
        assert_eq!(world.run(limits(1)).await, None);
        world.check();
        assert_eq!(world.server_stats().n_submits, 20);
        assert!(world.outcomes().values().all(|outcome| outcome.0 == "succeeded"));
    });
}

/// Checks that the same seed gives the same events at the same moments, and that another seed gives others.
#[test]
fn a_run_repeats_exactly() {
    let events = |seed| {
        world::simulate(async move {
            let world = World::new(10, stormy(seed, &PASSING));
            world.run(limits(seed)).await;
            world.ledger_events()
        })
    };
    assert_eq!(events(3), events(3));
    assert_ne!(events(3), events(4));
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn faults_that_pass_change_nothing_in_the_results() {
    for seed in 0..cases(40) {
        world::simulate(async move {
            let expected = World::new(12, calm(seed)).outcomes_of_a_calm_run().await;
            let world = World::new(12, stormy(seed, &PASSING));
            world.run_to_the_end(&limits(seed)).await;
            world.check();
            world.check_exact();
            assert_eq!(world.outcomes(), expected, "seed {seed}");
        });
    }
}

/// Goal: a cache that repeats the answer to another submission never gives a job the image of another.
///
/// Method: no answer is lost, so that the job whose task it is has always been recorded before.
#[test]
fn answers_from_a_cache_are_in_doubt_and_mix_up_no_images() {
    let mut n_in_doubt = 0;
    for seed in 0..cases(20) {
        n_in_doubt += world::simulate(async move {
            let expected = World::new(12, calm(seed)).outcomes_of_a_calm_run().await;
            let world = World::new(12, stormy(seed, &["submit-cached=0.3", "submit-500=0.1", "submit-429=0.1"]));
            world.run_to_the_end(&limits(seed)).await;
            world.check();
            world.check_exact();
            assert_eq!(world.outcomes(), expected, "seed {seed}");
            world.n_in_doubt()
        });
    }
    assert!(n_in_doubt > cases(40), "the fault must bite: {n_in_doubt}");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn lost_tasks_are_counted_and_made_again() {
    let mut n_lost = 0;
    for seed in 0..cases(20) {
        n_lost += world::simulate(async move {
            let expected = World::new(12, calm(seed)).outcomes_of_a_calm_run().await;
            let world = World::new(12, stormy(seed, &[&PASSING[..], &LOSING].concat()));
            world.run_to_the_end(&limits(seed)).await;
            world.check();
            world.check_exact();
            assert_eq!(world.outcomes(), expected, "seed {seed}");
            world.n_lost()
        });
    }
    assert!(n_lost > cases(20), "the faults must bite: {n_lost}");
}

/// Checks that a run still ends after crash upon crash, at worst one step at a time.
#[test]
fn crash_after_crash_still_ends() {
    for seed in 0..cases(20) {
        world::simulate(async move {
            let expected = World::new(8, calm(seed)).outcomes_of_a_calm_run().await;
            let world = World::new(8, stormy(seed, &PASSING));
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut n_sessions = 0;
            while let Session::Crashed = world.session(limits(n_sessions), &Crash::at(rng.u64(1..60))).await {
                world.check_after_crash();
                n_sessions += 1;
                assert!(n_sessions < 500, "seed {seed}: no progress");
            }
            world.check();
            assert_eq!(world.outcomes(), expected, "seed {seed} after {n_sessions} crashes");
        });
    }
}

/// Checks that a panic in the provider's code is a failure of the provider: the run continues, and nothing hangs.
#[test]
fn a_panic_is_one_requests_fault() {
    world::simulate(async {
        let expected = World::new(12, calm(8)).outcomes_of_a_calm_run().await;
        let world = World::new(12, calm(8));
        world.session(limits(8), &Crash::panicking_every(5)).await;
        world.check();
        assert_eq!(world.outcomes(), expected);
        assert!(world.n_in_doubt() > 0, "a panic while submitting leaves a doubt");
    });
}

#[test]
fn a_held_job_is_never_submitted_again() {
    let mut n_held = 0;
    for seed in 0..cases(10) {
        n_held += world::simulate(async move {
            let world = World::new(12, stormy(seed, &["submit-cut-after=0.3", "submit-garbage=0.1"]));
            let limits = Limits { in_doubt: InDoubtPolicy::Hold, ..limits(seed) };
            for _ in 0..3 {
                world.run(limits.clone()).await;
            }
            world.check();
            let stats = world.server_stats();
            assert!(stats.n_accepted <= 12, "seed {seed}: {} tasks for 12 jobs", stats.n_accepted);
            world.outcomes().values().filter(|(status, _, _)| *status == "in_doubt").count()
        });
    }
    assert!(n_held > cases(10), "the faults must bite: {n_held}");
}

#[test]
fn a_quota_is_come_back_to_day_after_day() {
    world::simulate(async {
        let expected = World::new(50, calm(5)).outcomes_of_a_calm_run().await;
        let world = World::new(50, SimulatorConfig { quota: Some(13), ..calm(5) });
        let mut n_days = 0;
        while let Some(StopReason::Quota(_)) = world.run(limits(5)).await {
            world.check_after_crash();
            n_days += 1;
            tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
        }
        world.check();
        assert_eq!((world.outcomes(), n_days), (expected, 3));
    });
}

/// Checks that hidden limits of the provider are found, and that its refusals cost no job.
#[test]
fn a_provider_that_takes_one_task_at_a_time_is_not_stampeded() {
    world::simulate(async {
        let world = World::new(40, SimulatorConfig { concurrency: Some(1), ..calm(6) });
        let limits = Limits { concurrency: Concurrency::Auto, ..limits(6) };
        world.run(limits).await;
        world.check();
        assert!(world.outcomes().values().all(|outcome| outcome.0 == "succeeded"));
        let stats = world.server_stats();
        assert!(stats.n_submits < 40 * 3, "{} submissions for 40 jobs", stats.n_submits);
    });
}

#[test]
fn a_provider_limit_is_never_exceeded() {
    world::simulate(async {
        let world = World::new(60, SimulatorConfig { concurrency: Some(3), rate: "2/s".parse().ok(), ..calm(7) });
        let limits = Limits { rate: "2/s".parse().ok(), ..limits(7) };
        world.run(limits).await;
        world.check();
        let stats = world.server_stats();
        assert_eq!(
            (stats.n_submits, stats.n_unfinished_max),
            (60, 3),
            "known limits are kept to, so nothing is refused"
        );
    });
}
