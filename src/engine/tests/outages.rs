//! Tests of outages: paid tasks are kept, unpaid jobs are not blamed, and the run does not wait for ever.

use super::*;
use crate::engine::turn::StopReason;

fn broken() -> Fault {
    fault(FaultKind::Transient)
}

fn patient(n: u32) -> Limits {
    Limits { task_timeout: Duration::from_secs(100), outage_max: Duration::from_secs(7200), ..fixed(n) }
}

/// Answers every submission and every poll with a broken connection, for this time.
fn outage(bench: &mut Bench, span: Duration) -> Turn {
    let end = bench.now + span;
    loop {
        let turn = bench.next();
        if turn.is_last || bench.now >= end {
            return turn;
        }
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => bench.submit_fault(job.index, FaultKind::Transient),
                Action::Poll(batch) => {
                    let answers = batch.into_iter().map(|(id, _)| (id, Err(broken()))).collect();
                    bench.handle(Input::Polled(answers));
                }
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) | Action::Download(..) => {
                    panic!("{action:?}")
                }
            }
        }
    }
}

#[test]
fn a_task_is_not_given_up_because_nobody_answers() {
    let mut bench = Bench::with_pending(patient(1), 1);
    bench.run_to_accepted(1);
    let turn = outage(&mut bench, Duration::from_secs(3600));
    assert_eq!(turn.actions, [poll(1)], "an hour after its deadline it is still asked for");
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1)]);
    assert!(!bench.story().contains("task!"), "{}", bench.story());
}

/// Case: the polls of one task fail for ever, while those of another are answered. The task is paid for, so it is polled as long as the run
/// continues.
#[test]
fn a_task_whose_polls_alone_fail_is_not_given_up() {
    let mut bench = Bench::with_pending(patient(2), 2);
    bench.turn();
    bench.submitted(1);
    bench.submitted(2);
    loop {
        let turn = bench.next();
        for action in turn.actions {
            match action {
                Action::Poll(batch) if batch[0].0 == id(1) => bench.polled(1, Err(broken())),
                Action::Poll(_) if bench.now - START < Duration::from_secs(90) => bench.polled(2, Ok(Status::Running)),
                Action::Poll(_) => bench.polled(2, Ok(Status::Done(urls(2)))),
                Action::Download(..) => bench.downloaded(2, Ok(vec![artifact()])),
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) | Action::Submit(_, _) => {
                    panic!("{action:?}")
                }
            }
        }
        if turn.is_last {
            break;
        }
    }
    assert!(matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Poll, _))));
    assert!(bench.story().contains("succeeded") && !bench.story().contains("task!"), "{}", bench.story());
    assert!((7200..7500).contains(&(bench.now - START).as_secs()), "{:?}", bench.now - START);
}

#[test]
fn polls_of_an_api_that_is_down_are_few() {
    let mut bench = Bench::with_pending(patient(40), 40);
    for _ in 0..2 {
        for action in bench.turn().actions {
            let Action::Submit(job, _) = action else { panic!("{action:?}") };
            bench.submitted(job.index);
        }
    }
    assert_eq!(bench.engine.0.lane.n_in_flight(), 40, "five at first, and all when those are accepted");
    outage(&mut bench, Duration::from_secs(3600));
    let n_polls = bench.events.iter().filter(|event| word(&event.kind) == "poll!transient").count();
    assert!(n_polls < 200, "{n_polls} polls of 40 tasks in an hour");
}

#[test]
fn a_job_that_meets_an_outage_is_not_to_blame() {
    let mut bench = Bench::with_pending(patient(1), 2);
    bench.run_to_accepted(1);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Err(fault(FaultKind::TaskLost)));
    bench.next();
    bench.polled(1, Ok(Status::Failed(fault(FaultKind::Moderated))));
    let turn = outage(&mut bench, Duration::from_secs(3600));
    assert_eq!(turn.actions, [submit(2)]);
    bench.submitted(2);
    bench.turn();
    assert!(bench.story().ends_with("submit accepted") && !bench.story().contains("failed:tr"), "{}", bench.story());
}

#[test]
fn an_outage_that_lasts_too_long_stops_the_run_and_fails_nobody() {
    let mut bench = Bench::with_pending(patient(2), 3);
    bench.turn();
    bench.submitted(1);
    bench.submitted(2);
    bench.next();
    bench.polled(1, Ok(Status::Running));
    let turn = outage(&mut bench, Duration::from_secs(36_000));
    assert!(turn.is_last && matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Poll, _))));
    assert!((7200..7400).contains(&(bench.now - START).as_secs()), "{:?}", bench.now - START);
    assert!(!bench.story().contains("failed") && !bench.story().contains("task!"));
}

#[test]
fn an_api_that_has_never_answered_is_waited_for_a_few_minutes_only() {
    let mut bench = Bench::with_pending(patient(2), 3);
    let turn = outage(&mut bench, Duration::from_secs(36_000));
    assert!(turn.is_last && matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Submit, _))));
    assert!((360..480).contains(&(bench.now - START).as_secs()), "{:?}", bench.now - START);
}

/// Goal: the run stops when the outage has lasted for as long as the user allows, and not at the next probe after that. Method: outages of
/// the submissions and of the polls, from seconds to hours, with one job and with many.
#[test]
fn an_outage_lasts_as_long_as_the_user_says() {
    for max in [5, 60, 600, 7200] {
        for n_jobs in [1, 40] {
            let limits = Limits { outage_max: Duration::from_secs(max), ..patient(n_jobs) };
            let mut polls = Bench::with_pending(limits.clone(), n_jobs.into());
            for _ in 0..2 {
                for action in polls.turn().actions {
                    let Action::Submit(job, _) = action else { panic!("{action:?}") };
                    polls.submitted(job.index);
                }
            }
            let began = polls.now;
            assert!(outage(&mut polls, Duration::from_secs(36_000)).is_last);
            let lasted = (polls.now - began).as_secs_f64();
            let max = f64::from(u32::try_from(max).unwrap());
            assert!((max..max + 11.0).contains(&lasted), "{n_jobs} jobs, {max} s: {lasted}");

            let limits = Limits { outage_max: 20 * limits.outage_max, ..limits };
            let mut submits = Bench::with_pending(limits, n_jobs.into());
            let began = submits.now;
            assert!(outage(&mut submits, Duration::from_secs(36_000)).is_last);
            let lasted = (submits.now - began).as_secs_f64();
            assert!((max..max + 1.0).contains(&lasted), "{n_jobs} jobs that were never answered, {max} s: {lasted}");
        }
    }
}

/// Lost answers may each be a paid task. An API that loses all answers must not receive the whole manifest again and again.
#[test]
fn lost_answers_in_a_row_cost_little_and_stop_the_run() {
    let mut bench = Bench::with_pending(Limits { retries_max: 1, ..patient(20) }, 40);
    for _ in 0..1000 {
        let turn = bench.next();
        if turn.is_last {
            break;
        }
        for action in turn.actions {
            let Action::Submit(job, _) = action else { panic!("{action:?}") };
            bench.submit_fault(job.index, FaultKind::InDoubt);
        }
    }
    let submits: Vec<u64> =
        bench.events.iter().filter(|event| word(&event.kind) == "submit").map(|event| event.index).collect();
    assert!(matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Submit, _))));
    assert!(submits.len() < 40, "{} submissions", submits.len());
    assert!(!bench.story().contains("failed"), "what is in doubt stays so: {}", bench.story());
    assert!((1..=40).all(|job| submits.iter().filter(|index| **index == job).count() <= 2));
    assert!(!bench.story().contains("failed"), "{}", bench.story());
}

/// Case: a poll is refused for its form, which says nothing about the task. The task is polled as long as that lasts, and other jobs
/// continue meanwhile.
#[test]
fn a_poll_that_is_refused_for_ever_keeps_nobody_and_ends() {
    let mut bench = Bench::with_pending(patient(1), 2);
    bench.run_to_accepted(1);
    let mut has_submitted = false;
    loop {
        let turn = bench.next();
        for action in turn.actions {
            match action {
                Action::Poll(batch) if batch[0].0 == id(1) => bench.polled(1, Err(fault(FaultKind::InvalidRequest))),
                Action::Poll(_) => bench.polled(2, Ok(Status::Done(urls(2)))),
                Action::Submit(_, _) => {
                    assert!(
                        bench.now - START >= Duration::from_secs(100),
                        "its task may be at work until its time is up"
                    );
                    has_submitted = true;
                    bench.submitted(2);
                }
                Action::Download(..) => bench.downloaded(2, Ok(vec![artifact()])),
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("{action:?}"),
            }
        }
        if turn.is_last {
            break;
        }
    }
    assert!(has_submitted && bench.story().contains("succeeded") && !bench.story().contains("task!"));
    assert!(matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Poll, _))));
}

/// A provider that refuses is reachable.
#[test]
fn a_provider_that_throttles_between_faults_is_not_out_of_reach() {
    let mut bench = Bench::with_pending(patient(1), 1);
    for n in 0..200 {
        assert_eq!(bench.next().actions, [submit(1)], "after {n} tries");
        let kind = if n % 4 == 3 { FaultKind::Throttled { retry_after: None } } else { FaultKind::Transient };
        bench.submit_fault(1, kind);
        if bench.engine.0.jobs.is_empty() {
            break;
        }
    }
    assert_eq!(bench.engine.stop(), None);
    bench.next();
    assert!(bench.story().ends_with("failed:transient"), "the job itself is tried only so often");
}

#[test]
fn an_outage_of_polls_is_told() {
    let mut bench = Bench::with_pending(patient(1), 1);
    bench.run_to_accepted(1);
    outage(&mut bench, Duration::from_secs(200));
    let hold = bench.engine.pace(bench.now + Duration::from_micros(1)).hold;
    assert!(hold.is_none_or(|hold| hold.why == PauseReason::Down));
    bench.polled(1, Err(broken()));
    assert_eq!(bench.engine.pace(bench.now).hold.map(|hold| hold.why), Some(PauseReason::Down));
}

#[test]
fn a_drain_does_not_wait_for_an_api_that_is_gone() {
    let mut bench = Bench::with_pending(patient(2), 5);
    bench.turn();
    bench.submitted(1);
    bench.submit_fault(2, FaultKind::QuotaExhausted { resets_at: None });
    let turn = outage(&mut bench, Duration::from_secs(36_000));
    assert!(turn.is_last && matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Poll, _))));
}
