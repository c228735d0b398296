//! Promises of `RunWriter::restore_jobs` and `RunWriter::follow_events`.

use super::*;
use crate::model::event::{Redo, ReopenTarget};
use crate::store::import::RestoredJob;
use crate::store::setting::Setting;

/// Returns all jobs of a run as another ledger gets them.
fn restored(run: &dyn RunReader) -> Vec<RestoredJob> {
    let jobs = [JobSet::InManifest, JobSet::Dropped].map(|set| jobs_of(run, set)).concat();
    let restored = |JobRecord { job, .. }: JobRecord| RestoredJob {
        id: job.id,
        index: (job.index > 0).then_some(job.index),
        spec: JobSpec {
            label: job.label.clone(),
            request: job.request.clone(),
            extras: job.extras.clone(),
            row: job.row,
        },
    };
    jobs.into_iter().map(restored).collect()
}

/// Goal: a ledger that is copied is the same one: jobs, states, images and events, also of jobs that were made again or have left the
/// manifest. Method: a run with all of that, copied into a new ledger in two parts, the second one after the ledger was opened again.
pub(super) fn a_copied_ledger_is_the_same_ledger<P: TestPlace>() {
    let (one, two) = (P::new(), P::new());
    let (mut driven, jobs) = one.drive(&["cat", "dog", "cow", "fox"]);
    driven.live(&jobs[0], life());
    driven.live(&jobs[1], [EventKind::SubmitStarted, accepted("t1"), failed(FaultKind::BadOutput)]);
    driven.live(&jobs[2], [EventKind::SubmitStarted]);
    let mut run = driven.close();
    run.redo(NOW, &[(jobs[0].job.id, Redo { seed: Some(7), ..Redo::default() })]).unwrap();
    import(&mut *run, &["cat", "dog", "cow"]);

    let mut copy = two.open();
    copy.restore_jobs(&mut restored(&*run).into_iter().map(Ok)).unwrap();
    let mut events = vec![];
    for record in [JobSet::InManifest, JobSet::Dropped].map(|set| jobs_of(&*run, set)).concat() {
        let whole = run.whole_events(record.job.id, &record.state).unwrap();
        events.extend(whole.into_iter().map(|(at, kind)| Event { job: record.job.id, index: 0, at, kind }));
    }
    let (first, second) = events.split_at(5);
    copy.follow_events(first, (Setting::Lent, "5")).unwrap();
    drop(copy);
    let mut copy = two.open();
    assert_eq!(copy.setting(Setting::Lent).unwrap().as_deref(), Some("5"));
    copy.follow_events(second, (Setting::Lent, "")).unwrap();

    for set in [JobSet::InManifest, JobSet::Dropped] {
        assert_eq!(jobs_of(&*copy, set), jobs_of(&*run, set));
    }
    for record in &jobs {
        assert_eq!(copy.events(record.job.id).unwrap(), run.events(record.job.id).unwrap());
        assert_eq!(copy.artifacts(record.job.id).unwrap(), run.artifacts(record.job.id).unwrap());
    }
    assert_eq!((copy.counts().unwrap(), copy.incidents().unwrap()), (run.counts().unwrap(), run.incidents().unwrap()));
    copy.check_whole().unwrap();
}

/// Goal: events are followed all or none. Method: events of a known job and of an unknown one.
pub(super) fn an_event_of_an_unknown_job_changes_nothing<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat"]);
    let known = all(&*run)[0].clone();
    let stranger = Event { job: JobId::from_bytes([9; 10]), ..event(&known, 1, EventKind::SubmitStarted) };
    let refused = run.follow_events(&[event(&known, 1, EventKind::SubmitStarted), stranger], (Setting::Lent, "1"));
    assert!(matches!(refused, Err(LedgerError::Damaged { .. })), "{refused:?}");
    assert_eq!((all(&*run), run.setting(Setting::Lent).unwrap()), (vec![known], None));
}

/// Goal: jobs in any phase can be followed, and the images of a task that is fetched again are those of its events. Method: a job that
/// failed with some of its images, is reopened, and then succeeds, in one call.
pub(super) fn a_reopened_job_is_followed_to_its_end<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat"]);
    let known = all(&*run)[0].clone();
    let kept = Fault { kept: vec![artifact("a")], ..Fault::new(FaultKind::BadOutput, "words") };
    let life = [
        EventKind::SubmitStarted,
        accepted("t"),
        EventKind::Finished(Outcome::Failed(kept)),
        EventKind::Reopened(ReopenTarget::Fetch),
    ];
    let events: Vec<Event> = life.into_iter().map(|kind| event(&known, 1, kind)).collect();
    run.follow_events(&events, (Setting::Lent, "")).unwrap();
    assert_eq!((statuses(&*run), run.artifacts(known.job.id).unwrap()), (vec!["running"], vec![artifact("a")]));
    run.follow_events(&[event(&known, 2, succeeded(&["a", "b"]))], (Setting::Lent, "")).unwrap();
    assert_eq!((statuses(&*run), run.artifacts(known.job.id).unwrap().len()), (vec!["succeeded"], 2));
    run.check_whole().unwrap();
}
