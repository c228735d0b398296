//! Every image against its record; and what is missing or damaged fetched again from the task that was paid for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::driver::Stops;
use crate::driver::clock::Clock;
use crate::driver::images::check::CheckLimits;
use crate::driver::images::verify::{Damage, check, each_file, set_aside};
use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{RunFile, Wanted};
use crate::model::counts::Counts;
use crate::model::job::JobId;
use crate::model::limits::Limits;
use crate::model::outcome::{Artifact, ImageFormat, Outcome};
use crate::model::phase::{Known, Phase};
use crate::model::progress::{Chore, Meter, Progress};
use crate::model::style::Sidecar;
use crate::provider::registry::Choice;
use crate::report::Reporters;
use crate::run::consent::Consent;
use crate::run::retry::Access;
use crate::run::{Before, RunError, Scope, Summary, Work, style};

/// Files that belong to no job, as many as are named.
const STRAYS_MAX: usize = 20;

/// Setbacks that a repair survives: an image that its host no longer has is not worth more.
const REPAIR_RETRIES_MAX: u32 = 2;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Images that were looked at.
    pub n_images: u64,
    /// Those that are not what was recorded, in manifest order.
    pub damaged: Vec<Damaged>,
    /// Jobs whose images an earlier repair, or a retry, began to fetch again and has not brought home.
    pub being_fetched: Vec<JobId>,
    /// Files below `images/` that belong to no job; not counted beside a live run, which names a file before it records it.
    pub n_strays: u64,
    /// The names of the first of them.
    pub strays: Vec<String>,
}

impl Verified {
    /// How many jobs have images to be fetched.
    pub fn wanted(&self) -> usize {
        let jobs = self.damaged.iter().map(|damaged| damaged.job).chain(self.being_fetched.iter().copied());
        jobs.collect::<BTreeSet<_>>().len()
    }
}

/// An image that is not what was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Whose it is.
    pub job: JobId,
    /// The job's place in the manifest.
    pub index: u64,
    /// What was recorded of it.
    pub artifact: Artifact,
    /// What is wrong with it.
    pub damage: Damage,
}

/// Holds the whole ledger of the run in this folder against its checksums and its mark, and every image against its record. Changes
/// nothing, and works beside a live run.
pub fn verify(out: &Path, consent: Consent, progress: &mut dyn Progress) -> Result<Verified, RunError> {
    if let Some(older) = RunFile::older(out)?.filter(|_| !consent.is_older_accepted) {
        return Err(older.into());
    }
    let file = RunFile::open_for_reading(out)?;
    file.check_whole()?;
    let mut meter = Meter::begin(progress, Chore::Verify, Some(file.counts()?.n_succeeded));
    let mut verified = Verified::default();
    file.each_known(|known| {
        if look_at(out, &known, &mut verified) {
            meter.step();
        }
        Ok::<_, LedgerError>(())
    })?;
    drop(meter);
    verified.being_fetched = file.being_fetched_again()?;
    if RunFile::holder(out).is_none() {
        find_strays(out, &file, &mut verified, progress)?;
    }
    Ok(verified)
}

/// Looks at the images of a job, and says whether they are all that was wanted of it.
fn look_at(out: &Path, known: &Known, verified: &mut Verified) -> bool {
    for artifact in known.state.artifacts() {
        verified.n_images += 1;
        if let Err(damage) = check(out, artifact) {
            let (job, index, artifact) = (known.job.id, known.job.index, artifact.clone());
            verified.damaged.push(Damaged { job, index, artifact, damage });
        }
    }
    matches!(known.state.phase, Phase::Finished(Outcome::Succeeded(_)))
}

/// Looks up the name of every file.
fn find_strays(
    out: &Path,
    file: &RunFile,
    verified: &mut Verified,
    progress: &mut dyn Progress,
) -> Result<(), RunError> {
    let mut meter = Meter::begin(progress, Chore::Strays, Some(verified.n_images));
    file.gather_names()?;
    each_file(out, |name| {
        meter.step();
        if !is_recorded(file, name)? {
            verified.n_strays += 1;
            if verified.strays.len() < STRAYS_MAX {
                verified.strays.push(name.to_owned());
            }
        }
        Ok::<_, RunError>(())
    })?;
    verified.strays.sort();
    Ok(())
}

/// Whether it is an image of some job, or stands beside one.
fn is_recorded(file: &RunFile, name: &str) -> Result<bool, LedgerError> {
    let beside = [Sidecar::Txt, Sidecar::Json].into_iter().find_map(|sidecar| {
        let stem = name.strip_suffix(sidecar.extension())?;
        stem.strip_suffix('.')
    });
    let Some(stem) = beside else { return file.is_recorded(name) };
    // The job's id stands behind its name where the name was taken.
    let shared = stem.rsplit_once('-').filter(|(_, id)| id.parse::<JobId>().is_ok()).map(|(stem, _)| stem);
    for stem in [Some(stem), shared].into_iter().flatten() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            if file.is_recorded(&format!("{stem}.{}", format.extension()))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Everything that a repair needs to know.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The output folder of the run.
    pub out: PathBuf,
    /// How the provider is reached.
    pub access: Access,
    /// The limits that the engine keeps.
    pub limits: Limits,
    /// The largest image that is taken.
    pub image_limits: CheckLimits,
}

/// Fetches damaged images again from the tasks that were paid for. Nothing is submitted: a job whose task is gone becomes pending,
/// and `run` submits it again; one whose image cannot be had now stays on its way, for the next repair or run. What stood at the name
/// of a damaged image is kept in `damaged/`.
pub async fn repair(
    options: Repair,
    verified: &Verified,
    face: impl FnOnce(&Counts, bool) -> Reporters,
    progress: &mut dyn Progress,
    stops: &mut Stops,
) -> Result<Summary, RunError> {
    let Repair { out, access, limits, image_limits } = options;
    let clock = Clock::system();
    let began = clock.now();
    let mut file = access.consent.open(&out, None, began.wall())?;
    let provider = Choice::named(&file.provider()?, access.token_file.clone(), access.request_timeout)?;
    access.check(&provider)?;
    let incidents = file.incidents()?;
    // Only what is damaged still: another repair may have come first.
    let damaged: Vec<&Damaged> =
        verified.damaged.iter().filter(|damaged| check(&out, &damaged.artifact).is_err()).collect();
    let jobs = damaged.iter().map(|damaged| damaged.job).chain(verified.being_fetched.iter().copied());
    let jobs = Wanted::Jobs(jobs.collect());
    // First the names, then the record: after a crash in between, the image is missing, and is fetched again under the name that it had.
    // The other way round, what is damaged would keep that name.
    for Damaged { artifact, damage, .. } in damaged {
        // What cannot be read may be whole.
        if !matches!(damage, Damage::Unreadable(_)) {
            set_aside(&out, &artifact.file_name)?;
        }
    }
    let n_to_do = file.reopen(began.wall(), &jobs)?;
    let counts = file.counts()?;
    let is_same_account = n_to_do == 0 || access.consent.is_same_account(&file, &provider)?;
    let mut reporters = face(&counts, !is_same_account);
    let limits = Limits {
        is_submitting: false,
        is_same_account,
        resubmits_max: u32::MAX,
        retries_max: limits.retries_max.min(REPAIR_RETRIES_MAX),
        ..limits
    };
    let style = style::known(&file)?;
    let before = Before { began, n_to_do, counts, incidents };
    let work = Work { out: &out, provider, limits, image_limits, style, scope: Scope::Chosen, formula_guard: None };
    work.go_on(file, &before, &mut reporters, progress, &clock, stops).await
}
