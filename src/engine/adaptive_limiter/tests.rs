//! Tests of the limiter against a provider whose two limits refuse identically.

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
    /// Largest deviation of a task from `task_millis`.
    spread_millis: i64,
    /// Size of the token bucket.
    burst: f64,
    /// End times of the tasks in flight, in milliseconds.
    ends_at: std::collections::VecDeque<i64>,
    closed_until: i64,
    /// Share of submissions that is refused at random besides.
    chance: f64,
    rng: fastrand::Rng,
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
            spread_millis: 0,
            burst: per_second.max(1.0),
            ends_at: <_>::default(),
            closed_until: 0,
            chance: 0.0,
            rng: fastrand::Rng::with_seed(7),
            n_accepted: 0,
            n_refused: 0,
        }
    }

    fn play(&mut self, seconds: std::ops::Range<i64>) {
        (self.n_accepted, self.n_refused) = (0, 0);
        for now in seconds.start * 1000..seconds.end * 1000 {
            self.tokens = (self.tokens + self.per_second / 1000.0).min(self.burst);
            while self.ends_at.front().is_some_and(|ends_at| *ends_at <= now) {
                self.learner.ended(
                    at(now),
                    self.ends_at.len(),
                    Duration::from_millis(self.task_millis.unsigned_abs()),
                    Duration::ZERO,
                );
                self.ends_at.pop_front();
            }
            while now >= self.closed_until && self.submit(now) {}
        }
    }

    /// Sends one submission, if one may leave, and answers it at once.
    fn submit(&mut self, now: i64) -> bool {
        let n_others = self.ends_at.len();
        if !self.learner.has_room(at(now), n_others) || self.learner.next_at(at(now)).is_some() {
            return false;
        }
        let ticket = self.learner.take(at(now), n_others);
        let is_lucky = self.chance == 0.0 || self.rng.f64() >= self.chance;
        if n_others < self.places && self.tokens >= 1.0 && is_lucky {
            self.tokens -= 1.0;
            self.n_accepted += 1;
            let nth = i64::try_from(self.n_accepted).unwrap_or(0);
            let ends_at = now + self.task_millis + self.spread_millis * (nth * 37 % 101 - 50) / 50;
            let place = self.ends_at.partition_point(|end| *end <= ends_at);
            self.ends_at.insert(place, ends_at);
            self.learner.accepted(at(now), ticket);
        } else {
            self.n_refused += 1;
            if self.learner.refused(at(now), ticket) == Some(RefusalReaction::Wait) {
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
        assert_eq!(provider.learner.reason, Some(RefusalCause::Window), "{places} places of {task_millis} ms");
        provider.play(60..300);
        let share = ratio(provider.n_accepted * usize::try_from(task_millis).unwrap(), places * 240_000);
        assert!(share >= 0.9 && provider.refused() <= 0.05, "{places} places of {task_millis} ms: {share}");
        assert_eq!(provider.learner.rate.now(at(300_000)).filter(|rate| *rate < 100.0), None, "no rate is in the way");
    }
}

#[test]
fn a_rate_is_told_from_places() {
    for (task_millis, per_second) in [(1000, 20.0), (5000, 20.0), (15_000, 20.0), (5000, 100.0)] {
        let mut provider = Provider::new(task_millis, NO_LIMIT, per_second);
        provider.play(0..60);
        assert_eq!(provider.learner.reason, Some(RefusalCause::Rate), "{per_second}/s, {task_millis} ms");
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
    learner.distrust_chance();
    let ticket = learner.take(at(0), 0);
    assert_eq!(learner.refused(at(40), ticket), Some(RefusalReaction::Cut));
    assert_eq!(learner.reason, Some(RefusalCause::Rate));
    assert!(learner.has_room(at(41), 3), "the window is as it was");
    let ticket = learner.take(at(2000), 0);
    assert_eq!(learner.refused(at(2040), ticket), Some(RefusalReaction::Wait), "the second in a row");
}

#[test]
fn only_the_first_refusal_of_a_burst_counts() {
    let mut learner = AdaptiveLimiter::new(Concurrency::Auto, false);
    learner.distrust_chance();
    let tickets: Vec<SubmitPermit> = (0..4).map(|n| learner.take(at(0), n)).collect();
    learner.accepted(at(40), tickets[0]);
    learner.accepted(at(40), tickets[1]);
    assert!(learner.refused(at(41), tickets[2]).is_some());
    let cut =
        |learner: &AdaptiveLimiter| format!("{} {:?} {:?}", learner.window.cap(), learner.rate, learner.case.is_some());
    let before = cut(&learner);
    assert_eq!(learner.refused(at(5000), tickets[3]), None, "however late it comes");
    assert_eq!(cut(&learner), before);
}

/// The first refusal cuts both limits, and the next answer restores what was cut without a reason.
#[test]
fn a_case_ends_with_the_next_word() {
    for is_taken in [true, false] {
        let mut learner = AdaptiveLimiter::new(Concurrency::Auto, false);
        learner.distrust_chance();
        learner.ended(at(0), 1, Duration::from_secs(1), Duration::ZERO);
        for n in 0..4 {
            let ticket = learner.take(at(0), n);
            learner.accepted(at(0), ticket);
        }
        let ticket = learner.take(at(1), 4);
        assert_eq!(learner.refused(at(1), ticket), Some(RefusalReaction::Cut));
        assert!(!learner.has_room(at(1), 4) && learner.has_room(at(1), 3));
        let test_at = learner.room_at(at(1), 4).unwrap();
        assert!(learner.has_room(test_at, 4) && !learner.has_room(test_at, 5), "one more may leave, to see");
        let ticket = learner.take(test_at, 4);
        if is_taken {
            learner.accepted(test_at, ticket);
            assert!(learner.has_room(test_at, 5) && learner.rate.now(test_at).is_some());
        } else {
            assert_eq!(learner.refused(test_at, ticket), Some(RefusalReaction::Wait), "the second in a row");
            let test_at = learner.room_at(test_at, 4).unwrap();
            let ticket = learner.take(test_at, 4);
            assert_eq!(learner.refused(test_at, ticket), Some(RefusalReaction::Wait), "the third");
            assert!(!learner.has_room(test_at, 4) && learner.rate.now(test_at).is_none());
        }
        assert!(learner.case.is_none());
    }
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
        if learner.has_room(at(now), ends_at.len()) && learner.next_at(at(now)).is_none() {
            let ticket = learner.take(at(now), ends_at.len());
            if rng.u8(..10) == 0 {
                learner.refused(at(now), ticket);
            } else {
                learner.accepted(at(now), ticket);
                ends_at.push_back(now + 3000);
                n_accepted += 1;
            }
        }
    }
    assert!(n_accepted > 20_000, "{n_accepted}");
}

/// Goal: slots beside a known rate are found soon. Method: the search knows the rate, of a bucket for one, and half of it fills the slots.
#[test]
fn slots_beside_a_known_rate_are_used() {
    let mut provider = Provider::new(5000, 50, 20.0);
    (provider.burst, provider.tokens, provider.spread_millis) = (1.0, 1.0, 2500);
    provider.learner.begin(at(0), 1, FoundLimits { rate: Some(20.0), slots: None }, 0.0);
    provider.play(0..60);
    provider.play(60..360);
    let used = ratio(provider.n_accepted * 5, 300 * 50);
    assert!(used >= 0.9 && provider.refused() <= 0.05, "{used}, {}", provider.refused());
}

#[test]
fn few_slots_are_used_besides_random_refusals() {
    for (places, chance) in [(1, 0.05), (4, 0.01), (4, 0.05), (4, 0.1), (10, 0.1)] {
        let mut provider = Provider { spread_millis: 500, chance, ..Provider::new(2000, places, NO_RATE) };
        provider.play(0..60);
        provider.play(60..1260);
        let used = ratio(provider.n_accepted, places * 600);
        assert!(used > 0.9, "{places} slots, chance {chance}: {used}");
        assert!(provider.refused() < chance + 0.06, "{places} slots, chance {chance}: {}", provider.refused());
    }
}

#[test]
fn a_low_rate_is_used_besides_random_refusals() {
    for (per_second, chance) in [(2.0, 0.01), (5.0, 0.01)] {
        let mut provider = Provider { burst: 1.0, chance, ..Provider::new(5000, NO_LIMIT, per_second) };
        provider.play(0..60);
        provider.play(60..1260);
        let used = ratio(provider.n_accepted, 1200) / per_second;
        assert!(used > 0.85, "{per_second}/s, chance {chance}: {used}");
    }
}

#[test]
fn slots_that_become_fewer_are_found_besides_random_refusals() {
    let mut provider = Provider { spread_millis: 500, chance: 0.05, ..Provider::new(2000, 8, NO_RATE) };
    provider.play(0..600);
    provider.places = 2;
    provider.play(600..660);
    provider.play(660..1260);
    let used = ratio(provider.n_accepted, 600);
    assert!(used > 0.85 && provider.refused() < 0.12, "{used}, {}", provider.refused());
}
