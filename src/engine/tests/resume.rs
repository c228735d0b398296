//! Tests of resume: a first run with a past, in which unfinished work continues, and is never paid for again.

use super::*;
use crate::model::limits::InDoubtPolicy;

const AGE: Duration = Duration::from_secs(60);

fn doubt() -> EventKind {
    EventKind::Setback(Stage::Submit, fault(FaultKind::InDoubt))
}

#[test]
fn an_accepted_task_is_polled_at_once_and_not_submitted() {
    let known = past(1, AGE, &[EventKind::SubmitStarted, EventKind::Accepted(task(1))]);
    let mut bench = Bench::new(fixed(1), vec![known]);
    assert_eq!(bench.turn().actions, [poll(1)]);
    assert_eq!(bench.story(), "");
}

#[test]
fn accepted_tasks_take_their_places_at_the_provider() {
    let known = past(1, AGE, &[EventKind::SubmitStarted, EventKind::Accepted(task(1))]);
    let mut bench = Bench::new(fixed(1), vec![known, pending(2)]);
    assert_eq!(bench.turn().actions, [poll(1)], "the one place is taken");
}

/// The ledger answers in pages. A doubt on the first page must not occupy the slot of a task on the second.
#[test]
fn nothing_is_submitted_before_every_task_of_an_earlier_process_is_counted() {
    let doubtful = |n| past(n, AGE, &[EventKind::SubmitStarted, doubt()]);
    let running = past(3, AGE, &[EventKind::SubmitStarted, EventKind::Accepted(task(3))]);
    let limits = Limits { look_ahead_max: 2, ..fixed(1) };
    let mut bench = Bench { engine: Engine::new(limits), now: START, events: vec![] };
    assert_eq!(bench.turn().actions, [Action::Load { max: 2, is_idle: true }]);
    bench.handle(Input::Loaded { jobs: vec![doubtful(1), doubtful(2)], more: More::Now });
    assert_eq!(bench.turn().actions, [Action::Load { max: 2, is_idle: false }], "however many wait already");
    bench.handle(Input::Loaded { jobs: vec![running, pending(4)], more: More::Now });
    assert_eq!(bench.turn().actions, [poll(3)], "the one place is taken");
    bench.polled(3, Ok(Status::Done(urls(3))));
    assert_eq!(bench.turn().actions, [download(3), submit(2)]);
}

#[test]
fn a_task_that_is_done_is_downloaded_at_once() {
    let story = [EventKind::SubmitStarted, EventKind::Accepted(task(1)), EventKind::Ready(urls(1))];
    let mut bench = Bench::new(fixed(1), vec![past(1, AGE, &story), pending(2)]);
    assert_eq!(bench.turn().actions, [download(1), submit(2)]);
    bench.downloaded(1, Err(fault(FaultKind::Transient)));
    bench.submitted(2);
    bench.wait(Duration::from_secs(2));
    assert!(bench.turn().actions.contains(&poll(1)), "an expired link is asked for again");
}

#[test]
fn a_submission_without_an_answer_is_in_doubt() {
    let known = past(1, AGE, &[EventKind::SubmitStarted]);
    let mut bench = Bench::new(fixed(1), vec![known]);
    assert_eq!(bench.next().actions, [submit(1)]);
    assert_eq!(bench.story(), "submit!in_doubt submit");
}

#[test]
fn a_doubt_that_was_counted_is_not_counted_again() {
    let known = past(1, AGE, &[EventKind::SubmitStarted, doubt()]);
    let mut bench = Bench::new(fixed(1), vec![known]);
    assert_eq!(bench.turn().actions, [submit(1)]);
    assert_eq!(bench.story(), "submit");
}

#[test]
fn a_second_crash_after_a_doubt_is_a_second_doubt() {
    let known = past(1, AGE, &[EventKind::SubmitStarted, doubt(), EventKind::SubmitStarted]);
    let mut bench = Bench::new(fixed(1), vec![known]);
    bench.next();
    assert_eq!(bench.story(), "submit!in_doubt submit");
}

#[test]
fn a_held_job_stays_held_and_is_released_by_another_choice() {
    let known = past(1, AGE, &[EventKind::SubmitStarted, doubt()]);
    let mut bench = Bench::new(Limits { in_doubt: InDoubtPolicy::Hold, ..fixed(1) }, vec![known.clone()]);
    assert!(bench.turn().is_last);
    assert_eq!(bench.story(), "");
    let mut bench = Bench::new(Limits { in_doubt: InDoubtPolicy::Fail, ..fixed(1) }, vec![known]);
    assert!(bench.turn().is_last);
    assert_eq!(bench.story(), "failed:in_doubt");
}

#[test]
fn a_crash_during_a_held_submission_is_held_too() {
    let known = past(1, AGE, &[EventKind::SubmitStarted]);
    let mut bench = Bench::new(Limits { in_doubt: InDoubtPolicy::Hold, ..fixed(1) }, vec![known]);
    assert!(bench.turn().is_last);
    assert_eq!(bench.story(), "submit!in_doubt");
}

#[test]
fn the_deadline_of_a_task_counts_while_this_process_hears_of_it() {
    let story = [EventKind::SubmitStarted, EventKind::Accepted(task(1))];
    let limits = Limits { task_timeout: Duration::from_secs(100), resubmits_max: 0, ..fixed(1) };
    let mut bench = Bench::new(limits, vec![past(1, Duration::from_secs(3600), &story)]);
    assert_eq!(bench.turn().actions, [poll(1)], "it may be done meanwhile");
    let first = bench.now;
    bench.polled(1, Ok(Status::Running));
    while let [Action::Poll(_)] = bench.next().actions[..] {
        bench.polled(1, Ok(Status::Running));
    }
    assert!((100..130).contains(&(bench.now - first).as_secs()), "an hour without a process says nothing");
    assert_eq!(bench.story(), "poll!task_lost");
}

#[test]
fn a_job_that_lost_a_task_before_has_used_its_resubmission() {
    let lost = EventKind::Setback(Stage::Task, fault(FaultKind::TaskLost));
    let known = past(1, AGE, &[EventKind::SubmitStarted, EventKind::Accepted(task(1)), lost]);
    let mut bench = Bench::new(Limits { resubmits_max: 1, ..fixed(1) }, vec![known]);
    bench.run_to_accepted(1);
    bench.next();
    bench.polled(1, Ok(Status::Failed(fault(FaultKind::Transient))));
    assert!(bench.next().is_last);
    assert!(bench.story().ends_with("failed:transient"));
}

#[test]
fn unfinished_jobs_are_loaded_page_by_page() {
    let running = |n| past(n, AGE, &[EventKind::SubmitStarted, EventKind::Accepted(task(n))]);
    let limits = Limits { look_ahead_max: 4, ..fixed(100) };
    let mut bench = Bench { engine: Engine::new(limits), now: START, events: vec![] };
    bench.turn();
    bench.handle(Input::Loaded { jobs: (1..=4).map(running).collect(), more: More::Now });
    let turn = bench.turn();
    assert!(
        turn.actions.contains(&Action::Load { max: 4, is_idle: false }),
        "running jobs use no room of the look-ahead"
    );
    assert!(!turn.is_last);
}
