//! One lane by hand: what leaves, what waits, and what each answer does to it.

use std::num::NonZeroU32;

use super::*;
use crate::model::limits::Concurrency;
use crate::model::time::Timestamp;

fn at(millis: i64) -> Moment {
    Moment::new(millis * 1000, Timestamp::from_millis(millis))
}

fn fixed(n: u32) -> Limits {
    Limits { concurrency: Concurrency::Fixed(NonZeroU32::new(n).unwrap()), ..Limits::default() }
}

fn throttled() -> Fault {
    Fault::new(FaultKind::Throttled { retry_after: Some(Duration::from_secs(2)) }, "")
}

fn take_all(lane: &mut Lane, now: Moment) -> usize {
    std::iter::repeat_with(|| lane.take_submit(now)).take_while(Result::is_ok).count()
}

#[test]
fn a_fixed_number_of_tasks_is_in_flight() {
    let mut lane = Lane::new(&fixed(3));
    assert_eq!(take_all(&mut lane, at(0)), 3);
    assert_eq!(lane.take_submit(at(0)), Err(Wait::Busy));
    lane.submit_accepted(at(0));
    assert_eq!(lane.take_submit(at(0)), Err(Wait::Busy), "an accepted task still occupies its place");
    lane.task_ended();
    assert_eq!(lane.take_submit(at(0)), Ok(()));
}

#[test]
fn tasks_of_an_earlier_process_are_counted() {
    let mut lane = Lane::new(&fixed(3));
    lane.task_found();
    lane.task_found();
    assert_eq!(take_all(&mut lane, at(0)), 1);
    assert_eq!((lane.n_in_flight(), lane.n_out()), (3, 1));
}

#[test]
fn submissions_under_way_have_a_limit_of_their_own() {
    let mut lane = Lane::new(&Limits { submits_max: 2, ..fixed(100) });
    assert_eq!(take_all(&mut lane, at(0)), 2);
    lane.submit_accepted(at(0));
    assert_eq!(take_all(&mut lane, at(0)), 1);
}

#[test]
fn a_refused_submission_frees_its_place_and_closes_the_gate() {
    let mut lane = Lane::new(&fixed(3));
    take_all(&mut lane, at(0));
    lane.submit_refused(at(0), &throttled());
    assert_eq!(lane.n_in_flight(), 2);
    assert_eq!(lane.take_submit(at(1)), Err(Wait::Until(at(2000))));
    assert_eq!(lane.hold(at(1)).map(|hold| hold.until), Some(at(2000)));
}

#[test]
fn polls_go_on_while_submissions_are_held_back() {
    let mut lane = Lane::new(&fixed(3));
    take_all(&mut lane, at(0));
    lane.submit_refused(at(0), &throttled());
    assert_eq!(lane.take_poll(at(1)), Ok(()));
    lane.poll_answered();
    lane.poll_refused(at(1), &throttled());
    assert_eq!(lane.take_poll(at(2)), Err(Wait::Until(at(2001))));
}

#[test]
fn polls_and_downloads_have_their_own_limits() {
    let mut lane = Lane::new(&Limits { polls_max: 1, downloads_max: 1, ..fixed(3) });
    assert_eq!(lane.take_poll(at(0)), Ok(()));
    assert_eq!(lane.take_poll(at(0)), Err(Wait::Busy));
    assert_eq!(lane.take_download(), Ok(()));
    assert_eq!(lane.take_download(), Err(Wait::Busy));
    assert_eq!(lane.n_out(), 2);
    lane.poll_answered();
    lane.download_answered();
    assert_eq!(lane.n_out(), 0);
}

#[test]
fn auto_grows_while_it_is_used_and_nothing_is_refused() {
    let mut lane = Lane::new(&Limits::default());
    assert_eq!(take_all(&mut lane, at(0)), 4);
    for _ in 0..4 {
        lane.submit_accepted(at(0));
    }
    assert_eq!(take_all(&mut lane, at(0)), 4, "the window doubled");
    assert_eq!(lane.n_in_flight(), 8);
}

#[test]
fn auto_does_not_grow_by_what_it_does_not_use() {
    let mut lane = Lane::new(&Limits::default());
    for _ in 0..100 {
        lane.take_submit(at(0)).unwrap();
        lane.submit_accepted(at(0));
        lane.task_ended();
    }
    assert_eq!(take_all(&mut lane, at(0)), 4);
}

#[test]
fn auto_halves_once_for_a_burst_of_refusals() {
    let mut lane = Lane::new(&Limits::default());
    for _ in 0..4 {
        let n = take_all(&mut lane, at(0));
        (0..n).for_each(|_| lane.submit_accepted(at(0)));
    }
    let n_before = lane.n_in_flight();
    assert_eq!(n_before, 16);
    let n = take_all(&mut lane, at(0));
    (0..n).for_each(|_| lane.submit_refused(at(0), &throttled()));
    for _ in 0..n_before {
        lane.task_ended();
    }
    let cap = take_all(&mut lane, at(5000));
    assert_eq!((n, cap), (4, 8), "halved once, not four times");
}

#[test]
fn auto_never_falls_below_one() {
    let mut lane = Lane::new(&Limits::default());
    for round in 0..10 {
        let now = at(round * 100_000);
        lane.take_submit(now).unwrap();
        lane.submit_refused(now, &throttled());
    }
    assert_eq!(take_all(&mut lane, at(10_000_000)), 1);
}

#[test]
fn a_provider_that_is_down_is_tried_by_one_at_a_time() {
    let mut lane = Lane::new(&fixed(10));
    take_all(&mut lane, at(0));
    (0..10).for_each(|_| lane.submit_refused(at(0), &Fault::new(FaultKind::Transient, "")));
    assert_eq!(take_all(&mut lane, at(3_600_000)), 1);
    lane.submit_accepted(at(0));
    assert_eq!(take_all(&mut lane, at(3_600_000)), 9);
}

#[test]
fn polls_of_an_api_that_is_down_go_one_at_a_time() {
    let mut lane = Lane::new(&fixed(100));
    for _ in 0..8 {
        lane.take_poll(at(0)).unwrap();
        lane.poll_answered();
        lane.poll_refused(at(0), &Fault::new(FaultKind::Transient, ""));
    }
    assert!(lane.take_poll(at(1)).is_err(), "the gate is closed for a moment");
    assert_eq!(lane.take_poll(at(60_000)), Ok(()));
    assert_eq!(lane.take_poll(at(60_000)), Err(Wait::Busy), "then one tries");
    assert_eq!(lane.down_for(at(60_000), Stage::Poll), Some(Duration::from_secs(60)));
    assert_eq!(lane.down_for(at(60_000), Stage::Submit), None);
    lane.poll_answered();
    lane.poll_refused(at(60_000), &Fault::new(FaultKind::TaskLost, ""));
    assert_eq!((lane.take_poll(at(60_000)), lane.take_poll(at(60_000))), (Ok(()), Ok(())));
}
