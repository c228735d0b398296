//! Tests of image hosts that refuse or are out of reach: the paid jobs wait, and fail only for faults of their own.

use super::*;
use crate::engine::turn::StopReason;
use crate::model::event::ReopenTarget;

const MINUTE: Duration = Duration::from_secs(60);

/// Plays the run until it ends, or until `span` has passed. Every task is done at its first poll, and `image` answers the downloads by job
/// and time.
fn play(bench: &mut Bench, span: Duration, image: impl Fn(u64, Duration) -> Result<(), FaultKind>) -> bool {
    while bench.now - START < span {
        let turn = bench.turn();
        if turn.is_last {
            return true;
        }
        let is_idle = turn.actions.is_empty();
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => bench.submitted(job.index),
                Action::Poll(jobs) => {
                    for (job, _) in jobs {
                        let n = bench.engine.0.jobs[&job].job.index;
                        bench.polled(n, Ok(Status::Done(links(n))));
                    }
                }
                Action::Download(provenance, _) => {
                    let n = provenance.job.index;
                    let result = image(n, bench.now - START);
                    bench.downloaded(n, result.map(|()| vec![artifact()]).map_err(fault));
                }
                Action::Load { .. } | Action::Reserve(_) | Action::Find(_) => panic!("every job is loaded"),
            }
        }
        if is_idle {
            let wake_at = turn.wake_at.expect("an engine that is not done says when to wake it");
            assert!(wake_at > bench.now, "an engine that wants to be woken at once would spin");
            bench.wait(wake_at - bench.now);
        }
    }
    false
}

fn bench(n_jobs: u64) -> Bench {
    Bench::new(fixed(4), (1..=n_jobs).map(pending).collect())
}

fn n_words(bench: &Bench, word: &str) -> usize {
    bench.story().split(' ').filter(|other| *other == word).count()
}

/// Returns the links of a job; those of job 1 are on a host of its own.
fn links(n: u64) -> Vec<Url> {
    if n == 1 { vec![Url("https://other/1.png".into())] } else { urls(n) }
}

/// Goal: a host that throttles for ever while others deliver does not keep the run from its end. Method: one job of thirty has such a host.
#[test]
fn a_host_that_throttles_for_ever_fails_its_jobs_alone() {
    let mut bench = bench(30);
    let throttled = FaultKind::Throttled { retry_after: Some(Duration::from_secs(30)) };
    assert!(play(&mut bench, 180 * MINUTE, |n, _| if n == 1 { Err(throttled) } else { Ok(()) }), "the run ends");
    assert_eq!((bench.engine.stop(), n_words(&bench, "succeeded")), (None, 29));
    assert_eq!(n_words(&bench, "failed:transient"), 1);
}

/// Goal: an hour without the image host costs waiting and no job. Method: the host breaks after the first image, amid the run, or for
/// the last jobs, for 58 minutes, in each of the ways in which a host is silent or busy.
#[test]
fn an_hour_without_the_image_host_fails_no_job() {
    let throttled = FaultKind::Throttled { retry_after: Some(Duration::from_secs(7)) };
    for kind in [FaultKind::Transient, FaultKind::Throttled { retry_after: None }, throttled, FaultKind::BadOutput] {
        for n_before in [1, 10, 27] {
            let mut bench = bench(30);
            let image = |n, now| if n > n_before && now < 58 * MINUTE { Err(kind) } else { Ok(()) };
            assert!(play(&mut bench, 120 * MINUTE, image), "{kind:?} after {n_before}");
            assert_eq!((bench.engine.stop(), n_words(&bench, "succeeded")), (None, 30), "{kind:?} after {n_before}");
            assert_eq!(n_words(&bench, "submit"), 30, "{kind:?} after {n_before}");
            assert!(bench.now - START < 61 * MINUTE, "{kind:?} after {n_before}: {:?}", bench.now - START);
            let n_setbacks = bench.story().matches("download!").count();
            assert!(n_setbacks < 120, "{kind:?} after {n_before}: {n_setbacks} requests to a host that is down");
        }
    }
}

#[test]
fn a_host_that_never_comes_back_stops_the_run_and_no_job_fails() {
    for kind in [FaultKind::Transient, FaultKind::Throttled { retry_after: None }, FaultKind::BadOutput] {
        let mut bench = bench(30);
        let image = |n, _| if n > 5 { Err(kind) } else { Ok(()) };
        assert!(play(&mut bench, 180 * MINUTE, image));
        assert!(matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Download, _))), "{kind:?}");
        let took = bench.now - START;
        assert!(took >= 60 * MINUTE && took < 63 * MINUTE, "{kind:?}: {took:?}");
        assert_eq!((n_words(&bench, "succeeded"), bench.story().contains("failed")), (5, false));
    }
}

#[test]
fn a_host_that_never_delivers_stops_the_run_sooner_and_few_tasks_are_paid_for() {
    let mut bench = Bench::new(fixed(4), (1..=200).map(pending).collect());
    assert!(play(&mut bench, 180 * MINUTE, |_, _| Err(FaultKind::Transient)));
    assert!(matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Download, _))));
    assert!(bench.now - START < 5 * MINUTE, "{:?}", bench.now - START);
    let n_submits = n_words(&bench, "submit");
    assert!(n_submits < 30, "{n_submits} tasks were paid for");
}

#[test]
fn one_bad_link_among_good_ones_fails_its_job_alone() {
    let mut bench = bench(30);
    assert!(play(&mut bench, 120 * MINUTE, |n, _| if n == 3 { Err(FaultKind::BadOutput) } else { Ok(()) }));
    assert_eq!((bench.engine.stop(), n_words(&bench, "succeeded")), (None, 29));
    assert_eq!(n_words(&bench, "failed:bad_output"), 1);
}

#[test]
fn a_download_that_is_refused_for_a_while_costs_no_poll_and_no_setback() {
    let mut bench = Bench::new(fixed(1), vec![pending(1)]);
    bench.run_to_download(1);
    bench.downloaded(1, Err(fault(FaultKind::Throttled { retry_after: Some(Duration::from_secs(30)) })));
    let asked_at = bench.now;
    assert_eq!(bench.next().actions, [download(1)]);
    assert_eq!(bench.now - asked_at, Duration::from_secs(30));
    bench.downloaded(1, Ok(vec![artifact()]));
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "submit accepted ready succeeded");
}

/// Goal: the run ends when the limit says so, also if the first fault uses up the retries of its job. Method: the last probe leaves in time.
#[test]
fn a_short_outage_limit_of_the_image_host_is_kept() {
    for (limit, took_max) in [(20, 4), (600, 33)] {
        let limits = Limits { outage_max: Duration::from_secs(limit), retries_max: 0, ..fixed(1) };
        let mut bench = Bench::new(limits, vec![pending(1)]);
        assert!(play(&mut bench, 60 * MINUTE, |_, _| Err(FaultKind::Transient)));
        assert!(matches!(bench.engine.stop(), Some(StopReason::Unreachable(Stage::Download, _))));
        let took = bench.now - START;
        assert!(took <= Duration::from_secs(took_max), "--max-outage {limit}s: {took:?}");
    }
}

/// Goal: an image that came in an answer and is none ends its job at once, for its bytes on this disk do not change; another submission
/// follows only on request. Method: every second answer has such an image.
#[test]
fn an_answer_without_a_real_image_fails_its_job_at_once() {
    let mut bench = Bench::with_pending(fixed(1), 8);
    let (mut n_fetched, mut is_over) = (0, false);
    while !is_over {
        let turn = bench.next();
        is_over = turn.is_last;
        for action in turn.actions {
            match action {
                Action::Submit(job, _) => {
                    let images = vec![Url(format!("spool:///{}-1", job.index))];
                    let acceptance = Acceptance { images, ..Acceptance::from(task(job.index)) };
                    bench.handle(Input::Submitted(job.id, Ok(acceptance)));
                }
                Action::Download(origin, _) => {
                    n_fetched += 1;
                    let n = origin.job.index;
                    bench.downloaded(
                        n,
                        if n % 2 == 0 { Ok(vec![artifact()]) } else { Err(fault(FaultKind::BadOutput)) },
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(bench.engine.stop(), None);
    assert_eq!((n_fetched, n_words(&bench, "succeeded"), n_words(&bench, "failed:bad_output")), (8, 4, 4));
    let first: Vec<_> = bench.events.iter().filter(|event| event.index == 1).map(|event| event.kind.clone()).collect();
    let state = past(1, Duration::ZERO, &first).state;
    assert_eq!((state.reopen_target(), state.n_lost), (ReopenTarget::Submit, 1));
}
