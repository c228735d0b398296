//! Promises of `RunWriter::import_rows` and `RunReader::diff_rows`.

use super::*;
use crate::model::job::JobId;
use crate::store::selection::RetrySelection;
use crate::store::settings::ReadSettings;

/// Numbers of an import: new, kept and dropped jobs, the jobs before, and those of them that left.
fn numbers(imported: Imported) -> [u64; 5] {
    let Imported { n_new, n_kept, n_dropped, n_before, n_left, n_skipped: _ } = imported;
    [n_new, n_kept, n_dropped, n_before, n_left]
}

/// Returns the index and the prompt of every job, in manifest order.
fn prompts(run: &dyn RunReader) -> Vec<(u64, String)> {
    all(run).iter().map(|record| (record.job.index, record.job.request.prompt.clone())).collect()
}

pub(super) fn an_edited_manifest_keeps_what_it_shares<P: TestPlace>() {
    let place = P::new();
    let mut run = place.open();
    assert_eq!(numbers(import(&mut *run, &["cat", "dog"])), [2, 0, 0, 0, 0]);
    assert_eq!(numbers(import(&mut *run, &["cat", "dog"])), [0, 2, 0, 2, 0]);
    assert_eq!(numbers(import(&mut *run, &["cow", "dog", "cat"])), [1, 2, 0, 2, 0]);
    assert_eq!(prompts(&*run), [(1, "cow".into()), (2, "dog".into()), (3, "cat".into())]);
    assert_eq!(numbers(import(&mut *run, &["dog"])), [0, 1, 2, 3, 2]);
    assert_eq!(run.counts().unwrap().n_jobs(), 1);
    assert_eq!(numbers(import(&mut *run, &["cat", "dog"])), [0, 2, 1, 1, 0]);
    assert_eq!(numbers(import(&mut *run, &["cow"])), [0, 1, 2, 2, 2], "one that was dropped long ago has not left now");
}

pub(super) fn equal_rows_are_jobs_of_their_own<P: TestPlace>() {
    let place = P::new();
    let mut run = place.open();
    assert_eq!(numbers(import(&mut *run, &["cat", "dog", "cat", "cat"])), [4, 0, 0, 0, 0]);
    assert_eq!(numbers(import(&mut *run, &["cat", "cat", "dog"])), [0, 3, 1, 4, 1]);
    assert_eq!(numbers(import(&mut *run, &["cat", "cat", "cat", "cat", "cat"])), [2, 3, 1, 3, 1]);
}

pub(super) fn what_is_carried_through_may_change_without_a_new_job<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat"]);
    let changed =
        JobSpec { label: Some("first".into()), extras: vec![("kind".into(), "动物".into())], ..draft("cat") };
    let facts = ManifestFacts { columns: &["kind".into()], ..ManifestFacts::default() };
    let counts = run.import(&facts, [Ok::<_, LedgerError>(changed.clone())].into_iter()).unwrap();
    assert_eq!(numbers(counts), [0, 1, 0, 1, 0]);
    let record = &all(&*run)[0];
    assert_eq!((&record.job.label, &record.job.extras), (&changed.label, &changed.extras));
    assert_eq!(run.columns().unwrap(), ["kind"]);
}

pub(super) fn a_manifest_that_breaks_off_changes_nothing<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat", "dog"]);
    let before = all(&*run);
    let broken = [Ok(draft("cow")), Ok(draft("dog")), Err(LedgerError::WriterStopped)].into_iter();
    assert!(matches!(run.import(&ManifestFacts::default(), broken), Err(LedgerError::WriterStopped)));
    assert_eq!((all(&*run), jobs_of(&*run, JobSet::Dropped)), (before, vec![]));
    assert_eq!(run.manifest_fingerprint().unwrap().as_deref(), Some("cat|dog"));
    assert_eq!(run.columns().unwrap(), ["note"]);
    assert_eq!(numbers(import(&mut *run, &["dog"])), [0, 1, 1, 2, 1], "the next import is not hindered");
}

/// Goal: a refused import leaves jobs, columns and settings as they were. Method: refuse one that changes all of them.
pub(super) fn an_import_that_is_not_accepted_changes_nothing<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat", "dog"]);
    let (before, price) = (all(&*run), "2 USD".parse().unwrap());
    let facts = ManifestFacts { path: "/p.csv", price: Some(&price), shuffle: Some(3), ..ManifestFacts::default() };
    let refuse = |imported: &Imported| {
        assert_eq!(numbers(*imported), [1, 1, 1, 2, 1]);
        Err(LedgerError::WriterStopped)
    };
    assert!(matches!(run.import_if(&facts, rows(&["cow", "dog"]), refuse), Err(LedgerError::WriterStopped)));
    assert_eq!((all(&*run), jobs_of(&*run, JobSet::Dropped)), (before, vec![]));
    assert_eq!(run.manifest_fingerprint().unwrap().as_deref(), Some("cat|dog"));
    assert_eq!((run.columns().unwrap(), run.manifest_price().unwrap()), (vec!["note".to_owned()], None));
    assert_eq!(run.manifest_path().unwrap().as_deref(), Some(""));
    run.import_if(&facts, rows(&["cow", "dog"]), |_| Ok::<_, LedgerError>(())).unwrap();
    assert_eq!((run.manifest_path().unwrap().as_deref(), run.manifest_price().unwrap()), (Some("/p.csv"), Some(price)));
}

pub(super) fn a_manifest_that_breaks_off_is_no_difference<P: TestPlace>() {
    let place = P::new();
    let run = place.open();
    let broken = [Ok(draft("cow")), Err(LedgerError::WriterStopped)].into_iter();
    assert!(matches!(run.diff(broken, 1, |_, _, _, _| ()), Err(LedgerError::WriterStopped)));
}

pub(super) fn a_second_difference_starts_afresh<P: TestPlace>() {
    let place = P::new();
    let run = place.import(&["cat", "dog"]);
    let n_kept = |prompts: &[&str]| {
        let drafts = prompts.iter().map(|prompt| Ok::<_, LedgerError>(draft(prompt)));
        run.diff(drafts, 1, |_, _, _, _| ()).unwrap().n_kept
    };
    assert_eq!((n_kept(&["cat", "dog"]), n_kept(&["cat"])), (2, 1));
}

pub(super) fn a_dropped_job_comes_back_with_its_images<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog"]);
    driven.live(&jobs[0], [EventKind::SubmitStarted, accepted("t"), succeeded(&["a", "b"])]);
    let mut run = driven.close();
    let before = all(&*run)[0].clone();
    import(&mut *run, &["dog"]);
    let dropped = jobs_of(&*run, JobSet::Dropped);
    assert_eq!((dropped[0].job.index, &dropped[0].state), (0, &before.state));
    import(&mut *run, &["cat", "dog"]);
    assert_eq!(all(&*run)[0], before);
}

/// Goal: the records of another ledger become this one's, and never twice. Method: a whole life in one ledger; another with the same rows.
pub(super) fn events_of_another_ledger_are_adopted_once<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b", "c"]);
    driven.live(&jobs[0], life());
    driven.live(&jobs[1], [EventKind::SubmitStarted, failed(FaultKind::Moderated)]);
    let mut first = driven.close();
    first.reopen(NOW, &RetrySelection::Failed { codes: vec!["moderated".into()], force_resubmit: true }).unwrap();
    let lives = |run: &dyn RunReader| {
        let of = |record: &JobRecord| -> Vec<Event> {
            let events = run.events(record.job.id).unwrap().into_iter();
            events.map(|(at, kind)| Event { at, ..event(record, 0, kind) }).collect()
        };
        all(run).iter().flat_map(of).collect::<Vec<_>>()
    };
    let with_images = |mut event: Event| {
        if let EventKind::Finished(Outcome::Succeeded(images)) = &mut event.kind {
            *images = vec![artifact("a"), artifact("b")];
        }
        event
    };
    let told: Vec<_> = lives(&*first).into_iter().map(with_images).collect();
    let stranger = Event { job: JobId::from_bytes([9; 10]), ..told[0].clone() };

    let other = P::new();
    let mut second = other.open();
    import(&mut *second, &["a", "b", "c"]);
    let whole = [&told[..], &[stranger]].concat();
    assert_eq!(second.adopt_events(&whole).unwrap(), 2, "the job of another manifest is left out");
    assert_eq!(all(&*second), all(&*first));
    assert_eq!((second.counts().unwrap(), lives(&*second)), (first.counts().unwrap(), lives(&*first)));
    assert_eq!(second.incidents().unwrap(), first.incidents().unwrap());
    assert_eq!(second.adopt_events(&whole).unwrap(), 0, "nothing is recorded twice");
    second.check_whole().unwrap();
    let mut driven = Driven::start(second, JobScope::Unfinished);
    assert_eq!(driven.hand_out(10), ["b", "c"], "and the run goes on from there");
}
