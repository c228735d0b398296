//! Tests of an estimated rate against a provider's token bucket.

use super::*;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

/// Token bucket that receives submissions at an estimated rate, at whole milliseconds.
struct Bucket {
    rate: EstimatedRate,
    per_second: f64,
    burst: f64,
    tokens: f64,
    n_accepted: u32,
    n_refused: u32,
}

impl Bucket {
    fn new(per_second: f64, burst: f64) -> Self {
        let rate = EstimatedRate::new();
        Self { rate, per_second, burst, tokens: burst, n_accepted: 0, n_refused: 0 }
    }

    fn play(&mut self, seconds: std::ops::Range<i64>) -> &mut Self {
        (self.n_accepted, self.n_refused) = (0, 0);
        for now in seconds.start * 1000..seconds.end * 1000 {
            self.tokens = (self.tokens + self.per_second / 1000.0).min(self.burst);
            while self.rate.next_at(at(now)).is_none() {
                self.rate.take(at(now));
                if self.tokens < 1.0 {
                    self.n_refused += 1;
                    self.rate.refused(at(now), true, 0.0);
                } else {
                    self.tokens -= 1.0;
                    self.n_accepted += 1;
                    self.rate.accepted(at(now));
                }
            }
        }
        self
    }

    /// Returns the share of the rate that was used over `seconds`.
    fn share(&self, seconds: f64) -> f64 {
        f64::from(self.n_accepted) / (self.per_second * seconds)
    }

    fn refused(&self) -> f64 {
        f64::from(self.n_refused) / f64::from(self.n_accepted + self.n_refused)
    }
}

#[test]
fn before_the_first_refusal_nothing_waits() {
    let mut rate = EstimatedRate::new();
    for _ in 0..1000 {
        assert_eq!(rate.next_at(at(0)), None);
        rate.take(at(0));
        rate.accepted(at(0));
    }
}

#[test]
fn a_rate_is_found_whatever_bursts_it_allows() {
    for (per_second, burst) in [(20.0, 20.0), (20.0, 5.0), (100.0, 100.0), (2.0, 1.0), (1000.0, 50.0)] {
        let mut bucket = Bucket::new(per_second, burst);
        bucket.play(0..60);
        bucket.play(60..300);
        assert!(bucket.share(240.0) >= 0.9, "{per_second}/s, burst {burst}: {}", bucket.share(240.0));
        assert!(bucket.refused() <= 0.05, "{per_second}/s, burst {burst}: {}", bucket.refused());
    }
}

#[test]
fn a_rate_that_moves_is_followed_within_a_minute() {
    let mut bucket = Bucket::new(20.0, 20.0);
    bucket.play(0..100);
    for (nth, per_second) in [10.0, 40.0, 160.0, 5.0].into_iter().enumerate() {
        let from = 100 + 100 * i64::try_from(nth).unwrap();
        (bucket.per_second, bucket.burst) = (per_second, per_second);
        bucket.play(from..from + 60);
        bucket.play(from + 60..from + 100);
        assert!(bucket.share(40.0) >= 0.9, "{per_second}/s: {}", bucket.share(40.0));
        assert!(bucket.refused() <= 0.05, "{per_second}/s: {}", bucket.refused());
    }
}

#[test]
fn only_what_it_says_explains_a_refusal() {
    let mut bucket = Bucket::new(20.0, 20.0);
    bucket.play(0..60);
    assert!(bucket.rate.explains(at(60_000)));
    assert!(!bucket.rate.explains(at(62_000)), "hardly anything was taken lately");
    assert!(!EstimatedRate::new().explains(at(0)), "nothing is known yet");
}

#[test]
fn one_that_is_late_is_made_up_for_and_one_that_rests_is_not() {
    let mut bucket = Bucket::new(20.0, 1.0);
    bucket.play(0..60);
    let mut rate = bucket.rate;
    let interval = Duration::from_secs_f64(1.0 / rate.now(at(60_100)).unwrap());
    rate.take(at(60_100));
    let next_at = rate.next_at(at(60_100)).unwrap();
    rate.take(next_at + Duration::from_millis(10));
    assert!(rate.next_at(next_at).unwrap() <= next_at + interval);
    rate.take(at(70_000));
    let next_at = rate.next_at(at(70_000)).unwrap();
    let (interval, late) = (next_at - at(70_000), next_at + Duration::from_millis(10));
    rate.take(late);
    assert!(rate.next_at(late).unwrap() >= late + interval * 9 / 10, "a wait for something else is not made up for");
    rate.take(at(90_000));
    assert!(rate.next_at(at(90_000)).is_some(), "a pause saves up nothing");
}
