//! Manifest and ledger joined: who is new, who is known already, who has gone.

pub mod estimate;

use std::iter;
use std::path::Path;

use crate::ledger::error::LedgerError;
use crate::ledger::sqlite::{Diff, Imported, RunFile, Shown};
use crate::manifest::{self, Manifest, ManifestError, Source};
use crate::model::cost::Cost;
use crate::model::counts::Counts;
use crate::model::job::Draft;
use crate::model::price::Price;
use crate::model::progress::{Chore, Meter, Progress};
use crate::plan::estimate::Experience;

/// Why a manifest could not be joined with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The manifest is wrong, or has changed while it was read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a run of a manifest would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How the manifest differs from what the output folder has.
    pub diff: Diff,
    /// Where the tasks of the run in that folder are. Nothing where no run has begun.
    pub provider: Option<String>,
    /// What the run so far tells of times and sizes.
    pub experience: Experience,
}

impl Plan {
    /// Jobs that would be submitted for certain: those in doubt may come on top.
    pub const fn n_to_submit(&self) -> u64 {
        self.diff.n_new + self.diff.n_changed + self.diff.standing.n_pending
    }

    /// Where all the jobs of the manifest would stand as the run begins.
    pub const fn counts(&self) -> Counts {
        Counts { n_pending: self.n_to_submit(), ..self.diff.standing }
    }
}

/// The fingerprint of a manifest as a ledger keeps it, before anything of it is checked: a ledger that has it took in this very
/// manifest. Nothing where the file cannot be read; why, [`manifest::open`] tells.
pub fn fingerprint_of(source: &Source) -> Option<String> {
    manifest::fingerprint(source).ok().map(hex)
}

/// Takes the manifest into the ledger, all or none. Returns nothing when the ledger knows this very manifest: then no row
/// of it is looked at.
pub fn import(
    manifest: &Manifest,
    file: &mut RunFile,
    progress: &mut dyn Progress,
) -> Result<Option<Imported>, PlanError> {
    let fingerprint = fingerprint(manifest);
    if file.manifest_fingerprint()?.as_deref() == Some(&fingerprint) {
        return Ok(None);
    }
    // Before the jobs: once the ledger knows this manifest, nobody asks again.
    file.shuffle(manifest.shuffle())?;
    file.set_price(manifest.price())?;
    let mut meter = Meter::begin(progress, Chore::Import, Some(manifest.n_jobs()));
    file.import(&fingerprint, manifest.columns(), drafts(manifest, &mut meter)?).map(Some)
}

/// Tells what a run of the manifest into the folder `out` would do, with the first `shown_max` jobs of each kind. Sends nothing and
/// writes nothing, also beside a live run.
pub fn plan(manifest: &Manifest, out: &Path, shown_max: usize, progress: &mut dyn Progress) -> Result<Plan, PlanError> {
    let compared = RunFile::glance(out, |file| {
        let diff = compare(manifest, file, shown_max, progress)?;
        Ok(Plan { diff, provider: Some(file.provider()?), experience: experience(file)? })
    });
    match compared {
        Err(PlanError::Ledger(LedgerError::Missing { .. })) => {
            let diff = all_new(manifest, shown_max)?;
            Ok(Plan { diff, provider: None, experience: Experience::default() })
        }
        Ok(_) | Err(PlanError::Ledger(_) | PlanError::Manifest(_)) => compared,
    }
}

/// The price by which a run of the manifest into the folder `out` would count, unless `told` is another, and what the run in that folder
/// has cost so far by that price. Looks at every event, and writes nothing.
pub fn paid(
    manifest: &Manifest,
    out: &Path,
    told: Option<&Price>,
) -> Result<(Option<Price>, Option<Cost>), LedgerError> {
    let told = told.or(manifest.price()).cloned();
    let read = |file: &RunFile| {
        let price = told.clone().map_or_else(|| file.price_used(), |price| Ok(Some(price)))?;
        let cost = price.as_ref().map(|price| file.paid(price)).transpose()?.flatten();
        Ok((price, cost))
    };
    match RunFile::glance(out, read) {
        Err(LedgerError::Missing { .. }) => {
            let cost = told.as_ref().map(|_| Cost::default());
            Ok((told, cost))
        }
        paid => paid,
    }
}

fn experience(file: &RunFile) -> Result<Experience, LedgerError> {
    let mut took: Vec<_> = file.history()?.tasks.into_iter().map(|task| task.took).collect();
    took.sort_unstable();
    Ok(Experience { latency: took.get(took.len() / 2).copied(), image_bytes: file.image_bytes_mean()? })
}

/// The same differences that [`import`] would make.
fn compare(
    manifest: &Manifest,
    file: &RunFile,
    shown_max: usize,
    progress: &mut dyn Progress,
) -> Result<Diff, PlanError> {
    if file.manifest_fingerprint()?.as_deref() == Some(&fingerprint(manifest)) {
        return Ok(Diff { n_kept: manifest.n_jobs(), standing: file.counts()?, ..Diff::default() });
    }
    let mut meter = Meter::begin(progress, Chore::Compare, Some(manifest.n_jobs()));
    file.diff(drafts(manifest, &mut meter)?, shown_max)
}

/// The manifest's rows, each of them a step. What a ledger does after the last one takes long too, if they are many.
fn drafts(
    manifest: &Manifest,
    meter: &mut Meter<'_>,
) -> Result<impl Iterator<Item = Result<Draft, PlanError>>, PlanError> {
    let mut drafts = manifest.drafts()?;
    Ok(iter::from_fn(move || {
        let draft = drafts.next();
        if draft.is_some() {
            meter.step();
        } else {
            meter.turn_to(Chore::Sort);
        }
        draft.map(|draft| draft.map_err(PlanError::from))
    }))
}

fn all_new(manifest: &Manifest, shown_max: usize) -> Result<Diff, PlanError> {
    let first = (1..).zip(manifest.drafts()?.take(shown_max)).map(|(index, draft)| Ok(Shown::new(index, draft?)));
    Ok(Diff { n_new: manifest.n_jobs(), new: first.collect::<Result<_, ManifestError>>()?, ..Diff::default() })
}

fn fingerprint(manifest: &Manifest) -> String {
    hex(manifest.fingerprint())
}

fn hex(bytes: [u8; 32]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
