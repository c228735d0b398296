//! Tests of a used-up quota: nothing more is submitted, tasks in flight complete, and then the run stops or waits.

use super::*;
use crate::engine::turn::StopReason;
use crate::model::limits::QuotaPolicy;
use crate::model::outcome::Acceptance;

const HOUR: Duration = Duration::from_secs(3600);

fn spent() -> Fault {
    fault(FaultKind::QuotaExhausted { resets_at: Some((START + 7 * HOUR).wall()) })
}

fn last_of_the_allowance(n: u64) -> Input {
    Input::Submitted(id(n), Ok(Acceptance { spent: Some(spent()), ..task(n).into() }))
}

fn waiting(n: u32) -> Limits {
    Limits { on_quota: QuotaPolicy::Wait, ..fixed(n) }
}

/// Completes job `n`: polled, done, downloaded.
fn see_through(bench: &mut Bench, n: u64) {
    assert_eq!(bench.next().actions, [poll(n)]);
    bench.polled(n, Ok(Status::Done(urls(n))));
    assert_eq!(bench.next().actions, [download(n)]);
    bench.downloaded(n, Ok(vec![artifact()]));
}

#[test]
fn zero_remaining_stops_submissions_before_one_is_refused() {
    let mut bench = Bench::with_pending(fixed(1), 3);
    bench.next();
    bench.handle(last_of_the_allowance(1));
    see_through(&mut bench, 1);
    assert!(bench.next().is_last);
    assert_eq!(bench.engine.stop(), Some(&StopReason::Quota(spent())));
    assert_eq!(bench.story(), "submit accepted ready succeeded", "no submission was spent on asking");
}

#[test]
fn a_job_that_waited_out_a_setback_is_held_back_too() {
    let mut bench = Bench::with_pending(fixed(2), 2);
    bench.turn();
    bench.submit_fault(2, FaultKind::Transient);
    bench.handle(last_of_the_allowance(1));
    bench.turn();
    bench.wait(Duration::from_secs(2));
    assert_eq!(bench.turn().actions, [poll(1)], "job 2 could go again, and must not");
    assert!(matches!(bench.engine.stop(), Some(StopReason::Quota(_))));
}

#[test]
fn zero_remaining_after_the_last_job_is_no_stop() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.next();
    bench.handle(last_of_the_allowance(1));
    see_through(&mut bench, 1);
    assert!(bench.next().is_last);
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn a_run_may_wait_for_the_next_allowance_and_tries_with_one() {
    let mut bench = Bench::with_pending(waiting(3), 5);
    bench.turn();
    bench.submitted(1);
    bench.handle(Input::Submitted(id(2), Err(spent())));
    bench.handle(Input::Submitted(id(3), Err(spent())));
    see_through(&mut bench, 1);
    let hold = bench.engine.pace(bench.now).hold.unwrap();
    assert_eq!(hold.why, PauseReason::Quota);
    let turn = bench.next();
    assert_eq!(turn.actions.len(), 1, "one submission tries: {:?}", turn.actions);
    assert!((7 * HOUR..7 * HOUR + Duration::from_secs(31)).contains(&(bench.now - START)));
    let Action::Submit(first) = &turn.actions[0] else { panic!("{turn:?}") };
    bench.submitted(first.index);
    let n_submits = bench.turn().actions.len();
    assert_eq!(n_submits, 2, "then all that the limit allows");
    assert_eq!(bench.engine.stop(), None);
}

#[test]
fn a_machine_that_slept_through_the_reset_goes_on_when_it_wakes() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    bench.handle(Input::Submitted(id(1), Err(spent())));
    assert!(bench.turn().actions.is_empty());
    // The monotonic clock stopped; the wall clock did not.
    bench.now = Moment::new(bench.now.micros() + 1_000_000, (bench.now + 8 * HOUR).wall());
    assert_eq!(bench.turn().actions.len(), 1);
}

/// Goal: a machine whose clock is wrong by a day waits as long as the provider's clock says.
#[test]
fn the_wait_for_an_allowance_goes_by_the_providers_clock() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    let wrong = FaultKind::QuotaExhausted { resets_at: Some((START + 31 * HOUR).wall()) };
    bench.handle(Input::Submitted(id(1), Err(Fault { resets_in: Some(2 * HOUR), ..fault(wrong) })));
    assert_eq!(bench.next().actions.len(), 1);
    assert!((2 * HOUR..2 * HOUR + Duration::from_secs(31)).contains(&(bench.now - START)), "{:?}", bench.now - START);
}

#[test]
fn waiting_for_an_allowance_can_be_interrupted() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    bench.handle(Input::Submitted(id(1), Err(spent())));
    bench.turn();
    bench.handle(Input::Stop(StopReason::Interrupted(crate::engine::turn::Signal::Interrupt)));
    assert!(bench.turn().is_last);
}

#[test]
fn a_wait_that_follows_zero_remaining_sends_nothing_before_the_reset() {
    let mut bench = Bench::with_pending(waiting(1), 2);
    bench.next();
    bench.handle(last_of_the_allowance(1));
    see_through(&mut bench, 1);
    assert_eq!(bench.next().actions, [submit(2)]);
    assert!(bench.now - START >= 7 * HOUR);
}
