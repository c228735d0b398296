//! Tests of the limiter against a provider whose two limits refuse identically.

mod chance;

use super::*;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

/// Simulated provider whose tasks all take the same time, and whose task ends are known at once.
struct Provider {
    learner: AdaptiveLimiter,
    task_millis: i64,
    places: usize,
    per_second: f64,
    tokens: f64,
    /// End times of the tasks in flight, in milliseconds.
    ends_at: std::collections::VecDeque<i64>,
    closed_until: i64,
    n_accepted: usize,
    n_refused: usize,
}

impl Provider {
    fn new(task_millis: i64, places: usize, per_second: f64) -> Self {
        Self {
            learner: AdaptiveLimiter::new(Concurrency::Auto, false),
            task_millis,
            places,
            per_second,
            tokens: per_second.min(1e6),
            ends_at: <_>::default(),
            closed_until: 0,
            n_accepted: 0,
            n_refused: 0,
        }
    }

    fn play(&mut self, seconds: std::ops::Range<i64>) {
        (self.n_accepted, self.n_refused) = (0, 0);
        for now in seconds.start * 1000..seconds.end * 1000 {
            self.tokens = (self.tokens + self.per_second / 1000.0).min(self.per_second.max(1.0));
            while self.ends_at.front().is_some_and(|ends_at| *ends_at <= now) {
                let took = Duration::from_millis(self.task_millis.unsigned_abs());
                self.learner.ended(at(now), self.ends_at.len(), took);
                self.ends_at.pop_front();
            }
            while now >= self.closed_until && self.submit(now) {}
        }
    }

    /// Sends one submission, if one may leave, and answers it at once.
    fn submit(&mut self, now: i64) -> bool {
        let n_others = self.ends_at.len();
        if self.learner.check(at(now), n_others).is_err() {
            return false;
        }
        let ticket = self.learner.take(at(now), n_others);
        if n_others < self.places && self.tokens >= 1.0 {
            self.tokens -= 1.0;
            self.n_accepted += 1;
            self.ends_at.push_back(now + self.task_millis);
            self.learner.accepted(ticket);
        } else {
            self.n_refused += 1;
            if self.learner.refused(at(now), ticket) == RefusalReaction::Wait {
                self.closed_until = now + 500;
            }
        }
        true
    }

    fn refused(&self) -> f64 {
        ratio(self.n_refused, self.n_accepted + self.n_refused)
    }
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

const NO_LIMIT: usize = usize::MAX;
const NO_RATE: f64 = 1e9;

#[test]
fn without_limits_hundreds_are_in_flight_in_a_moment() {
    let mut provider = Provider::new(5000, NO_LIMIT, NO_RATE);
    provider.play(0..1);
    assert!(provider.n_accepted >= 500, "{}", provider.n_accepted);
}

#[test]
fn a_known_rate_says_itself_what_is_worth_while() {
    let mut provider = Provider::new(15_000, NO_LIMIT, NO_RATE);
    provider.learner = AdaptiveLimiter::new(Concurrency::Auto, true);
    provider.play(0..1);
    assert!(provider.n_accepted >= 4000, "{}", provider.n_accepted);
}

#[test]
fn places_are_told_from_a_rate() {
    for (task_millis, places) in [(1000, 4), (5000, 4), (15_000, 4), (5000, 50), (2000, 1)] {
        let mut provider = Provider::new(task_millis, places, NO_RATE);
        provider.play(0..60);
        assert!(provider.learner.has_found_places(), "{places} places of {task_millis} ms");
        provider.play(60..300);
        let share = ratio(provider.n_accepted * usize::try_from(task_millis).unwrap(), places * 240_000);
        assert!(share >= 0.9 && provider.refused() <= 0.05, "{places} places of {task_millis} ms: {share}");
        assert_eq!(provider.learner.rate(), None, "no rate is in the way");
    }
}

#[test]
fn a_rate_is_told_from_places() {
    for (task_millis, per_second) in [(1000, 20.0), (5000, 20.0), (15_000, 20.0), (5000, 100.0)] {
        let mut provider = Provider::new(task_millis, NO_LIMIT, per_second);
        provider.play(0..60);
        let rate = provider.learner.rate().unwrap_or(0.0);
        assert!((rate / per_second - 1.0).abs() < 0.1, "{per_second}/s, {task_millis} ms: {rate}");
        provider.play(60..300);
        let share = f64::from(u32::try_from(provider.n_accepted).unwrap()) / (per_second * 240.0);
        assert!(share >= 0.9, "{per_second}/s, {task_millis} ms: {share}");
        assert!(provider.refused() <= 0.05, "{per_second}/s, {task_millis} ms: {}", provider.refused());
    }
}

/// A low rate without bursts looks like a few slots. It is used in part even then, with few refusals.
#[test]
fn a_rate_that_is_taken_for_places_does_no_great_harm() {
    let mut provider = Provider::new(5000, NO_LIMIT, 1.0);
    provider.play(0..60);
    provider.play(60..300);
    assert!(
        provider.n_accepted >= 168 && provider.refused() <= 0.055,
        "{} {}",
        provider.n_accepted,
        provider.refused()
    );
}

/// A refusal with nothing in flight is not caused by a missing slot.
#[test]
fn an_empty_provider_that_refuses_has_a_rate() {
    let mut learner = AdaptiveLimiter::new(Concurrency::Auto, false);
    for nth in 0..4 {
        let permit = learner.take(at(10 * nth), 0);
        if nth == 0 { learner.accepted(permit) } else { drop(learner.refused(at(10 * nth), permit)) }
    }
    assert!(learner.rate().is_some() && !learner.has_found_places());
    assert!(matches!(learner.check(at(41), 0), Err(Held::Rate(until)) if until > at(41)));
}

/// A burst of refusals is met once: the submissions that left before the first of them say little more.
#[test]
fn refusals_of_one_burst_count_little() {
    let found = |gap: i64| {
        let mut learner = AdaptiveLimiter::new(Concurrency::Auto, false);
        let taken: Vec<_> = (0..50).map(|n| learner.take(at(0), n)).collect();
        taken.into_iter().for_each(|permit| learner.accepted(permit));
        let mut permits: Vec<_> = (0..4).map(|nth| (nth, learner.take(at(50 + gap * nth), 50))).collect();
        if gap == 0 {
            permits.drain(..).for_each(|(_, permit)| drop(learner.refused(at(90), permit)));
        }
        for (nth, permit) in permits {
            learner.refused(at(51 + gap * nth), permit);
        }
        learner.causes.probability(Assumption::None)
    };
    assert!(found(0) > 10.0 * found(100), "{} {}", found(0), found(100));
}

/// Refusals while all slots are in use, and acceptances after ends of tasks, show the slots.
#[test]
fn slots_are_told_by_the_ends_of_tasks() {
    let mut learner = AdaptiveLimiter::new(Concurrency::Auto, false);
    for round in 0..6 {
        for n in 0..4 {
            let permit = learner.take(at(round * 5000), n);
            learner.accepted(permit);
        }
        let permit = learner.take(at(round * 5000 + 100), 4);
        learner.refused(at(round * 5000 + 140), permit);
        (0..4).for_each(|_| learner.ended(at(round * 5000 + 4900), 4, Duration::from_secs(5)));
    }
    assert!(learner.has_found_places(), "{:?}", learner.causes);
    assert_eq!(learner.cap(), 4);
    assert_eq!(learner.check(at(30_000), 3), Ok(()));
}

/// A limit of the other kind than the one before is used too, whatever it is attributed to.
#[test]
fn reasons_change() {
    let mut provider = Provider::new(5000, 50, NO_RATE);
    provider.play(0..60);
    (provider.places, provider.per_second, provider.tokens) = (NO_LIMIT, 2.0, 2.0);
    provider.play(60..120);
    provider.play(120..240);
    assert!(provider.n_accepted >= 216 && provider.refused() <= 0.05, "{}", provider.n_accepted);
    (provider.places, provider.per_second) = (4, NO_RATE);
    provider.play(240..300);
    provider.play(300..420);
    assert!(provider.n_accepted >= 4 * 24 * 9 / 10 && provider.refused() <= 0.05, "{}", provider.n_accepted);
}

/// Goal: random refusals of one in ten do not slow submissions down ever further. Method: simulate such a provider, and check that
/// thousands are accepted.
#[test]
fn chance_is_borne() {
    let (mut learner, mut rng) = (AdaptiveLimiter::new(Concurrency::Auto, false), fastrand::Rng::with_seed(1));
    let (mut ends_at, mut n_accepted) = (std::collections::VecDeque::new(), 0);
    for now in 0..600_000 {
        while ends_at.front().is_some_and(|at| *at <= now) {
            ends_at.pop_front();
        }
        if learner.check(at(now), ends_at.len()).is_ok() {
            let ticket = learner.take(at(now), ends_at.len());
            if rng.u8(..10) == 0 {
                learner.refused(at(now), ticket);
            } else {
                learner.accepted(ticket);
                ends_at.push_back(now + 3000);
                n_accepted += 1;
            }
        }
    }
    assert!(n_accepted > 20_000, "{n_accepted}");
}
