//! Tests of the filter: what one answer, or several, show about the limits.

use super::*;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

fn first(n_busy: usize) -> FirstRefusal {
    FirstRefusal { at: at(40), last_accepted: Some(at(39)), gap_accepted: 0.0, n_busy }
}

fn trial(millis: i64, is_accepted: bool, n_busy: usize) -> Trial {
    Trial { left_at: at(millis), is_accepted, n_busy_max: n_busy, n_busy_min: n_busy, n_undetected: 0 }
}

/// Goal: refusals that come together are as likely by a rate as by slots. Method: two of the same moment.
#[test]
fn refusals_of_one_moment_do_not_tell_a_rate_from_slots() {
    let mut posterior = LimitPosterior::new(first(4), 1.0);
    posterior.observe(trial(40, false, 4));
    posterior.observe(trial(40, false, 4));
    let (by_rate, by_slots) = (posterior.by_rate(), posterior.by_any_slots());
    assert!((0.25..0.75).contains(&by_rate) && (0.25..0.75).contains(&by_slots), "{by_rate}, {by_slots}");
}

/// Goal: slots are told from a rate. Method: nothing is accepted for long, and each end of a task lets exactly one in.
#[test]
fn ends_of_tasks_that_make_room_show_slots() {
    let mut posterior = LimitPosterior::new(first(4), 1.0);
    posterior.observe(trial(40, false, 4));
    for (millis, is_accepted, n_busy) in
        [(5000, false, 4), (6000, true, 3), (6040, false, 4), (9000, true, 3), (9040, false, 4)]
    {
        posterior.observe(trial(millis, is_accepted, n_busy));
    }
    assert!(posterior.by_any_slots() > 0.98, "{}", posterior.by_any_slots());
    assert_eq!(posterior.likeliest_slots(), 4);
}

/// Goal: a rate is told from slots. Method: more and more tasks are in flight, and now and then a submission comes too early.
#[test]
fn acceptances_beyond_the_slots_show_a_rate() {
    let mut posterior = LimitPosterior::new(first(4), 1.0);
    posterior.observe(trial(40, false, 4));
    for n in 0..6 {
        let millis = 1000 * i64::try_from(n).unwrap();
        posterior.observe(trial(millis + 600, true, n + 4));
        posterior.observe(trial(millis + 700, false, n + 5));
    }
    assert!(posterior.by_rate() > 0.99 && posterior.by_any_slots() < 0.01);
}

/// Goal: a bucket for a single token is known by its gaps, within a few per cent. Method: gaps of 0.49 s are refused, and
/// gaps of 0.51 s accepted.
#[test]
fn gaps_bound_the_rate_of_a_single_token() {
    let refusal = FirstRefusal { at: at(0), last_accepted: Some(at(0)), gap_accepted: f64::INFINITY, n_busy: 1 };
    let mut posterior = LimitPosterior::new(refusal, 1.0);
    for n in 0..8 {
        let millis = 510 * i64::try_from(n).unwrap();
        posterior.observe(trial(millis + 40, false, n + 1));
        posterior.observe(trial(millis + 490, false, n + 1));
        posterior.observe(trial(millis + 510, true, n + 1));
    }
    let (mean, sigma) = posterior.log_rate();
    assert!((1.9..2.1).contains(&mean.exp()) && sigma < 0.05, "{} times {sigma}", mean.exp());
}

/// Goal: refusals at random prove no limit. Method: after one refusal a hundred submissions are accepted, ten milliseconds apart.
#[test]
fn a_refusal_that_nothing_follows_is_random() {
    let mut posterior = LimitPosterior::new(first(4), 1.0);
    posterior.observe(trial(40, false, 4));
    (5..105).for_each(|n| posterior.observe(trial(i64::try_from(n).unwrap() * 2, true, n)));
    assert!(posterior.by_any_slots() < 0.01, "{}", posterior.by_any_slots());
    assert!(posterior.log_rate().0.exp() > 300.0 || posterior.by_rate() < 0.01);
}
