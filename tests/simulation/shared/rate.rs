//! One rate, and one number of tasks in flight, of all workers together: never exceeded, whatever happens to workers, network and server, and used up.

use std::time::Duration;

use promptbatch::internals::effort::cases;
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::shared_rate::SharedRate;
use promptbatch::simulator::config::SimulatorConfig;

use super::{Play, Sums, WORKERS, expected, never, play};
use crate::crash::Crash;
use crate::shared::culprit::Culprit;
use crate::shared::unsteady::{Cut, Weather};
use crate::{PASSING, calm, limits, stormy};

/// Jobs of a world.
const JOBS: u64 = 60;

/// Time by which a submission may leave late: its reserved time was uncertain by a second, and its record took two.
const LATE_MAX: Duration = Duration::from_secs(3);

fn paced(seed: u64, rate: &str) -> Play {
    let concurrency = Concurrency::Fixed(40.try_into().unwrap());
    let limits = Limits { rate: rate.parse().ok(), concurrency, look_ahead_max: 8, ..limits(seed) };
    Play { n_jobs: JOBS, limits, ..Play::of(seed) }
}

/// Checks that no span has more submissions than the rate and this lateness allow.
#[track_caller]
fn check(rate: &str, sums: &Sums, late: Duration) {
    let rate: SharedRate = rate.parse().unwrap();
    let mut sent = sums.sent_at.clone();
    sent.sort_unstable();
    let reach = i64::try_from((rate.usable_for() + late).as_micros()).unwrap();
    let interval = i64::try_from(rate.interval().as_micros()).unwrap();
    for (i, first) in sent.iter().enumerate() {
        for (n, last) in (1..).zip(&sent[i..]) {
            assert!((n - 1) * interval <= last - first + reach, "{n} submissions within {} us", last - first);
        }
    }
}

/// Goal: on a calm day the rate is kept to the letter, and used up. Method: three workers, rates of which each alone could use more, and the
/// time from the first submission to the last.
#[test]
fn a_shared_rate_is_kept_and_used_up() {
    let expected = expected(JOBS);
    for seed in 0..cases(12) {
        for rate in ["5/s", "60/m"] {
            let _culprit = Culprit(format!("calm, {rate}, seed {seed}"));
            let sums = play(paced(seed, rate), &expected, never);
            assert_eq!((sums.in_doubt, sums.paid_twice, sums.fenced, sums.unsent), (0, 0, 0, 0), "{sums:?}");
            check(rate, &sums, Duration::ZERO);
            let rate: SharedRate = rate.parse().unwrap();
            let took = sums.sent_at.iter().max().unwrap() - sums.sent_at.iter().min().unwrap();
            let best = i64::try_from((rate.interval() * u32::try_from(JOBS - 1).unwrap()).as_micros()).unwrap();
            assert!(took <= best + best / 20, "{took} us in place of {best}");
        }
    }
}

/// Goal: no fault makes the workers exceed the rate. Method: a bad network; deaths; a server that forgets; an outage; the provider's faults; all
/// of them at once.
#[test]
fn no_fault_makes_the_workers_exceed_their_rate() {
    faults(cases(18));
}

pub(super) fn faults(n_seeds: u64) {
    let (expected, rate, mut sums) = (expected(JOBS), "3/s", Sums::default());
    for seed in 0..n_seeds {
        let kind = seed % 6;
        let _culprit = Culprit(format!("rate, seed {seed}, kind {kind}"));
        let is = |wanted| kind == wanted || kind == 5;
        let mut world = paced(seed, rate);
        world.weather = if is(0) { Weather::of(0.1) } else { Weather::default() };
        world.is_forgetful = kind == 2;
        world.cut = is(3).then(|| Cut { worker: None, from: Duration::from_secs(4), until: Duration::from_secs(40) });
        if is(4) {
            world.config = stormy(seed, &PASSING);
        } else {
            world.config = calm(seed);
        }
        let dies = |worker: u64, n: u64| {
            let mut rng = fastrand::Rng::with_seed(seed ^ (worker << 40) ^ (n << 20));
            if is(1) && n < 4 { Crash::at(rng.u64(1..200)) } else { Crash::never() }
        };
        let played = play(world, &expected, dies);
        check(rate, &played, if kind == 1 { Duration::ZERO } else { LATE_MAX });
        sums.add(&played);
    }
    println!("one rate under faults: {sums:?}");
    assert!(sums.crashed > n_seeds && sums.forgotten > 0, "{sums:?}");
}

/// Goal: a worker that cannot reach the server sends nothing, as it has no times. Method: all are cut off for a minute.
#[test]
fn without_the_server_nothing_leaves() {
    let expected = expected(JOBS);
    let cut = Cut { worker: None, from: Duration::from_secs(5), until: Duration::from_secs(65) };
    let sums = play(Play { cut: Some(cut), ..paced(1, "2/s") }, &expected, never);
    let is_within = |at: &&i64| (8_500_000..65_000_000).contains(*at);
    assert_eq!(sums.sent_at.iter().filter(is_within).count(), 0, "{:?}", sums.sent_at);
    assert!(sums.sent_at.len() >= usize::try_from(JOBS).unwrap() && WORKERS > 1);
}

/// Goal: a pause that the provider names to some workers holds all of them back, as soon as they have heard of it. Method: a service that
/// accepts three submissions at once, those of one worker, and names ten seconds to the others.
#[test]
fn a_pause_that_the_provider_names_holds_all_workers() {
    let expected = expected(JOBS);
    for seed in 0..cases(6) {
        let _culprit = Culprit(format!("pause, seed {seed}"));
        let retry_after = Some(Duration::from_secs(10));
        let config = SimulatorConfig { rate: "3/s".parse().ok(), retry_after, ..calm(seed) };
        let limits = Limits { concurrency: Concurrency::Fixed(9.try_into().unwrap()), ..limits(seed) };
        let sums = play(Play { n_jobs: JOBS, config, limits, ..Play::of(seed) }, &expected, never);
        let first = sums.sent_at.iter().min().unwrap();
        let is_paused = |at: &&i64| (first + 5_500_000..first + 9_900_000).contains(*at);
        assert_eq!(sums.sent_at.iter().filter(is_paused).count(), 0, "{:?}", sums.sent_at);
    }
}

/// Goal: all workers together never have more tasks in flight than the number that they keep together, and use it up. Method: four places for
/// three workers, on a calm network, on a bad one, and with the provider's faults; the service's own count.
#[test]
fn the_tasks_in_flight_of_all_workers_are_limited() {
    let expected = expected(JOBS);
    for seed in 0..cases(12) {
        let _culprit = Culprit(format!("places, seed {seed}"));
        let concurrency = Concurrency::Fixed(4.try_into().unwrap());
        let limits = Limits { concurrency, look_ahead_max: 8, ..limits(seed) };
        let config = if seed % 3 == 2 { stormy(seed, &PASSING) } else { calm(seed) };
        let weather = if seed % 3 == 1 { Weather::of(0.1) } else { Weather::default() };
        let sums = play(Play { n_jobs: JOBS, config, weather, limits, ..Play::of(seed) }, &expected, never);
        // A task whose answer is lost is in flight, and nobody knows it.
        let most = 4 + usize::try_from(sums.in_doubt).unwrap();
        assert!((4..=most).contains(&sums.n_unfinished_max) || sums.fenced > 0, "{sums:?}");
        let took = sums.sent_at.iter().max().unwrap() - sums.sent_at.iter().min().unwrap();
        assert!(seed % 3 > 0 || took < 70_000_000, "{took} us for 60 tasks of 3 s in 4 places: {sums:?}");
    }
}
