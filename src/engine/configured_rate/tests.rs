//! Tests of permits at a rate, as servers count: over a run, in any span, after pauses and across processes.

use proptest::prelude::*;

use super::*;
use crate::model::time::Timestamp;

const RATES: [&str; 9] = ["1/s", "3/s", "10/s", "50/s", "200/s", "1000/s", "5000/s", "30/m", "125/d"];

fn at_micros(micros: i64) -> Moment {
    Moment::new(micros, Timestamp::from_millis(micros.div_euclid(1000)))
}

fn at(millis: i64) -> Moment {
    at_micros(millis * 1000)
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn known(text: &str) -> ConfiguredRate {
    ConfiguredRate::new(rate(text), None)
}

/// Returns when permits are given between two moments. Each request for a permit comes, as with timers, at the first whole millisecond
/// after the named moment, plus `late`.
fn permits(known: &mut ConfiguredRate, from: i64, until: i64, mut late: impl FnMut() -> i64) -> Vec<i64> {
    let (mut now, mut permits) = (from, vec![]);
    while now < until {
        match known.take(at(now)) {
            Ok(()) => permits.push(now),
            Err(moment) => {
                assert!(moment > at(now), "one that says `now` again would spin");
                now = (moment.micros() + 999).div_euclid(1000) + late();
            }
        }
    }
    permits
}

/// Returns the maximum number of permits in any span of this length, its end excluded.
fn most(permits: &[i64], span: i64) -> usize {
    (0..permits.len())
        .map(|first| permits[first..].partition_point(|at| *at < permits[first] + span))
        .max()
        .unwrap_or(0)
}

/// Returns how many of these permits a token bucket of this rate refuses that holds `burst` tokens.
fn n_refused(permits: &[i64], rate: Rate, burst: u32) -> usize {
    let (mut tokens, mut last, mut n_refused) = (f64::from(burst), i64::MIN / 2, 0);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of some days")]
    for at in permits {
        let refill = (at - last) as f64 / 1000.0 * f64::from(rate.count.get()) / rate.per.as_secs_f64();
        (tokens, last) = ((tokens + refill).min(f64::from(burst)), *at);
        if tokens >= 0.999 { tokens -= 1.0 } else { n_refused += 1 }
    }
    n_refused
}

/// Returns the time in which a rate gives about a thousand permits, in milliseconds.
fn long(rate: Rate) -> i64 {
    i64::try_from((rate.interval() * 1000).as_millis()).unwrap()
}

#[test]
fn at_least_ninety_eight_in_a_hundred_are_used() {
    for text in RATES {
        let rate = rate(text);
        let n = permits(&mut known(text), 0, long(rate), || 0).len();
        assert!((980..=1005).contains(&n), "{text}: {n} of 1000");
    }
}

/// Goal: lateness is compensated. Method: every wake-up comes up to two milliseconds late.
#[test]
fn timers_that_are_late_cost_nothing() {
    for text in RATES {
        let (rate, mut rng) = (rate(text), fastrand::Rng::with_seed(1));
        let n = permits(&mut known(text), 0, long(rate), || rng.i64(0..3)).len();
        assert!((980..=1005).contains(&n), "{text}: {n} of 1000");
    }
}

#[test]
fn a_burst_is_what_the_user_says() {
    let mut known = ConfiguredRate::new(rate("1/m"), NonZeroU32::new(5));
    assert_eq!(permits(&mut known, 0, 10, || 0).len(), 5);
}

#[test]
fn what_was_sent_before_counts() {
    let mut known = known("1/m");
    known.remember(at(0), at(-20_000));
    assert!(known.take(at(0)).is_err() && known.take(at(39_999)).is_err());
    assert!(known.take(at(40_301)).is_ok());
}

/// Case: a day's worth was sent, and then the clock was set back. The elapsed time is unknown, and no request waits for a day.
#[test]
fn a_clock_that_was_set_back_holds_up_one_request() {
    let mut known = known("125/d");
    for n in 0..125 {
        known.remember(at(0), at(3_600_000 * 24 + n));
    }
    let wait = known.take(at(0)).unwrap_err() - at(0);
    assert!(wait <= rate("125/d").interval() + Duration::from_secs(1), "{wait:?}");
    assert!(known.take(at(0) + wait).is_ok());
}

proptest! {
    /// Goal: no server refuses these requests, with sliding windows or with a token bucket and a burst of a few. Method: two processes,
    /// whose wake-ups are late by some milliseconds, and now and then by seconds.
    #[test]
    fn nothing_leaves_that_the_rate_forbids(nth in 0..RATES.len(), seed: u64, cut in 1..900_i64) {
        let rate = rate(RATES[nth]);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut late = move || if rng.u8(..50) == 0 { rng.i64(0..5000) } else { rng.i64(0..5) };
        let died_at = long(rate) * cut / 1000;
        let mut sent = permits(&mut known(RATES[nth]), 0, died_at, &mut late);
        let mut known = known(RATES[nth]);
        for sent_at in &sent {
            known.remember(at(died_at), at(*sent_at));
        }
        sent.extend(permits(&mut known, died_at, long(rate), &mut late));
        let (span, count) = (i64::try_from(rate.per.as_millis()).unwrap(), rate.count.get() as usize);
        prop_assert!(most(&sent, span) <= count, "{}: {} in a span", RATES[nth], most(&sent, span));
        let burst = if count >= 1000 && rate.per == Duration::from_secs(1) { 5 * rate.count.get() / 1000 } else { 2 };
        prop_assert_eq!(n_refused(&sent, rate, burst), 0, "{} with a burst of {}", RATES[nth], burst);
    }

    /// Property: a window sees at most its share, and the burst that the user names.
    #[test]
    fn no_window_sees_more_than_its_share_and_the_burst(burst in 1..20_u32, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut known = ConfiguredRate::new(rate("10/s"), NonZeroU32::new(burst));
        let sent = permits(&mut known, 0, 60_000, || if rng.u8(..20) == 0 { rng.i64(0..5000) } else { 0 });
        for window in [1, 50, 100, 777, 1000, 10_000] {
            let share = usize::try_from(window / 100).unwrap() + burst as usize;
            prop_assert!(most(&sent, window) <= share + 1, "{window} ms: {}", most(&sent, window));
        }
    }
}
