//! Jobs whose repetition gave no other image: each returns to the images that it had, with their facts.
//!
//! An image gets its first name again, the record follows, and then the image loses its second name. A crash at any moment leaves it under a
//! name that its record says.

use std::path::Path;

use crate::images::SavedImages;
use crate::model::event::{EventKind, Redo, ReplacedImage, Restored};
use crate::model::job::JobId;
use crate::model::outcome::Outcome;
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::time::Timestamp;
use crate::run::error::RunError;
use crate::run::place;
use crate::store::error::LedgerError;
use crate::store::setting::Setting;
use crate::store::{RunReader, RunWriter};

/// Returns jobs whose repetition failed to their images, and completes what a session may have left undone. Returns these jobs as they
/// failed.
///
/// A job whose new image is made, and could not be fetched, stays failed until a `retry` fails too: that fetches it at no cost.
pub(super) fn settle(out: &Path, run: &mut dyn RunWriter, at: Timestamp) -> Result<Vec<JobRecord>, RunError> {
    let ids = run.setting(Setting::Redoing)?.unwrap_or_default();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let images = place::saved::<RunError>(out, &*run)?;
    let (mut due, mut returned, mut failed, mut open) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for id in ids.split(' ').filter_map(|id| id.parse::<JobId>().ok()) {
        let Some(record) = run.find(&id.to_string())?.into_iter().find(|record| record.job.id == id) else { continue };
        match &record.state.phase {
            Phase::Finished(Outcome::Succeeded(_)) => returned.extend(last_return(&*run, id)?),
            Phase::Finished(Outcome::Failed(_)) => match restored(&*images, &*run, &record)? {
                Some(restored) => {
                    due.push((id, restored));
                    failed.push(record);
                }
                None => open.push(id.to_string()),
            },
            Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Downloading(_) => open.push(id.to_string()),
        }
    }
    run.restore(at, &due)?;
    for restored in returned.iter().chain(due.iter().map(|(_, restored)| restored)) {
        release(&*images, restored)?;
    }
    let open = open.join(" ");
    if open != ids {
        run.set_setting(Setting::Redoing, &open)?;
    }
    Ok(failed)
}

/// Gives the images of a failed job their first names again. Returns what they are; `None` if the job cannot return to them.
fn restored(
    images: &dyn SavedImages,
    run: &dyn RunReader,
    JobRecord { job, .. }: &JobRecord,
) -> Result<Option<Restored>, RunError> {
    // Some images of the new task are there: they are paid for, too.
    if !run.artifacts(job.id)?.is_empty() {
        return Ok(None);
    }
    let events = run.events(job.id)?;
    let mut later = events.iter().enumerate().rev();
    let Some((nth, Redo { seed, seed_before, replaced })) = later.find_map(|(nth, (_, kind))| match kind {
        EventKind::Redone(redo) => Some((nth, redo)),
        _ => None,
    }) else {
        return Ok(None);
    };
    if is_image_left(&events[nth + 1..]) {
        return Ok(None);
    }
    let mut before = JobState::default();
    events[..nth].iter().for_each(|(at, kind)| before.apply(*at, kind));
    // All images, or none: a job with a part of them would not be what it says.
    if replaced.is_empty() || replaced.iter().any(|image| images.verify(&image.kept()).is_err()) {
        return Ok(None);
    }
    let mut current = Vec::with_capacity(replaced.len());
    for image in replaced {
        let has_first_name = images.give_back(image)?;
        // Another file has that name: the image stays where it is.
        let artifact = if has_first_name { image.artifact.clone() } else { image.kept() };
        current.push(ReplacedImage { artifact, kept_as: image.kept_as.clone() });
    }
    let seed = if seed.is_some() { *seed_before } else { job.request.seed };
    let JobState { task, submitted_at, finished_at, .. } = before;
    Ok(Some(Restored { seed, task, submitted_at, finished_at, images: current }))
}

/// Returns whether the last task since a redo made an image that nobody has tried to fetch again.
fn is_image_left(since: &[(Timestamp, EventKind)]) -> bool {
    let later = since.iter().rev().take_while(|(_, kind)| !matches!(kind, EventKind::SubmitStarted));
    let (mut is_made, mut is_retried) = (false, false);
    for (_, kind) in later {
        is_made |= matches!(kind, EventKind::Ready(_));
        is_retried |= matches!(kind, EventKind::Reopened(_));
    }
    is_made && !is_retried
}

/// Removes the second names of images that have their first ones again.
fn release(images: &dyn SavedImages, Restored { task, images: restored, .. }: &Restored) -> Result<(), RunError> {
    for image in restored.iter().filter(|image| image.artifact.file_name != image.kept_as) {
        let kept = ReplacedImage { artifact: image.kept(), kept_as: image.artifact.file_name.clone() };
        images.release(&kept, task.as_ref())?;
    }
    Ok(())
}

/// Returns the return of a job to its images, if that is the last event of the job.
fn last_return(run: &dyn RunReader, id: JobId) -> Result<Option<Restored>, LedgerError> {
    Ok(match run.events(id)?.pop() {
        Some((_, EventKind::Restored(restored))) => Some(restored),
        Some(_) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sha2::{Digest, Sha256};
    use tempfile::TempDir;

    use super::*;
    use crate::model::event::{Event, ReopenTarget};
    use crate::model::job::JobSpec;
    use crate::model::outcome::{Artifact, Fault, FaultKind, ImageFormat, TaskId, Url};
    use crate::model::request::Request;
    use crate::store::JobScope;
    use crate::store::import::ManifestFacts;
    use crate::store::selection::RetrySelection;
    use crate::store::sqlite::SqliteStore;
    use crate::store::typed::Typed;

    const NAME: &str = "images/000001-a-cat.png";
    const KEPT: &str = "replaced/images/000001-a-cat.png";

    fn now(n: i64) -> Timestamp {
        Timestamp::from_millis(n)
    }

    fn image(bytes: &[u8]) -> Artifact {
        let (sha256, format) = (Sha256::digest(bytes).into(), ImageFormat::Png);
        Artifact { file_name: NAME.into(), sha256, bytes: bytes.len() as u64, width: 1, height: 1, format }
    }

    fn accepted(task: &str) -> EventKind {
        EventKind::Accepted(TaskId(task.into()))
    }

    fn ready() -> EventKind {
        EventKind::Ready(vec![Url("https://a/b.png".into())])
    }

    fn failed(kind: FaultKind) -> EventKind {
        EventKind::Finished(Outcome::Failed(Fault::new(kind, "words")))
    }

    /// Records what happens to the only job, and returns its id.
    fn live(run: Box<dyn RunWriter>, kinds: Vec<EventKind>) -> (Box<dyn RunWriter>, JobId) {
        let mut ledger = run.start(JobScope::Unfinished).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let id = runtime.block_on(async {
            let job = ledger.load(2).await.unwrap().jobs.remove(0).job;
            let events: Vec<_> =
                kinds.into_iter().map(|kind| Event { job: job.id, index: 1, at: now(1), kind }).collect();
            ledger.record(events.into()).await.unwrap();
            job.id
        });
        (ledger.close().unwrap(), id)
    }

    /// Returns a run whose job is made again and failed in this way. The image before is where a redo leaves it.
    fn world(then: Vec<EventKind>) -> (TempDir, Box<dyn RunWriter>, JobId) {
        let folder = tempfile::tempdir().unwrap();
        let mut run = SqliteStore::open(folder.path(), "simulator").unwrap();
        let request = Request { prompt: "a cat".into(), model: "m".into(), seed: Some(5), ..Request::default() };
        run.import(&ManifestFacts::default(), [Ok::<_, LedgerError>(JobSpec::from(request))].into_iter()).unwrap();
        let success = EventKind::Finished(Outcome::Succeeded(vec![image(b"old")]));
        let (mut run, id) = live(Box::new(run), vec![EventKind::SubmitStarted, accepted("7"), success]);
        fs::create_dir_all(folder.path().join("images")).unwrap();
        fs::create_dir_all(folder.path().join("replaced/images")).unwrap();
        fs::write(folder.path().join(KEPT), "old").unwrap();
        let replaced = vec![ReplacedImage { artifact: image(b"old"), kept_as: KEPT.into() }];
        run.set_setting(Setting::Redoing, &id.to_string()).unwrap();
        run.redo(now(2), &[(id, Redo { seed: Some(6), seed_before: Some(5), replaced })]).unwrap();
        let (run, id) = live(run, then);
        (folder, run, id)
    }

    fn texts(folder: &TempDir) -> [Option<String>; 2] {
        [NAME, KEPT].map(|name| fs::read_to_string(folder.path().join(name)).ok())
    }

    fn refused() -> Vec<EventKind> {
        vec![EventKind::SubmitStarted, accepted("8"), failed(FaultKind::Moderated)]
    }

    /// Goal: at each step, the image has a name that its record says. Method: stop after each step, and continue as the next process does.
    #[test]
    fn a_stop_after_each_step_leaves_the_image_where_its_record_says() {
        for n_steps in 0..=3 {
            let (folder, mut run, id) = world(refused());
            let out = folder.path();
            let record = run.find(&id.to_string()).unwrap().remove(0);
            let images = place::saved::<RunError>(out, &*run).unwrap();
            if n_steps >= 1 {
                let due = restored(&*images, &*run, &record).unwrap().unwrap();
                if n_steps >= 2 {
                    run.restore(now(3), &[(id, due.clone())]).unwrap();
                }
                if n_steps >= 3 {
                    release(&*images, &due).unwrap();
                }
            }
            let told = settle(out, &mut *run, now(4)).unwrap();
            assert_eq!(told.len(), usize::from(n_steps < 2), "after {n_steps}");
            assert_eq!(texts(&folder), [Some("old".to_owned()), None], "after {n_steps}");
            assert_eq!(run.artifacts(id).unwrap(), [image(b"old")]);
            let JobRecord { job, state } = run.find(&id.to_string()).unwrap().remove(0);
            assert_eq!(
                (job.request.seed, state.task, state.finished_at),
                (Some(5), Some(TaskId("7".into())), Some(now(1)))
            );
            assert_eq!(run.setting(Setting::Redoing).unwrap().as_deref(), Some(""));
            assert_eq!(settle(out, &mut *run, now(5)).unwrap(), []);
        }
    }

    /// Goal: a new image that is made and could not be fetched is not given up before `retry` has asked for it. Method: such a job, reopened
    /// without success; the same job with a part of its images.
    #[test]
    fn a_new_image_that_can_be_fetched_is_left_to_retry() {
        let unfetched = || vec![EventKind::SubmitStarted, accepted("8"), ready(), failed(FaultKind::BadOutput)];
        let (folder, mut run, id) = world(unfetched());
        assert_eq!(settle(folder.path(), &mut *run, now(3)).unwrap(), []);
        assert_eq!(texts(&folder), [None, Some("old".to_owned())]);
        let selection = RetrySelection::Jobs(vec![id]);
        run.select(&selection).unwrap();
        run.reopen_selected(now(4), &selection).unwrap();
        let (mut run, _) = live(run, vec![failed(FaultKind::BadOutput)]);
        assert_eq!(settle(folder.path(), &mut *run, now(5)).unwrap().len(), 1);
        assert_eq!(texts(&folder), [Some("old".to_owned()), None]);
        assert!(matches!(run.events(id).unwrap()[8].1, EventKind::Reopened(ReopenTarget::Fetch)));
        let part =
            EventKind::Finished(Outcome::Failed(Fault::new(FaultKind::BadOutput, "w").keeping(vec![image(b"new")])));
        let (folder, mut run, id) = world(vec![EventKind::SubmitStarted, accepted("8"), ready(), part]);
        assert_eq!(settle(folder.path(), &mut *run, now(3)).unwrap(), []);
        assert_eq!((texts(&folder), run.artifacts(id).unwrap()), ([None, Some("old".to_owned())], vec![image(b"new")]));
    }

    /// Goal: nothing is said that is not on the disk, and no other file is touched. Method: a kept image that is missing and comes back; a
    /// file of the user's under the first name.
    #[test]
    fn a_missing_image_and_another_file_are_told_apart() {
        let (folder, mut run, id) = world(refused());
        let out = folder.path();
        fs::rename(out.join(KEPT), out.join("elsewhere")).unwrap();
        assert_eq!(settle(out, &mut *run, now(3)).unwrap(), []);
        assert_eq!(run.find(&id.to_string()).unwrap()[0].state.status(), "moderated");
        fs::rename(out.join("elsewhere"), out.join(KEPT)).unwrap();
        fs::write(out.join(NAME), "mine").unwrap();
        assert_eq!(settle(out, &mut *run, now(4)).unwrap().len(), 1);
        assert_eq!(texts(&folder), [Some("mine".to_owned()), Some("old".to_owned())]);
        assert_eq!(run.artifacts(id).unwrap()[0].file_name, KEPT);
        assert_eq!(settle(out, &mut *run, now(5)).unwrap(), []);
        assert_eq!(texts(&folder)[1].as_deref(), Some("old"), "its only name stays");
    }
}
