//! Work conservation: no submission waits that may leave, and no kind of request delays another.

use promptbatch::internals::effort::cases;
use promptbatch::internals::engine::turn::Turn;
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::time::Moment;

use crate::beats::{Beats, Free, Service, WILLING};

/// Maximum number of awaited answers to submissions, without a known rate or with one that needs no more.
const SUBMITS_MAX: usize = 64;

fn fixed(n: u32) -> Concurrency {
    Concurrency::Fixed(n.try_into().unwrap())
}

/// Goal: a submission that may leave has left by the end of the turn. The engine wakes no later than the next one may
/// leave.
///
/// Method: compute the user's limits a second time, by other means, and compare after every turn.
fn check_conserving(beats: &Beats, turn: &Turn, n_max: usize) {
    let wake_at = turn.wake_at.map(Moment::micros);
    let at = format!("at {} us, {:?}, woken at {wake_at:?}", beats.now, beats.limits);
    if beats.n_ready() == 0 {
        return;
    }
    assert!(wake_at.is_some() || beats.is_awaiting(), "jobs wait for nothing {at}");
    // Until the first acceptance, all submissions may be refused for the same reason.
    let submits_max = if beats.has_accepted { SUBMITS_MAX } else { 5 };
    let free = beats.free(n_max, submits_max);
    match (free, beats.hold_until()) {
        (Free::AfterAnswer, _) => (),
        (Free::Now | Free::At(_), Some(until)) => {
            assert!(wake_at <= Some(until) && wake_at.is_some(), "overslept {at}");
        }
        (Free::Now, None) => panic!("{} jobs are ready and none has left {at}", beats.n_ready()),
        (Free::At(free_at), None) => {
            assert!(wake_at.is_some_and(|wake_at| wake_at <= free_at), "overslept, {free_at} us would do, {at}");
        }
    }
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn what_the_users_limits_let_leave_has_left() {
    for seed in 0..cases(60) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let rate = [None, Some("1/s"), Some("7/s"), Some("40/s"), Some("100/m")][rng.usize(..5)];
        let n_max = [1, 3, 20, 200][rng.usize(..4)];
        let limits = Limits {
            concurrency: fixed(n_max),
            rate: rate.and_then(|text| text.parse().ok()),
            look_ahead_max: rng.usize(1..100),
            retries_max: 100,
            seed,
            ..Limits::default()
        };
        let faults = [0.0, 0.0, 0.1][rng.usize(..3)];
        let service = Service { task: rng.f64() * 20.0, answer: rng.f64(), image: rng.f64(), faults, ..WILLING };
        let mut beats = Beats::new(rng.u64(1..400), &limits, service);
        beats.is_disturbed = true;
        let is_over = beats.run(1e6, |beats, turn| check_conserving(beats, turn, n_max as usize));
        assert!(is_over && beats.in_flight_max <= n_max as usize, "seed {seed}");
    }
}

/// Goal: the same holds for limits that are not configured. Method: also call the engine at moments without an answer
/// and without a requested wake-up. An action at such a moment had been forgotten before.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn nothing_is_forgotten_until_somebody_happens_to_ask() {
    for seed in 0..cases(60) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let limits = Limits {
            concurrency: [Concurrency::Auto, fixed(20)][rng.usize(..2)],
            poll_rate: [None, "5/s".parse().ok()][rng.usize(..2)],
            polls_max: [2, 64][rng.usize(..2)],
            downloads_max: [2, 64][rng.usize(..2)],
            retries_max: 100,
            seed,
            ..Limits::default()
        };
        let service = Service {
            task: rng.f64() * [1.0, 20.0][rng.usize(..2)],
            places: [usize::MAX, 1, 5, 30][rng.usize(..4)],
            rate: [f64::INFINITY, 0.5, 5.0, 30.0][rng.usize(..4)],
            faults: [0.0, 0.1][rng.usize(..2)],
            ..WILLING
        };
        let mut beats = Beats::new(rng.u64(1..300), &limits, service);
        beats.is_disturbed = true;
        assert!(beats.run(1e6, |_, _| ()), "seed {seed}");
    }
}

/// Measurements of the last thirty seconds of a run at a known rate.
#[derive(Debug)]
struct Seen {
    /// Tasks submitted, noticed as ended, and downloaded, per second.
    n_sent: f64,
    n_noticed: f64,
    n_fetched: f64,
    /// Delay in seconds within which nineteen of twenty ends were noticed.
    delay: f64,
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn seen(rate: &str, poll_rate: Option<&str>, service: Service) -> Seen {
    let parse = |text: &str| text.parse().unwrap();
    let limits = Limits { rate: Some(parse(rate)), poll_rate: poll_rate.map(parse), ..Limits::default() };
    let warm_up = 30.0 + 2.0 * service.task;
    let mut beats = Beats::new(u64::MAX, &limits, service);
    let counts = |beats: &Beats| [beats.n_sent, beats.delays.len() as u64, beats.n_finished];
    assert!(!beats.run(warm_up, |_, _| ()));
    let before = counts(&beats);
    assert!(!beats.run(warm_up + 30.0, |_, _| ()));
    let after = counts(&beats);
    let a_second = |n: usize| (after[n] - before[n]) as f64 / 30.0;
    let (n_sent, n_noticed, n_fetched) = (a_second(0), a_second(1), a_second(2));
    let mut delays = beats.delays.split_off(usize::try_from(before[1]).unwrap());
    delays.sort_unstable();
    let delay = delays[delays.len() * 95 / 100] as f64 / 1e6;
    Seen { n_sent, n_noticed, n_fetched, delay }
}

/// Goal: thousands of due tasks and slow images do not delay submissions, and submissions do not delay them. Method: a
/// known rate, which shows lost submissions, with enough polls and with hardly enough.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn polls_and_downloads_keep_no_submission_from_leaving() {
    let slow = Service { task: 60.0, image: 1.0, ..WILLING };
    let enough = seen("50/s", Some("150/s"), slow.clone());
    assert!(
        enough.n_sent > 0.95 * 50.0 && enough.n_noticed > 0.9 * 50.0 && enough.n_fetched > 0.9 * 50.0,
        "{enough:?}"
    );
    assert!(enough.delay < 10.0, "{enough:?}");
    // More tasks end than may be polled, so nearly every poll finds an ended one.
    let few = seen("50/s", Some("30/s"), slow);
    assert!(few.n_sent > 0.95 * 50.0 && few.n_noticed > 0.95 * 30.0 && few.n_fetched > 0.95 * 30.0, "{few:?}");
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn submissions_at_full_tilt_keep_no_poll_from_leaving() {
    let seen = seen("400/s", None, Service { image: 0.1, ..WILLING });
    assert!(seen.n_sent > 0.95 * 400.0 && seen.n_noticed > 0.95 * 400.0 && seen.n_fetched > 0.95 * 400.0, "{seen:?}");
    assert!(seen.delay < 3.0, "{seen:?}");
}
