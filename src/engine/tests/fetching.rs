//! Tests of runs that only fetch: nothing is submitted, and only a job whose task is gone becomes pending.

use super::*;
use crate::model::event::ReopenTarget;

fn fetching() -> Limits {
    Limits { is_submitting: false, resubmits_max: u32::MAX, retries_max: 1, ..fixed(2) }
}

/// Builds a job whose image was lost from the local disk and is wanted again.
fn reopened(n: u64) -> JobRecord {
    let succeeded = EventKind::Finished(Outcome::Succeeded(vec![artifact()]));
    let life =
        [EventKind::SubmitStarted, EventKind::Accepted(task(n)), succeeded, EventKind::Reopened(ReopenTarget::Fetch)];
    past(n, Duration::from_secs(86_400), &life)
}

#[test]
fn what_is_still_there_is_fetched() {
    let mut bench = Bench::new(fetching(), vec![reopened(1)]);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    assert_eq!(bench.next().actions, [download(1)]);
    bench.downloaded(1, Ok(vec![artifact()]));
    assert!(bench.next().is_last);
    assert_eq!(bench.story(), "ready succeeded");
}

#[test]
fn a_task_that_is_gone_leaves_its_job_pending() {
    let mut bench = Bench::new(fetching(), vec![reopened(1)]);
    while let [Action::Poll(_)] = bench.next().actions[..] {
        bench.polled(1, Err(fault(FaultKind::TaskLost)));
    }
    assert!(bench.story().ends_with("task!task_lost"), "{}", bench.story());
    assert!(bench.turn().is_last);
}

#[test]
fn an_image_that_cannot_be_had_now_is_left_on_its_way() {
    let mut bench = Bench::new(fetching(), vec![reopened(1)]);
    loop {
        match &bench.next().actions[..] {
            [Action::Poll(_)] => bench.polled(1, Ok(Status::Done(urls(1)))),
            [Action::Download(..)] => bench.downloaded(1, Err(fault(FaultKind::Transient))),
            [] => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.story(), "ready download!transient ready download!transient");
    assert!(bench.turn().is_last, "the next repair, or run, goes on with it");
}

#[test]
fn nothing_is_submitted_and_nothing_waits_for_it() {
    let doubt = EventKind::Setback(Stage::Submit, fault(FaultKind::InDoubt));
    let held = past(2, Duration::ZERO, &[EventKind::SubmitStarted, doubt]);
    let mut bench = Bench::new(fetching(), vec![pending(1), held]);
    assert!(bench.turn().is_last);
    assert_eq!(bench.story(), "");
}

/// Goal: the duration of a task is learnt once. Method: a task that has ended is polled again and again, as its image cannot be fetched.
#[test]
fn fresh_links_teach_nothing_about_how_long_tasks_take() {
    let mut bench = Bench::with_pending(Limits { retries_max: 50, ..fixed(1) }, 1);
    bench.run_to_download(1);
    let learnt = bench.engine.0.schedule.median();
    for _ in 0..20 {
        bench.downloaded(1, Err(fault(FaultKind::BadOutput)));
        assert_eq!(bench.next().actions, [poll(1)]);
        bench.polled(1, Ok(Status::Done(urls(1))));
        assert_eq!(bench.next().actions, [download(1)]);
    }
    assert_eq!(bench.engine.0.schedule.median(), learnt);
}

/// Goal: the data for an image name are identical whenever the image is fetched, in this process or in another.
#[test]
fn an_image_is_told_where_it_comes_from() {
    let mut bench = Bench::with_pending(fixed(1), 1);
    bench.run_to_accepted(1);
    assert_eq!(bench.next().actions, [poll(1)]);
    bench.polled(1, Ok(Status::Done(urls(1))));
    let told = |engine: &mut Engine, now| match engine.turn(now).actions.as_slice() {
        [Action::Download(origin, _)] => origin.clone(),
        actions => panic!("{actions:?}"),
    };
    let origin = told(&mut bench.engine, bench.now);
    assert_eq!((origin.job.id, origin.task.clone()), (id(1), Some(task(1))));
    assert_eq!(origin.submitted_at, Some(START.wall()));
    let mut state = JobState::default();
    let story = [EventKind::SubmitStarted, EventKind::Accepted(task(1)), EventKind::Ready(urls(1))];
    for kind in &story {
        state.apply(START.wall(), kind);
    }
    let mut resumed = Engine::new(fixed(1));
    let later = START + Duration::from_hours(1);
    resumed.turn(later);
    resumed.handle(later, Input::Loaded { jobs: vec![JobRecord { job: job(1).into(), state }], more: More::Done });
    assert_eq!(told(&mut resumed, later), origin);
}
