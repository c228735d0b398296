//! Tests of imports of edited manifests.

use super::*;

#[test]
fn an_edited_manifest_keeps_what_it_shares() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
    assert_eq!(import(&mut file, &["cat", "dog"]), counted(2, 0, 0));
    assert_eq!(import(&mut file, &["cat", "dog"]), counted(0, 2, 0));
    assert_eq!(import(&mut file, &["cow", "dog", "cat"]), counted(1, 2, 0));
    assert_eq!(prompts(&file), [(1, "cow".into()), (2, "dog".into()), (3, "cat".into())]);
    assert_eq!(import(&mut file, &["dog"]), counted(0, 1, 2));
    assert_eq!(file.counts().unwrap().n_jobs(), 1);
    assert_eq!(import(&mut file, &["cat", "dog"]), counted(0, 2, 1));
}

#[test]
fn equal_rows_are_jobs_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
    assert_eq!(import(&mut file, &["cat", "dog", "cat", "cat"]), counted(4, 0, 0));
    assert_eq!(import(&mut file, &["cat", "cat", "dog"]), counted(0, 3, 1));
    assert_eq!(import(&mut file, &["cat", "cat", "cat", "cat", "cat"]), counted(2, 3, 1));
}

#[test]
fn what_is_carried_through_may_change_without_a_new_job() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
    import(&mut file, &["cat"]);
    let changed =
        JobSpec { label: Some("first".into()), extras: vec![("kind".into(), "动物".into())], ..draft("cat") };
    let imported = file.import("2", &["kind".into()], [Ok::<_, LedgerError>(changed.clone())].into_iter()).unwrap();
    assert_eq!(imported, counted(0, 1, 0));
    let known = &all(&file)[0];
    assert_eq!((&known.job.label, &known.job.extras), (&changed.label, &changed.extras));
    assert_eq!(file.columns().unwrap(), ["kind"]);
}

#[test]
fn a_manifest_that_breaks_off_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = file(folder.path(), &["cat", "dog"]);
    let broken = [Ok(draft("cow")), Err(LedgerError::WriterStopped)].into_iter();
    assert!(matches!(file.import("3", &[], broken), Err(LedgerError::WriterStopped)));
    assert_eq!(prompts(&file), [(1, "cat".into()), (2, "dog".into())]);
    assert_eq!(file.manifest_fingerprint().unwrap().as_deref(), Some("cat|dog"));
}
