//! Tests of the learner of hidden limits, against a service of a few lines.

use super::*;
use crate::model::time::Timestamp;

/// Time until an answer comes, in milliseconds.
const ANSWER: i64 = 40;

/// Service with a token bucket, with slots, or with both.
#[derive(Clone, Copy)]
struct Service {
    /// Milliseconds until a token arrives; 0 means no rate.
    interval: i64,
    burst: i64,
    slots: usize,
    /// Duration of a task in milliseconds.
    task: i64,
}

/// Result of a run.
#[derive(Debug)]
struct Run {
    n_refused: usize,
    took: i64,
    rate: Option<f64>,
    slots: Option<usize>,
}

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

/// Runs `n_jobs`, whose tasks are known to have ended as soon as they have.
fn run(service: Service, n_jobs: usize) -> Run {
    let mut learner = LimitLearner::new(Concurrency::Auto, false);
    let mut out: Vec<(i64, SubmitPermit, Option<i64>)> = vec![];
    let mut ends: Vec<i64> = vec![];
    let (mut full_at, mut n_refused, mut n_done) = (0, 0, 0);
    for now in 0..1_000_000 {
        if n_done == n_jobs {
            let slots = learner.has_found_places().then(|| learner.cap());
            return Run { n_refused, took: now, rate: learner.rate(at(now)), slots };
        }
        for (_, permit, end) in out.extract_if(.., |(answered_at, ..)| *answered_at <= now) {
            if let Some(end) = end {
                learner.accepted(at(now), permit);
                ends.push(end);
            } else {
                n_refused += 1;
                learner.refused(at(now), permit, None);
            }
        }
        for _ in ends.extract_if(.., |end| *end <= now) {
            n_done += 1;
            learner.ended(at(now), 1, Duration::from_millis(service.task.unsigned_abs()), Duration::ZERO);
            learner.freed();
        }
        let n_in_flight = out.len() + ends.len();
        if n_done + n_in_flight < n_jobs && learner.check(at(now), n_in_flight).is_ok() {
            let permit = learner.take(at(now), n_in_flight);
            let n_taken =
                ends.iter().chain(out.iter().filter_map(|(_, _, end)| end.as_ref())).filter(|end| **end > now);
            let is_free = service.slots == 0 || n_taken.count() < service.slots;
            let has_token = full_at - now <= (service.burst - 1) * service.interval;
            let end = (is_free && has_token).then(|| {
                full_at = full_at.max(now) + service.interval;
                now + service.task
            });
            out.push((now + ANSWER, permit, end));
        }
    }
    panic!("the run does not end");
}

/// Goal: the rate of a bucket is found in the first seconds, with few refusals. Method: buckets of one token and of four.
#[test]
fn a_hidden_rate_is_found_in_the_first_seconds() {
    for (interval, burst, task) in
        [(50, 1, 200), (50, 4, 200), (50, 4, 5000), (500, 1, 200), (500, 4, 200), (2000, 1, 200)]
    {
        let run = run(Service { interval, burst, slots: 0, task }, 100);
        #[expect(clippy::cast_precision_loss, reason = "some seconds")]
        let used = (100.0 * interval as f64 + task as f64) / run.took as f64;
        assert!(used > 0.85 && run.n_refused <= 14, "{interval} ms, burst {burst}, tasks {task} ms: {used}, {run:?}");
        assert_eq!(run.slots, None, "{interval} ms, burst {burst}, tasks {task} ms");
    }
}

/// Goal: slots are found, and not taken for a rate. Method: few and many slots, with tasks that take longer than the answers.
#[test]
fn hidden_slots_are_found_and_no_rate() {
    for (slots, task) in [(1, 400), (4, 1000), (4, 5000), (50, 5000)] {
        let run = run(Service { interval: 0, burst: 1, slots, task }, 200);
        assert_eq!((run.slots, run.rate), (Some(slots), None), "{slots} slots, tasks {task} ms: {run:?}");
        assert!(run.n_refused <= 16, "{slots} slots, tasks {task} ms: {run:?}");
    }
}

/// Goal: a slow rate is not taken for slots, whose tasks take longer. Method: a token in 2 s, tasks of 5 s.
#[test]
fn a_slow_rate_with_long_tasks_is_not_taken_for_slots() {
    let run = run(Service { interval: 2000, burst: 1, slots: 0, task: 5000 }, 100);
    assert!(run.took < 230_000 && run.n_refused <= 14 && run.slots.is_none(), "{run:?}");
}

/// Goal: slots that are met while a rate is searched, or after it, are found, and the rate is kept. Method: a bucket of four and 50 slots.
#[test]
fn slots_besides_a_rate_are_found_with_few_refusals() {
    for task in [2700, 5000] {
        let run = run(Service { interval: 50, burst: 4, slots: 50, task }, 200);
        assert!(run.n_refused <= 20, "tasks of {task} ms: {run:?}");
    }
}

/// Goal: the user's number of tasks keeps no search from slots that are fewer, and few refusals by chance begin none. Method: refusals one
/// after the other.
#[test]
fn four_refusals_begin_a_search_where_tasks_are_limited() {
    let mut learner = LimitLearner::new(Concurrency::Fixed(10.try_into().unwrap()), false);
    let permits = [0, 1, 2, 3].map(|n| learner.take(at(n), 4));
    for (n, permit) in permits.into_iter().enumerate() {
        assert!(learner.search.is_none(), "after {n} refusals");
        learner.refused(at(40), permit, None);
    }
    assert!(learner.search.is_some());
}

/// Goal: without a limit, nothing holds the submissions back for long. Method: three hundred tasks of a second.
#[test]
fn nothing_is_held_back_without_a_limit() {
    let run = run(Service { interval: 0, burst: 1, slots: 0, task: 1000 }, 300);
    assert!(run.n_refused == 0 && run.took < 2500, "{run:?}");
}

/// A single refusal is not the begin of a search, and the answers under way come before the next submission.
#[test]
fn a_single_refusal_begins_no_search() {
    let mut learner = LimitLearner::new(Concurrency::Auto, false);
    let permits = [learner.take(at(0), 0), learner.take(at(0), 1)];
    learner.refused(at(40), permits[0], None);
    assert_eq!(learner.check(at(40), 1), Err(LimitedBy::Answers));
    learner.accepted(at(41), permits[1]);
    assert_eq!(learner.check(at(41), 1), Ok(()), "one refusal may be random");
    let permit = learner.take(at(41), 1);
    learner.refused(at(81), permit, None);
    assert!(learner.is_in_doubt(), "two in a row are a limit, of slots or of a rate");
}
