//! Promises of `Ledger::record` and `Ledger::owners`.

use super::*;
use crate::model::counts::StatusCounts;
use crate::model::job::JobId;
use crate::model::phase::{JobState, Phase};
use crate::store::record;

/// Goal: the state of a job is the fold of its events, whatever has happened. Method: after every event, compare the stored
/// state with the fold, through a new reader.
pub(super) fn the_stored_state_is_the_fold_of_the_events<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog"]);
    let mut state = JobState::default();
    for (millis, kind) in (1000..).zip(life()) {
        driven.record(&[event(&jobs[0], millis, kind.clone())]);
        state.apply(Timestamp::from_millis(millis), &kind);
        let stored = all(&*place.read());
        assert_eq!(stored[0].state, state, "after {kind:?}");
        assert_eq!(stored[1].state, JobState::default(), "after {kind:?}");
    }
    let events = driven.close().events(jobs[0].job.id).unwrap();
    let kinds: Vec<_> = events.into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds[..13], life()[..13]);
    assert_eq!(kinds[13], succeeded(&[]), "images are not repeated");
}

pub(super) fn a_failed_job_keeps_its_reason<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog", "cow"]);
    let moderated = Outcome::Failed(Fault::new(FaultKind::Moderated, "no"));
    let invalid = Outcome::Failed(Fault::new(FaultKind::InvalidRequest, "bad size"));
    driven.record(&[
        event(&jobs[0], 1, EventKind::Finished(moderated.clone())),
        event(&jobs[2], 1, EventKind::Finished(invalid.clone())),
    ]);
    let run = driven.close();
    let failures: Vec<_> = run.failures(10).unwrap().into_iter().map(|record| record.state.phase).collect();
    assert_eq!(failures, [Phase::Finished(moderated), Phase::Finished(invalid)]);
    assert_eq!(run.failures(1).unwrap().len(), 1);
    let expected = StatusCounts { n_pending: 1, n_moderated: 1, n_failed: 1, ..StatusCounts::default() };
    assert_eq!(run.counts().unwrap(), expected);
}

pub(super) fn an_event_of_a_job_that_is_not_under_way_is_refused_whole<P: TestPlace>() {
    let place = P::new();
    let mut driven = Driven::start(place.import(&["a", "b"]), JobScope::Unfinished);
    let jobs = driven.load(1).jobs;
    let stranger = Event { job: JobId::from_bytes([9; 10]), ..event(&jobs[0], 1, EventKind::SubmitStarted) };
    let waiting = Event { job: all(&*place.read())[1].job.id, ..stranger.clone() };
    for other in [stranger, waiting] {
        assert!(driven.try_record(&[event(&jobs[0], 1, EventKind::SubmitStarted), other]).is_err());
        assert_eq!(place.read().counts().unwrap().n_pending, 2);
        assert_eq!(place.read().events(jobs[0].job.id).unwrap(), []);
    }
    driven.live(&jobs[0], [succeeded(&["a"])]);
    assert!(driven.try_record(&[event(&jobs[0], 2, EventKind::SubmitStarted)]).is_err(), "it has ended");
    assert_eq!(driven.close().counts().unwrap().n_succeeded, 1);
}

/// Goal: a submission that may have been accepted is never made again unnoticed. Method: the process dies after the event, or
/// after the loss of the answer.
pub(super) fn a_submission_without_an_answer_is_in_doubt_after_a_crash<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["new", "crash", "doubt"]);
    driven.live(&jobs[1], [EventKind::SubmitStarted]);
    driven.live(&jobs[2], [EventKind::SubmitStarted, setback(Stage::Submit, FaultKind::InDoubt)]);
    drop(driven.close());
    let mut driven = Driven::start(place.open(), JobScope::Unfinished);
    let jobs = driven.load(10).jobs;
    let found: Vec<_> =
        jobs.iter().map(|record| (record.state.is_in_doubt(), record.state.is_doubt_counted())).collect();
    assert_eq!(found, [(true, false), (true, true), (false, false)]);
    assert_eq!(jobs[0].job.request.prompt, "crash");
}

pub(super) fn what_cannot_be_recorded_is_not_done<P: TestPlace>() {
    let place = P::new();
    let (Driven { mut session, runtime }, jobs) = place.drive(&["cat"]);
    let submitted = event(&jobs[0], 1, EventKind::SubmitStarted);
    let stranger = Event { job: JobId::from_bytes([9; 10]), ..submitted.clone() };
    runtime.block_on(async {
        assert!(record(&mut *session, &[stranger].into(), "sent").await.is_err());
        assert_eq!(record(&mut *session, &[submitted].into(), "sent").await.unwrap().into_inner(), "sent");
        assert_eq!(record(&mut *session, &[].into(), "waited").await.unwrap().into_inner(), "waited");
    });
    assert_eq!(session.close().unwrap().counts().unwrap().n_in_doubt, 1);
}

/// Goal: an id is found whatever happened to its task and its job. Method: a job that loses a task and gets another, a job
/// that leaves the manifest, ids with one number.
pub(super) fn every_task_that_was_ever_accepted_has_its_owner<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog"]);
    let lost = setback(Stage::Task, FaultKind::TaskLost);
    let submitted = EventKind::SubmitStarted;
    driven.live(&jobs[0], [submitted.clone(), accepted("a-1000001"), lost, submitted.clone(), accepted("odd id")]);
    driven.live(&jobs[1], [submitted, accepted("b-1000001")]);
    let of = |n: usize| Some(TaskOwner { job: jobs[n].job.id, index: Some(jobs[n].job.index) });
    for (id, expected) in [
        ("a-1000001", of(0)),
        ("odd id", of(0)),
        ("b-1000001", of(1)),
        ("c-1000001", None),
        ("1000001", None),
        ("1000002", None),
        ("odd ID", None),
        ("", None),
    ] {
        assert_eq!(driven.owner(id), expected, "{id:?}");
    }
    let mut run = driven.close();
    import(&mut *run, &["dog"]);
    let mut driven = Driven::start(run, JobScope::Unfinished);
    assert_eq!(driven.owner("odd id"), Some(TaskOwner { job: jobs[0].job.id, index: None }), "its job has left");
    assert_eq!(driven.owner("b-1000001").unwrap().index, Some(1), "its job has moved");
}
