//! Join of a manifest, or of jobs made by a program, with a ledger: determines which jobs are new, known or removed.

pub mod checked_jobs;
pub mod estimate;
pub mod job_list;
pub mod replacement;

use std::iter;
use std::path::Path;

use crate::manifest;
use crate::manifest::error::ManifestError;
use crate::manifest::source::Source;
use crate::model::choice::{ChoiceError, Chooser, Chosen, JobChoice, JobView};
use crate::model::cost::Cost;
use crate::model::counts::StatusCounts;
use crate::model::job::JobSpec;
use crate::model::phase::JobRecord;
use crate::model::picture::SourcePicture;
use crate::model::price::Price;
use crate::model::progress::{Meter, Operation, Progress};
use crate::plan::checked_jobs::CheckedJobs;
use crate::plan::estimate::Measurements;
use crate::plan::replacement::{Replacement, recorded_path};
use crate::store::diff::{DiffEntry, ManifestDiff};
use crate::store::error::LedgerError;
use crate::store::import::{Imported, ManifestFacts};
use crate::store::settings::{ReadSettings, WriteSettings, preferred};
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, RunWriter, stores};

/// Reason why a manifest could not be joined with a ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Manifest that is invalid, or that changed while it was read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Ledger that did not accept the manifest.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Manifest that replaces most jobs of the run in the folder.
    #[error(transparent)]
    Replacement(#[from] Replacement),
    /// Choice of jobs that no job meets.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
}

/// Plan of a run: the effect that a run of a manifest would have.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Differences between the manifest and the jobs in the output folder.
    pub diff: ManifestDiff,
    /// Reason why `run` would refuse the manifest in that folder; `None` if it would not.
    pub refusal: Option<Replacement>,
    /// Provider of the tasks of the run in that folder; `None` if no run has begun.
    pub provider: Option<String>,
    /// Providers that rows name and that a run has found, with their addresses.
    pub row_providers: Vec<String>,
    /// Task durations and image sizes measured in the run so far.
    pub experience: Measurements,
    /// Jobs that the user chose, by status as at the start of the run; `None` for all.
    pub chosen: Option<Chosen>,
}

impl Plan {
    /// Counts the jobs that would certainly be submitted. Jobs in doubt may be added to them.
    pub const fn n_to_submit(&self) -> u64 {
        self.diff.n_new + self.diff.n_changed + self.diff.standing.n_pending
    }

    /// Counts all jobs of the manifest by status, as at the start of the run.
    pub const fn counts(&self) -> StatusCounts {
        StatusCounts { n_pending: self.n_to_submit(), ..self.diff.standing }
    }

    /// Counts the jobs that a run would work on, and those of them that have ended: the chosen ones, or all.
    pub const fn work(&self) -> StatusCounts {
        match &self.chosen {
            Some(chosen) => chosen.counts,
            None => self.counts(),
        }
    }
}

/// Returns the fingerprint of a manifest as a ledger keeps it, before any of the manifest is checked. A ledger with this
/// fingerprint has imported exactly this manifest. `None` if the file cannot be read; [`manifest::open`] reports the reason.
pub fn fingerprint_of(source: &Source) -> Option<String> {
    manifest::fingerprint(source).ok().map(hex)
}

/// Imports the jobs into the ledger of the folder `out`, all or none. Returns `None` if the ledger already has exactly these
/// jobs. In that case no row of a manifest is read. Most jobs of a run that has begun may leave it only if `may_replace`.
pub fn import(
    manifest: &dyn CheckedJobs,
    out: &Path,
    run: &mut dyn RunWriter,
    may_replace: bool,
    progress: &mut dyn Progress,
) -> Result<Option<Imported>, PlanError> {
    settle_pictures(manifest, run)?;
    let fingerprint = fingerprint(manifest);
    if run.manifest_fingerprint()?.as_deref() == Some(&fingerprint) {
        return Ok(None);
    }
    let before = run.manifest_path()?;
    let part = manifest.partition().map(|(partition, whole)| (partition, hex(whole)));
    let facts = ManifestFacts {
        part: part.as_ref().map(|(partition, whole)| (*partition, &**whole)),
        fingerprint: &fingerprint,
        columns: manifest.columns(),
        path: &recorded_path(manifest.path()),
        price: manifest.price(),
        shuffle: manifest.shuffle(),
    };
    // A run that has sent nothing loses nothing.
    let may_replace = may_replace || run.origin()?.is_empty();
    let accept = |imported: &Imported| {
        if may_replace {
            return Ok(());
        }
        Ok(Replacement::check(imported.into(), before.as_deref(), manifest.path(), out)?)
    };
    let mut meter = Meter::begin(progress, Operation::Import, Some(manifest.n_jobs()));
    run.import_if(&facts, specs(manifest, &mut meter)?, accept).map(Some)
}

/// Records the pictures of a manifest before its jobs, so that no job is without its picture. One that has changed is an error.
fn settle_pictures(manifest: &dyn CheckedJobs, run: &mut dyn RunWriter) -> Result<(), PlanError> {
    let Some(pictures) = manifest.pictures().filter(|pictures| !pictures.is_empty()) else { return Ok(()) };
    check_pictures(manifest, run)?;
    let before = run.pictures()?;
    let mut known = before.clone();
    known.extend(pictures.clone());
    if known != before {
        run.set_pictures(&known)?;
    }
    Ok(())
}

/// Checks that no picture is another one than that of a run that has begun: its images were made from the old one.
fn check_pictures<R: RunReader + ?Sized>(manifest: &dyn CheckedJobs, run: &R) -> Result<(), PlanError> {
    let Some(pictures) = manifest.pictures().filter(|pictures| !pictures.is_empty()) else { return Ok(()) };
    let known = run.pictures()?;
    let is_other = |(name, picture): &(&String, &SourcePicture)| {
        known.get(*name).is_some_and(|known| known.sha256 != picture.sha256)
    };
    match pictures.iter().find(is_other) {
        Some((name, _)) if !run.origin()?.is_empty() => {
            let path = manifest.path().unwrap_or(Path::new("-")).to_owned();
            Err(ManifestError::PictureChanged { path, picture: name.clone() }.into())
        }
        Some(_) | None => Ok(()),
    }
}

/// Predicts what a run of the chosen jobs of the manifest into the folder `out` would do. Lists the first `shown_max` jobs of
/// each kind. Sends nothing and writes nothing, also during a live run.
pub fn plan(
    manifest: &dyn CheckedJobs,
    out: &Path,
    choice: &JobChoice,
    shown_max: usize,
    progress: &mut dyn Progress,
) -> Result<Plan, PlanError> {
    let resolved = choice.among(manifest.columns())?;
    let chosen = |chooser: &Chooser| (!choice.is_all()).then(|| chooser.chosen()).transpose();
    let compared = stores::read_snapshot(out, |run| {
        check_pictures(manifest, run)?;
        let mut chooser = resolved.clone();
        let diff = compare(manifest, run, shown_max, &mut chooser, progress)?;
        let chosen = chosen(&chooser)?;
        let before = run.manifest_path()?;
        let refused = Replacement::check((&diff).into(), before.as_deref(), manifest.path(), out).err();
        let has_begun = !run.origin()?.is_empty();
        let refusal = refused.filter(|_| has_begun);
        let row_providers = run.row_identities()?.into_values().collect();
        Ok(Plan { diff, refusal, provider: Some(run.provider()?), row_providers, experience: experience(run)?, chosen })
    });
    match compared {
        Err(PlanError::Ledger(LedgerError::Missing { .. })) => {
            let diff = all_new(manifest, shown_max)?;
            let chosen = if choice.is_all() { None } else { Some(count(manifest, choice)?) };
            let (row_providers, experience) = (vec![], Measurements::default());
            Ok(Plan { diff, refusal: None, provider: None, row_providers, experience, chosen })
        }
        Ok(_)
        | Err(PlanError::Ledger(_) | PlanError::Manifest(_) | PlanError::Replacement(_) | PlanError::Choice(_)) => {
            compared
        }
    }
}

/// Returns the chosen jobs of a manifest, all as pending. An error says why there are none.
pub fn count(manifest: &dyn CheckedJobs, choice: &JobChoice) -> Result<Chosen, PlanError> {
    let mut chooser = choice.among(manifest.columns())?;
    let pending = StatusCounts { n_pending: 1, ..StatusCounts::default() };
    for (index, spec) in (1..).zip(manifest.specs()?) {
        let spec = spec?;
        if !spec.row.is_skipped {
            chooser.see(JobView::of_row(&spec, index, None), pending);
        }
    }
    Ok(chooser.chosen()?)
}

/// Returns the price that a run of the manifest into the folder `out` would use. Also returns the cost of the run so far at
/// that price. The argument `told` overrides the price, and `listed` is the last resort. `None` means unknown. Reads every event, and writes nothing.
pub fn paid(
    manifest: &dyn CheckedJobs,
    out: &Path,
    told: Option<&Price>,
    listed: Option<&Price>,
) -> Result<(Option<Price>, Option<Cost>), LedgerError> {
    let told = told.or(manifest.price()).cloned();
    let read = |run: &dyn RunReader| {
        let used = || Ok::<_, LedgerError>(preferred(run.price_used()?, listed.cloned()));
        let price = told.clone().map_or_else(used, |price| Ok(Some(price)))?;
        let cost = price.as_ref().map(|price| run.total_cost(price)).transpose()?.flatten();
        Ok((price, cost))
    };
    match stores::read_snapshot(out, read) {
        Err(LedgerError::Missing { .. }) => {
            let price = told.or_else(|| listed.cloned());
            let cost = price.as_ref().map(|_| Cost::default());
            Ok((price, cost))
        }
        paid => paid,
    }
}

fn experience(run: &dyn RunReader) -> Result<Measurements, LedgerError> {
    let mut took: Vec<_> = run.history()?.tasks.into_iter().map(|task| task.took).collect();
    took.sort_unstable();
    Ok(Measurements { latency: took.get(took.len() / 2).copied(), image_bytes: run.image_bytes_mean()? })
}

/// Computes the differences that [`import`] would make, and shows every job to `chooser`.
fn compare(
    manifest: &dyn CheckedJobs,
    run: &dyn RunReader,
    shown_max: usize,
    chooser: &mut Chooser,
    progress: &mut dyn Progress,
) -> Result<ManifestDiff, PlanError> {
    if run.manifest_fingerprint()?.as_deref() == Some(&fingerprint(manifest)) {
        run.for_each_job(JobSet::InManifest, |JobRecord { job, state }| {
            chooser.see(JobView::from(&*job), StatusCounts::of(&state));
            Ok::<_, LedgerError>(())
        })?;
        return Ok(ManifestDiff { n_kept: run.counts()?.n_jobs(), standing: run.counts()?, ..ManifestDiff::default() });
    }
    let mut meter = Meter::begin(progress, Operation::Compare, Some(manifest.n_jobs()));
    run.diff(specs(manifest, &mut meter)?, shown_max, |spec, index, id, status| {
        chooser.see(JobView::of_row(spec, index, Some(id)), status);
    })
}

/// Yields the jobs, each as one step of progress. After the last one the ledger still has work, which takes long for many jobs.
fn specs(
    manifest: &dyn CheckedJobs,
    meter: &mut Meter<'_>,
) -> Result<impl Iterator<Item = Result<JobSpec, PlanError>>, PlanError> {
    let mut specs = manifest.specs()?;
    Ok(iter::from_fn(move || {
        let spec = specs.next();
        if spec.is_some() {
            meter.step();
        } else {
            meter.turn_to(Operation::Sort);
        }
        spec.map(|spec| spec.map_err(PlanError::from))
    }))
}

fn all_new(manifest: &dyn CheckedJobs, shown_max: usize) -> Result<ManifestDiff, PlanError> {
    let is_in = |spec: &Result<JobSpec, _>| spec.as_ref().map_or(true, |spec| !spec.row.is_skipped);
    let specs = (1..).zip(manifest.specs()?).filter(|(_, spec)| is_in(spec)).take(shown_max);
    let first = specs.map(|(index, spec)| Ok(DiffEntry::new(index, spec?)));
    Ok(ManifestDiff {
        n_new: manifest.n_jobs(),
        new: first.collect::<Result<_, ManifestError>>()?,
        ..ManifestDiff::default()
    })
}

fn fingerprint(manifest: &dyn CheckedJobs) -> String {
    hex(manifest.fingerprint())
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
