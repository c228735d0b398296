//! Promises of `RunWriter::import_rows` and `RunReader::diff_rows`.

use super::*;
use crate::store::settings::ReadSettings;

fn imported(n_new: u64, n_kept: u64, n_dropped: u64) -> Imported {
    Imported { n_new, n_kept, n_dropped }
}

/// Returns the index and the prompt of every job, in manifest order.
fn prompts(run: &dyn RunReader) -> Vec<(u64, String)> {
    all(run).iter().map(|record| (record.job.index, record.job.request.prompt.clone())).collect()
}

pub fn an_edited_manifest_keeps_what_it_shares<P: TestPlace>() {
    let place = P::new();
    let mut run = place.open();
    assert_eq!(import(&mut *run, &["cat", "dog"]), imported(2, 0, 0));
    assert_eq!(import(&mut *run, &["cat", "dog"]), imported(0, 2, 0));
    assert_eq!(import(&mut *run, &["cow", "dog", "cat"]), imported(1, 2, 0));
    assert_eq!(prompts(&*run), [(1, "cow".into()), (2, "dog".into()), (3, "cat".into())]);
    assert_eq!(import(&mut *run, &["dog"]), imported(0, 1, 2));
    assert_eq!(run.counts().unwrap().n_jobs(), 1);
    assert_eq!(import(&mut *run, &["cat", "dog"]), imported(0, 2, 1));
}

pub fn equal_rows_are_jobs_of_their_own<P: TestPlace>() {
    let place = P::new();
    let mut run = place.open();
    assert_eq!(import(&mut *run, &["cat", "dog", "cat", "cat"]), imported(4, 0, 0));
    assert_eq!(import(&mut *run, &["cat", "cat", "dog"]), imported(0, 3, 1));
    assert_eq!(import(&mut *run, &["cat", "cat", "cat", "cat", "cat"]), imported(2, 3, 1));
}

pub fn what_is_carried_through_may_change_without_a_new_job<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat"]);
    let changed =
        JobSpec { label: Some("first".into()), extras: vec![("kind".into(), "动物".into())], ..draft("cat") };
    let counts = run.import("2", &["kind".into()], [Ok::<_, LedgerError>(changed.clone())].into_iter()).unwrap();
    assert_eq!(counts, imported(0, 1, 0));
    let record = &all(&*run)[0];
    assert_eq!((&record.job.label, &record.job.extras), (&changed.label, &changed.extras));
    assert_eq!(run.columns().unwrap(), ["kind"]);
}

pub fn a_manifest_that_breaks_off_changes_nothing<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat", "dog"]);
    let before = all(&*run);
    let broken = [Ok(draft("cow")), Ok(draft("dog")), Err(LedgerError::WriterStopped)].into_iter();
    assert!(matches!(run.import("3", &[], broken), Err(LedgerError::WriterStopped)));
    assert_eq!((all(&*run), jobs_of(&*run, JobSet::Dropped)), (before, vec![]));
    assert_eq!(run.manifest_fingerprint().unwrap().as_deref(), Some("cat|dog"));
    assert_eq!(run.columns().unwrap(), ["note"]);
    assert_eq!(import(&mut *run, &["dog"]), imported(0, 1, 1), "the next import is not hindered");
}

pub fn a_manifest_that_breaks_off_is_no_difference<P: TestPlace>() {
    let place = P::new();
    let run = place.open();
    let broken = [Ok(draft("cow")), Err(LedgerError::WriterStopped)].into_iter();
    assert!(matches!(run.diff(broken, 1), Err(LedgerError::WriterStopped)));
}

pub fn a_second_difference_starts_afresh<P: TestPlace>() {
    let place = P::new();
    let run = place.import(&["cat", "dog"]);
    let n_kept = |prompts: &[&str]| {
        let drafts = prompts.iter().map(|prompt| Ok::<_, LedgerError>(draft(prompt)));
        run.diff(drafts, 1).unwrap().n_kept
    };
    assert_eq!((n_kept(&["cat", "dog"]), n_kept(&["cat"])), (2, 1));
}

pub fn a_dropped_job_comes_back_with_its_images<P: TestPlace>() {
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
