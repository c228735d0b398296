//! Adaptive concurrency (`auto`) with a provider that accepts everything: how many tasks in flight are worthwhile.

use promptbatch::internals::effort::cases;
use promptbatch::model::limits::Limits;

use crate::beats::{Beats, Service, WILLING};

fn beats(seed: u64, service: Service) -> Beats {
    Beats::new(u64::MAX, &Limits { seed, ..Limits::default() }, service)
}

/// Goal: no task is sent that would only wait in a queue, and no server is idle because of that. Method: each of
/// `servers` servers works on one task, for 4.5 s on average, behind an endless queue. The engine sometimes probes a
/// higher number, so the median of many samples counts.
#[test]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_queue_is_not_filled() {
    for (servers, seed) in
        [(20, 1), (50, 2), (100, 1), (20, 2), (20, 3), (50, 1), (100, 2)].into_iter().take(cases(7_u8).into())
    {
        let mut beats = beats(seed, Service { servers, ..WILLING });
        let mut n_before = 0;
        for until in [200, 400, 600] {
            beats.run(f64::from(until), |_, _| ());
            let share = (beats.delays.len() - n_before) as f64 * 4.5 / 200.0 / servers as f64;
            assert!(share >= 0.9, "{servers} servers, seed {seed}: {share} of what they can do, until {until} s");
            n_before = beats.delays.len();
        }
        let mut looks: Vec<usize> = (0..31)
            .map(|n| {
                beats.run(600.0 + 20.0 * f64::from(n), |_, _| ());
                beats.in_flight()
            })
            .collect();
        looks.sort_unstable();
        let (n, max) = (looks[15], beats.in_flight_max);
        assert!((servers..=4 * servers).contains(&n) && max <= 1024, "{servers} servers, seed {seed}: {n}, once {max}");
    }
}

/// Goal: if all tasks are processed at once, more and more are sent, whether their durations are equal or not. Method:
/// no limit at all.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn without_limits_thousands_are_in_flight() {
    for (task, shortest, until) in [(5.0, 1.0, 150), (5.0, 0.5, 120), (5.0, 0.02, 150), (60.0, 0.5, 900)] {
        for seed in 1..4 {
            let mut beats = beats(seed, Service { task, shortest, ..WILLING });
            for second in (0..until).step_by(5) {
                if beats.in_flight_max < 4000 {
                    beats.run(f64::from(second), |_, _| ());
                }
            }
            let n = beats.in_flight_max;
            assert!(n >= 4000, "up to {task} s, the shortest {shortest} of that, seed {seed}: {n} in flight");
        }
    }
}

/// Goal: many tasks are sent before any task has ended. Method: the first seconds of tasks that take at least half a
/// minute.
#[test]
fn hundreds_are_in_flight_before_the_first_has_ended() {
    let mut beats = beats(1, Service { task: 60.0, ..WILLING });
    beats.run(20.0, |_, _| ());
    assert!(beats.in_flight_max >= 500 && beats.delays.is_empty(), "{}", beats.in_flight_max);
}
