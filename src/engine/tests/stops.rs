//! Tests of early stops: what is still awaited, what is left for the next run, and what the run reports.

use super::*;
use crate::engine::turn::{Signal, StopReason};
use crate::model::limits::FailureLimit;

const INTERRUPT: StopReason = StopReason::Interrupted(Signal::Interrupt);

fn quota() -> FaultKind {
    FaultKind::QuotaExhausted { resets_at: None }
}

#[test]
fn an_interrupt_waits_for_the_answers_under_way_and_no_more() {
    let mut bench = Bench::with_pending(fixed(2), 5);
    bench.turn();
    bench.handle(Input::Stop(INTERRUPT));
    let turn = bench.turn();
    assert!(turn.actions.is_empty() && !turn.is_last, "two submissions are under way");
    bench.submitted(1);
    bench.submit_fault(2, FaultKind::Transient);
    let turn = bench.turn();
    assert!(turn.is_last && turn.actions.is_empty());
    assert_eq!(bench.story(), "submit submit accepted submit!transient");
    assert_eq!(bench.engine.stop(), Some(&INTERRUPT));
}

/// Goal: a full disk puts no submission in doubt. Method: images cannot be saved while other answers are under way.
#[test]
fn a_disk_that_takes_no_images_waits_for_the_answers_under_way_and_no_more() {
    let mut bench = Bench::with_pending(fixed(2), 5);
    bench.turn();
    bench.submitted(1);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.turn().actions, [download(1), submit(3)]);
    bench.handle(Input::Unsaved(id(1)));
    let turn = bench.turn();
    assert!(turn.actions.is_empty() && !turn.is_last, "two submissions are under way");
    bench.submitted(2);
    bench.handle(Input::Stop(INTERRUPT));
    bench.submitted(3);
    assert!(bench.next().is_last);
    assert_eq!(bench.engine.stop(), Some(&StopReason::Disk));
    assert_eq!(bench.story(), "submit submit accepted ready submit accepted accepted");
}

#[test]
fn an_interrupt_leaves_running_tasks_for_the_next_run() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    bench.turn();
    bench.handle(Input::Stop(INTERRUPT));
    assert!(bench.turn().is_last);
}

#[test]
fn an_interrupt_before_the_ledger_answered_waits_for_it() {
    let mut bench = Bench { engine: Engine::new(fixed(1)), now: START, events: vec![] };
    bench.turn();
    bench.handle(Input::Stop(INTERRUPT));
    assert!(!bench.turn().is_last);
    bench.handle(Input::Loaded { jobs: vec![pending(1)], more: More::Done });
    let turn = bench.turn();
    assert!(turn.is_last && turn.actions.is_empty());
}

#[test]
fn an_interrupt_waits_a_moment_for_what_costs_nothing_and_long_for_a_submission() {
    let mut bench = Bench::with_pending(fixed(2), 5);
    bench.turn();
    bench.submitted(1);
    bench.wait(Duration::from_secs(10));
    assert!(bench.turn().actions.contains(&poll(1)));
    bench.handle(Input::Stop(INTERRUPT));
    bench.wait(Duration::from_secs(50));
    let turn = bench.turn();
    assert!(!turn.is_last, "a submission may be paid for: its answer is awaited");
    assert_eq!(turn.wake_at, None, "an engine that wants to be woken at once would spin");
    bench.submitted(2);
    assert!(bench.turn().is_last, "the poll is not waited for any more");
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_download(1);
    bench.handle(Input::Stop(INTERRUPT));
    let turn = bench.turn();
    assert!(!turn.is_last && turn.wake_at == Some(bench.now + Duration::from_secs(5)), "a download gets a moment");
    bench.wait(Duration::from_secs(5));
    assert!(bench.turn().is_last);
}

#[test]
fn a_refused_token_ends_a_drain_that_cannot_be_seen_through() {
    let mut bench = Bench::with_pending(fixed(2), 5);
    bench.turn();
    bench.submitted(1);
    bench.submit_fault(2, quota());
    for _ in 0..3 {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, Err(fault(FaultKind::Unauthorized)));
    }
    assert!(bench.turn().is_last);
    assert!(matches!(bench.engine.stop(), Some(StopReason::Unauthorized(_))));
}

#[test]
fn a_used_up_quota_sees_the_jobs_in_flight_through() {
    let mut bench = Bench::with_pending(fixed(2), 5);
    bench.turn();
    bench.submitted(1);
    bench.submit_fault(2, quota());
    assert_eq!(bench.next().actions, [poll(1)], "no further submission");
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1)]);
    bench.downloaded(1, Ok(vec![artifact()]));
    assert!(bench.next().is_last);
    assert!(matches!(bench.engine.stop(), Some(StopReason::Quota(_))));
    assert_eq!(bench.story(), "submit submit accepted submit!quota_exhausted ready succeeded");
}

#[test]
fn a_quota_met_by_the_first_submission_ends_the_run() {
    let mut bench = Bench::with_pending(fixed(1), 5);
    bench.next();
    bench.submit_fault(1, quota());
    assert!(bench.turn().is_last);
}

#[test]
fn a_task_that_fails_during_a_drain_is_not_submitted_again() {
    let mut bench = Bench::with_pending(fixed(2), 2);
    bench.turn();
    bench.submitted(1);
    bench.submit_fault(2, quota());
    bench.next();
    bench.polled(1, Ok(Status::Failed(fault(FaultKind::Transient))));
    assert!(bench.next().is_last);
    assert!(bench.story().ends_with("task!transient"));
}

#[test]
fn a_refused_token_stops_the_run_and_fails_no_job() {
    let mut bench = Bench::with_pending(fixed(4), 8);
    assert_eq!(bench.turn().actions.len(), 4);
    (1..=3).for_each(|n| bench.submit_fault(n, FaultKind::Unauthorized));
    assert!(!bench.turn().is_last, "the last answer is awaited");
    bench.submit_fault(4, FaultKind::Unauthorized);
    assert!(bench.turn().is_last);
    assert!(matches!(bench.engine.stop(), Some(StopReason::Unauthorized(_))));
    assert!(!bench.story().contains("failed"));
}

#[test]
fn a_token_refused_while_polling_stops_the_run_too() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    for _ in 0..3 {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, Err(fault(FaultKind::Unauthorized)));
    }
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "submit accepted poll!unauthorized poll!unauthorized poll!unauthorized");
}

#[test]
fn an_image_host_that_refuses_one_link_stops_nothing() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_download(1);
    bench.downloaded(1, Err(fault(FaultKind::Unauthorized)));
    assert_eq!(bench.next().actions, [poll(1)]);
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn a_user_can_cut_a_drain_short_but_nothing_else_replaces_a_reason() {
    let mut bench = Bench::with_pending(fixed(2), 5);
    bench.turn();
    bench.submitted(1);
    bench.submit_fault(2, quota());
    bench.turn();
    bench.handle(Input::Stop(INTERRUPT));
    assert!(bench.turn().is_last);
    bench.handle(Input::Stop(StopReason::Failures(1)));
    assert_eq!(bench.engine.stop(), Some(&INTERRUPT));
}

#[test]
fn a_run_stops_when_too_many_jobs_have_failed() {
    let mut bench = Bench::with_pending(Limits { failures_max: Some(FailureLimit::Count(3)), ..fixed(1) }, 10);
    for n in 1..=3 {
        assert_eq!(bench.next().actions, [submit(n)]);
        bench.submit_fault(n, FaultKind::Moderated);
    }
    assert!(bench.next().is_last);
    assert_eq!(bench.engine.stop(), Some(&StopReason::Failures(3)));
}
