//! Outages and a sleeping machine: the provider is silent for longer than any task takes.
//!
//! Silence is no answer, so no task may be given up because of it and paid for again.

use std::time::Duration;

use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::simulator::config::SimulatorConfig;

use crate::crash::Crash;
use crate::direct::{Outage, Silence};
use crate::world::{self, Session, World};
use crate::{PASSING, calm, limits, stormy};

const JOBS: u64 = 12;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns limits without a limit on retries: only an answer of the provider may end a job.
fn patient(seed: u64) -> Limits {
    Limits { retries_max: u32::MAX, resubmits_max: u32::MAX, ..limits(seed) }
}

/// Goal: hours without the provider cost no task that was accepted before, and every doubt is counted.
///
/// Method: from some moment on, no request gets through, for much longer than a task takes. The moment moves from the
/// first submission to the last download. Each outage occurs once with refused connections, and once with requests that
/// are never answered.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn hours_without_an_answer_cost_no_accepted_task() {
    let expected = world::simulate(World::new(JOBS, calm(0)).outcomes_of_a_calm_run());
    let (mut n_doubts, mut n_worlds) = (0, 0);
    for kind in [Silence::Refused, Silence::Unanswered] {
        for from in (0..16_000).step_by(700).map(Duration::from_millis) {
            let (faults, expected): (&[&str], _) = (if n_worlds % 2 == 0 { &[] } else { &PASSING }, &expected);
            n_doubts += world::simulate(async {
                let mut world = World::new(JOBS, stormy(n_worlds, faults));
                world.outage = Some(Outage { from, until: from + 5 * HOUR, kind });
                world.run_to_the_end(&patient(n_worlds)).await;
                world.check();
                world.check_exact();
                assert_eq!((&world.outcomes(), world.n_lost()), (expected, 0), "{kind:?} from {from:?}");
                let has_doubts = kind == Silence::Unanswered || !faults.is_empty();
                assert!(has_doubts || world.server_stats().n_accepted == JOBS, "each job once: {kind:?} from {from:?}");
                world.n_in_doubt()
            });
            n_worlds += 1;
        }
    }
    assert!(n_doubts > 10, "some submissions must meet the silence: {n_doubts}");
}

/// Goal: most of an hour without the image host costs waiting, and neither a job nor a second payment.
///
/// Method: as above, with the default retries, an API that answers all the time, and each way in which a host refuses.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn an_hour_without_the_image_host_fails_no_job() {
    let expected = world::simulate(World::new(JOBS, calm(0)).outcomes_of_a_calm_run());
    let kinds = [
        Silence::ImagesRefused,
        Silence::ImagesBusy(429, None),
        Silence::ImagesBusy(429, Some(20)),
        Silence::ImagesBusy(503, None),
        Silence::ImagesBusy(503, Some(3600)),
        // Useless answers are the host's fault when three jobs meet them.
        Silence::ImagesBusy(404, None),
    ];
    for (seed, kind) in (0..).zip(kinds) {
        let last = if kind == Silence::ImagesBusy(404, None) { 9000 } else { 16_000 };
        for from in (3500..last).step_by(1900).map(Duration::from_millis) {
            let expected = &expected;
            world::simulate(async move {
                let mut world = World::new(JOBS, calm(seed));
                world.outage = Some(Outage { from, until: from + 50 * Duration::from_secs(60), kind });
                let limits = Limits { retries_max: Limits::default().retries_max, ..limits(seed) };
                assert_eq!(world.run(limits).await, None, "{kind:?} from {from:?}");
                world.check();
                world.check_exact();
                assert_eq!((&world.outcomes(), world.server_stats().n_accepted), (expected, JOBS), "{kind:?} {from:?}");
            });
        }
    }
}

/// Goal: a task that ended while the machine slept is downloaded, not submitted again. This holds even if the network
/// is down at first.
///
/// Method: crash the process at every step, let three days pass, and start again with polls that fail.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn what_ended_while_the_machine_slept_is_fetched() {
    let expected = world::simulate(World::new(4, calm(0)).outcomes_of_a_calm_run());
    let mut n_slept = 0;
    for (seed, faults) in [(0, &[][..]), (1, &["poll-500=0.5", "poll-hang=0.3"]), (2, &PASSING)] {
        for at_step in 1.. {
            let expected = &expected;
            let has_slept = world::simulate(async move {
                let world = World::new(4, stormy(seed, faults));
                if !matches!(world.session(patient(seed), &Crash::at(at_step)).await, Session::Crashed) {
                    return false;
                }
                tokio::time::sleep(72 * HOUR).await;
                world.run_to_the_end(&patient(seed + 1)).await;
                world.check();
                assert_eq!((&world.outcomes(), world.n_lost()), (expected, 0), "seed {seed}, asleep at step {at_step}");
                true
            });
            if !has_slept {
                break;
            }
            n_slept += 1;
        }
    }
    assert!(n_slept > 150, "{n_slept}");
}

/// Checks that a task is given up only if the provider itself still reports it running after the task timeout.
#[test]
fn a_stuck_task_is_given_up_on_the_providers_word() {
    world::simulate(async {
        let world = World::new(1, SimulatorConfig { latency: 10 * HOUR, ..stormy(3, &["poll-500=0.5"]) });
        let limits = Limits { resubmits_max: 2, in_doubt: InDoubtPolicy::Fail, ..patient(3) };
        assert_eq!(world.run(limits).await, None);
        world.check();
        assert_eq!((world.outcomes()[&1].0, world.n_lost(), world.server_stats().n_accepted), ("running", 2, 3));
    });
}
