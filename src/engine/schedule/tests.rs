//! Tests of the schedule with tasks whose durations are known to the test, and not to the schedule.

use std::f64::consts::TAU;

use fastrand::Rng;
use proptest::prelude::{any, prop, prop_assert, proptest};

use super::*;
use crate::model::history::PastTask;
use crate::model::time::Timestamp;

const TIMEOUT: Duration = Duration::from_secs(3600);

fn at(seconds: f64) -> Moment {
    let span = Duration::from_secs_f64(seconds);
    Moment::new(0, Timestamp::from_millis(0)) + span
}

fn id(n: u8) -> JobId {
    JobId::from_bytes([n; 10])
}

fn named(model: &str) -> TaskKind {
    TaskKind { model: model.into(), size: None }
}

fn lognormal(rng: &mut Rng, median: f64, sigma: f64) -> f64 {
    median * (sigma * (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos()).exp()
}

/// Schedule under test, with the current time in seconds.
struct Bench {
    schedule: Schedule,
    now: f64,
    rng: Rng,
}

/// Cost of a task: its polls, and the seconds from its end to the last of them.
type Cost = (f64, f64);

impl Bench {
    fn new(seed: u64) -> Self {
        Self { schedule: Schedule::new(seed, TIMEOUT), now: 0.0, rng: Rng::with_seed(seed) }
    }

    /// Polls one task until it is found done.
    fn watch(&mut self, kind: DurationKind, took: f64) -> Cost {
        let start = self.now;
        let mut watch = PollState::new(kind, at(start));
        let mut n_polls = 0.0;
        self.schedule.plan(at(start), id(1), watch);
        loop {
            let moment = self.schedule.next().unwrap();
            assert_eq!(self.schedule.take_due(moment), Some(id(1)));
            self.now = (moment - at(0.0)).as_secs_f64();
            n_polls += 1.0;
            watch.asked(moment);
            if self.now >= start + took {
                self.schedule.ended(moment, &watch);
                return (n_polls, self.now - start - took);
            }
            self.schedule.still_running(moment, &mut watch);
            self.schedule.plan(moment, id(1), watch);
        }
    }

    /// Returns the mean cost of `n` tasks, one after the other.
    fn watch_many(&mut self, n: usize, kind: DurationKind, median: f64, sigma: f64) -> Cost {
        let mut sum = (0.0, 0.0);
        for _ in 0..n {
            let took = lognormal(&mut self.rng, median, sigma);
            let (n_polls, delay) = self.watch(kind, took);
            sum = (sum.0 + n_polls, sum.1 + delay);
        }
        let n = f64::from(u32::try_from(n).unwrap());
        (sum.0 / n, sum.1 / n)
    }

    fn kind(&mut self, model: &str) -> DurationKind {
        self.schedule.kind(named(model))
    }

    /// Returns the ages at which a task that never ends is polled.
    fn ages_of_a_stuck_task(&mut self, kind: DurationKind, until: f64) -> Vec<f64> {
        let start = self.now;
        let mut watch = PollState::new(kind, at(start));
        let mut ages = vec![];
        self.schedule.plan(at(start), id(1), watch);
        while self.now < start + until {
            let moment = self.schedule.next().unwrap();
            self.schedule.take_due(moment);
            self.now = (moment - at(0.0)).as_secs_f64();
            ages.push(self.now - start);
            watch.asked(moment);
            self.schedule.still_running(moment, &mut watch);
            self.schedule.plan(moment, id(1), watch);
        }
        self.schedule.take_due(self.schedule.next().unwrap());
        ages
    }
}

#[test]
fn jobs_come_in_the_order_of_their_moments() {
    let mut bench = Bench::new(1);
    let watch = PollState::new(bench.kind("a"), at(0.0));
    for (seconds, n) in [(0.3, 3), (0.1, 1), (0.2, 2), (0.1, 0)] {
        bench.schedule.plan_at(at(seconds), id(n), watch);
    }
    assert_eq!(bench.schedule.next(), Some(at(0.1)));
    assert_eq!(bench.schedule.take_due(at(0.09)), None);
    let order: Vec<_> = [0.1, 0.15, 0.25].iter().filter_map(|now| bench.schedule.take_due(at(*now))).collect();
    assert_eq!(order, [id(0), id(1), id(2)]);
    assert_eq!(bench.schedule.next(), Some(at(0.3)));
}

#[test]
fn before_anything_is_known_polls_begin_soon_and_grow_rare() {
    let mut bench = Bench::new(1);
    let kind = bench.kind("a");
    let ages = bench.ages_of_a_stuck_task(kind, 600.0);
    assert!(ages[0] < 2.0, "{ages:?}");
    assert!((4..=9).contains(&ages.iter().filter(|age| **age < 20.0).count()), "{ages:?}");
    assert!(ages.len() < 60, "{} polls in ten minutes", ages.len());
}

/// Goal: quick tasks are known to be quick before the first poll of what might have been slow ones. Method: a hundred tasks are accepted
/// together, and the first one that is polled is answered. Then as many tasks follow whose kind has a past.
#[test]
fn a_few_are_asked_for_early_and_tell_of_all_others() {
    let mut bench = Bench::new(1);
    let watch = PollState::new(bench.kind("a/b"), at(0.0));
    (0..100).for_each(|n| bench.schedule.plan(at(0.0), id(n), watch));
    let due_by = |bench: &mut Bench, seconds| std::iter::from_fn(|| bench.schedule.take_due(at(seconds))).count();
    assert_eq!((due_by(&mut bench, 0.019), due_by(&mut bench, 0.021)), (0, 1), "the first one after 20 ms");
    let mut asked = watch;
    asked.asked(at(0.021));
    bench.schedule.ended(at(0.07), &asked);
    assert!(due_by(&mut bench, 1.0) > 90, "the others do not wait for their first plan");

    let mut bench = Bench::new(1);
    let took = Duration::from_secs(15);
    let tasks = vec![PastTask { kind: named("a/b"), took }];
    bench.schedule.remember(at(0.0), &History { tasks, ..History::default() });
    (0..100).for_each(|n| bench.schedule.plan(at(0.0), id(n), watch));
    assert_eq!(due_by(&mut bench, 1.0), 0, "where it is known from an earlier process, nobody is sent ahead");
}

/// Goal: an unknown provider is not flooded because jobs wait for slots. Method: a hundred tasks run for a minute, and no end is seen.
#[test]
fn few_are_asked_for_often_before_any_end_is_seen() {
    let mut bench = Bench::new(1);
    bench.schedule.hurry(true);
    let mut watches = vec![PollState::new(bench.kind("a"), at(0.0)); 100];
    (0..100).for_each(|n| bench.schedule.plan(at(0.0), id(n), watches[usize::from(n)]));
    let mut n_polls = [0; 100];
    while let Some(moment) = bench.schedule.next()
        && moment < at(60.0)
    {
        let job = bench.schedule.take_due(moment).unwrap();
        let n = (0..100).position(|n| id(n) == job).unwrap();
        n_polls[n] += 1;
        watches[n].asked(moment);
        bench.schedule.still_running(moment, &mut watches[n]);
        bench.schedule.plan(moment, job, watches[n]);
    }
    assert!(n_polls.iter().max() > Some(&30), "{n_polls:?}");
    assert!(n_polls.iter().sum::<u32>() < 3000, "{n_polls:?}");
}

/// Bounds in polls and in delay: 15 % above the optimum for a known distribution (`cargo bench --bench polling`).
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn polls_come_where_tasks_are_known_to_end() {
    for (sigma, polls, delay) in [(0.1, 1.89, 0.84), (0.3, 2.8, 1.52), (0.6, 3.94, 1.99)] {
        let mut bench = Bench::new(2);
        let kind = bench.kind("a");
        bench.watch_many(100, kind, 15.0, sigma);
        let found = bench.watch_many(1000, kind, 15.0, sigma);
        assert!(found.0 < polls * 1.15 && found.1 < delay * 1.15, "sigma {sigma}: {found:?}");
        let median = bench.schedule.median().as_secs_f64();
        assert!((13.0..17.0).contains(&median), "half of the tasks take {median} s");
    }
}

/// Goal: a change is noticed within some tasks, up or down. Method: the optimum for the new durations is 2.8 polls and 1.6 s.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_shift_is_followed_in_both_directions() {
    for (before, after) in [(15.0, 30.0), (30.0, 10.0), (5.0, 100.0), (100.0, 2.0)] {
        let mut bench = Bench::new(3);
        let kind = bench.kind("a");
        bench.watch_many(300, kind, before, 0.2);
        bench.watch_many(25, kind, after, 0.2);
        let found = bench.watch_many(50, kind, after, 0.2);
        let mut fresh = Bench::new(3);
        let kind = fresh.kind("a");
        fresh.watch_many(100, kind, after, 0.2);
        let known = fresh.watch_many(300, kind, after, 0.2);
        let cost = |(polls, delay): Cost| 0.6 * polls + delay;
        assert!(
            cost(found) < 1.25 * cost(known),
            "from {before} to {after} s: {found:?}, and {known:?} without a past"
        );
    }
}

/// Goal: a task that never ends costs few polls, and is polled at its deadline. Method: one such task among tasks of 15 s.
#[test]
fn a_stuck_task_is_asked_for_ever_more_seldom_and_when_its_time_is_up() {
    let mut bench = Bench::new(4);
    let kind = bench.kind("a");
    bench.watch_many(200, kind, 15.0, 0.2);
    let ages = bench.ages_of_a_stuck_task(kind, TIMEOUT.as_secs_f64());
    assert!(ages.len() < 150, "{} polls in an hour", ages.len());
    let wait = |from: f64| ages.windows(2).find(|pair| pair[0] >= from).map(|pair| pair[1] - pair[0]).unwrap();
    assert!(wait(60.0) < wait(300.0) && wait(300.0) < wait(1500.0) && wait(1500.0) > 20.0, "{ages:?}");
    assert!((ages.last().unwrap() - TIMEOUT.as_secs_f64()).abs() < 0.001, "{:?}", ages.last());
}

#[test]
fn a_kind_that_is_new_goes_by_what_all_kinds_have_taught() {
    let mut bench = Bench::new(5);
    let (old, new) = (bench.kind("old"), bench.kind("new"));
    bench.watch_many(100, old, 30.0, 0.1);
    let first = bench.ages_of_a_stuck_task(new, 1.0)[0];
    assert!((5.0..35.0).contains(&first), "the first poll comes after {first} s");
}

#[test]
fn each_kind_has_its_own_pace() {
    let mut bench = Bench::new(6);
    let (quick, slow) = (bench.kind("quick"), bench.kind("slow"));
    for _ in 0..100 {
        bench.watch_many(1, quick, 4.0, 0.1);
        bench.watch_many(1, slow, 60.0, 0.1);
    }
    let (found_quick, found_slow) = (bench.watch_many(50, quick, 4.0, 0.1), bench.watch_many(50, slow, 60.0, 0.1));
    assert!(found_quick.0 < 2.0 && found_quick.1 < 0.8, "{found_quick:?}");
    assert!(found_slow.0 < 4.5 && found_slow.1 < 3.0, "{found_slow:?}");
}

#[test]
fn kinds_beyond_the_limit_are_taken_together() {
    let mut bench = Bench::new(7);
    let kinds: Vec<_> = (0..200).map(|n| bench.kind(&n.to_string())).collect();
    assert!(kinds[..32].iter().enumerate().all(|(i, kind)| !kinds[..i].contains(kind)), "{kinds:?}");
    assert!(kinds[32..].iter().all(|kind| *kind == kinds[199]), "{kinds:?}");
    assert_eq!(bench.kind("5"), kinds[5], "a kind keeps its number");
}

#[test]
fn what_earlier_processes_saw_counts_from_the_first_task_on() {
    let took = |n: u64| Duration::from_millis(14_000 + 50 * (n * 17 % 40));
    let tasks = (0..200).map(|n| PastTask { kind: named("a"), took: took(n) }).collect();
    let mut bench = Bench::new(8);
    bench.schedule.remember(at(0.0), &History { tasks, submitted_at: vec![] });
    let kind = bench.kind("a");
    let first = bench.ages_of_a_stuck_task(kind, 1.0)[0];
    assert!((12.0..16.5).contains(&first), "the first poll comes after {first} s");
}

/// Goal: when few of many polls may leave, those with the most likely and longest undetected ends go first. Method: all are due at the same
/// moment, and their kinds are known to take 5 s and 60 s.
#[test]
fn of_those_that_are_due_the_most_likely_go_first() {
    let mut bench = Bench::new(9);
    let (quick, slow) = (bench.kind("quick"), bench.kind("slow"));
    bench.watch_many(60, quick, 5.0, 0.1);
    bench.watch_many(60, slow, 60.0, 0.1);
    let now = bench.now + 1000.0;
    let tasks = [(1, slow, 30.0), (2, quick, 30.0), (3, slow, 80.0), (4, quick, 4.0), (5, quick, 8.0)];
    for (n, kind, age) in tasks {
        bench.schedule.plan_at(at(now), id(n), PollState::new(kind, at(now - age)));
    }
    let order: Vec<_> = std::iter::from_fn(|| bench.schedule.take_due(at(now))).collect();
    assert_eq!(order, [2, 3, 5, 4, 1].map(id));
}

/// Goal: a task that may never end is still polled, whatever else is due. Method: one poll may leave at a time, and there are always twenty
/// tasks that are surely done.
#[test]
fn nobody_waits_for_ever_behind_likelier_ones() {
    let mut bench = Bench::new(10);
    let kind = bench.kind("a");
    bench.watch_many(100, kind, 15.0, 0.1);
    let start = bench.now;
    let mut stuck = PollState::new(kind, at(start - 600.0));
    stuck.asked(at(start));
    bench.schedule.still_running(at(start), &mut stuck);
    bench.schedule.plan_at(at(start), id(255), stuck);
    let mut now = start;
    let fresh = |now: f64| PollState::new(kind, at(now - 25.0));
    (0..20).for_each(|n| bench.schedule.plan_at(at(now), id(n), fresh(now)));
    loop {
        now += 1.0;
        let job = bench.schedule.take_due(at(now)).unwrap();
        if job == id(255) {
            break;
        }
        assert!(now < start + 600.0, "it has waited for ten minutes");
        bench.schedule.plan_at(at(now), job, fresh(now));
    }
    assert!(now > start + 20.0, "the likelier ones go first");
}

#[test]
fn the_same_seed_plans_the_same_moments() {
    let story = |seed| {
        let mut bench = Bench::new(11);
        bench.schedule = Schedule::new(seed, TIMEOUT);
        let kind = bench.kind("a");
        (bench.watch_many(50, kind, 10.0, 0.3), bench.now.to_bits())
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn tasks_that_were_accepted_together_are_not_asked_for_together() {
    let mut bench = Bench::new(12);
    let kind = bench.kind("a");
    let moments: Vec<_> = (0..20)
        .map(|_| {
            bench.schedule.plan(at(0.0), id(1), PollState::new(kind, at(0.0)));
            let moment = bench.schedule.next().unwrap();
            bench.schedule.take_due(moment);
            moment
        })
        .collect();
    let (first, last) = (moments.iter().min().unwrap(), moments.iter().max().unwrap());
    assert!(*last - *first > Duration::from_millis(100), "{moments:?}");
}

proptest! {
    /// Property: after any answers, the next poll comes neither at once nor too late.
    #[test]
    #[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
    fn a_planned_poll_is_neither_at_once_nor_for_ever_away(
        answers in prop::collection::vec((0.0..5000.0_f64, 0.0..5000.0_f64, any::<bool>()), 0..60),
        ages in prop::collection::vec((0.0..200_000.0_f64, 0.0..1.0_f64), 1..10),
    ) {
        let mut bench = Bench::new(13);
        let kind = bench.kind("a");
        for (from, wait, is_done) in answers {
            bench.now += 0.3;
            let accepted_at = at(bench.now + 1e6);
            let (running_at, asked_at) = (accepted_at + Duration::from_secs_f64(from), accepted_at + Duration::from_secs_f64(from + wait));
            let watch = PollState { running_at, asked_at, ..PollState::new(kind, accepted_at) };
            bench.schedule.observe(at(bench.now), &watch, is_done);
        }
        for (age, part) in ages {
            let now = at(1e6 + age);
            let watch = PollState { running_at: at(1e6 + age * part), asked_at: now, ..PollState::new(kind, at(1e6)) };
            bench.schedule.plan(now, id(1), watch);
            let moment = bench.schedule.next().unwrap();
            prop_assert!((INTERVAL_MIN..=INTERVAL_MAX).contains(&(moment - now)), "{:?}", moment - now);
            prop_assert!(bench.schedule.take_due(moment).is_some());
        }
    }
}
