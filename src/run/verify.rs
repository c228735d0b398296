//! Verification of every image against its record, and repair of missing or damaged ones from their paid tasks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::driver::stop::StopReceiver;
use crate::images::SavedImages;
use crate::images::validate::verdict::CheckLimits;
use crate::images::verify::Damage;
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::outcome::{Artifact, ImageFormat, Outcome};
use crate::model::output_options::Sidecar;
use crate::model::phase::{JobRecord, Phase};
use crate::model::progress::{Meter, Operation, Progress};
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::credentials::Credentials;
use crate::run::equipment::Work;
use crate::run::error::RunError;
use crate::run::session::{Session, SessionClock};
use crate::run::summary::{SessionStart, Summary};
use crate::run::{place, replacing, row_providers, style};
use crate::store::error::LedgerError;
use crate::store::selection::RetrySelection;
use crate::store::typed::Typed;
use crate::store::{JobScope, JobSet, RunReader, stores};

/// Untracked files that are named, at most.
const UNTRACKED_MAX: usize = 20;

/// Images that are verified at a time: object storage is asked for several at once.
const BATCH: usize = 32;

/// Retries of a job in a repair: an image that its host no longer has is not worth more.
const REPAIR_RETRIES_MAX: u32 = 2;

/// Result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Images that were checked.
    pub n_images: u64,
    /// Images that are not what was recorded, in manifest order.
    pub damaged: Vec<DamagedImage>,
    /// Images that were checked of those that `redo` replaced by others.
    pub n_replaced: u64,
    /// Images of these that are not what was recorded, in manifest order. Nothing can fetch them again.
    pub replaced: Vec<DamagedImage>,
    /// Jobs whose images an earlier repair or retry began to fetch again and has not completed.
    pub being_fetched: Vec<JobId>,
    /// Files below `images/` that belong to no job. Not counted during a live run, because a run names a file before it records
    /// it.
    pub n_untracked: u64,
    /// Names of the first of these files.
    pub untracked: Vec<String>,
}

impl VerifyReport {
    /// Returns the number of jobs whose images have to be fetched.
    pub fn wanted(&self) -> usize {
        let jobs = self.damaged.iter().map(|damaged| damaged.job).chain(self.being_fetched.iter().copied());
        jobs.collect::<BTreeSet<_>>().len()
    }
}

/// Image that is not what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedImage {
    /// Id of the job that owns the image.
    pub job: JobId,
    /// Index of the job in the manifest.
    pub index: u64,
    /// Record of the image.
    pub artifact: Artifact,
    /// Damage of the image.
    pub damage: Damage,
}

/// Checks the whole ledger of the run in the folder `out` against its checksums and its watermark. Checks every image against
/// its record. Changes nothing, and works during a live run.
pub fn verify(out: &Path, consent: Consent, progress: &mut dyn Progress) -> Result<VerifyReport, RunError> {
    if let Some(older) = stores::find_rollback(out)?.filter(|_| !consent.is_older_accepted) {
        return Err(older.into());
    }
    let run = stores::open_for_reading(out)?;
    run.check_whole()?;
    let images = place::saved::<RunError>(out, &*run)?;
    let mut meter = Meter::begin(progress, Operation::Verify, Some(run.counts()?.n_succeeded));
    let (mut verified, mut due, mut remade) = (VerifyReport::default(), DueImages::default(), Vec::new());
    run.for_each_job(JobSet::InManifest, |record| {
        if due.add(&record) {
            meter.step();
        }
        if record.state.n_reopened > 0 {
            remade.push((record.job.id, record.job.index));
        }
        if due.artifacts.len() >= BATCH {
            due.verify(&*images, &mut verified);
        }
        Ok::<_, LedgerError>(())
    })?;
    due.verify(&*images, &mut verified);
    verify_replaced(&*images, &*run, remade, &mut verified)?;
    drop(meter);
    verified.being_fetched = run.refetching()?;
    if stores::lock_owner(out).is_none() {
        find_untracked(&*images, &*run, &mut verified, progress)?;
    }
    Ok(verified)
}

/// Images whose verification is due, and the jobs that own them.
#[derive(Default)]
struct DueImages {
    jobs: Vec<(JobId, u64)>,
    artifacts: Vec<Artifact>,
}

impl DueImages {
    /// Adds the images of a job. Returns whether the job succeeded, that is, whether these are all of its images.
    fn add(&mut self, record: &JobRecord) -> bool {
        for artifact in record.state.artifacts() {
            self.jobs.push((record.job.id, record.job.index));
            self.artifacts.push(artifact.clone());
        }
        matches!(record.state.phase, Phase::Finished(Outcome::Succeeded(_)))
    }

    /// Verifies the images.
    fn verify(&mut self, images: &dyn SavedImages, verified: &mut VerifyReport) {
        let results = images.verify_all(&self.artifacts);
        for (((job, index), artifact), result) in self.jobs.drain(..).zip(self.artifacts.drain(..)).zip(results) {
            verified.n_images += 1;
            if let Err(damage) = result {
                verified.damaged.push(DamagedImage { job, index, artifact, damage });
            }
        }
    }
}

/// Verifies the images that others replaced, of these jobs.
fn verify_replaced(
    images: &dyn SavedImages,
    run: &dyn RunReader,
    jobs: Vec<(JobId, u64)>,
    verified: &mut VerifyReport,
) -> Result<(), LedgerError> {
    for (job, index) in jobs {
        for artifact in replacing::kept(run, job)? {
            verified.n_replaced += 1;
            let Err(damage) = images.verify(&artifact) else { continue };
            // A live run may have returned the job to this image meanwhile.
            if replacing::kept(run, job)?.contains(&artifact) {
                verified.replaced.push(DamagedImage { job, index, artifact, damage });
            }
        }
    }
    Ok(())
}

/// Looks up the name of every file, and counts the files that are not recorded.
fn find_untracked(
    images: &dyn SavedImages,
    run: &dyn RunReader,
    verified: &mut VerifyReport,
    progress: &mut dyn Progress,
) -> Result<(), RunError> {
    let mut meter = Meter::begin(progress, Operation::Untracked, Some(verified.n_images));
    run.prepare_names()?;
    for name in images.list() {
        let name = name?;
        meter.step();
        if !is_recorded(run, &name)? {
            verified.n_untracked += 1;
            if verified.untracked.len() < UNTRACKED_MAX {
                verified.untracked.push(name);
            }
        }
    }
    verified.untracked.sort();
    Ok(())
}

/// Returns whether a file is an image of some job, or the sidecar of one.
fn is_recorded(run: &dyn RunReader, name: &str) -> Result<bool, LedgerError> {
    let beside = [Sidecar::Txt, Sidecar::Json].into_iter().find_map(|sidecar| {
        let stem = name.strip_suffix(sidecar.extension())?;
        stem.strip_suffix('.')
    });
    let Some(stem) = beside else { return run.is_recorded(name) };
    // Sidecars whose name was in use have the job's id appended.
    let shared = stem.rsplit_once('-').filter(|(_, id)| id.parse::<JobId>().is_ok()).map(|(stem, _)| stem);
    for stem in [Some(stem), shared].into_iter().flatten() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            if run.is_recorded(&format!("{stem}.{}", format.extension()))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Options of a repair.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// Output folder of the run.
    pub out: PathBuf,
    /// Access to the provider.
    pub access: Credentials,
    /// Limits that the engine keeps.
    pub limits: Limits,
    /// Largest image that is accepted.
    pub image_limits: CheckLimits,
}

/// Fetches damaged images again from the tasks that were paid for. Nothing is submitted. A job whose task is gone becomes
/// pending, and `run` submits it again. A job whose image is not available now stays under way, for the next repair or run. The
/// file with the name of a damaged image is kept in `damaged/`.
pub async fn repair(
    options: RepairOptions,
    verified: &VerifyReport,
    make_reporters: impl FnOnce(&SessionStart) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut StopReceiver,
) -> Result<Summary, RunError> {
    let RepairOptions { out, access, limits, image_limits } = options;
    let time = SessionClock::start();
    let mut session = Session::resume(out.clone(), &access, time)?;
    let images = place::saved::<RunError>(&out, &*session.run)?;
    access.check(&session.provider)?;
    // Images are checked again, because another repair may have come first.
    let damaged: Vec<&DamagedImage> =
        verified.damaged.iter().filter(|damaged| images.verify(&damaged.artifact).is_err()).collect();
    let jobs = damaged.iter().map(|damaged| damaged.job).chain(verified.being_fetched.iter().copied());
    let jobs = RetrySelection::Jobs(jobs.collect());
    row_providers::check_selected(&session.provider, &*session.run, &jobs)?;
    // Names change before the record does. After a crash in between, the image is missing, and is fetched again under its old
    // name. In the other order, the damaged file would keep that name.
    for DamagedImage { artifact, damage, .. } in damaged {
        // Skips unreadable files, which may be whole.
        if !matches!(damage, Damage::Unreadable(_)) {
            images.quarantine(&artifact.file_name)?;
        }
    }
    let n_to_do = session.run.reopen(time.began(), &jobs)?;
    let counts = session.run.counts()?;
    let limits = session.settle_account(n_to_do, limits)?;
    // A repair submits nothing, so it costs nothing.
    let start = SessionStart {
        n_to_do,
        n_doubtful: 0,
        counts,
        price: None,
        is_other_account: !limits.is_same_account,
        changed_fields: session.settle_description()?,
    };
    let mut reporters = make_reporters(&start);
    let retries_max = limits.retries_max.min(REPAIR_RETRIES_MAX);
    let limits = Limits { is_submitting: false, resubmits_max: u32::MAX, retries_max, ..limits };
    let (style, scope) = (style::known(&*session.run)?, JobScope::Selected);
    let work = Work { n_to_do, counts, limits, image_limits, style, scope, formula_guard: None };
    session.drive(work, &mut reporters, progress, stops).await
}
