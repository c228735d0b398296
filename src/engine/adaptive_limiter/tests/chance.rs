//! Tests of the limiter with random refusals, alone and besides a limit.

use std::collections::VecDeque;

use super::*;

/// Simulated service that refuses at random, and by a rate or for lack of slots. Its answers, and the ends of its tasks, are known at once.
struct Service {
    learner: AdaptiveLimiter,
    rng: fastrand::Rng,
    chance: f64,
    /// Submissions per second that it accepts, in bursts of one second's worth.
    per_second: f64,
    tokens: f64,
    places: usize,
    /// Maximum submissions per second that the user configured.
    told: f64,
    ends_at: VecDeque<i64>,
    next_at: f64,
    closed_until: i64,
    n_accepted: u32,
    n_refused: u32,
}

const FREE: f64 = 1e9;

impl Service {
    fn new(seed: u64, chance: f64) -> Self {
        Self {
            learner: AdaptiveLimiter::new(Concurrency::Auto, true),
            rng: fastrand::Rng::with_seed(seed),
            chance,
            per_second: FREE,
            tokens: 20.0,
            places: usize::MAX,
            told: 50.0,
            ends_at: VecDeque::new(),
            next_at: 0.0,
            closed_until: 0,
            n_accepted: 0,
            n_refused: 0,
        }
    }

    /// Simulates these seconds in steps of a millisecond, and returns the number of accepted submissions per second.
    fn play(&mut self, seconds: std::ops::Range<i64>) -> f64 {
        (self.n_accepted, self.n_refused) = (0, 0);
        let (from, to) = (seconds.start * 1000, seconds.end * 1000);
        for now in from..to {
            self.tokens = (self.tokens + self.per_second / 1000.0).min(self.per_second);
            while self.ends_at.front().is_some_and(|at| *at <= now) {
                self.ends_at.pop_front();
            }
            while now >= self.closed_until && self.submit(now) {}
        }
        f64::from(self.n_accepted) * 1000.0 / f64::from(i32::try_from(to - from).unwrap())
    }

    fn submit(&mut self, millis: i64) -> bool {
        let now = Moment::new(millis * 1000, Timestamp::from_millis(millis));
        let (n_others, at) = (self.ends_at.len(), f64::from(i32::try_from(millis).unwrap()));
        if at < self.next_at || self.learner.check(now, n_others).is_err() {
            return false;
        }
        self.next_at = self.next_at.max(at - 20.0) + 1000.0 / self.told;
        let ticket = self.learner.take(now, n_others);
        if self.rng.f64() < self.chance || n_others >= self.places || self.tokens < 1.0 {
            self.n_refused += 1;
            if self.learner.refused(now, ticket) == RefusalReaction::Wait {
                self.closed_until = millis + 500;
            }
        } else {
            self.tokens -= 1.0;
            self.n_accepted += 1;
            self.ends_at.push_back(millis + 3000);
            self.learner.accepted(ticket);
        }
        true
    }

    fn refused(&self) -> f64 {
        f64::from(self.n_refused) / f64::from(self.n_accepted + self.n_refused)
    }
}

#[test]
fn chance_does_not_throttle() {
    for share in [0.001, 0.01, 0.05, 0.1] {
        for seed in 0..3 {
            let mut service = Service::new(seed, share);
            let taken = service.play(0..300) / (50.0 * (1.0 - share));
            assert!(taken >= 0.95, "{share}, seed {seed}: {taken}");
        }
    }
}

#[test]
fn a_limit_that_comes_after_chance_was_trusted_is_found_and_kept() {
    for (share, most) in [(0.0, 0.05), (0.01, 0.08), (0.05, 0.15)] {
        for seed in 0..3 {
            let mut service = Service::new(seed, share);
            service.play(0..100);
            (service.per_second, service.tokens) = (20.0, 20.0);
            service.play(100..200);
            let taken = service.play(200..400) / 20.0;
            assert!(taken >= 0.85 && service.refused() <= most, "{share}, seed {seed}: {taken}, {}", service.refused());
        }
    }
}

#[test]
fn places_that_come_to_be_wanting_after_chance_was_trusted_are_found_and_kept() {
    for seed in 0..3 {
        let mut service = Service::new(seed, 0.01);
        service.play(0..100);
        service.places = 30;
        service.play(100..200);
        let taken = service.play(200..400) / 10.0;
        assert!(taken >= 0.85 && service.refused() <= 0.1, "seed {seed}: {taken}, {}", service.refused());
    }
}

#[test]
fn a_limit_that_goes_and_leaves_chance_is_forgotten() {
    for seed in 0..3 {
        let mut service = Service::new(seed, 0.01);
        (service.per_second, service.tokens) = (20.0, 20.0);
        service.play(0..100);
        service.per_second = FREE;
        service.play(100..200);
        let taken = service.play(200..300) / (50.0 * 0.99);
        assert!(taken >= 0.9, "seed {seed}: {taken}");
    }
}

/// Case: half of the submissions are refused for a second of every minute. The accepted rate recovers soon after each burst.
#[test]
fn bursts_of_chance_are_got_over() {
    for seed in 0..3 {
        let mut service = Service::new(seed, 0.01);
        service.play(0..120);
        let mut n_accepted = 0;
        for minute in 2..12 {
            service.chance = 0.5;
            service.play(minute * 60..minute * 60 + 1);
            n_accepted += service.n_accepted;
            service.chance = 0.01;
            service.play(minute * 60 + 1..minute * 60 + 60);
            n_accepted += service.n_accepted;
        }
        let taken = f64::from(n_accepted) / (50.0 * 600.0 * 0.99);
        assert!(taken >= 0.85, "seed {seed}: {taken}");
    }
}
