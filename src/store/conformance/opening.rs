//! Promises of opening a run, of its lock and of snapshots.

use super::*;
use crate::store::setting::Setting;
use crate::store::settings::ReadSettings;
use crate::store::typed::read_snapshot;

pub(super) fn a_second_writer_is_refused_and_readers_are_not<P: TestPlace>() {
    let place = P::new();
    assert_eq!((place.store().lock_owner)(place.out()), None);
    let first = place.open();
    let error = place.try_open(Some("simulator")).err().unwrap();
    let pid = std::process::id();
    assert!(matches!(&error, LedgerError::Locked { pid: owner, .. } if *owner == pid.to_string()), "{error}");
    assert!(error.to_string().contains(&format!("process {pid} ")), "{error}");
    assert_eq!(place.read().provider().unwrap(), "simulator", "readers are welcome");
    assert_eq!((place.store().lock_owner)(place.out()), Some(pid.to_string()));
    drop(first);
    assert_eq!((place.store().lock_owner)(place.out()), None);
    drop(place.open());
}

pub(super) fn a_session_keeps_the_lock_until_it_is_closed_and_dropped<P: TestPlace>() {
    let place = P::new();
    let driven = Driven::start(place.import(&["cat"]), JobScope::Unfinished);
    assert!(matches!(place.try_open(None).err(), Some(LedgerError::Locked { .. })));
    let run = driven.close();
    assert!(matches!(place.try_open(None).err(), Some(LedgerError::Locked { .. })));
    run.check_in_place().unwrap();
    drop(run);
    drop(place.open());
}

pub(super) fn a_run_stays_with_its_provider<P: TestPlace>() {
    let place = P::new();
    drop(place.open());
    let words = place.try_open(Some("modelscope https://x")).err().unwrap().to_string();
    assert!(words.contains("simulator") && words.contains("modelscope https://x") && words.contains("-o"), "{words}");
    assert_eq!(place.try_open(None).unwrap().provider().unwrap(), "simulator", "it is known without being named");
    assert_eq!(place.read().setting(Setting::Provider).unwrap().as_deref(), Some("simulator"));
}

pub(super) fn opening_a_new_run_makes_its_folder<P: TestPlace>() {
    let place = P::new();
    std::fs::remove_dir(place.out()).unwrap();
    place.open();
    assert!(place.out().is_dir());
}

pub(super) fn a_place_without_a_run_is_missing<P: TestPlace>() {
    let place = P::new();
    let read = |run: &dyn RunReader| run.counts();
    for error in [
        place.try_open(None).err(),
        (place.store().open_for_reading)(place.out()).err(),
        read_snapshot(place.store(), place.out(), read).err(),
        (place.store().find_rollback)(place.out()).err(),
    ] {
        assert!(matches!(error, Some(LedgerError::Missing { .. })), "{error:?}");
    }
    assert_eq!((place.store().lock_owner)(place.out()), None);
    drop(place.open());
    assert!(read_snapshot(place.store(), place.out(), read).is_ok(), "a run without jobs is a run");
    assert!((place.store().find_rollback)(place.out()).unwrap().is_none());
}

/// Goal: reads of one snapshot belong together. Method: record between two reads, inside a snapshot and outside one.
pub(super) fn a_snapshot_sees_one_state<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog"]);
    let reader = place.read();
    let mut submit = |n: usize| driven.live(&jobs[n], [EventKind::SubmitStarted]);
    let seen = reader.in_snapshot(|| {
        let before = reader.counts()?;
        submit(0);
        Ok::<_, LedgerError>((before, reader.counts()?, statuses(&*reader), reader.incidents()?.n_submits))
    });
    let (before, after, statuses_seen, n_submits) = seen.unwrap();
    assert_eq!((before, statuses_seen, n_submits), (after, vec!["pending", "pending"], 0));
    assert_eq!(reader.counts().unwrap().n_in_doubt, 1);
    submit(1);
    assert_eq!(reader.counts().unwrap().n_in_doubt, 2);
    let counted = read_snapshot(place.store(), place.out(), |run| run.counts()).unwrap();
    assert_eq!(counted, reader.counts().unwrap());
}

pub(super) fn a_closure_that_fails_ends_its_snapshot<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat"]);
    let reader = place.read();
    let failed = reader.in_snapshot(|| {
        reader.counts()?;
        Err::<(), _>(LedgerError::WriterStopped)
    });
    assert!(matches!(failed, Err(LedgerError::WriterStopped)));
    driven.live(&jobs[0], [EventKind::SubmitStarted]);
    assert_eq!(reader.in_snapshot(|| reader.counts()).unwrap().n_in_doubt, 1);
    let failed = read_snapshot(place.store(), place.out(), |_| Err::<(), _>(LedgerError::WriterStopped));
    assert!(matches!(failed, Err(LedgerError::WriterStopped)));
}

pub(super) fn a_whole_ledger_passes_its_check<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog"]);
    driven.live(&jobs[0], life());
    let run = driven.close();
    run.check_whole().unwrap();
    assert!(run.check_if_small().unwrap());
    assert!(place.read().check_if_small().unwrap());
}
