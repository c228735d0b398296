//! Images that others will replace: kept under second names before the record says so, and freed of their first names after it.
//!
//! A crash at any moment leaves each image under one of its names, with a record of that name.

use std::path::Path;

use crate::images::SavedImages;
use crate::images::verify::Damage;
use crate::model::event::{EventKind, Redo, ReplacedImage};
use crate::model::job::JobId;
use crate::model::outcome::Artifact;
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;
use crate::run::error::RunError;
use crate::run::place;
use crate::store::error::LedgerError;
use crate::store::setting::Setting;
use crate::store::{RunReader, RunWriter};

/// Job to make again.
pub(super) struct NewSeed {
    pub(super) job: JobId,
    /// Seed that was drawn; `None` keeps the request as it is.
    pub(super) seed: Option<u64>,
    /// Seed of the request so far.
    pub(super) before: Option<u64>,
}

/// Has these jobs made again, each with the seed that was drawn for it. Their images keep their bytes and get new names.
pub(super) fn replace(out: &Path, run: &mut dyn RunWriter, at: Timestamp, jobs: Vec<NewSeed>) -> Result<(), RunError> {
    let images = place::saved::<RunError>(out, &*run)?;
    let mut redone = Vec::with_capacity(jobs.len());
    for NewSeed { job, seed, before } in jobs {
        let seed_before = before.filter(|_| seed.is_some());
        redone.push((job, Redo { seed, seed_before, replaced: keep(&*images, &*run, job)? }));
    }
    let ids: Vec<_> = redone.iter().map(|(id, _)| id.to_string()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids = ids.join(" ");
    run.set_setting(Setting::Redo, &at.millis().to_string())?;
    run.set_setting(Setting::Replacing, &ids)?;
    let open = run.setting(Setting::Redoing)?.filter(|open| !open.is_empty());
    run.set_setting(Setting::Redoing, &open.map_or_else(|| ids.clone(), |open| format!("{open} {ids}")))?;
    run.redo(at, &redone)?;
    settle(out, run)
}

/// Returns the time of the redo whose end no session has seen; `None` if there is none.
pub(super) fn open_redo(run: &dyn RunReader) -> Result<Option<Timestamp>, LedgerError> {
    let text = run.setting(Setting::Redo)?;
    Ok(text.and_then(|text| text.parse().ok()).map(Timestamp::from_millis))
}

/// Notes that a session has ended as it should: the next redo is another wish.
pub(super) fn close_redo(run: &mut dyn RunWriter) -> Result<(), LedgerError> {
    if open_redo(&*run)?.is_some() { run.set_setting(Setting::Redo, "") } else { Ok(()) }
}

/// Gives the images of a job their second names. A damaged image goes to the quarantine, as in a repair.
fn keep(images: &dyn SavedImages, run: &dyn RunReader, job: JobId) -> Result<Vec<ReplacedImage>, RunError> {
    let mut replaced = Vec::new();
    for artifact in run.artifacts(job)? {
        match images.verify(&artifact) {
            Ok(()) => {
                let kept = images.keep(&artifact)?;
                replaced.extend(kept.map(|kept_as| ReplacedImage { artifact, kept_as }));
            }
            Err(Damage::Length { .. } | Damage::Content) => drop(images.quarantine(&artifact.file_name)?),
            // The file, if there is one, keeps its name, and the new image gets another one.
            Err(Damage::Missing | Damage::NotAFile | Damage::Unreadable(_) | Damage::Outside) => (),
        }
    }
    Ok(replaced)
}

/// Completes what a session may have left undone: images that are recorded under their second names lose their first ones.
pub(super) fn settle(out: &Path, run: &mut dyn RunWriter) -> Result<(), RunError> {
    let ids = run.setting(Setting::Replacing)?.unwrap_or_default();
    if ids.is_empty() {
        return Ok(());
    }
    let images = place::saved::<RunError>(out, &*run)?;
    for id in ids.split(' ').filter_map(|id| id.parse().ok()) {
        release(&*images, &*run, id)?;
    }
    Ok(run.set_setting(Setting::Replacing, "")?)
}

fn release(images: &dyn SavedImages, run: &dyn RunReader, id: JobId) -> Result<(), RunError> {
    let Some(JobRecord { state, .. }) = run.find(&id.to_string())?.into_iter().find(|record| record.job.id == id)
    else {
        return Ok(());
    };
    // The record was not written, or the job has new images already. Either way its names are in use.
    if matches!(state.phase, Phase::Finished(_)) {
        return Ok(());
    }
    let Some((_, Redo { replaced, .. })) = last_redo(run, id)? else { return Ok(()) };
    replaced.iter().try_for_each(|image| images.release(image, state.task.as_ref()))?;
    Ok(())
}

/// Returns the images of a job that others replaced and that are kept, under their present names.
pub(super) fn kept(run: &dyn RunReader, id: JobId) -> Result<Vec<Artifact>, LedgerError> {
    let mut kept: Vec<Artifact> = Vec::new();
    for (_, kind) in run.events(id)? {
        match kind {
            EventKind::Redone(redo) => {
                for image in redo.replaced {
                    // An equal image is kept once.
                    kept.retain(|other| other.file_name != image.kept_as);
                    kept.push(image.kept());
                }
            }
            // These are current again.
            EventKind::Restored(restored) => {
                kept.retain(|other| restored.images.iter().all(|image| other.file_name != image.kept_as));
            }
            EventKind::SubmitStarted
            | EventKind::Accepted(_)
            | EventKind::Charged(_)
            | EventKind::Ready(_)
            | EventKind::Setback(..)
            | EventKind::Finished(_)
            | EventKind::Reopened(_) => (),
        }
    }
    Ok(kept)
}

/// Returns when a job was last made again, and how; `None` if it never was, or was reopened since for another reason.
pub(super) fn last_redo(run: &dyn RunReader, id: JobId) -> Result<Option<(Timestamp, Redo)>, LedgerError> {
    let events = run.events(id)?.into_iter().rev();
    let last = { events }.find(|(_, kind)| match kind {
        EventKind::Redone(_) | EventKind::Reopened(_) => true,
        EventKind::SubmitStarted
        | EventKind::Accepted(_)
        | EventKind::Charged(_)
        | EventKind::Ready(_)
        | EventKind::Setback(..)
        | EventKind::Finished(_)
        | EventKind::Restored(_) => false,
    });
    Ok(last.and_then(|(at, kind)| if let EventKind::Redone(redo) = kind { Some((at, redo)) } else { None }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sha2::{Digest, Sha256};
    use tempfile::TempDir;

    use super::*;
    use crate::model::event::Event;
    use crate::model::job::JobSpec;
    use crate::model::outcome::{ImageFormat, Outcome, TaskId};
    use crate::model::request::Request;
    use crate::store::import::ManifestFacts;
    use crate::store::sqlite::SqliteStore;
    use crate::store::typed::Typed;
    use crate::store::{JobScope, JobSet};

    const NAME: &str = "images/000001-a-cat.png";
    const KEPT: &str = "replaced/images/000001-a-cat.png";

    fn now(n: i64) -> Timestamp {
        Timestamp::from_millis(n)
    }

    fn write(out: &Path, name: &str, bytes: &[u8]) {
        let path = out.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        fs::write(path, bytes).unwrap();
    }

    fn text(out: &Path, name: &str) -> Option<String> {
        fs::read_to_string(out.join(name)).ok()
    }

    /// Gives the only job of a run the image with these bytes.
    fn succeed(out: &Path, run: Box<dyn RunWriter>, bytes: &[u8]) -> Box<dyn RunWriter> {
        write(out, NAME, bytes);
        let (sha256, format) = (Sha256::digest(bytes).into(), ImageFormat::Png);
        let artifact =
            Artifact { file_name: NAME.into(), sha256, bytes: bytes.len() as u64, width: 1, height: 1, format };
        let ends = [EventKind::Accepted(TaskId("7".into())), EventKind::Finished(Outcome::Succeeded(vec![artifact]))];
        let mut ledger = run.start(JobScope::Unfinished).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let job = ledger.load(2).await.unwrap().jobs.remove(0).job;
            let event = |kind| Event { job: job.id, index: 1, at: now(1), kind };
            let events: Vec<_> = std::iter::once(EventKind::SubmitStarted).chain(ends).map(event).collect();
            ledger.record(events.into()).await.unwrap();
        });
        ledger.close().unwrap()
    }

    fn world() -> (TempDir, Box<dyn RunWriter>, JobId) {
        let folder = tempfile::tempdir().unwrap();
        let mut run = SqliteStore::open(folder.path(), "simulator").unwrap();
        let request = Request { prompt: "a cat".into(), model: "m".into(), ..Request::default() };
        run.import(&ManifestFacts::default(), [Ok::<_, LedgerError>(JobSpec::from(request))].into_iter()).unwrap();
        let run = succeed(folder.path(), Box::new(run), b"old");
        let mut ids = Vec::new();
        let see = |record: JobRecord| {
            ids.push(record.job.id);
            Ok::<_, LedgerError>(())
        };
        run.for_each_job(JobSet::InManifest, see).unwrap();
        (folder, run, ids[0])
    }

    /// Goal: at each step, the image has a name that its record says. Method: stop after each step, and continue as the next process does:
    /// once to look at the run, once with the same redo.
    #[test]
    fn a_stop_after_each_step_leaves_the_image_where_its_record_says() {
        for n_steps in 0..=3 {
            let (folder, mut run, id) = world();
            let out = folder.path();
            if n_steps >= 1 {
                keep(&*place::saved::<RunError>(out, &*run).unwrap(), &*run, id).unwrap();
            }
            if n_steps >= 2 {
                run.set_setting(Setting::Replacing, &id.to_string()).unwrap();
            }
            if n_steps >= 3 {
                let replaced = keep(&*place::saved::<RunError>(out, &*run).unwrap(), &*run, id).unwrap();
                run.redo(now(2), &[(id, Redo { replaced, ..Redo::default() })]).unwrap();
            }
            settle(out, &mut *run).unwrap();
            let recorded = run.artifacts(id).unwrap();
            assert_eq!(recorded.len(), usize::from(n_steps < 3));
            assert_eq!(text(out, NAME).is_some(), n_steps < 3, "after {n_steps}");
            assert_eq!(text(out, KEPT).is_some(), n_steps >= 1, "after {n_steps}");
            replace(out, &mut *run, now(3), vec![NewSeed { job: id, seed: Some(4), before: None }]).unwrap();
            assert_eq!((text(out, NAME), text(out, KEPT).as_deref()), (None, Some("old")), "after {n_steps}");
            assert_eq!(run.setting(Setting::Replacing).unwrap().as_deref(), Some(""));
            let (_, redo) = last_redo(&*run, id).unwrap().unwrap();
            assert_eq!((redo.replaced[0].kept_as.as_str(), redo.replaced.len()), (KEPT, 1));
            assert_eq!(fs::read_dir(out.join("replaced/images")).unwrap().count(), 1, "it is kept once");
        }
    }

    /// Goal: the present image is never taken for the one that was replaced. Method: the new image has the bytes of the old one, and a
    /// process dies before it records another redo.
    #[test]
    fn an_equal_new_image_keeps_its_name() {
        let (folder, mut run, id) = world();
        let out = folder.path();
        replace(out, &mut *run, now(2), vec![NewSeed { job: id, seed: None, before: None }]).unwrap();
        let mut run = succeed(out, run, b"old");
        run.set_setting(Setting::Replacing, &format!("{id} nonsense 00112233445566778899")).unwrap();
        settle(out, &mut *run).unwrap();
        assert_eq!((text(out, NAME).as_deref(), text(out, KEPT).as_deref()), (Some("old"), Some("old")));
        replace(out, &mut *run, now(3), vec![NewSeed { job: id, seed: None, before: None }]).unwrap();
        let run = succeed(out, run, b"new");
        assert_eq!((text(out, NAME).as_deref(), text(out, KEPT).as_deref()), (Some("new"), Some("old")));
        assert_eq!(run.events(id).unwrap().iter().filter(|(_, kind)| matches!(kind, EventKind::Redone(_))).count(), 2);
    }
}
