//! Tests of the gate: what closes it, for how long, and which request probes first.

use super::*;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

fn pacer() -> Pacer {
    Pacer::new(None, None, Backoff::new(1), Duration::from_secs(900))
}

#[test]
fn without_a_rate_everything_may_leave() {
    let mut pacer = pacer();
    assert!((0..10_000).all(|_| pacer.take(at(0)).is_ok()));
}

#[test]
fn one_refusal_closes_the_gate_for_everybody() {
    let mut pacer = pacer();
    pacer.refused(at(0), Some(Duration::from_secs(7)), true);
    assert_eq!(pacer.take(at(10)), Err(at(7000)));
    assert_eq!(pacer.take(at(7000)), Ok(()));
}

#[test]
fn only_the_first_refusal_of_a_burst_counts() {
    let mut pacer = pacer();
    pacer.refused(at(0), None, true);
    let until = pacer.closed_until(at(1)).unwrap();
    pacer.refused(at(1), None, false);
    assert_eq!(pacer.closed_until(at(1)), Some(until));
    pacer.refused(at(1), Some(Duration::from_secs(60)), false);
    assert_eq!(pacer.closed_until(at(1)), Some(at(60_001)), "but every word on how long is heard");
}

#[test]
fn refusals_in_a_row_wait_longer_and_success_forgets_them() {
    let mut pacer = pacer();
    let mut now = at(0);
    let mut waits = vec![];
    for _ in 0..6 {
        pacer.refused(now, None, true);
        let until = pacer.closed_until(now).unwrap();
        waits.push(until - now);
        now = until;
    }
    assert!(waits[5] > waits[0] * 8, "{waits:?}");
    pacer.succeeded(at(0));
    pacer.refused(now, None, true);
    assert!(pacer.closed_until(now).unwrap() - now <= Duration::from_secs(2));
}

#[test]
fn a_wait_is_capped() {
    let mut pacer = pacer();
    pacer.refused(at(0), Some(Duration::from_secs(1_000_000)), true);
    assert_eq!(pacer.closed_until(at(0)), Some(at(900_000)));
}

#[test]
fn a_pause_that_was_announced_is_kept_and_capped() {
    let mut pacer = pacer();
    pacer.pause(at(0), Duration::from_secs(30));
    assert_eq!((pacer.take(at(29_999)), pacer.take(at(30_000))), (Err(at(30_000)), Ok(())));
    pacer.pause(at(0), Duration::MAX);
    assert_eq!(pacer.take(at(0)), Err(at(900_000)));
}

#[test]
fn whoever_names_no_time_gets_a_backoff() {
    for retry_after in [None, Some(Duration::ZERO)] {
        let mut pacer = pacer();
        pacer.refused(at(0), retry_after, true);
        assert!(pacer.take(at(499)).is_err() && pacer.take(at(1000)).is_ok());
    }
}

#[test]
fn a_side_that_seems_down_is_tried_one_by_one() {
    let mut pacer = pacer();
    for i in 0..7 {
        pacer.faltered(at(i), false);
        assert!(pacer.take(at(i)).is_ok() && !pacer.is_probing());
    }
    pacer.faltered(at(7), false);
    assert!(pacer.take(at(7)).is_err() && pacer.is_probing());
    assert_eq!(pacer.hold(at(8)).map(|hold| hold.why), Some(PauseReason::Down));
    assert_eq!(pacer.down_for(at(8)), Some(Duration::from_millis(8)), "since the first of them");
    pacer.succeeded(at(9));
    assert!(!pacer.is_probing());
    assert_eq!(pacer.down_for(at(10)), None);
}

const HOUR: i64 = 3_600_000;

/// Returns the moments, in minutes, at which a pacer probes a used-up quota, if every probe is refused. The quota resets at `resets_at`.
fn tries(resets_at: impl Fn(Moment) -> Option<Timestamp>, n: usize) -> Vec<i64> {
    let mut pacer = pacer();
    let mut now = at(0);
    let mut tries = vec![];
    for _ in 0..n {
        pacer.spent(now, resets_at(now));
        let hold = pacer.hold(now).unwrap();
        assert_eq!(hold.why, PauseReason::Quota);
        now = hold.until;
        assert!(pacer.take(now).is_ok() && pacer.is_probing(), "one request tries");
        tries.push(now.wall().millis() / 60_000);
    }
    tries
}

#[test]
fn a_used_up_allowance_is_waited_for_until_it_is_back() {
    let mut pacer = pacer();
    pacer.spent(at(0), Some(Timestamp::from_millis(7 * HOUR)));
    assert!(pacer.take(at(7 * HOUR - 1)).is_err());
    assert!(pacer.take(at(7 * HOUR + 30_000)).is_ok());
    pacer.succeeded(at(7 * HOUR + 30_001));
    assert!(!pacer.is_probing() && pacer.hold(at(7 * HOUR + 30_002)).is_none());
}

#[test]
fn an_allowance_that_is_not_back_in_time_is_tried_again_the_same_day() {
    let next_day = |now: Moment| Some(Timestamp::from_millis((now.wall().millis() / (24 * HOUR) + 1) * 24 * HOUR));
    assert_eq!(tries(next_day, 6), [1440, 1445, 1455, 1475, 1515, 1575]);
}

#[test]
fn an_allowance_of_which_nobody_knows_is_tried_ever_more_seldom() {
    assert_eq!(tries(|_| None, 6), [5, 10, 20, 40, 80, 140]);
}

#[test]
fn what_left_before_the_allowance_was_used_up_says_nothing() {
    let mut pacer = pacer();
    pacer.spent(at(0), Some(Timestamp::from_millis(HOUR)));
    pacer.succeeded(at(1));
    assert!(pacer.take(at(2)).is_err() && pacer.is_probing());
    pacer.spent(at(3), None);
    assert!(pacer.take(at(HOUR - 1)).is_err(), "nor does a second refusal");
}

#[test]
fn a_wait_for_an_allowance_survives_a_clock_that_is_set() {
    let (hour, day) = (HOUR * 1000, 24 * HOUR);
    let at = |micros: i64, wall: i64| Moment::new(micros, Timestamp::from_millis(wall));
    let mut pacer = pacer();
    pacer.spent(at(0, day), Some(Timestamp::from_millis(day + 2 * HOUR)));
    assert!(
        pacer.take(at(hour, day - 365 * 24 * HOUR)).is_err(),
        "one hour of two has passed, whatever the wall shows"
    );
    let hold = pacer.hold(at(hour, day - 365 * 24 * HOUR)).unwrap();
    assert!(
        hold.until - at(hour, 0) <= Duration::from_secs(3600 + 30),
        "set back by a year, it waits no longer: {hold:?}"
    );
    assert!(pacer.take(at(2 * hour + 30_000_000, day - 365 * 24 * HOUR)).is_ok());
}

#[test]
fn a_reset_that_is_years_away_is_waited_for_a_day_only() {
    let mut pacer = pacer();
    pacer.spent(at(0), Some(Timestamp::from_millis(i64::MAX)));
    let hold = pacer.hold(at(1)).unwrap();
    assert!(hold.until - at(1) <= Duration::from_secs(26 * 3600), "{hold:?}");
}

/// Goal: only a pause that the remote side names is one for others too. Method: refusals with and without a time, an outage, and a hold that
/// another process asked for.
#[test]
fn a_pause_that_is_named_is_told_from_others() {
    let mut pacer = pacer();
    pacer.refused(at(0), None, true);
    pacer.hold_for(at(0), Duration::from_secs(60));
    for _ in 0..20 {
        pacer.faltered(at(0), false);
    }
    assert!(pacer.hold(at(0)).is_some() && pacer.named_pause(at(0)).is_none());
    pacer.refused(at(0), Some(Duration::from_secs(7)), true);
    pacer.pause(at(0), Duration::from_secs(5));
    assert_eq!((pacer.named_pause(at(0)), pacer.named_pause(at(7000))), (Some(at(7000)), None));
}
