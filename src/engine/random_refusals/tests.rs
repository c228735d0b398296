//! Tests of the randomness test, alone and in a limiter. Simulated services refuse at random, by a limit, or both, with fixed seeds.

use std::collections::VecDeque;

use super::*;
use crate::engine::adaptive_limiter::AdaptiveLimiter;
use crate::engine::submit_permit::RefusalReaction;
use crate::model::limits::Concurrency;
use crate::model::time::{Moment, Timestamp};

/// Gives random answers until a refusal is attributed to a limit. Returns the number of answers; `None` after `most` answers.
fn until_alarm(chance: &mut RandomRefusalTest, share: f64, most: u32, rng: &mut fastrand::Rng) -> Option<u32> {
    (1..=most).find(|_| {
        if rng.f64() < share {
            chance.refused(LoadLevel::Unclear) != RefusalVerdict::Chance
        } else {
            chance.accepted();
            false
        }
    })
}

/// Goal: any likely random share is distinguished from a limit for a long time. Method: at most a few alarms in 200,000 answers, and none
/// that ends the trust.
#[test]
fn chance_is_presumed_as_long_as_it_refuses_alike() {
    for share in [0.001, 0.01, 0.05, 0.1] {
        for seed in 0..5 {
            let (mut chance, mut rng) = (RandomRefusalTest::new(), fastrand::Rng::with_seed(seed));
            until_alarm(&mut chance, share, 5000, &mut rng);
            let n_alarms = (0..40).filter(|_| until_alarm(&mut chance, share, 5000, &mut rng).is_some()).count();
            assert!(n_alarms <= 20, "{share}, seed {seed}: {n_alarms}");
            assert!(chance.is_trusted(), "{share}, seed {seed}");
            assert!((chance.share() / share - 1.0).abs() < 0.5, "{share}, seed {seed}: {}", chance.share());
        }
    }
}

#[test]
fn what_refuses_more_than_chance_did_is_a_limit() {
    for (share, more) in [(0.0, 0.2), (0.001, 0.15), (0.01, 0.2), (0.05, 0.3), (0.1, 0.5)] {
        for seed in 0..20 {
            let (mut chance, mut rng) = (RandomRefusalTest::new(), fastrand::Rng::with_seed(seed));
            until_alarm(&mut chance, share, 20_000, &mut rng);
            let found = until_alarm(&mut chance, more, 2000, &mut rng);
            assert!(found.is_some_and(|n| n < 400), "{share}, {more}, seed {seed}: {found:?}");
        }
    }
}

#[test]
fn a_few_refusals_in_a_row_are_no_chance() {
    let mut chance = RandomRefusalTest::new();
    let verdicts: Vec<RefusalVerdict> = (0..8).map(|_| chance.refused(LoadLevel::Unclear)).collect();
    assert_eq!(verdicts[0], RefusalVerdict::Chance, "one may be");
    assert!(verdicts.iter().any(|verdict| *verdict != RefusalVerdict::Chance), "{verdicts:?}");
    assert!(!chance.is_presumed() && chance.share() <= 0.0);
}

/// Case: a limit is known and kept. A refusal beyond it belongs to the limit, at once and for ever.
#[test]
fn trials_beyond_a_known_limit_prove_no_chance() {
    let mut chance = RandomRefusalTest::new();
    chance.distrust();
    for _ in 0..1000 {
        (0..25).for_each(|_| chance.accepted());
        assert_eq!(chance.refused(LoadLevel::Beyond), RefusalVerdict::Limit { n_before: 0 });
        assert!(!chance.is_proven_by_cut(LoadLevel::Beyond) && !chance.is_presumed());
    }
}

#[test]
fn cuts_that_do_not_help_prove_chance_and_those_of_a_limit_that_falls_do_not() {
    let mut chance = RandomRefusalTest::new();
    chance.distrust();
    assert!((0..100).all(|_| !chance.is_proven_by_cut(LoadLevel::Within)), "one after the other");
    let is_proven = |chance: &mut RandomRefusalTest| {
        (0..20).for_each(|_| chance.accepted());
        chance.is_proven_by_cut(LoadLevel::Within)
    };
    let proven_by = (1..=20).find(|_| is_proven(&mut chance));
    assert!(proven_by.is_some_and(|n| (4..=8).contains(&n)), "{proven_by:?}");
    assert!(chance.is_trusted() && (chance.share() - 1.0 / 21.0).abs() < 0.01, "{}", chance.share());
}

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
        if at < self.next_at || !self.learner.has_room(now, n_others) || self.learner.next_at(now).is_some() {
            return false;
        }
        self.next_at = self.next_at.max(at - 20.0) + 1000.0 / self.told;
        let ticket = self.learner.take(now, n_others);
        if self.rng.f64() < self.chance || n_others >= self.places || self.tokens < 1.0 {
            self.n_refused += 1;
            if self.learner.refused(now, ticket) == Some(RefusalReaction::Wait) {
                self.closed_until = millis + 500;
            }
        } else {
            self.tokens -= 1.0;
            self.n_accepted += 1;
            self.ends_at.push_back(millis + 3000);
            self.learner.accepted(now, ticket);
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
            let taken = service.play(0..900) / (50.0 * (1.0 - share));
            assert!(taken >= 0.95, "{share}, seed {seed}: {taken}");
        }
    }
}

#[test]
fn a_limit_that_comes_after_chance_was_trusted_is_found_and_kept() {
    for (share, most) in [(0.0, 0.05), (0.01, 0.08), (0.05, 0.15)] {
        for seed in 0..3 {
            let mut service = Service::new(seed, share);
            service.play(0..300);
            (service.per_second, service.tokens) = (20.0, 20.0);
            service.play(300..400);
            let taken = service.play(400..700) / 20.0;
            assert!(taken >= 0.85 && service.refused() <= most, "{share}, seed {seed}: {taken}, {}", service.refused());
        }
    }
}

#[test]
fn places_that_come_to_be_wanting_after_chance_was_trusted_are_found_and_kept() {
    for seed in 0..3 {
        let mut service = Service::new(seed, 0.01);
        service.play(0..300);
        service.places = 30;
        service.play(300..400);
        let taken = service.play(400..700) / 10.0;
        assert!(taken >= 0.85 && service.refused() <= 0.1, "seed {seed}: {taken}, {}", service.refused());
    }
}

#[test]
fn a_limit_that_goes_and_leaves_chance_is_forgotten() {
    for seed in 0..3 {
        let mut service = Service::new(seed, 0.01);
        (service.per_second, service.tokens) = (20.0, 20.0);
        service.play(0..300);
        service.per_second = FREE;
        service.play(300..600);
        let taken = service.play(600..900) / (50.0 * 0.99);
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
