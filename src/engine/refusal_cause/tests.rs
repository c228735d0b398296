//! Tests of the attribution of refusals where a rate is known.

use std::time::Duration;

use super::*;
use crate::model::limits::Concurrency;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

/// Returns a rate of 20 a second at which `n` submissions were accepted, one every `gap` milliseconds, and the time afterwards.
fn accepted(n: i64, gap: i64) -> (EstimatedRate, Moment) {
    let mut rate = EstimatedRate::found(at(0), 20.0);
    for nth in 1..=n {
        rate.take(at(nth * gap));
        rate.accepted(at(nth * gap));
    }
    (rate, at(n * gap + 1))
}

fn slots(n: usize) -> ConcurrencyWindow {
    let mut window = ConcurrencyWindow::new(Concurrency::Auto);
    window.limit_to(n);
    window
}

/// Goal: each refusal is attributed to the limit that can have caused it. Method: one row for each combination of pace and tasks in flight.
#[test]
fn a_refusal_is_due_to_the_limit_that_was_reached() {
    let (slow, by_slots) = accepted(100, 100);
    let (quick, by_rate) = accepted(100, 52);
    let cause = |now, n_others, has_token, window: &ConcurrencyWindow, rate: &EstimatedRate| {
        let permit = SubmitPermit::new(now, n_others).with_token(has_token);
        RefusalCause::beside_rate(now, permit, window, rate, 2)
    };
    let unknown = ConcurrencyWindow::new(Concurrency::Auto);
    let (rate, window) = (Some(RefusalCause::Rate), Some(RefusalCause::Window));
    assert_eq!(cause(by_slots, 50, true, &unknown, &slow), window, "there was a token");
    assert_eq!(cause(by_slots, 50, false, &unknown, &slow), window, "half of the rate is used");
    assert_eq!(cause(by_rate, 50, false, &unknown, &quick), rate, "all of the rate is used");
    assert_eq!(cause(by_slots, 49, false, &slots(50), &slow), window, "nearly all slots are in use");
    assert_eq!(cause(by_slots, 30, false, &slots(50), &slow), rate, "many slots are free");
    assert_eq!(cause(by_slots, 30, true, &slots(50), &slow), None, "neither limit was reached");
    assert_eq!(cause(by_rate, 50, false, &slots(50), &quick), rate, "both were, and a rate is the cheaper guess");
}

/// Goal: a rate is not raised while slots hold the submissions back, since nothing tests it. Method: a minute at half of it, and at all of it.
#[test]
fn a_rate_that_is_not_used_does_not_grow() {
    let (slow, now) = accepted(600, 100);
    assert!(slow.now(now).unwrap() < 20.0 && !slow.is_grown(now), "{:?}", slow.now(now));
    let mut quick = EstimatedRate::found(at(0), 20.0);
    let mut now = at(0);
    while now < at(30_000) {
        now = quick.next_at(now).unwrap_or(now + Duration::from_millis(1));
        quick.take(now);
        quick.accepted(now);
    }
    assert!(quick.now(now).unwrap() > 22.0 && quick.is_grown(now), "{:?}", quick.now(now));
}
