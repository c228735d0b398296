//! Tests of one lane: what leaves, what waits, and what each answer does to it.

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

fn take_all(lane: &mut Lane, now: Moment) -> Vec<SubmitPermit> {
    std::iter::from_fn(|| lane.take_submit(now).ok()).collect()
}

fn why(lane: &mut Lane, now: Moment) -> Option<Blocked> {
    lane.take_submit(now).err()
}

#[test]
fn a_fixed_number_of_tasks_is_in_flight() {
    let mut lane = Lane::new(&fixed(3));
    let tickets = take_all(&mut lane, at(0));
    assert_eq!((tickets.len(), why(&mut lane, at(0))), (3, Some(Blocked::Busy)));
    lane.submit_accepted(at(0), tickets[0], None);
    assert_eq!(why(&mut lane, at(0)), Some(Blocked::Busy), "an accepted task still occupies its place");
    lane.task_ended();
    assert_eq!(why(&mut lane, at(0)), None);
}

#[test]
fn tasks_of_an_earlier_process_are_counted() {
    let mut lane = Lane::new(&fixed(3));
    lane.task_found();
    lane.task_found();
    assert_eq!(take_all(&mut lane, at(0)).len(), 1);
    assert_eq!((lane.n_in_flight(), lane.n_out()), (3, 1));
}

#[test]
fn submissions_under_way_have_a_limit_of_their_own() {
    let mut lane = Lane::new(&Limits { submits_max: 2, ..fixed(100) });
    let tickets = take_all(&mut lane, at(0));
    assert_eq!(tickets.len(), 2);
    lane.submit_accepted(at(0), tickets[0], None);
    assert_eq!(take_all(&mut lane, at(0)).len(), 1);
}

/// Two seconds' worth of submissions may be under way, however slow the answers are.
#[test]
fn a_known_rate_is_not_held_up_by_answers_under_way() {
    let mut lane = Lane::new(&Limits { rate: "200/s".parse().ok(), ..fixed(1000) });
    let n = (0..2000).map(|millis| take_all(&mut lane, at(millis)).len()).sum::<usize>();
    assert!(n >= 392, "{n} of 400");
}

#[test]
fn a_refused_submission_frees_its_place_and_closes_the_gate() {
    let mut lane = Lane::new(&fixed(3));
    let tickets = take_all(&mut lane, at(0));
    lane.submit_refused(at(0), tickets[0], &throttled());
    assert_eq!((lane.n_in_flight(), why(&mut lane, at(1))), (2, Some(Blocked::Busy)), "the other answers come first");
    for ticket in &tickets[1..] {
        lane.submit_accepted(at(0), *ticket, None);
    }
    assert_eq!(why(&mut lane, at(1)), Some(Blocked::Until(at(2000))));
    assert_eq!(lane.hold(at(1)).map(|hold| hold.until), Some(at(2000)));
}

/// Case: random refusals hit one submission in fifty, and name a time. At first that time holds all jobs back. Once refusals have proved
/// random, it holds back only the job itself.
#[test]
fn a_time_that_chance_names_is_for_one_job_alone() {
    let mut lane = Lane::new(&fixed(3));
    let refuse = |lane: &mut Lane, second: i64| {
        for nth in 0..49 {
            let ticket = lane.take_submit(at(second * 1000 + nth)).unwrap();
            lane.submit_accepted(at(second * 1000 + nth), ticket, None);
            lane.task_ended();
        }
        let ticket = lane.take_submit(at(second * 1000 + 50)).unwrap();
        lane.submit_refused(at(second * 1000 + 50), ticket, &throttled())
    };
    assert_eq!(refuse(&mut lane, 0), None);
    assert_eq!(lane.hold(at(51)).map(|hold| hold.until), Some(at(2050)));
    for nth in 1..8 {
        refuse(&mut lane, 10 * nth);
    }
    assert_eq!(refuse(&mut lane, 100), Some(Duration::from_secs(2)));
    assert_eq!((lane.hold(at(100_051)), take_all(&mut lane, at(100_051)).len()), (None, 3));
}

#[test]
fn a_poll_that_chance_refuses_holds_up_no_other() {
    let mut lane = Lane::new(&fixed(3));
    let fault = Fault::new(FaultKind::Throttled { retry_after: None }, "");
    for nth in 0..1000 {
        assert_eq!(lane.take_poll(at(nth)), Ok(()), "{nth}");
        lane.poll_answered();
        if nth % 50 == 49 { lane.poll_refused(at(nth), &fault) } else { lane.poll_succeeded(at(nth)) }
    }
    let is_held = (1000..1020).any(|nth| {
        lane.poll_refused(at(nth), &fault);
        lane.take_poll(at(nth)).is_err()
    });
    assert!(is_held, "many in a row are no chance");
}

#[test]
fn polls_go_on_while_submissions_are_held_back() {
    let mut lane = Lane::new(&fixed(3));
    let tickets = take_all(&mut lane, at(0));
    lane.submit_refused(at(0), tickets[0], &throttled());
    assert_eq!(lane.take_poll(at(1)), Ok(()));
    lane.poll_answered();
    lane.poll_refused(at(1), &throttled());
    assert_eq!(lane.take_poll(at(2)), Err(Blocked::Until(at(2001))));
}

#[test]
fn polls_have_their_own_limit() {
    let mut lane = Lane::new(&Limits { polls_max: 1, ..fixed(3) });
    assert_eq!(lane.take_poll(at(0)), Ok(()));
    assert_eq!((lane.take_poll(at(0)), lane.n_out()), (Err(Blocked::Busy), 1));
    lane.poll_answered();
    assert_eq!(lane.n_out(), 0);
}

#[test]
fn auto_grows_while_it_is_used_and_nothing_is_refused() {
    let mut lane = Lane::new(&Limits::default());
    let tickets = take_all(&mut lane, at(0));
    assert_eq!(tickets.len(), 3, "more would only be refused, if there is a limit");
    for ticket in tickets {
        lane.submit_accepted(at(0), ticket, None);
    }
    let tickets = take_all(&mut lane, at(0));
    assert_eq!(tickets.len(), 3);
    for ticket in tickets {
        lane.submit_accepted(at(0), ticket, None);
    }
    assert_eq!(take_all(&mut lane, at(0)).len(), 4);
    assert_eq!(lane.n_in_flight(), 10);
}

/// Case: four of eight submissions were accepted. The next ones wait for slots, except for one that probes, and none waits for the gate.
#[test]
fn a_burst_of_refusals_cuts_to_what_was_taken() {
    let mut lane = Lane::new(&fixed(8));
    lane.learner.distrust_chance();
    let tickets = take_all(&mut lane, at(0));
    for ticket in &tickets[..4] {
        lane.submit_accepted(at(40), *ticket, None);
    }
    for ticket in &tickets[4..] {
        lane.submit_refused(at(40), *ticket, &Fault::new(FaultKind::Throttled { retry_after: None }, ""));
    }
    let Some(Blocked::Until(test_at)) = why(&mut lane, at(40)) else { panic!("it will be tried again") };
    assert_eq!((lane.hold(at(40)), take_all(&mut lane, test_at).len()), (None, 1));
}

/// A wait never names a moment that has passed: the driver would spin.
#[test]
fn a_wait_is_never_over_already() {
    let mut rng = fastrand::Rng::with_seed(3);
    let mut lane = Lane::new(&Limits { rate: "50/s".parse().ok(), ..Limits::default() });
    let (mut now, mut out, mut n_left) = (0, std::collections::VecDeque::new(), 0);
    for _ in 0..20_000 {
        match lane.take_submit(at(now)) {
            Ok(ticket) => {
                n_left += 1;
                out.push_back(ticket);
            }
            Err(Blocked::Until(moment)) => assert!(moment > at(now)),
            Err(Blocked::Busy) => assert!(lane.n_in_flight() > 0, "somebody's answer or end must come"),
        }
        match (rng.u8(..64), out.front().copied()) {
            (0, Some(ticket)) => {
                lane.submit_refused(at(now), ticket, &Fault::new(FaultKind::Throttled { retry_after: None }, ""));
            }
            (1..32, Some(ticket)) => {
                lane.submit_accepted(at(now), ticket, None);
                lane.task_ended();
            }
            _ => {
                now += rng.i64(0..200);
                continue;
            }
        }
        out.pop_front();
    }
    assert!(n_left > 1000, "{n_left}");
}

#[test]
fn a_provider_that_is_down_is_tried_by_one_at_a_time() {
    let mut lane = Lane::new(&fixed(10));
    for ticket in take_all(&mut lane, at(0)) {
        lane.submit_refused(at(0), ticket, &Fault::new(FaultKind::Transient, ""));
    }
    let tickets = take_all(&mut lane, at(3_600_000));
    assert_eq!(tickets.len(), 1);
    lane.submit_accepted(at(0), tickets[0], None);
    assert_eq!(take_all(&mut lane, at(3_600_000)).len(), 9);
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
    assert_eq!(lane.take_poll(at(60_000)), Err(Blocked::Busy), "then one tries");
    assert_eq!(lane.down_for(at(60_000), Stage::Poll), Some(Duration::from_secs(60)));
    assert_eq!(lane.down_for(at(60_000), Stage::Submit), None);
    lane.poll_answered();
    lane.poll_refused(at(60_000), &Fault::new(FaultKind::TaskLost, ""));
    assert_eq!((lane.take_poll(at(60_000)), lane.take_poll(at(60_000))), (Ok(()), Ok(())));
}

/// Submissions under way count against what remains of the quota. One may always leave, to learn what has become of it.
#[test]
fn as_many_are_under_way_as_the_provider_says_remain() {
    let mut lane = Lane::new(&fixed(100));
    let ticket = lane.take_submit(at(0)).unwrap();
    lane.submit_accepted(at(40), ticket, Some(3));
    let tickets = take_all(&mut lane, at(50));
    assert_eq!((tickets.len(), why(&mut lane, at(50))), (3, Some(Blocked::Busy)));
    lane.submit_accepted(at(90), tickets[0], Some(2));
    assert_eq!(why(&mut lane, at(90)), Some(Blocked::Busy), "two are under way");
    lane.submit_accepted(at(91), tickets[1], Some(1));
    lane.submit_accepted(at(92), tickets[2], Some(0));
    assert_eq!(take_all(&mut lane, at(93)).len(), 1);
}

/// A wait that comes with a fault of any kind holds back requests of its own kind, and no others.
#[test]
fn a_wait_holds_submissions_or_polls_back() {
    let mut lane = Lane::new(&Limits { wait_max: Duration::from_secs(60), ..fixed(3) });
    lane.pause_polls(at(0), Duration::from_secs(5));
    assert_eq!(lane.take_poll(at(0)), Err(Blocked::Until(at(5000))));
    assert!(lane.take_submit(at(0)).is_ok());
    lane.pause_submits(at(0), Duration::MAX);
    assert_eq!(why(&mut lane, at(0)), Some(Blocked::Until(at(60_000))), "no longer than --max-wait");
    assert!(lane.take_poll(at(5000)).is_ok());
}
