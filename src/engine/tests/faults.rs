//! Tests of the consequences of each fault at each stage, event by event.

use super::*;
use crate::model::limits::InDoubtPolicy;

#[test]
fn a_submission_that_never_arrived_is_tried_again() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.next();
    bench.submit_fault(1, FaultKind::Transient);
    let before = bench.now;
    bench.run_to_accepted(1);
    assert!(bench.now > before, "not at once");
    bench.turn();
    assert_eq!(bench.story(), "submit submit!transient submit accepted");
}

#[test]
fn a_submission_is_tried_only_so_often() {
    let mut bench = Bench::with_pending(Limits { retries_max: 3, ..fixed(1) }, 1);
    for _ in 0..4 {
        assert_eq!(bench.next().actions, [submit(1)]);
        bench.submit_fault(1, FaultKind::Transient);
    }
    assert!(bench.next().is_last);
    assert!(bench.story().ends_with("submit failed:transient"), "{}", bench.story());
}

#[test]
fn a_clear_refusal_fails_the_job_and_no_other() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.next();
    bench.submit_fault(1, FaultKind::Moderated);
    bench.run_to_accepted(2);
    assert!(bench.story().starts_with("submit failed:moderated submit"));
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.next();
    bench.submit_fault(1, FaultKind::InvalidRequest);
    bench.run_to_accepted(2);
    bench.turn();
    // The acceptance of another job shows that the refusal concerns this job alone.
    assert_eq!(bench.story(), "submit submit!invalid_request submit accepted failed:invalid_request");
}

#[test]
fn throttling_holds_everybody_back_and_is_held_against_nobody() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    for _ in 0..20 {
        bench.next();
        let before = bench.now;
        bench.submit_fault(1, FaultKind::Throttled { retry_after: Some(Duration::from_secs(5)) });
        let turn = bench.turn();
        assert!(turn.actions.is_empty());
        assert_eq!(turn.wake_at, Some(before + Duration::from_secs(5)));
    }
    bench.run_to_accepted(1);
}

#[test]
fn a_lost_answer_is_in_doubt_and_by_default_submitted_again() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.next();
    bench.submit_fault(1, FaultKind::InDoubt);
    bench.run_to_accepted(1);
    bench.turn();
    assert_eq!(bench.story(), "submit submit!in_doubt submit accepted");
}

#[test]
fn a_job_in_doubt_may_be_held_for_the_user() {
    let mut bench = Bench::with_pending(Limits { in_doubt: InDoubtPolicy::Hold, ..fixed(1) }, 2);
    bench.next();
    bench.submit_fault(1, FaultKind::InDoubt);
    bench.run_to_download(2);
    bench.downloaded(2, Ok(vec![artifact()]));
    assert!(bench.next().is_last, "a held job keeps nobody waiting");
    assert!(bench.story().starts_with("submit submit!in_doubt submit"));
}

#[test]
fn a_job_in_doubt_may_fail_and_is_counted_all_the_same() {
    let mut bench = Bench::with_pending(Limits { in_doubt: InDoubtPolicy::Fail, ..fixed(1) }, 1);
    bench.next();
    bench.submit_fault(1, FaultKind::InDoubt);
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "submit submit!in_doubt failed:in_doubt");
}

#[test]
fn a_failed_poll_is_asked_again_and_never_submitted_again() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    for kind in [
        FaultKind::Transient,
        FaultKind::Throttled { retry_after: None },
        FaultKind::InvalidRequest,
        FaultKind::Transient,
    ] {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, Err(fault(kind)));
    }
    assert_eq!(bench.next().actions, [poll(1)]);
}

#[test]
fn failed_polls_back_off() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    let mut waits = vec![];
    for _ in 0..7 {
        let before = bench.now;
        bench.next();
        waits.push(bench.now - before);
        bench.polled(1, Err(fault(FaultKind::Transient)));
    }
    assert!(waits[6] > Duration::from_secs(15), "{waits:?}");
}

#[test]
fn an_unknown_task_is_waited_for_at_first() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    let accepted = bench.now;
    loop {
        assert_eq!(bench.next().actions, [poll(1)]);
        if bench.now - accepted >= Duration::from_secs(30) {
            break;
        }
        bench.polled(1, Err(fault(FaultKind::TaskLost)));
    }
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1)]);
}

#[test]
fn a_lost_task_is_submitted_again_twice_and_then_held() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    for _ in 0..3 {
        bench.run_to_accepted(1);
        bench.turn();
        bench.wait(Duration::from_secs(31));
        while bench.events.last().is_none_or(|event| !word(&event.kind).ends_with("task_lost")) || {
            bench.engine.0.jobs.get(&id(1)).is_some_and(|tracked| tracked.state.task.is_some() && tracked.is_in_flight)
        } {
            assert_eq!(bench.next().actions, [poll(1)]);
            bench.polled(1, Err(fault(FaultKind::TaskLost)));
            bench.turn();
        }
    }
    assert!(bench.next().is_last);
    let story = bench.story().replace("poll!task_lost ", "");
    let lost = "submit accepted task!task_lost";
    assert_eq!(story, format!("{lost} {lost} submit accepted poll!task_lost"));
}

/// Goal: servers that are replaced during a run, and know no task for a while, cost no task. Method: unknown-task answers for slightly less
/// than half a minute, and then the true status.
#[test]
fn a_task_that_is_unknown_for_a_while_is_not_given_up() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    bench.turn();
    bench.wait(Duration::from_secs(600));
    let mut first = None;
    loop {
        assert_eq!(bench.next().actions, [poll(1)]);
        if bench.now - *first.get_or_insert(bench.now) >= Duration::from_secs(30) {
            break;
        }
        bench.polled(1, Err(fault(FaultKind::TaskLost)));
    }
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1)]);
}

/// Case: the task was accepted, whatever it ends with. The next one is paid for, and the number of tasks is limited.
#[test]
fn a_task_is_submitted_again_only_so_often_whatever_ended_it() {
    for kind in [FaultKind::QuotaExhausted { resets_at: None }, FaultKind::Throttled { retry_after: None }] {
        let limits = Limits { on_quota: crate::model::limits::QuotaPolicy::Wait, ..fixed(1) };
        let mut bench = Bench::with_pending(limits, 1);
        for _ in 0..3 {
            bench.run_to_accepted(1);
            assert_eq!(bench.next().actions, [poll(1)]);
            bench.polled(1, Ok(Status::Failed(fault(kind))));
        }
        assert!(bench.next().is_last, "{}", bench.story());
        assert!(bench.story().ends_with(&format!("failed:{}", kind.code())));
    }
}

#[test]
fn tasks_that_end_with_a_refused_token_stop_the_run() {
    let mut bench = Bench::with_pending(fixed(3), 4);
    assert_eq!(bench.turn().actions.len(), 3);
    (1..=3).for_each(|n| bench.submitted(n));
    bench.wait(Duration::from_secs(30));
    assert_eq!(bench.turn().actions.len(), 3);
    for n in 1..=3 {
        assert!(bench.engine.stop().is_none());
        bench.polled(n, Ok(Status::Failed(fault(FaultKind::Unauthorized))));
    }
    assert!(bench.next().is_last);
    assert!(matches!(bench.engine.stop(), Some(crate::engine::turn::StopReason::Unauthorized(_))));
}

#[test]
fn an_answer_between_makes_an_unknown_task_known_again() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    bench.turn();
    bench.wait(Duration::from_secs(31));
    for i in 0..12 {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, if i % 3 == 2 { Ok(Status::Running) } else { Err(fault(FaultKind::TaskLost)) });
    }
}

#[test]
fn a_task_that_runs_for_ever_ends_at_its_deadline() {
    let limits = Limits { task_timeout: Duration::from_secs(100), resubmits_max: 0, ..fixed(1) };
    let mut bench = Bench::with_pending(limits, 1);
    bench.run_to_accepted(1);
    let accepted = bench.now;
    while let [Action::Poll(_)] = bench.next().actions[..] {
        bench.polled(1, Ok(Status::Running));
    }
    assert!((100..110).contains(&(bench.now - accepted).as_secs()));
    assert_eq!(bench.story(), "submit accepted poll!task_lost", "held, as it is paid for and may be done yet");
}

/// Goal: a paid task that only waits for its turn is not given up. Method: ten tasks at a provider that works on one at a time, half a
/// minute on each. The timeout is a third of the time that all tasks need together.
#[test]
fn a_task_that_is_in_line_is_not_given_up() {
    let limits = Limits { task_timeout: Duration::from_secs(100), resubmits_max: 0, ..fixed(10) };
    let mut bench = Bench::with_pending(limits, 10);
    let start = bench.now;
    let mut n_images = 0;
    while n_images < 10 {
        let turn = bench.next();
        assert!(!turn.is_last, "given up: {}", bench.story());
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => bench.submitted(job.index),
                Action::Poll(batch) => {
                    let n = (1..=10).find(|n| id(*n) == batch[0].0).unwrap();
                    let is_done = (bench.now - start).as_secs() >= 30 * n;
                    bench.polled(n, Ok(if is_done { Status::Done(urls(n)) } else { Status::Running }));
                }
                Action::Download(origin, _) => {
                    n_images += 1;
                    bench.downloaded(origin.job.index, Ok(vec![artifact()]));
                }
                Action::Load { .. } => bench.handle(Input::Loaded { jobs: vec![], more: More::Done }),
                Action::Reserve(_) | Action::Find(_) => panic!("nothing can be found"),
            }
        }
    }
    assert_eq!(bench.story().matches("submit").count(), 10);
    assert!((bench.now - start).as_secs() >= 300);
}

#[test]
fn a_failed_task_fails_the_job_or_is_submitted_again() {
    for (kind, ending) in [
        (FaultKind::Moderated, "submit accepted failed:moderated"),
        (FaultKind::InvalidRequest, "submit accepted failed:invalid_request"),
        (FaultKind::BadOutput, "submit accepted failed:bad_output"),
        (FaultKind::Transient, "submit accepted task!transient submit"),
    ] {
        let mut bench = Bench::with_pending(fixed(1), 1);
        bench.run_to_accepted(1);
        bench.next();
        bench.polled(1, Ok(Status::Failed(fault(kind))));
        bench.next();
        assert_eq!(bench.story(), ending);
    }
}

/// Goal: the task of a skipped row is fetched, and no other one is paid for. Method: a job that was accepted before its row was marked, and
/// whose task then fails.
#[test]
fn the_failed_task_of_a_skipped_row_is_not_submitted_again() {
    let mut known = past(1, Duration::from_secs(40), &[EventKind::SubmitStarted, EventKind::Accepted(task(1))]);
    Arc::make_mut(&mut known.job).row.is_skipped = true;
    let mut bench = Bench::new(fixed(1), vec![known]);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Failed(fault(FaultKind::Transient))));
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "failed:transient");
}

#[test]
fn a_failed_download_asks_for_a_fresh_link() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_download(1);
    bench.downloaded(1, Err(fault(FaultKind::BadOutput)));
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(2))));
    assert_eq!(bench.next().actions, [fetch(1, urls(2))]);
    bench.downloaded(1, Ok(vec![artifact()]));
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "submit accepted ready download!bad_output ready succeeded");
}

#[test]
fn downloads_are_tried_only_so_often_and_never_paid_for_again() {
    let mut bench = Bench::with_pending(Limits { retries_max: 2, ..fixed(1) }, 1);
    bench.run_to_download(1);
    for _ in 0..2 {
        bench.downloaded(1, Err(fault(FaultKind::BadOutput)));
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, Ok(Status::Done(urls(1))));
        assert_eq!(bench.next().actions, [download(1)]);
    }
    bench.downloaded(1, Err(fault(FaultKind::BadOutput)));
    assert!(bench.next().is_last);
    assert_eq!(bench.story().matches("submit").count(), 1);
    assert!(bench.story().ends_with("failed:bad_output"));
}

#[test]
fn a_download_in_trouble_takes_no_place_at_the_provider() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.run_to_accepted(1);
    bench.next();
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1), submit(2)]);
    bench.downloaded(1, Err(fault(FaultKind::Transient)));
    bench.submitted(2);
    assert_eq!(bench.engine.0.lane.n_in_flight(), 1);
}

#[test]
fn an_outage_is_not_paid_for_by_every_job() {
    let mut bench = Bench::with_pending(fixed(50), 50);
    let mut n_submits = 0;
    while bench.now - START < Duration::from_secs(120) {
        for action in bench.next().actions {
            let Action::Submit(job, _) = action else { panic!("{action:?}") };
            n_submits += 1;
            bench.submit_fault(job.index, FaultKind::Transient);
        }
    }
    assert!(n_submits < 50 + 30, "{n_submits} submissions in two minutes of outage");
}

#[test]
fn a_wait_that_comes_with_a_doubt_holds_all_submissions_back_and_is_not_recorded() {
    let mut bench = Bench::with_pending(fixed(1), 2);
    bench.next();
    let before = bench.now;
    let doubt = fault(FaultKind::InDoubt).with_retry_after(Some(Duration::from_secs(30)));
    bench.handle(Input::Submitted(job(1).id, Err(doubt)));
    bench.next();
    assert_eq!(bench.now, before + Duration::from_secs(30));
    let recorded = bench.events.iter().filter_map(|event| match &event.kind {
        EventKind::Setback(_, fault) => Some(fault.retry_after),
        _ => None,
    });
    assert_eq!(recorded.collect::<Vec<_>>(), [None]);
}
