//! Tests of the limiter of a shared rate: when it asks, what it spends, and what it lets go.

use super::*;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

/// Returns so many times, a tenth of a second apart, each of which can be used for 50 ms.
fn times(first: i64, count: u32) -> Reservation {
    let millis = Duration::from_millis;
    Reservation {
        first: at(first),
        interval: millis(100),
        count,
        usable_for: millis(50),
        again_in: millis(0),
        each: Amount::ZERO,
        is_short: false,
        reached: None,
    }
}

/// Returns an answer without a time, and when to ask again.
fn none(again_in: u64) -> Reservation {
    Reservation { again_in: Duration::from_millis(again_in), ..times(0, 0) }
}

fn limiter() -> ReservedRate {
    ReservedRate::new(Some(SharedRate { rate: "10/s".parse().unwrap(), burst: None }), false)
}

/// Returns how many times are asked for.
fn ask(rate: &mut ReservedRate, now: i64, n_wanted: usize) -> Option<u32> {
    let wish = Wish { n: n_wanted, first: None, most: &|_| None, surplus: Amount::ZERO };
    rate.ask(at(now), (n_wanted, 0), &wish).map(|request| request.max)
}

/// Goal: nothing leaves without a reserved time, nor before it, nor long after it. Method: three times, of which one is missed.
#[test]
fn a_time_is_for_one_submission_and_for_a_while() {
    let mut rate = limiter();
    assert_eq!(rate.take(at(0)), Err(None));
    rate.answered(at(0), Some(times(10, 3)));
    assert_eq!((rate.take(at(9)), rate.take(at(60))), (Err(Some(at(10))), Ok(())));
    assert_eq!(rate.take(at(60)), Err(Some(at(110))));
    assert_eq!((rate.take(at(161)), rate.take(at(210))), (Err(Some(at(210))), Ok(())), "that of 110 is gone");
    assert_eq!(rate.take(at(210)), Err(None));
}

/// Goal: a process asks for what it can use soon, once, and again before its times are used up. Method: requests with many and with few
/// jobs, and at every state of the one before.
#[test]
fn it_asks_in_time_and_for_no_more_than_it_can_use() {
    let mut rate = limiter();
    assert_eq!(ask(&mut rate, 0, 0), None);
    assert_eq!(
        (ask(&mut rate, 0, 100), ask(&mut rate, 0, 100)),
        (Some(5), None),
        "half a second, and one request at a time"
    );
    rate.answered(at(10), Some(times(10, 5)));
    assert_eq!(ask(&mut rate, 10, 100), None, "they last for a while");
    assert_eq!(
        (ask(&mut rate, 160, 4), ask(&mut rate, 160, 5)),
        (None, Some(1)),
        "those of 110 and later are there still"
    );
    rate.answered(at(170), Some(none(300)));
    assert_eq!((rate.asks_at(), ask(&mut rate, 469, 100), ask(&mut rate, 470, 100)), (Some(at(470)), None, Some(5)));
    rate.answered(at(470), Some(none(0)));
    assert_eq!(rate.asks_at(), Some(at(490)), "not at once");
}

/// Goal: a slow rate is asked for one by one, and another rate counts from the next request on.
#[test]
fn a_request_follows_the_rate() {
    let mut rate = limiter();
    rate.set_rate(SharedRate { rate: "30/m".parse().unwrap(), burst: None });
    assert_eq!(ask(&mut rate, 0, 100), Some(1));
    rate.answered(at(0), Some(times(0, 1)));
    rate.set_rate(SharedRate { rate: "1000000/s".parse().unwrap(), burst: None });
    assert_eq!(ask(&mut rate, 0, 1_000_000), Some(1024));
}
