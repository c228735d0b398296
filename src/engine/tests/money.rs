//! Tests of the user's limits on money, time, jobs and failures: each is used fully and never exceeded.

use super::*;
use crate::engine::spending::CostLimitReached;
use crate::engine::turn::StopReason;
use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::limits::InDoubtPolicy;
use crate::model::money::{Charge, Money};

fn capped(n: u32, price: &str, max: &str) -> Limits {
    Limits { price: price.parse().ok(), cost_max: max.parse().ok(), ..fixed(n) }
}

fn stop_of(bench: &Bench) -> &CostLimitReached {
    match bench.engine.stop() {
        Some(StopReason::Cost(capped)) => capped,
        other => panic!("no limit on the cost has stopped it: {other:?}"),
    }
}

/// Answers the actions of the engine: every submission is accepted, and every task has this status.
fn answer(bench: &mut Bench, actions: Vec<Action>, status: impl Fn(JobId) -> Status) {
    for action in actions {
        match action {
            Action::Submit(job, _) => bench.submitted(job.index),
            Action::Poll(batch) => {
                let answers = batch.into_iter().map(|(id, _)| (id, Ok(status(id)))).collect();
                bench.handle(Input::Polled(answers));
            }
            Action::Download(origin, _) => bench.handle(Input::Downloaded(origin.job.id, Ok(vec![artifact()]))),
            Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("every job is loaded"),
        }
    }
}

/// Answers every poll and download until the run is over. No further submission is expected.
fn see_through(bench: &mut Bench) {
    for _ in 0..1000 {
        let turn = bench.next();
        if turn.is_last {
            return;
        }
        assert_eq!(n_submits(&turn), 0, "{turn:?}");
        answer(bench, turn.actions, |_| Status::Done(urls(1)));
    }
    panic!("a run without an end");
}

fn n_submits(turn: &Turn) -> usize {
    turn.actions.iter().filter(|action| matches!(action, Action::Submit(_, _))).count()
}

#[test]
fn as_many_leave_at_once_as_the_money_is_enough_for_and_they_are_seen_through() {
    let mut bench = Bench::with_pending(capped(64, "2 magicube", "6"), 10);
    assert_eq!(n_submits(&bench.turn()), 3);
    assert_eq!(n_submits(&bench.turn()), 0, "what is under way may cost all that is left");
    assert_eq!(bench.engine.stop(), None, "an answer may still make room");
    (1..=3).for_each(|n| bench.submitted(n));
    see_through(&mut bench);
    let capped = stop_of(&bench);
    assert_eq!(
        (capped.cost.unwrap().sure, capped.max, capped.unit.as_str()),
        (Amount::new(6.0), Amount::new(6.0), "magicube")
    );
    assert_eq!(bench.story().matches("succeeded").count(), 3);
}

#[test]
fn a_refusal_makes_room_and_a_doubt_does_not() {
    let mut bench = Bench::with_pending(capped(64, "2", "4"), 10);
    assert_eq!(bench.turn().actions, [submit(1), submit(2)]);
    bench.submit_fault(1, FaultKind::InvalidRequest);
    assert_eq!(bench.turn().actions, [submit(3)]);
    bench.submit_fault(2, FaultKind::InDoubt);
    assert_eq!(n_submits(&bench.turn()), 0);
    bench.submit_fault(3, FaultKind::Rejected);
    // The first job has left the lane. Both doubts count in full, and one more submission would exceed the limit.
    see_through(&mut bench);
    let cost = stop_of(&bench).cost.unwrap();
    assert_eq!((cost.sure, cost.most(), cost.n_in_doubt), (Amount::ZERO, Amount::new(4.0), 2));
}

#[test]
fn a_limit_below_the_price_of_an_image_sends_nothing() {
    let mut bench = Bench::with_pending(capped(64, "2", "1.99"), 3);
    assert!(bench.next().is_last);
    assert_eq!((bench.story().as_str(), stop_of(&bench).next), ("", Some(Amount::new(2.0))));
}

#[test]
fn a_limit_that_is_exactly_enough_stops_nothing() {
    let mut bench = Bench::with_pending(capped(64, "0.1 USD", "0.3 USD"), 3);
    assert_eq!(n_submits(&bench.turn()), 3);
    (1..=3).for_each(|n| bench.submitted(n));
    see_through(&mut bench);
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn what_is_free_is_never_too_much() {
    let mut bench = Bench::with_pending(capped(64, "0", "0"), 10);
    assert_eq!(n_submits(&bench.turn()), 5, "no more than may be refused alike, before any is accepted");
    (1..=5).for_each(|n| bench.submitted(n));
    assert_eq!(n_submits(&bench.turn()), 5);
}

/// Goal: a lost task is not paid for again beyond the limit.
#[test]
fn a_lost_task_is_submitted_again_only_if_there_is_money_for_it() {
    for (max, expected) in [("2", 0), ("4", 1)] {
        let mut bench = Bench::with_pending(capped(1, "2", max), 1);
        bench.run_to_accepted(1);
        bench.next();
        bench.polled(1, Ok(Status::Failed(fault(FaultKind::Transient))));
        let turn = bench.next();
        assert_eq!((n_submits(&turn), turn.is_last), (expected, expected == 0), "under {max}");
    }
}

#[test]
fn when_the_time_is_up_nothing_leaves_and_what_is_there_is_seen_through() {
    let limits = Limits { duration_max: Some(Duration::from_secs(60)), rate: "1/m".parse().ok(), ..fixed(64) };
    let mut bench = Bench::with_pending(limits, 10);
    let began = bench.now;
    assert_eq!(n_submits(&bench.turn()), 1);
    bench.submitted(1);
    bench.wait(Duration::from_secs(59));
    let turn = bench.turn();
    answer(&mut bench, turn.actions, |_| Status::Running);
    let turn = bench.turn();
    assert!(turn.wake_at.is_some_and(|at| at <= began + Duration::from_secs(60)), "it wakes in time");
    answer(&mut bench, turn.actions, |_| Status::Running);
    bench.now = began + Duration::from_secs(60);
    let turn = bench.turn();
    assert_eq!(n_submits(&turn), 0);
    answer(&mut bench, turn.actions, |_| Status::Done(urls(1)));
    see_through(&mut bench);
    assert_eq!(bench.engine.stop(), Some(&StopReason::Duration(Duration::from_secs(60))));
    assert!(bench.story().ends_with("succeeded"));
}

#[test]
fn time_that_is_up_stops_nothing_where_nothing_waits_to_be_submitted() {
    let limits = Limits { duration_max: Some(Duration::from_secs(5)), ..fixed(1) };
    let mut bench = Bench::with_pending(limits, 1);
    bench.run_to_accepted(1);
    bench.wait(Duration::from_secs(600));
    see_through(&mut bench);
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn the_time_counts_from_the_begin_of_the_process_and_ends_a_wait() {
    let limits = Limits { duration_max: Some(Duration::from_secs(60)), ..fixed(1) };
    let mut bench = Bench::with_pending(limits, 2);
    bench.engine.count_duration_from(START);
    bench.now = START + Duration::from_secs(60);
    let turn = bench.next();
    assert!(turn.is_last && turn.actions.is_empty());
    assert!(matches!(bench.engine.stop(), Some(StopReason::Duration(_))));
    // A pause by the provider ends with the time limit too.
    let limits = Limits { duration_max: Some(Duration::from_secs(60)), ..fixed(1) };
    let mut bench = Bench::with_pending(limits, 2);
    assert_eq!(bench.turn().actions, [submit(1)]);
    let wait = Some(Duration::from_secs(600));
    bench.submit_fault(1, FaultKind::Throttled { retry_after: wait });
    let turn = bench.next();
    assert!(turn.is_last && bench.now == START + Duration::from_secs(60), "{turn:?} at {:?}", bench.now);
}

/// Creates an engine with this job limit, and returns the number of jobs that it loads first.
fn part(jobs_max: u64, limits: Limits) -> (Bench, usize) {
    let limits = Limits { jobs_max: Some(jobs_max), ..limits };
    let mut bench = Bench { engine: Engine::new(limits), now: START, events: vec![] };
    let max = asked(&bench.turn());
    (bench, max)
}

fn asked(turn: &Turn) -> usize {
    let asked = turn.actions.iter().find_map(|action| match action {
        Action::Load { max, .. } => Some(*max),
        Action::Submit(..) | Action::Reserve(_) | Action::Find(_) | Action::Poll(_) | Action::Download(..) => None,
    });
    asked.expect("the ledger is asked for jobs")
}

fn loaded(bench: &mut Bench, jobs: Vec<JobRecord>, more: bool) {
    bench.handle(Input::Loaded { jobs, more: More::now_if(more) });
}

#[test]
fn a_part_takes_so_many_jobs_and_says_whether_others_are_outstanding() {
    for (others, expected) in [(vec![pending(3)], Some(&StopReason::Limit(2))), (vec![], None)] {
        let (mut bench, max) = part(2, fixed(64));
        assert_eq!(max, 2);
        loaded(&mut bench, vec![pending(1), pending(2)], true);
        let turn = bench.turn();
        assert_eq!(n_submits(&turn), 2);
        assert!(asked(&turn) > 0, "it wants to know whether there are others");
        let more = !others.is_empty();
        loaded(&mut bench, others, more);
        (1..=2).for_each(|n| bench.submitted(n));
        see_through(&mut bench);
        assert_eq!(bench.engine.stop(), expected);
        assert_eq!(bench.story().matches("submit").count(), 2);
    }
}

#[test]
fn a_part_that_is_larger_than_the_batch_is_the_batch() {
    let (mut bench, _) = part(100, fixed(64));
    loaded(&mut bench, vec![pending(1)], false);
    bench.run_to_accepted(1);
    see_through(&mut bench);
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn what_is_under_way_counts_as_a_part_too() {
    let (mut bench, _) = part(1, fixed(64));
    let running = [EventKind::SubmitStarted, EventKind::Accepted(task(1))];
    loaded(&mut bench, vec![past(1, Duration::from_secs(9), &running)], true);
    let turn = bench.turn();
    assert!(asked(&turn) > 0);
    loaded(&mut bench, vec![pending(2)], true);
    let polls = turn.actions.into_iter().filter(|action| matches!(action, Action::Poll(_))).collect();
    answer(&mut bench, polls, |_| Status::Done(urls(1)));
    see_through(&mut bench);
    assert_eq!((bench.engine.stop(), bench.story().as_str()), (Some(&StopReason::Limit(1)), "ready succeeded"));
}

/// Goal: jobs that are left to the user do not count against the limit. Otherwise a part of them would never reach the others.
#[test]
fn what_is_held_takes_no_place() {
    let doubt = EventKind::Setback(Stage::Submit, fault(FaultKind::InDoubt));
    let held = |n| past(n, Duration::from_secs(9), &[EventKind::SubmitStarted, doubt.clone()]);
    let (mut bench, _) = part(1, Limits { in_doubt: InDoubtPolicy::Hold, ..fixed(64) });
    loaded(&mut bench, vec![held(1)], true);
    assert_eq!(asked(&bench.turn()), 1);
    loaded(&mut bench, vec![pending(2)], true);
    assert_eq!(n_submits(&bench.turn()), 1);
    loaded(&mut bench, vec![held(3)], false);
    bench.submitted(2);
    see_through(&mut bench);
    assert_eq!(bench.engine.stop(), None, "only a job that is held is left");
}

/// Goal: the rest of the batch keeps no job of the part from being submitted. Method: a part that is full of running tasks, one of which is
/// lost while others run behind it.
#[test]
fn a_task_of_a_full_part_is_submitted_again() {
    let (mut bench, _) = part(1, fixed(64));
    let running = |n| past(n, Duration::from_secs(9), &[EventKind::SubmitStarted, EventKind::Accepted(task(n))]);
    loaded(&mut bench, vec![running(1)], true);
    bench.turn();
    loaded(&mut bench, vec![running(2)], true);
    bench.polled(1, Ok(Status::Failed(fault(FaultKind::Transient))));
    let submitted = std::iter::repeat_with(|| bench.next()).take(10).any(|turn| turn.actions.contains(&submit(1)));
    assert!(submitted);
}

#[test]
fn a_part_of_those_that_have_ended_may_fail() {
    let share = |text: &str| Limits { failures_max: Some(text.parse().unwrap()), ..fixed(1) };
    // One failure in 19 says nothing yet, and one in 20 is too much.
    for (limit, n_ended) in [("5%", 20), ("0%", 1), ("1", 1)] {
        let mut bench = Bench::with_pending(share(limit), 40);
        // Job 1 fails, and the others succeed one after the other.
        while bench.engine.stop().is_none() {
            let turn = bench.next();
            answer(&mut bench, turn.actions, |of| match of {
                of if of == id(1) => Status::Failed(fault(FaultKind::Moderated)),
                _ => Status::Done(urls(1)),
            });
        }
        bench.turn();
        let n = bench.events.iter().filter(|event| matches!(event.kind, EventKind::Finished(_))).count();
        assert_eq!((n, bench.engine.stop()), (n_ended, Some(&StopReason::Failures(1))), "{limit}");
    }
}

/// Goal: an answer that says its cost is counted once, at whatever stage it comes, and recorded.
#[test]
fn a_cost_is_recorded_with_the_answer_that_says_it_and_counted_once() {
    let cost = |text: &str| text.parse::<Money>().ok();
    let mut bench = Bench::with_pending(capped(2, "2 USD", "100"), 2);
    bench.turn();
    bench.handle(Input::Submitted(id(1), Ok(Acceptance { cost: cost("2.5 USD"), ..task(1).into() })));
    bench.handle(Input::Submitted(id(2), Ok(task(2).into())));
    assert_eq!(bench.engine.0.spending.cost().unwrap().sure, Amount::new(4.5));
    let n_polls = std::cell::Cell::new([0; 2]);
    while n_polls.get().iter().any(|n| *n < 3) {
        let actions = bench.next().actions;
        answer(&mut bench, actions, |of| {
            let mut counts = n_polls.get();
            counts[usize::from(of == id(1))] += 1;
            n_polls.set(counts);
            match (of == id(1), counts[usize::from(of == id(1))] >= 3) {
                (true, false) => Status::Running.charged(cost("2.5 USD")),
                (true, true) => Status::Done(urls(1)).charged(cost("2.5 USD")),
                (false, true) => Status::Failed(fault(FaultKind::Moderated)).charged(cost("0 USD")),
                (false, false) => Status::Queued,
            }
        });
    }
    assert_eq!(bench.engine.0.spending.cost().unwrap().sure, Amount::new(2.5));
    bench.turn();
    let told = |event: &Event| matches!(event.kind, EventKind::Charged(_)).then(|| (event.index, word(&event.kind)));
    let told: Vec<_> = bench.events.iter().filter_map(told).collect();
    assert_eq!(told, [(1, "charged:2.5 USD".to_owned()), (2, "charged:0 USD".to_owned())]);
}

/// Goal: a resumed task that says its cost again is not counted again.
#[test]
fn a_cost_that_an_earlier_process_recorded_is_not_counted_again() {
    let charge = Charge { submission: 1, money: "2.5 USD".parse().unwrap() };
    let story = [EventKind::SubmitStarted, EventKind::Accepted(task(1)), EventKind::Charged(charge.clone())];
    let mut bench = Bench::new(capped(2, "2 USD", "100"), vec![past(1, Duration::from_secs(9), &story)]);
    bench.engine.remember_cost(Some(Cost { sure: Amount::new(2.5), ..Cost::default() }));
    let polls = bench.turn().actions;
    answer(&mut bench, polls, |_| Status::Done(urls(1)).charged(Some(charge.money.clone())));
    assert_eq!(bench.engine.0.spending.cost().unwrap().sure, Amount::new(2.5));
}
