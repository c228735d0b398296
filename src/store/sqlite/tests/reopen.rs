//! Tests of reopened jobs.

use super::*;
use crate::model::event::ReopenTarget;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn statuses(file: &SqliteStore) -> Vec<&'static str> {
    all(file).iter().map(|known| known.state.status()).collect()
}

fn failed(kind: FaultKind) -> EventKind {
    EventKind::Finished(Outcome::Failed(Fault::new(kind, "words")))
}

/// Creates seven jobs: succeeded, failed before a task, lost with a task, moderated, in doubt and counted, in doubt by a crash,
/// pending.
fn ended(folder: &Path) -> SqliteStore {
    let mut journal = writer(file(folder, &["ok", "bad", "lost", "rude", "doubt", "crash", "new"])).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let accepted = EventKind::Accepted(TaskId("t".into()));
    let in_doubt = EventKind::Setback(Stage::Submit, Fault::new(FaultKind::InDoubt, "gone"));
    let succeeded = EventKind::Finished(Outcome::Succeeded(vec![artifact("a"), artifact("b")]));
    let stories: [&[EventKind]; 6] = [
        &[EventKind::SubmitStarted, accepted.clone(), succeeded],
        &[EventKind::SubmitStarted, failed(FaultKind::InvalidRequest)],
        &[EventKind::SubmitStarted, accepted.clone(), failed(FaultKind::TaskLost)],
        &[EventKind::SubmitStarted, accepted, failed(FaultKind::Moderated)],
        &[EventKind::SubmitStarted, in_doubt],
        &[EventKind::SubmitStarted],
    ];
    for (known, story) in jobs.iter().zip(stories) {
        let events: Vec<_> = story.iter().map(|kind| event(known, 1, kind.clone())).collect();
        journal.commit(&events).unwrap();
    }
    store(journal)
}

fn kinds(codes: &[&str]) -> RetrySelection {
    RetrySelection::Failed { codes: codes.iter().map(|code| (*code).to_owned()).collect(), force_resubmit: false }
}

/// Returns the prompts that a journal of the selected jobs hands out, in its order.
fn handed_out(file: SqliteStore) -> (Vec<String>, SqliteStore) {
    let mut journal = EventWriter::new(file.database, JobScope::Selected).unwrap();
    let loaded = journal.load(100).unwrap();
    assert!(!loaded.more);
    let prompts = loaded.jobs.iter().map(|known| known.job.request.prompt.clone()).collect();
    (prompts, store(journal))
}

#[test]
fn only_the_failures_that_are_wanted_are_handed_out_again() {
    for (codes, expected, n) in [
        (&["task_lost", "invalid_request"][..], &["lost", "bad"][..], 2),
        (&["moderated"], &["rude"], 1),
        (&["in_doubt"], &["doubt", "crash"], 2),
        (&["transient"], &[], 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut file = ended(folder.path());
        assert_eq!(file.reopen(NOW, &kinds(codes)).unwrap(), n, "{codes:?}");
        assert_eq!(handed_out(file).0, expected, "{codes:?}");
    }
}

#[test]
fn a_job_goes_back_to_its_task_where_that_may_still_give_the_image() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = ended(folder.path());
    file.reopen(NOW, &kinds(&["task_lost", "invalid_request", "moderated", "in_doubt"])).unwrap();
    assert_eq!(statuses(&file), ["succeeded", "pending", "running", "pending", "pending", "pending", "pending"]);
    let known = all(&file);
    assert_eq!(known[5].state.n_in_doubt, 1, "a doubt that nobody had counted is counted first");
    assert!(known[1..6].iter().all(|known| known.state.n_reopened == 1 && known.state.last_fault.is_none()));
    let told: Vec<_> = file.events(known[2].job.id).unwrap().into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(told.last(), Some(&EventKind::Reopened(ReopenTarget::Fetch)));
    assert_eq!(file.incidents().unwrap().n_reopened, 5);
}

#[test]
fn a_retry_that_was_interrupted_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = ended(folder.path());
    assert_eq!(file.reopen(NOW, &kinds(&["task_lost"])).unwrap(), 1);
    drop(file);
    let mut file = SqliteStore::open_existing(folder.path()).unwrap();
    assert_eq!(file.reopen(NOW, &kinds(&["task_lost"])).unwrap(), 1);
    let (prompts, file) = handed_out(file);
    assert_eq!(prompts, ["lost"]);
    assert_eq!(all(&file)[2].state.n_reopened, 1, "it is not reopened a second time");
}

#[test]
fn a_job_can_be_submitted_anew_though_its_task_may_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = ended(folder.path());
    let anew = RetrySelection::Failed { codes: vec!["task_lost".into()], force_resubmit: true };
    assert_eq!(file.reopen(NOW, &anew).unwrap(), 1);
    assert_eq!(statuses(&file)[2], "pending");
}

/// Jobs that an earlier retry or repair left to others are not selected. A lost task is left to `run`, a doubt to the user.
#[test]
fn what_was_left_to_others_is_not_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = ended(folder.path());
    file.reopen(NOW, &kinds(&["task_lost", "in_doubt"])).unwrap();
    let mut journal = writer(file).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let of = |prompt: &str| jobs.iter().find(|known| known.job.request.prompt == prompt).unwrap();
    let lost = EventKind::Setback(Stage::Task, Fault::new(FaultKind::TaskLost, "gone"));
    let doubt = EventKind::Setback(Stage::Submit, Fault::new(FaultKind::InDoubt, "gone"));
    journal
        .commit(&[
            event(of("lost"), 2, lost),
            event(of("doubt"), 2, EventKind::SubmitStarted),
            event(of("doubt"), 3, doubt),
        ])
        .unwrap();
    let mut file = store(journal);
    assert_eq!(file.reopen(NOW, &kinds(&["moderated"])).unwrap(), 2);
    assert_eq!(handed_out(file).0, ["rude", "crash"], "the crash's job is on its way still");
}

#[test]
fn the_images_of_a_reopened_job_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = ended(folder.path());
    let job = all(&file)[0].job.id;
    assert_eq!(file.artifacts(job).unwrap().len(), 2);
    assert_eq!(file.reopen(NOW, &RetrySelection::Jobs(vec![job, job])).unwrap(), 1, "two damaged images of one job");
    assert_eq!(file.refetching().unwrap(), [job]);
    assert_eq!(file.artifacts(job).unwrap(), []);
    assert_eq!(handed_out(file).0, ["ok"]);
}

#[test]
fn many_jobs_are_reopened_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let prompts: Vec<String> = (0..2500).map(|n| format!("cat {n}")).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let mut journal = writer(file(folder.path(), &prompts)).unwrap();
    let jobs = journal.load(5000).unwrap().jobs;
    journal
        .commit(&jobs.iter().map(|known| event(known, 1, failed(FaultKind::Transient))).collect::<Vec<_>>())
        .unwrap();
    let mut file = store(journal);
    assert_eq!(file.reopen(NOW, &kinds(&["transient"])).unwrap(), 2500);
    assert_eq!(file.counts().unwrap().n_pending, 2500);
}

#[test]
fn a_job_is_found_by_whatever_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SqliteStore::open(folder.path(), "simulator").unwrap();
    let labelled = |prompt, label: Option<&str>| {
        Ok::<_, LedgerError>(JobSpec { label: label.map(str::to_owned), ..draft(prompt) })
    };
    let drafts = [labelled("cat", None), labelled("dog", Some("1")), labelled("cow", Some("my cow"))];
    file.import("1", &[], drafts.into_iter()).unwrap();
    let mut journal = writer(file).unwrap();
    let jobs = journal.load(10).unwrap().jobs;
    let accepted = EventKind::Accepted(TaskId("5075521".into()));
    journal.commit(&[event(&jobs[2], 1, EventKind::SubmitStarted), event(&jobs[2], 2, accepted)]).unwrap();
    let file = store(journal);
    let found = |name: &str| -> Vec<String> {
        file.find(name).unwrap().into_iter().map(|known| known.job.request.prompt.clone()).collect()
    };
    assert_eq!(found("1"), ["dog"], "the user's own name comes before the index");
    assert_eq!(found("3"), ["cow"]);
    assert_eq!(found("my cow"), ["cow"]);
    assert_eq!(found("5075521"), ["cow"], "by its task");
    let id = jobs[0].job.id.to_string();
    assert_eq!((found(&id), found(&id[..6])), (vec!["cat".to_owned()], vec!["cat".to_owned()]));
    assert!(found("9").is_empty() && found("").is_empty() && found("' OR 1=1 --").is_empty() && found("%").is_empty());
}

#[test]
fn who_runs_it_is_known_without_getting_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(lock::lock_owner(folder.path()), None);
    let file = SqliteStore::open(folder.path(), "simulator").unwrap();
    assert_eq!(lock::lock_owner(folder.path()), Some(std::process::id().to_string()));
    drop(file);
    assert_eq!(lock::lock_owner(folder.path()), None);
}
