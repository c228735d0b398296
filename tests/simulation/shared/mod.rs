//! Shared runs: several workers on one clock, a server that loses, delays, doubles and forgets, and crashes and pauses at every step.
//!
//! Goal: no accepted task is submitted again, no worker sends for a job of another one, every submission is recorded before it leaves, every
//! job ends, and every image is there once.
//!
//! Method: each worker is the whole program: engine, driver and ledger. The oracle of the runs of one process judges the records at the end,
//! and the service's own count says what was paid for.

mod cost;
mod culprit;
mod rate;
mod unsteady;
mod workers;

use std::sync::atomic::Ordering;
use std::time::Duration;

use promptbatch::internals::effort::{cases, is_full};
use promptbatch::model::event::{EventKind, Stage};
use promptbatch::model::limits::{InDoubtPolicy, Limits};
use promptbatch::model::time::Moment;
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::store::lease::Lease;

use crate::crash::Crash;
use crate::oracle::Ends;
use crate::shared::culprit::Culprit;
use crate::shared::unsteady::{Cut, Weather};
use crate::shared::workers::SharedWorld;
use crate::world::{self, START, World};
use crate::{PASSING, calm, limits, stormy};

/// Jobs of a world, in blocks of two.
const JOBS: u64 = 9;

/// Workers of a world.
const WORKERS: u64 = 3;

/// Upper limit on the steps of a session in such a world.
const STEPS_MAX: u64 = 20_000;

fn never(_: u64, _: u64) -> Crash {
    Crash::never()
}

/// Sums of the counts of several worlds.
#[derive(Clone, Debug, Default)]
struct Sums {
    worlds: u64,
    crashed: u64,
    fenced: u64,
    withheld: u64,
    /// Submissions that the driver did not send, and that it could record as such.
    unsent: u64,
    forgotten: u64,
    stopped: u64,
    stopped_elsewhere: u64,
    in_doubt: u64,
    /// Submissions that the service accepted, beyond one for each job.
    paid_twice: u64,
    /// Most tasks of one world that were unfinished at the service.
    n_unfinished_max: usize,
    /// Submissions that the service had accepted when every worker had met the limit on the cost.
    n_capped: u64,
    /// Times of the submissions of one world, in microseconds of its clock.
    sent_at: Vec<i64>,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.worlds += other.worlds;
        self.crashed += other.crashed;
        self.fenced += other.fenced;
        self.withheld += other.withheld;
        self.unsent += other.unsent;
        self.forgotten += other.forgotten;
        self.stopped += other.stopped;
        self.stopped_elsewhere += other.stopped_elsewhere;
        self.in_doubt += other.in_doubt;
        self.paid_twice += other.paid_twice;
    }
}

fn expected(n_jobs: u64) -> Ends {
    world::simulate(World::new(n_jobs, calm(0)).outcomes_of_a_calm_run())
}

/// World to play.
struct Play {
    n_jobs: u64,
    config: SimulatorConfig,
    weather: Weather,
    limits: Limits,
    cut: Option<Cut>,
    is_forgetful: bool,
}

impl Play {
    fn of(seed: u64) -> Self {
        let (config, weather) = (calm(seed), Weather::default());
        let limits = Limits { price: cost::price(), ..limits(seed) };
        Self { n_jobs: JOBS, config, weather, limits, cut: None, is_forgetful: false }
    }
}

/// Plays a world to its end, and judges it.
fn play(play: Play, expected: &Ends, crash: impl Fn(u64, u64) -> Crash) -> Sums {
    let Play { n_jobs, config, weather, limits, cut, is_forgetful } = play;
    world::simulate(async {
        let mut shared = SharedWorld::new(n_jobs, config);
        (shared.weather, shared.cut, shared.is_forgetful) = (weather, cut, is_forgetful);
        let rng = fastrand::Rng::with_seed(limits.seed);
        // After each time, no amount is reserved for half a minute.
        let rest = Duration::from_secs(if limits.cost_max.is_some() { 35 } else { 0 });
        if is_forgetful {
            tokio::select! {
                () = shared.run(WORKERS, &limits, &crash) => (),
                () = shared.forget_now_and_then(rng, rest) => (),
            }
        } else {
            shared.run(WORKERS, &limits, &crash).await;
        }
        let n_capped = shared.n_accepted();
        if limits.cost_max.is_some() {
            cost::check_and_raise(&shared, &limits, &crash).await;
        }
        let tally = std::sync::Arc::clone(&shared.tally);
        let sent_at = shared.sent_at();
        let world = shared.check_end(&limits, expected).await;
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        Sums {
            worlds: 1,
            crashed: of(&tally.crashed),
            fenced: of(&tally.fenced),
            withheld: of(&tally.withheld),
            unsent: world.ledger_events().iter().filter(|event| is_unsent(&event.kind)).count() as u64,
            forgotten: of(&tally.forgotten),
            stopped: of(&tally.stopped),
            stopped_elsewhere: of(&tally.stopped_elsewhere),
            in_doubt: world.n_in_doubt(),
            paid_twice: world.server_stats().n_accepted.saturating_sub(n_jobs),
            n_unfinished_max: world.server_stats().n_unfinished_max,
            n_capped,
            sent_at,
        }
    })
}

/// Reports whether a submission was recorded and then not sent, as the lease had lapsed.
fn is_unsent(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Setback(Stage::Submit, fault) if fault.message.starts_with("not sent, because"))
}

#[test]
fn calm_workers_share_the_jobs_and_pay_once() {
    let expected = expected(JOBS);
    for seed in 0..cases(20) {
        let sums = play(Play::of(seed), &expected, never);
        assert_eq!((sums.in_doubt, sums.paid_twice, sums.fenced), (0, 0, 0), "seed {seed}: {sums:?}");
    }
}

/// Goal: a network that loses, delays and doubles what passes between workers and server costs nothing. Method: every fault of the network
/// at 5 to 20 %; nobody crashes, so that nothing may be in doubt unless a worker was silent for too long.
#[test]
fn a_network_that_loses_and_doubles_costs_nothing() {
    a_bad_network(cases(60));
}

fn a_bad_network(n_seeds: u64) {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        let _culprit = Culprit(format!("seed {seed}"));
        let weather = Weather::of([0.05, 0.1, 0.2][usize::try_from(seed % 3).unwrap()]);
        let played = play(Play { weather, ..Play::of(seed) }, &expected, never);
        // Silence that is long enough to be taken over is rare, and leaves doubts.
        assert!(played.fenced > 0 || played.paid_twice == 0, "{played:?}");
        sums.add(&played);
    }
    println!("bad network: {sums:?}");
}

/// Goal: an outage of the server costs nothing and fences nobody, however long it is. Method: no worker reaches the server for a minute, and
/// for an hour, from different moments on.
#[test]
fn an_outage_of_the_server_costs_nothing() {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..cases(20) {
        let minutes = if seed % 2 == 0 { 1 } else { 60 };
        let _culprit = Culprit(format!("outage of {minutes} min, seed {seed}"));
        let from = Duration::from_millis(700 * seed);
        let cut = Cut { worker: None, from, until: from + Duration::from_secs(60 * minutes) };
        sums.add(&play(Play { cut: Some(cut), ..Play::of(seed) }, &expected, never));
    }
    println!("outages: {sums:?}");
    assert_eq!((sums.fenced, sums.in_doubt, sums.paid_twice), (0, 0, 0), "{sums:?}");
}

/// Goal: a worker that cannot reach the server loses its jobs, and pays for none twice if it is back before others have them. Method: one
/// worker is cut off for 5, 60 and 300 seconds, from different moments on.
#[test]
fn a_worker_that_is_cut_off_testifies() {
    let sums = cut_off(cases(30));
    assert!(sums.fenced >= 2, "{sums:?}");
}

fn cut_off(n_seeds: u64) -> Sums {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        let seconds = [5, 60, 300][usize::try_from(seed % 3).unwrap()];
        let _culprit = Culprit(format!("cut off for {seconds} s, seed {seed}"));
        let from = Duration::from_millis(500 + 140 * seed);
        let cut = Cut { worker: Some(1), from, until: from + Duration::from_secs(seconds) };
        let limits = Limits { rate: "30/m".parse().ok(), ..limits(seed) };
        let played = play(Play { cut: Some(cut), limits, ..Play::of(seed) }, &expected, never);
        assert!(seconds > 60 || (played.in_doubt, played.paid_twice) == (0, 0), "{played:?}");
        sums.add(&played);
    }
    println!("cut off: {sums:?}");
    sums
}

/// Goal: a quota that one worker finds used up stops all of them, and they go on when it is back. Method: a quota of four submissions a day.
#[test]
fn a_quota_that_is_used_up_stops_all_workers() {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..cases(10) {
        let _culprit = Culprit(format!("quota, seed {seed}"));
        let config = SimulatorConfig { quota: Some(4), ..calm(seed) };
        sums.add(&play(Play { config, ..Play::of(seed) }, &expected, never));
    }
    println!("quota: {sums:?}");
    assert!(sums.stopped >= WORKERS && sums.stopped_elsewhere > 0, "{sums:?}");
    assert_eq!((sums.fenced, sums.paid_twice), (0, 0), "{sums:?}");
}

/// Goal: the death of any worker at any moment loses nothing, and pays twice only for what was in doubt. Method: one worker dies at every
/// step of its first session in turn, on a calm network and on a bad one.
#[test]
fn a_worker_that_dies_at_any_step_loses_and_doubles_nothing() {
    let sums = die_everywhere(cases(2), if is_full() { 1 } else { 31 });
    assert!(sums.crashed > 20, "{sums:?}");
}

fn die_everywhere(n_seeds: u64, step_by: usize) -> Sums {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        for weather in [Weather::default(), Weather::of(0.05)] {
            for victim in 0..WORKERS {
                let first = 1 + (seed + 11 * victim) % u64::try_from(step_by).unwrap();
                for at_step in (first..STEPS_MAX).step_by(step_by) {
                    let _culprit = Culprit(format!("seed {seed}, {weather:?}, worker {victim} dies at step {at_step}"));
                    let dies = |worker, n| if (worker, n) == (victim, 0) { Crash::at(at_step) } else { Crash::never() };
                    let played = play(Play { weather, ..Play::of(seed) }, &expected, dies);
                    sums.add(&played);
                    if played.crashed == 0 {
                        break;
                    }
                }
            }
        }
    }
    println!("a death at every step: {sums:?}");
    sums
}

/// Goal: a worker that is stopped for longer than its lease sends nothing when it goes on. What it knew settles doubts, if it goes on before
/// its blocks are claimed. Method: one worker is stopped at every step of its first session in turn, for less than its lease, for less than
/// its term, for more, and for more than its term and the rest after it.
#[test]
fn a_worker_that_is_stopped_beyond_its_lease_sends_nothing() {
    // The submissions of a worker are among its first steps.
    let steps = if is_full() { (1..STEPS_MAX).step_by(1) } else { (9..24).step_by(2) };
    let sums = pause_everywhere(cases(2), &steps);
    assert!(sums.fenced > 5 && sums.withheld + sums.unsent > 0, "{sums:?}");
}

fn pause_everywhere(n_seeds: u64, steps: &(impl Iterator<Item = u64> + Clone)) -> Sums {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        for seconds in [12, 26, 40, 65, 200] {
            for at_step in steps.clone() {
                let _culprit = Culprit(format!("seed {seed}, stopped at step {at_step} for {seconds} s"));
                let pause = Crash::paused_at(at_step, Duration::from_secs(seconds));
                let faults = |worker, n| if (worker, n) == (1, 0) { pause.clone() } else { Crash::never() };
                let limits = Limits { rate: "30/m".parse().ok(), ..limits(seed) };
                let played = play(Play { limits, ..Play::of(seed) }, &expected, faults);
                // A submission that never left stays in doubt, as only acceptances are testified.
                assert!(seconds > 60 || played.paid_twice == 0, "{played:?}");
                sums.add(&played);
                if !pause.was_paused() {
                    break;
                }
            }
        }
    }
    println!("a pause at every step: {sums:?}");
    sums
}

/// Goal: a server that forgets what it acknowledged gets it again from living workers, and nothing is paid for twice. Method: the last one
/// to seven writes are forgotten every few seconds.
#[test]
fn a_server_that_forgets_is_told_again() {
    let sums = forget(cases(60));
    assert!(sums.forgotten > cases(60), "{sums:?}");
}

fn forget(n_seeds: u64) -> Sums {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        let _culprit = Culprit(format!("forgetful, seed {seed}"));
        // Under a low rate, workers are shut out more often, and the server also forgets their testimonies.
        let rate = if seed % 2 == 0 { None } else { "20/m".parse().ok() };
        let limits = Limits { rate, ..limits(seed) };
        sums.add(&play(Play { is_forgetful: true, limits, ..Play::of(seed) }, &expected, never));
    }
    println!("a forgetful server: {sums:?}");
    sums
}

/// Goal: everything at once still loses nothing: faults of the provider, a bad network, and workers that die and stop again and again.
#[test]
fn everything_at_once_loses_nothing() {
    let sums = storm(cases(30));
    assert!(sums.crashed > cases(30), "{sums:?}");
}

fn storm(n_seeds: u64) -> Sums {
    let (expected, mut sums) = (expected(JOBS), Sums::default());
    for seed in 0..n_seeds {
        let in_doubt = if seed % 2 == 0 { InDoubtPolicy::Resubmit } else { InDoubtPolicy::Hold };
        let _culprit = Culprit(format!("storm, seed {seed}, {in_doubt:?}"));
        let crash = |worker: u64, n: u64| {
            let mut rng = fastrand::Rng::with_seed(seed ^ (worker << 40) ^ (n << 20));
            let at_step = rng.u64(1..60);
            match rng.u8(..4) {
                // Every worker lives on in the end.
                _ if n > 4 => Crash::never(),
                0 => Crash::paused_at(at_step, Duration::from_secs(rng.u64(1..120))),
                1 => Crash::never(),
                _ => Crash::at(at_step),
            }
        };
        let limits = Limits { in_doubt, ..limits(seed) };
        let play_of = Play { config: stormy(seed, &PASSING), weather: Weather::of(0.04), limits, ..Play::of(seed) };
        sums.add(&play(play_of, &expected, crash));
    }
    println!("a storm: {sums:?}");
    sums
}

/// Goal: a submission leaves only under the lease; one that does not leave costs no attempt, and leaves later. Method: a ledger whose lease
/// does not hold for half a minute, and jobs that may not fail once.
#[test]
fn nothing_is_sent_without_the_lease() {
    world::simulate(async {
        let world = World::new(JOBS, calm(1));
        let lease = Lease::lapsed();
        let extended = lease.clone();
        let from = Duration::from_secs(30);
        let extend = async move {
            tokio::time::sleep(from).await;
            extended.extend(Moment::new(i64::MAX, START));
            std::future::pending::<()>().await;
        };
        let limits = Limits { retries_max: 0, ..limits(1) };
        tokio::select! {
            stop = world.run_under(limits, lease) => assert_eq!(stop, None),
            () = extend => unreachable!("it waits for ever"),
        }
        world.check();
        let events = world.ledger_events();
        let is_unsent = events.iter().filter(|event| is_unsent(&event.kind)).count();
        let accepted = events.iter().filter(|event| matches!(event.kind, EventKind::Accepted(_)));
        assert!(is_unsent > 10, "{is_unsent}");
        assert!(accepted.map(|event| event.at.since(START)).all(|at| at >= from));
        assert_eq!(world.server_stats().n_submits, JOBS);
        assert!(world.outcomes().values().all(|outcome| outcome.0 == "succeeded"));
    });
}

#[test]
#[ignore = "200 seeds of every fault, minutes of two cores"]
fn shared_runs_of_200_seeds() {
    let everywhere = 67;
    std::thread::scope(|scope| {
        scope.spawn(|| (a_bad_network(200), forget(200)));
        scope.spawn(|| (storm(200), cut_off(200)));
        scope.spawn(|| die_everywhere(200, everywhere));
        scope.spawn(|| pause_everywhere(200, &(5..STEPS_MAX).step_by(everywhere)));
        scope.spawn(|| pause_everywhere(5, &(1..STEPS_MAX)));
    });
}
