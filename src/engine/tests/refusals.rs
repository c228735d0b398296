//! Tests of refusals that every job meets, and of refusals of one job.

use super::*;
use crate::engine::turn::StopReason;
use crate::model::history::{History, PastTask, TaskKind};
use crate::model::limits::InDoubtPolicy;

fn rejected() -> Fault {
    Fault::new(FaultKind::Rejected, "HTTP status 404 with \"<html>not found\"")
}

/// Answers for a span of time, and returns whether the run is over. Submissions are refused while `is_refused` says so and accepted
/// otherwise. Tasks are done at their first poll.
fn play(bench: &mut Bench, span: Duration, fault: &Fault, is_refused: impl Fn(&Bench, &Job) -> bool) -> bool {
    let end = bench.now + span;
    while bench.now < end {
        let turn = bench.next();
        for action in turn.actions {
            match action {
                Action::Submit(job, _) if is_refused(bench, &job) => {
                    bench.handle(Input::Submitted(job.id, Err(fault.clone())));
                }
                Action::Submit(job, _) => bench.submitted(job.index),
                Action::Poll(batch) => {
                    let answers = batch.into_iter().map(|(id, _)| (id, Ok(Status::Done(urls(1))))).collect();
                    bench.handle(Input::Polled(answers));
                }
                Action::Download(origin, _) => bench.downloaded(origin.job.index, Ok(vec![artifact()])),
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("{action:?}"),
            }
        }
        if turn.is_last {
            return true;
        }
    }
    false
}

fn n_met(bench: &Bench) -> usize {
    let met = bench.events.iter().filter(|event| word(&event.kind).starts_with("submit!")).map(|event| event.index);
    met.collect::<std::collections::BTreeSet<_>>().len()
}

/// Goal: four seconds of a misrouted gateway fail no job, and few jobs meet it: at most five where that leaves a doubt. Method: twenty jobs
/// are accepted. Then everything is refused for four seconds, by a web page or by the API's own words.
#[test]
fn a_gateway_that_is_misrouted_for_seconds_fails_no_job() {
    for (fault, max) in [(rejected(), 5), (Fault::new(FaultKind::InvalidRequest, "model is loading (400)"), 13)] {
        let mut bench = Bench::with_pending(Limits { rate: "20/s".parse().ok(), ..fixed(4) }, 200);
        let is_over = play(&mut bench, Duration::from_secs(600), &fault, |bench, _| {
            let n = bench.events.iter().filter(|event| word(&event.kind) == "accepted").count();
            n >= 20 && bench.now - START < Duration::from_secs(5)
        });
        assert!(is_over && bench.engine.stop().is_none());
        assert_eq!(bench.story().matches("succeeded").count(), 200);
        assert!(n_met(&bench) <= max && n_met(&bench) > 2, "{} jobs have met it", n_met(&bench));
    }
}

#[test]
fn a_wrong_address_stops_the_run_after_five_jobs_and_fails_none() {
    for fault in [rejected(), Fault::new(FaultKind::InvalidRequest, "the model a/b is retired or misspelt")] {
        let mut bench = Bench::with_pending(fixed(64), 200);
        assert!(play(&mut bench, Duration::from_secs(600), &fault, |_, _| true));
        assert_eq!(bench.engine.stop(), Some(&StopReason::Refused(fault, (1..=5).collect())));
        assert!(n_met(&bench) <= 5 && !bench.story().contains("failed"), "{}", bench.story());
    }
}

#[test]
fn a_small_batch_that_is_refused_as_a_whole_stops_too() {
    for n in 1..5 {
        let mut bench = Bench::with_pending(fixed(2), n);
        assert!(play(&mut bench, Duration::from_secs(600), &rejected(), |_, _| true));
        assert_eq!(bench.engine.stop(), Some(&StopReason::Refused(rejected(), (1..=n).collect())), "{}", bench.story());
        assert!(!bench.story().contains("failed"));
    }
}

#[test]
fn one_job_that_is_refused_among_successes_fails_and_no_other() {
    for kind in [FaultKind::Rejected, FaultKind::InvalidRequest, FaultKind::Unauthorized] {
        for n in [1, 7, 20] {
            let mut bench = Bench::with_pending(fixed(2), 20);
            let is_over = play(&mut bench, Duration::from_secs(600), &fault(kind), |_, job| job.index == n);
            assert!(is_over && bench.engine.stop().is_none(), "{kind:?}");
            assert_eq!(bench.story().matches("succeeded").count(), 19);
            assert!(bench.story().contains(&format!("failed:{}", kind.code())));
            let n_sent = bench.events.iter().filter(|event| event.index == n && word(&event.kind) == "submit").count();
            assert_eq!(n_sent, 1, "a job that is refused alone is not submitted again: {}", bench.story());
        }
    }
}

/// Case: a firewall refuses every third prompt of 300 with a page. Each of them is submitted once and fails; the run does not wait
/// for an outage to end.
#[test]
fn many_jobs_that_a_firewall_refuses_do_not_hold_up_the_others() {
    let mut bench = Bench::with_pending(fixed(8), 300);
    let is_over = play(&mut bench, Duration::from_secs(60), &rejected(), |_, job| job.index % 3 == 0);
    assert!(is_over && bench.engine.stop().is_none(), "{:?}", bench.engine.stop());
    let (n_succeeded, n_failed) = (bench.story().matches("succeeded").count(), bench.story().matches("failed").count());
    assert_eq!((n_succeeded, n_failed), (200, 100), "after {:?}", bench.now - START);
    let sent = bench.events.iter().filter(|event| event.index % 3 == 0 && word(&event.kind) == "submit");
    assert_eq!(sent.count(), 100);
}

#[test]
fn a_few_jobs_that_are_refused_alike_among_successes_are_tried_once_more_and_fail() {
    let mut bench = Bench::with_pending(fixed(1), 20);
    let is_over = play(&mut bench, Duration::from_secs(600), &fault(FaultKind::InvalidRequest), |_, job| {
        (5..8).contains(&job.index)
    });
    assert!(is_over && bench.engine.stop().is_none());
    assert_eq!((bench.story().matches("succeeded").count(), bench.story().matches("failed").count()), (17, 3));
}

/// Case: a gateway refuses everything for hours. Nothing fails, few jobs are in doubt, and the run stops at the outage limit.
#[test]
fn refusals_that_last_are_an_outage() {
    let limits = Limits { outage_max: Duration::from_secs(3600), ..fixed(4) };
    let mut bench = Bench::with_pending(limits, 200);
    let is_over = play(&mut bench, Duration::from_secs(36_000), &rejected(), |bench, _| {
        bench.events.iter().filter(|event| word(&event.kind) == "accepted").count() >= 20
    });
    assert!(is_over && matches!(bench.engine.stop(), Some(StopReason::Refused(..))), "{:?}", bench.engine.stop());
    assert!((3600..4200).contains(&(bench.now - START).as_secs()), "{:?}", bench.now - START);
    assert!(!bench.story().contains("failed"));
    assert!(n_met(&bench) < 20, "{} jobs are in doubt", n_met(&bench));
}

#[test]
fn a_rejected_job_is_never_sent_again_under_hold() {
    let mut bench = Bench::with_pending(Limits { in_doubt: InDoubtPolicy::Hold, ..fixed(1) }, 5);
    bench.run_to_accepted(1);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1), submit(2)]);
    bench.handle(Input::Submitted(id(2), Err(rejected())));
    bench.downloaded(1, Ok(vec![artifact()]));
    let is_over = play(&mut bench, Duration::from_secs(600), &rejected(), |_, _| false);
    assert!(is_over && bench.engine.stop().is_none());
    let sent: Vec<u64> =
        bench.events.iter().filter(|event| word(&event.kind) == "submit").map(|event| event.index).collect();
    assert_eq!(sent, [1, 2, 3, 4, 5]);
    assert!(!bench.story().contains("failed"));
}

#[test]
fn a_token_that_is_refused_after_successes_is_tried_with_five_jobs() {
    let mut bench = Bench::with_pending(fixed(1), 20);
    let is_over = play(&mut bench, Duration::from_secs(600), &fault(FaultKind::Unauthorized), |_, job| job.index > 4);
    assert!(is_over && matches!(bench.engine.stop(), Some(StopReason::Unauthorized(_))));
    assert_eq!((n_met(&bench), bench.story().matches("failed").count()), (5, 0));
}

/// Goal: prompts that are refused with the status of a wrong token, among accepted ones, do not stop the run, in whatever order their
/// answers come. Method: four neighbours are refused, one after the other or at the same time.
#[test]
fn a_few_jobs_that_are_refused_like_a_token_among_successes_fail_alone() {
    for n in [1, 8, 64] {
        let mut bench = Bench::with_pending(fixed(n), 60);
        let is_over = play(&mut bench, Duration::from_secs(600), &fault(FaultKind::Unauthorized), |_, job| {
            (10..14).contains(&job.index)
        });
        assert!(is_over && bench.engine.stop().is_none(), "{n}: {:?}", bench.engine.stop());
        let failed = bench.story().matches("failed:unauthorized").count();
        assert_eq!((bench.story().matches("succeeded").count(), failed), (56, 4), "{n}");
        let told = bench.events.iter().find_map(|event| match &event.kind {
            EventKind::Finished(Outcome::Failed(fault)) => Some(fault.message.clone()),
            _ => None,
        });
        assert!(told.is_some_and(|words| words.contains("the token is right")));
    }
}

/// Goal: jobs that are refused for their own content hide no good job behind them. Method: more neighbours than are tried at once are
/// refused alike, in the first rows, amid the others and in the last rows.
#[test]
fn neighbours_that_are_refused_alike_fail_and_every_other_job_succeeds() {
    for first in [4, 10, 24] {
        let mut bench = Bench::with_pending(fixed(4), 30);
        let is_own = |_: &Bench, job: &Job| (first..first + 7).contains(&job.index);
        let is_over = play(&mut bench, Duration::from_secs(60), &fault(FaultKind::InvalidRequest), is_own);
        assert!(is_over && bench.engine.stop().is_none(), "{first}: {:?}", bench.engine.stop());
        let n_failed = bench.story().matches("failed:invalid_request").count();
        assert_eq!((bench.story().matches("succeeded").count(), n_failed), (23, 7), "{first}");
    }
}

/// Goal: a repetition of jobs that the API has refused for their own content ends soon, with their reasons. Method: an earlier process had
/// jobs accepted, and every job of this one is refused. A refusal that leaves a doubt is an outage.
#[test]
fn a_retry_of_jobs_that_are_refused_again_ends_with_their_reasons() {
    for kind in [FaultKind::InvalidRequest, FaultKind::Rejected] {
        for n in [2, 7, 40] {
            let mut bench = Bench::with_pending(fixed(8), n);
            let kind_of = TaskKind::of(&job(1).request);
            let tasks = vec![PastTask { kind: kind_of, took: Duration::from_secs(5) }];
            bench.engine.remember(START, &History { tasks, submitted_at: vec![] });
            let is_over = play(&mut bench, Duration::from_secs(100), &fault(kind), |_, _| true);
            let n_failed = bench.story().matches("failed:").count() as u64;
            if kind == FaultKind::InvalidRequest {
                assert_eq!((is_over, bench.engine.stop(), n_failed), (true, None, n), "{n}");
            } else if n > 5 {
                assert_eq!((is_over, n_failed), (false, 0), "an outage is waited for");
            }
        }
    }
}

#[test]
fn one_refused_poll_among_answered_ones_is_not_the_tokens() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    for n in 0..30 {
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, if n % 3 == 0 { Ok(Status::Running) } else { Err(fault(FaultKind::Unauthorized)) });
    }
    assert_eq!(bench.engine.stop(), None);
}
