use super::*;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

fn pacer(rate: Option<&str>) -> Pacer {
    let rate = rate.map(|text| text.parse().unwrap());
    Pacer::new(rate, None, Backoff::new(1), Duration::from_secs(900))
}

/// How many permits a pacer gives when asked again exactly when it says, from `from` to before `until`.
fn permits(pacer: &mut Pacer, from: i64, until: i64) -> usize {
    let (mut now, mut n) = (at(from), 0);
    while now < at(until) {
        match pacer.take(now) {
            Ok(()) => n += 1,
            Err(moment) => {
                assert!(moment > now, "a pacer that says `now` again would spin");
                now = moment;
            }
        }
    }
    n
}

#[test]
fn without_a_rate_everything_may_leave() {
    let mut pacer = pacer(None);
    assert!((0..10_000).all(|_| pacer.take(at(0)).is_ok()));
}

#[test]
fn a_rate_is_kept_to_within_two_in_a_hundred() {
    for (text, seconds, expected) in
        [("10/s", 100, 1000), ("1000/s", 10, 10_000), ("30/m", 600, 300), ("125/d", 86_400, 125)]
    {
        let n = permits(&mut pacer(Some(text)), 0, seconds * 1000);
        assert!(n * 100 >= expected * 98 && n <= expected + 6, "{text}: {n} of {expected}");
    }
}

#[test]
fn no_second_ever_sees_more_than_the_rate_and_the_burst() {
    let mut pacer = pacer(Some("10/s"));
    permits(&mut pacer, 0, 3000);
    // After a pause the limiter must not have saved up a second's worth.
    assert!(permits(&mut pacer, 60_000, 61_000) <= 11);
}

#[test]
fn what_was_sent_before_counts() {
    let mut pacer = pacer(Some("1/m"));
    pacer.remember(at(-20_000));
    assert!(pacer.take(at(0)).is_err());
    assert!(pacer.take(at(39_999)).is_err());
    assert!(pacer.take(at(40_001)).is_ok());
}

#[test]
fn a_burst_is_what_the_user_says() {
    let rate = "1/m".parse().unwrap();
    let mut pacer = Pacer::new(Some(rate), NonZeroU32::new(5), Backoff::new(1), Duration::MAX);
    assert_eq!(permits(&mut pacer, 0, 10), 5);
}

#[test]
fn one_refusal_closes_the_gate_for_everybody() {
    let mut pacer = pacer(None);
    assert!(pacer.refused(at(0), Some(Duration::from_secs(7))));
    assert_eq!(pacer.take(at(10)), Err(at(7000)));
    assert_eq!(pacer.take(at(7000)), Ok(()));
}

#[test]
fn only_the_first_refusal_of_a_burst_counts() {
    let mut pacer = pacer(None);
    assert!(pacer.refused(at(0), None));
    let until = pacer.closed_until(at(1)).unwrap();
    assert!(!pacer.refused(at(1), None));
    assert_eq!(pacer.closed_until(at(1)), Some(until));
    assert!(pacer.refused(until, None), "a refusal after the gate opened is news");
}

#[test]
fn refusals_in_a_row_wait_longer_and_success_forgets_them() {
    let mut pacer = pacer(None);
    let mut now = at(0);
    let mut waits = vec![];
    for _ in 0..6 {
        pacer.refused(now, None);
        let until = pacer.closed_until(now).unwrap();
        waits.push(until - now);
        now = until;
    }
    assert!(waits[5] > waits[0] * 8, "{waits:?}");
    pacer.succeeded(at(0));
    pacer.refused(now, None);
    assert!(pacer.closed_until(now).unwrap() - now <= Duration::from_secs(2));
}

#[test]
fn a_wait_is_capped() {
    let mut pacer = pacer(None);
    pacer.refused(at(0), Some(Duration::from_secs(1_000_000)));
    assert_eq!(pacer.closed_until(at(0)), Some(at(900_000)));
}

#[test]
fn a_side_that_seems_down_is_tried_one_by_one() {
    let mut pacer = pacer(None);
    for i in 0..7 {
        pacer.faltered(at(i));
        assert!(pacer.take(at(i)).is_ok() && !pacer.is_probing());
    }
    pacer.faltered(at(7));
    assert!(pacer.take(at(7)).is_err() && pacer.is_probing());
    assert_eq!(pacer.hold(at(8)).map(|hold| hold.why), Some(HoldReason::Down));
    assert_eq!(pacer.down_for(at(8)), Duration::from_millis(8), "since the first of them");
    pacer.succeeded(at(9));
    assert!(!pacer.is_probing());
    assert_eq!(pacer.down_for(at(10)), Duration::ZERO);
}

const HOUR: i64 = 3_600_000;

/// Moments at which a pacer asks again, in minutes, when every try is refused for a used-up allowance that is back at `resets_at`.
fn tries(resets_at: impl Fn(Moment) -> Option<Timestamp>, n: usize) -> Vec<i64> {
    let mut pacer = pacer(None);
    let mut now = at(0);
    let mut tries = vec![];
    for _ in 0..n {
        pacer.spent(now, resets_at(now));
        let hold = pacer.hold(now).unwrap();
        assert_eq!(hold.why, HoldReason::Quota);
        now = hold.until;
        assert!(pacer.take(now).is_ok() && pacer.is_probing(), "one request tries");
        tries.push(now.wall().millis() / 60_000);
    }
    tries
}

#[test]
fn a_used_up_allowance_is_waited_for_until_it_is_back() {
    let mut pacer = pacer(None);
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
    let mut pacer = pacer(None);
    pacer.spent(at(0), Some(Timestamp::from_millis(HOUR)));
    pacer.succeeded(at(1));
    assert!(pacer.take(at(2)).is_err() && pacer.is_probing());
    pacer.spent(at(3), None);
    assert!(pacer.take(at(HOUR - 1)).is_err(), "nor does a second refusal");
}
