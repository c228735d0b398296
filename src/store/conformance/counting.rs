//! Promises of the queries of `RunReader`.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::model::counts::{RunStats, StatusCounts};
use crate::model::event::ReopenTarget;
use crate::model::history::{History, PastTask, TaskKind};
use crate::model::outcome::Url;
use crate::model::phase::Phase;

pub(super) fn counts_and_incidents_are_those_of_the_jobs<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b", "c", "d"]);
    driven.live(&jobs[0], life());
    driven.live(&jobs[1], [EventKind::SubmitStarted]);
    driven.live(&jobs[2], [EventKind::SubmitStarted, accepted("t")]);
    let run = driven.close();
    let expected =
        StatusCounts { n_pending: 1, n_in_doubt: 1, n_running: 1, n_succeeded: 1, ..StatusCounts::default() };
    assert_eq!((run.counts().unwrap(), expected.n_jobs(), expected.n_unfinished()), (expected, 4, 3));
    assert_eq!(run.incidents().unwrap(), RunStats { n_submits: 6, n_in_doubt: 1, n_lost: 1, ..<_>::default() });
}

/// Counts all jobs one by one.
fn counted(run: &dyn RunReader) -> (StatusCounts, RunStats) {
    let (mut counts, mut incidents) = (StatusCounts::default(), RunStats::default());
    let (jobs, dropped) = (all(run), jobs_of(run, JobSet::Dropped));
    for record in &jobs {
        *match record.state.status() {
            "pending" => &mut counts.n_pending,
            "in_doubt" => &mut counts.n_in_doubt,
            "running" => &mut counts.n_running,
            "succeeded" => &mut counts.n_succeeded,
            "moderated" => &mut counts.n_moderated,
            _ => &mut counts.n_failed,
        } += 1;
    }
    for JobRecord { state, .. } in jobs.iter().chain(&dropped) {
        incidents.n_submits += u64::from(state.n_submits);
        incidents.n_in_doubt += u64::from(state.n_in_doubt);
        incidents.n_lost += u64::from(state.n_lost);
        incidents.n_reopened += u64::from(state.n_reopened);
        let is_doubtful = u64::from(state.is_doubt_counted());
        match &state.phase {
            Phase::Submitting => incidents.n_doubts_held += is_doubtful,
            Phase::Finished(Outcome::Failed(fault)) if fault.kind != FaultKind::Moderated => {
                incidents.n_doubts_failed += is_doubtful;
            }
            Phase::Pending | Phase::Running(_) | Phase::Downloading(_) | Phase::Finished(_) => (),
        }
    }
    (counts, incidents)
}

/// Returns a step of a job's life. Not every sequence of steps makes sense, which the ledger does not check.
fn step(n: u8) -> EventKind {
    match n {
        0 => EventKind::SubmitStarted,
        1 => accepted("t"),
        2 => EventKind::Ready(vec![Url("https://x/1".into())]),
        3 => setback(Stage::Submit, FaultKind::InDoubt),
        4 => setback(Stage::Task, FaultKind::TaskLost),
        5 => setback(Stage::Download, FaultKind::Transient),
        6 => succeeded(&["a"]),
        7 => failed(FaultKind::Moderated),
        8 => failed(FaultKind::InDoubt),
        _ => EventKind::Reopened(ReopenTarget::Submit),
    }
}

/// Method: record any events of a few jobs, with manifests in between that drop and restore some. After each, recount.
pub(super) fn totals_are_what_a_count_of_all_jobs_gives<P: TestPlace>() {
    let events = prop::collection::vec((0..4_usize, 0..10_u8), 0..12);
    let rounds = prop::collection::vec((events, prop::collection::vec(0..6_u8, 0..6)), 1..5);
    let checked = TestRunner::new(ProptestConfig::with_cases(20)).run(&rounds, |rounds| {
        let place = P::new();
        let mut run = place.open();
        for (events, rows) in rounds {
            let prompts: Vec<String> = rows.iter().map(|row| format!("prompt {row}")).collect();
            import(&mut *run, &prompts.iter().map(String::as_str).collect::<Vec<_>>());
            let mut driven = Driven::start(run, JobScope::Unfinished);
            let jobs = driven.load(4).jobs;
            for (job, kind) in events {
                let Some(record) = jobs.get(job) else { continue };
                // Events of finished jobs are refused.
                drop(driven.try_record(&[event(record, 1, step(kind))]));
            }
            run = driven.close();
            prop_assert_eq!((run.counts().unwrap(), run.incidents().unwrap()), counted(&*run));
        }
        Ok(())
    });
    checked.unwrap();
}

pub(super) fn a_job_is_found_by_each_of_its_names<P: TestPlace>() {
    let place = P::new();
    let mut run = place.open();
    let labelled = |prompt, label: Option<&str>| {
        Ok::<_, LedgerError>(JobSpec { label: label.map(str::to_owned), ..draft(prompt) })
    };
    let drafts = [labelled("cat", None), labelled("dog", Some("1")), labelled("cow", Some("my cow"))];
    run.import(&ManifestFacts::default(), drafts.into_iter()).unwrap();
    let mut driven = Driven::start(run, JobScope::Unfinished);
    let jobs = driven.load(10).jobs;
    driven.live(&jobs[2], [EventKind::SubmitStarted, accepted("5075521")]);
    let run = driven.close();
    let found = |name: &str| -> Vec<String> {
        run.find(name).unwrap().into_iter().map(|record| record.job.request.prompt.clone()).collect()
    };
    assert_eq!(found("1"), ["dog"], "the user's own name comes before the index");
    assert_eq!(found("3"), ["cow"]);
    assert_eq!(found("my cow"), ["cow"]);
    assert_eq!(found("5075521"), ["cow"], "by its task");
    let id = jobs[0].job.id.to_string();
    assert_eq!((found(&id), found(&id[..6])), (vec!["cat".to_owned()], vec!["cat".to_owned()]));
    assert!(found("9").is_empty() && found("").is_empty() && found("' OR 1=1 --").is_empty() && found("%").is_empty());
}

pub(super) fn the_names_of_all_images_are_known_and_no_others<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog", "cow"]);
    driven.live(&jobs[0], [succeeded(&["b", "a"])]);
    driven.live(&jobs[1], [succeeded(&["c"])]);
    import(&mut *driven.close(), &["cow", "dog"]);
    let reader = place.read();
    // Images of the cat stay recorded, although the cat is no longer in the manifest.
    let names = ["images/a.png", "images/b.png", "images/c.png", "images/d.png", "images/A.png"];
    for _ in 0..2 {
        reader.prepare_names().unwrap();
        assert_eq!(names.map(|name| reader.is_recorded(name).unwrap()), [true, true, true, false, false]);
    }
}

pub(super) fn images_are_visited_and_measured<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog", "cow", "gone"]);
    assert_eq!(place.read().image_bytes_mean().unwrap(), None);
    driven.live(&jobs[0], [succeeded(&["b", "a"])]);
    let large = Artifact { bytes: 22_345, ..artifact("c") };
    driven.live(&jobs[2], [EventKind::Finished(Outcome::Succeeded(vec![large.clone()]))]);
    driven.live(&jobs[3], [succeeded(&["d"])]);
    let mut run = driven.close();
    import(&mut *run, &["cow", "dog", "cat"]);
    assert_eq!(run.image_bytes_mean().unwrap(), Some(14_845), "dropped jobs count too");
    assert_eq!(run.artifacts(jobs[0].job.id).unwrap(), [artifact("b"), artifact("a")]);
    assert_eq!(run.artifacts(jobs[1].job.id).unwrap(), []);
    let mut images = vec![];
    assert!(run.visit_images(10, &mut |artifact| images.push(artifact)).unwrap(), "these are all");
    images.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    assert_eq!(images, [artifact("a"), artifact("b"), large]);
}

pub(super) fn the_last_endings_are_counted<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["a", "b", "c", "d"]);
    for (at, record) in [1000, 2000, 3000].into_iter().zip(&jobs) {
        let end = if at == 2000 { failed(FaultKind::Moderated) } else { succeeded(&["x"]) };
        driven.record(&[event(record, at, end)]);
    }
    driven.record(&[event(&jobs[3], 4000, EventKind::SubmitStarted)]);
    let run = driven.close();
    let ended = |since| run.ended_since(Timestamp::from_millis(since)).unwrap();
    assert_eq!(ended(1500), Some((2, Timestamp::from_millis(2000))));
    assert_eq!(ended(0), Some((3, Timestamp::from_millis(1000))));
    assert_eq!(ended(3500), None);
}

/// Goal: each duration is that of one task, whatever happened to its job before and after. Method: one job that loses a task
/// and has to request links twice, and one that is still under way.
pub(super) fn the_end_of_a_ledger_tells_how_long_tasks_took<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["one", "two"]);
    assert_eq!(place.read().history().unwrap(), History::default());
    let links = || EventKind::Ready(vec![Url("https://x/1".into())]);
    let life = [
        (1000, EventKind::SubmitStarted),
        (1100, accepted("1")),
        (9000, setback(Stage::Task, FaultKind::TaskLost)),
        (10_000, EventKind::SubmitStarted),
        (10_100, accepted("2")),
        (25_100, links()),
        (26_000, setback(Stage::Download, FaultKind::Transient)),
        (28_000, links()),
    ];
    driven.record(&life.map(|(at, kind)| event(&jobs[0], at, kind)));
    let running = [(30_000, EventKind::SubmitStarted), (30_100, accepted("3"))];
    driven.record(&running.map(|(at, kind)| event(&jobs[1], at, kind)));
    let kind = TaskKind { model: "a/b".into(), size: None };
    let history = History {
        tasks: vec![PastTask { kind, took: Duration::from_secs(15) }],
        submitted_at: [1000, 10_000, 30_000].map(Timestamp::from_millis).to_vec(),
    };
    assert_eq!(driven.close().history().unwrap(), history);
}

pub(super) fn revision_and_origin_follow_the_events<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["cat", "dog"]);
    let (before, origin) = (place.read().revision().unwrap(), place.read().origin().unwrap());
    assert_eq!(origin, "");
    driven.live(&jobs[1], [EventKind::SubmitStarted]);
    let after = place.read().revision().unwrap();
    assert_ne!(after, before);
    let origin = place.read().origin().unwrap();
    assert_eq!(origin, format!("{} 1", jobs[1].job.id));
    driven.live(&jobs[0], [EventKind::SubmitStarted]);
    let mut run = driven.close();
    assert_ne!(run.revision().unwrap(), after);
    let before = run.revision().unwrap();
    import(&mut *run, &["dog", "cat"]);
    assert_ne!(run.revision().unwrap(), before, "another manifest");
    assert_eq!(run.origin().unwrap(), origin, "the first event stays");
}

pub(super) fn a_visit_ends_with_the_first_error<P: TestPlace>() {
    let place = P::new();
    let run = place.import(&["a", "b", "c"]);
    let mut n_seen = 0;
    let visited = run.for_each_job(JobSet::InManifest, |_| {
        n_seen += 1;
        if n_seen == 2 { Err(LedgerError::WriterStopped) } else { Ok(()) }
    });
    assert!(matches!(visited, Err(LedgerError::WriterStopped)));
    assert_eq!(n_seen, 2);
}
