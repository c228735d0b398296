//! Tests of the progress snapshot: where the jobs are, what the run waits for, and what it has cost.

use super::*;
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::snapshot::{Bottleneck, RunSnapshot, StopCode, SubmitRateLimit};

fn pace(bench: &Bench) -> RunSnapshot {
    bench.engine.pace(bench.now)
}

#[test]
fn a_task_is_queued_as_long_as_the_provider_says_so() {
    let mut bench = Bench::with_pending(fixed(2), 2);
    bench.turn();
    let there = |bench: &Bench| (pace(bench).n_submitting, pace(bench).n_queued, pace(bench).n_running);
    assert_eq!(there(&bench), (2, 0, 0));
    bench.submitted(1);
    bench.submitted(2);
    assert_eq!(there(&bench), (0, 0, 2), "nobody has said that they wait");
    for (status, expected) in [
        (Status::Queued, (0, 1, 1)),
        (Status::Queued, (0, 1, 1)),
        (Status::Running, (0, 0, 2)),
        (Status::Queued, (0, 1, 1)),
    ] {
        while bench.next().actions != [poll(1)] {
            bench.polled(2, Ok(Status::Running));
        }
        bench.polled(1, Ok(status));
        assert_eq!(there(&bench), expected);
    }
    while bench.next().actions != [poll(1)] {
        bench.polled(2, Ok(Status::Running));
    }
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(there(&bench), (0, 0, 1), "one that has ended is in no line");
}

#[test]
fn what_is_waited_for_is_told() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.turn();
    assert_eq!((pace(&bench).slow, pace(&bench).places), (Some(Bottleneck::Places), Some(1)));
    let mut bench = Bench::with_pending(Limits { rate: "30/m".parse().ok(), ..fixed(9) }, 2);
    bench.turn();
    assert_eq!(pace(&bench).slow, Some(Bottleneck::Rate));
    assert_eq!(pace(&bench).allowed, Some(SubmitRateLimit { per_second: 0.5, is_told: true }));
    bench.handle(Input::Stop(crate::engine::turn::StopReason::Failures(1)));
    assert_eq!((pace(&bench).slow, pace(&bench).stopping), (None, Some(StopCode::Failures)));
    let mut bench = Bench::with_pending(fixed(9), 2);
    bench.turn();
    assert_eq!(pace(&bench).slow, None, "nothing waits");
}

/// Goal: task durations are reported once they are known, and the remaining time of the last task decreases.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn the_time_that_the_last_task_takes_runs_down() {
    let mut bench = Bench::with_pending(fixed(1), 31);
    for n in 1..=30 {
        bench.turn();
        bench.submitted(n);
        assert_eq!(pace(&bench).latency.is_some(), n > 1);
        let ends_at = bench.now + Duration::from_secs(10);
        while bench.now < ends_at {
            assert_eq!(bench.next().actions, [poll(n)]);
            bench.polled(n, Ok(if bench.now < ends_at { Status::Running } else { Status::Done(urls(n)) }));
        }
        bench.turn();
        bench.downloaded(n, Ok(vec![artifact()]));
    }
    bench.turn();
    bench.submitted(31);
    let latency = |bench: &Bench| pace(bench).latency.expect("some have ended");
    let (mean, before) = (latency(&bench).mean.as_secs_f64(), latency(&bench).tail);
    assert!((5.0..15.0).contains(&mean), "{mean} s");
    bench.wait(Duration::from_secs(3));
    assert!(latency(&bench).tail < before, "{:?} is not less than {before:?}", latency(&bench).tail);
    // The machine has slept, and no poll left meanwhile.
    bench.wait(Duration::from_hours(24 * 365));
    assert_eq!(latency(&bench).tail, Duration::ZERO);
}

#[test]
fn every_accepted_task_is_paid_for() {
    let price = "2 magicube".parse().ok();
    let mut bench = Bench::with_pending(Limits { price, ..fixed(2) }, 2);
    let paid = Cost { sure: Amount::new(10.0), ..Cost::default() };
    bench.engine.remember_cost(Some(paid));
    bench.turn();
    assert_eq!(pace(&bench).cost, Some(paid), "what is under way is not told before its answer");
    bench.submitted(1);
    let paid = Cost { sure: Amount::new(12.0), ..Cost::default() };
    assert_eq!(pace(&bench).cost, Some(paid));
    bench.submit_fault(2, FaultKind::InvalidRequest);
    assert_eq!(pace(&bench).cost, Some(paid), "a refusal costs nothing");
}

/// Goal: a submission in doubt is reported as a possible cost. Method: one submission of each kind that leaves a doubt.
#[test]
fn a_doubt_makes_the_cost_a_range() {
    let price = "2 magicube".parse().ok();
    let mut bench = Bench::with_pending(Limits { price, ..fixed(2) }, 2);
    bench.turn();
    bench.submit_fault(1, FaultKind::InDoubt);
    bench.submit_fault(2, FaultKind::Rejected);
    let cost = pace(&bench).cost.unwrap();
    assert_eq!(cost.words("magicube"), "0 to 4 magicube (2 submissions in doubt)");
}

#[test]
fn what_is_left_of_the_allowance_is_told() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.turn();
    bench.handle(Input::Submitted(id(1), Ok(Acceptance { quota_left: Some(124), ..task(1).into() })));
    assert_eq!(pace(&bench).quota_left, Some(124));
}
