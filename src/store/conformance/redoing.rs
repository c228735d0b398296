//! Promises of `RunWriter::redo`.

use super::*;
use crate::model::amount::Amount;
use crate::model::event::{Redo, ReplacedImage, Restored};
use crate::model::phase::{JobState, Phase};
use crate::model::price::Price;
use crate::store::selection::RetrySelection;

fn replaced(name: &str) -> ReplacedImage {
    ReplacedImage { artifact: artifact(name), kept_as: format!("replaced/{name}") }
}

/// Returns a run of these jobs, all of which succeeded with two images.
fn succeeded_run<P: TestPlace>(place: &P, prompts: &[&str]) -> Box<dyn RunWriter> {
    let (mut driven, jobs) = place.drive(prompts);
    for (n, record) in jobs.iter().enumerate() {
        let images = [format!("{n}-a"), format!("{n}-b")];
        let life = [EventKind::SubmitStarted, accepted(&format!("t{n}")), succeeded(&[&images[0], &images[1]])];
        driven.live(record, life);
    }
    driven.close()
}

/// Goal: the new image is that of a new, paid submission, and nothing of the old one is lost. Method: the whole life of a job that is
/// made again, with the record of its images at each step.
pub(super) fn a_job_that_is_made_again_is_submitted_anew_and_keeps_its_past<P: TestPlace>() {
    let place = P::new();
    let mut run = succeeded_run(&place, &["cat", "dog"]);
    let before = all(&*run);
    let job = before[0].job.id;
    let redo = Redo { replaced: vec![replaced("0-a"), replaced("0-b")], ..Redo::default() };
    assert_eq!(run.redo(NOW, &[(job, redo.clone())]).unwrap(), 1);
    let after = all(&*run);
    assert_eq!((statuses(&*run), &after[1], &after[0].job), (vec!["pending", "succeeded"], &before[1], &before[0].job));
    assert_eq!((run.artifacts(job).unwrap(), run.incidents().unwrap().n_reopened), (vec![], 1));
    assert_eq!(run.events(job).unwrap().pop(), Some((NOW, EventKind::Redone(redo.clone()))));
    run.check_whole().unwrap();
    run.select(&RetrySelection::Jobs(vec![job])).unwrap();
    let mut driven = Driven::start(run, JobScope::Selected);
    let record = driven.load(10).jobs.remove(0);
    assert_eq!((&record.state.phase, record.state.n_repaid()), (&Phase::Pending, 0));
    driven.live(&record, [EventKind::SubmitStarted, accepted("again"), succeeded(&["new"])]);
    let run = driven.close();
    assert_eq!(run.artifacts(job).unwrap(), [artifact("new")]);
    assert_eq!(run.total_cost(&"2 USD".parse::<Price>().unwrap()).unwrap().unwrap().sure, Amount::new(6.0));
    run.prepare_acceptances().unwrap();
    assert_eq!(run.n_accepted(&all(&*run)[0]).unwrap(), 2);
    let past: Vec<_> = run.events(job).unwrap().into_iter().filter(|(at, _)| *at == NOW).collect();
    assert_eq!(past, [(NOW, EventKind::Redone(redo))], "the images before stay in the history");
    run.check_whole().unwrap();
}

/// Goal: a seed that was drawn is the one that is sent, shown and kept. Method: draw one, then import the same manifest, another order,
/// and a manifest without the job. A second seed replaces the first.
pub(super) fn a_drawn_seed_stays_whatever_is_imported<P: TestPlace>() {
    let place = P::new();
    let mut run = succeeded_run(&place, &["cat", "dog"]);
    let before = all(&*run)[0].job.clone();
    let drawn = |run: &mut dyn RunWriter, seed| {
        run.redo(NOW, &[(before.id, Redo { seed: Some(seed), ..Redo::default() })]).unwrap()
    };
    assert_eq!(drawn(&mut *run, 7), 1);
    for (prompts, index) in [(&["cat", "dog"][..], 1), (&["dog", "cat"], 2), (&["dog"], 0), (&["cat"], 1)] {
        import(&mut *run, prompts);
        let job = &run.find(&before.id.to_string()).unwrap()[0].job;
        assert_eq!((job.id, job.index, job.request.seed), (before.id, index, Some(7)), "{prompts:?}");
        assert_eq!((&job.request.prompt, job.copy()), (&before.request.prompt, Some(1)));
        run.check_whole().unwrap();
    }
    let mut driven = Driven::start(run, JobScope::Unfinished);
    let record = driven.load(10).jobs.remove(0);
    assert_eq!(record.job.request.seed, Some(7));
    driven.live(&record, [EventKind::SubmitStarted, accepted("again"), succeeded(&["new"])]);
    let mut run = driven.close();
    assert_eq!((drawn(&mut *run, 8), all(&*run)[0].job.request.seed), (1, Some(8)));
    drop(run);
    assert_eq!(all(&*place.read())[0].job.request.seed, Some(8));
}

/// Goal: a job whose repetition failed is again what it was, with every fact of its image. Method: two such jobs, one with a drawn seed; a
/// job that succeeded, an unfinished one and an unknown one stay as they are; a second return changes nothing.
pub(super) fn a_failed_repetition_returns_to_the_images_before<P: TestPlace>() {
    let place = P::new();
    let mut run = succeeded_run(&place, &["cat", "dog", "cow", "hen"]);
    let before = all(&*run);
    let id = |n: usize| before[n].job.id;
    let images = |n: usize| vec![replaced(&format!("{n}-a")), replaced(&format!("{n}-b"))];
    let redo = |n: usize, seed| (id(n), Redo { seed, seed_before: None, replaced: images(n) });
    assert_eq!(run.redo(NOW, &[redo(0, Some(7)), redo(1, None), redo(3, None)]).unwrap(), 3);
    let mut driven = Driven::start(run, JobScope::Unfinished);
    let records = driven.load(10).jobs;
    driven.live(&records[0], [EventKind::SubmitStarted, accepted("again"), failed(FaultKind::Moderated)]);
    driven.live(&records[1], [EventKind::SubmitStarted, failed(FaultKind::InvalidRequest)]);
    let mut run = driven.close();
    let restored = |n: usize| {
        let JobState { task, submitted_at, finished_at, .. } = before[n].state.clone();
        (id(n), Restored { seed: None, task, submitted_at, finished_at, images: images(n) })
    };
    let unknown = (JobId::from_bytes([9; 10]), Restored::default());
    let restored = [restored(0), restored(1), restored(2), restored(3), unknown];
    assert_eq!((run.restore(NOW, &restored).unwrap(), run.restore(NOW, &restored).unwrap()), (2, 0));
    assert_eq!(statuses(&*run), ["succeeded", "succeeded", "succeeded", "pending"]);
    for (n, was) in before.iter().enumerate().take(3) {
        let now = &all(&*run)[n];
        assert_eq!((&now.job, &now.state.phase, &now.state.task), (&was.job, &was.state.phase, &was.state.task));
        let times = |state: &JobState| (state.submitted_at, state.finished_at);
        assert_eq!(
            (times(&now.state), run.artifacts(was.job.id).unwrap()),
            (times(&was.state), was.state.artifacts().to_vec())
        );
    }
    let told = run.events(id(0)).unwrap();
    assert_eq!(told.last(), Some(&(NOW, EventKind::Restored(restored[0].1.clone()))));
    assert_eq!(told.iter().filter(|(_, kind)| matches!(kind, EventKind::Finished(_))).count(), 2, "the fault stays");
    run.check_whole().unwrap();
}

/// Goal: nothing is paid for again that has no image yet, and no job twice. Method: jobs in every phase, a job that left the manifest, an
/// unknown one, and a job that is named twice.
pub(super) fn only_jobs_that_succeeded_are_made_again<P: TestPlace>() {
    let place = P::new();
    let (mut driven, jobs) = place.drive(&["ok", "bad", "busy", "doubt", "new", "gone"]);
    let submitted = || EventKind::SubmitStarted;
    for n in [0, 5] {
        driven.live(&jobs[n], [submitted(), accepted(&format!("t{n}")), succeeded(&[&format!("image {n}")])]);
    }
    driven.live(&jobs[1], [submitted(), failed(FaultKind::Moderated)]);
    driven.live(&jobs[2], [submitted(), accepted("t2")]);
    driven.live(&jobs[3], [submitted()]);
    let mut run = driven.close();
    import(&mut *run, &["ok", "bad", "busy", "doubt", "new"]);
    let (before, dropped) = (all(&*run), jobs_of(&*run, JobSet::Dropped));
    let mut ids: Vec<_> = jobs.iter().map(|record| (record.job.id, Redo::default())).collect();
    assert_eq!(run.redo(NOW, &ids[1..]).unwrap(), 0);
    assert_eq!((all(&*run), jobs_of(&*run, JobSet::Dropped)), (before, dropped));
    ids.extend([(JobId::from_bytes([9; 10]), Redo::default()), ids[0].clone()]);
    assert_eq!(run.redo(NOW, &ids).unwrap(), 1);
    assert_eq!(statuses(&*run), ["pending", "moderated", "running", "in_doubt", "pending"]);
    assert_eq!(run.redo(NOW, &ids).unwrap(), 0, "it has no image now");
    assert_eq!(run.incidents().unwrap().n_reopened, 1);
}
