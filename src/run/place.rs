//! Place of a run's images: determined before its first submission, and kept by all later sessions.

use std::path::Path;

use crate::images::{SavedImages, adapters};
use crate::model::storage_url::StorageUrl;
use crate::run::error::RunError;
use crate::store::error::LedgerError;
use crate::store::settings::{ReadSettings, WriteSettings};
use crate::store::typed::Typed;
use crate::store::{JobSet, RunReader, RunWriter};

/// Determines the place of the images from the user's wish and the place so far. Once a job has begun, the place stays.
pub(super) fn check(
    out: &Path,
    run: &dyn RunReader,
    wanted: Option<&StorageUrl>,
) -> Result<Option<StorageUrl>, RunError> {
    let before = run.images()?;
    let Some(wanted) = wanted.filter(|wanted| before.as_ref() != Some(*wanted)) else { return Ok(before) };
    if has_begun(run)? {
        let was = before.map_or_else(|| out.display().to_string(), |place| place.to_string());
        return Err(RunError::OtherImages { out: out.to_owned(), was, wanted: wanted.to_string() });
    }
    Ok(Some(wanted.clone()))
}

/// Stores the place for later sessions, once it has been tried out: a mistake in the address does not stay.
pub(super) fn settle(run: &mut dyn RunWriter, place: Option<&StorageUrl>) -> Result<(), LedgerError> {
    if run.images()?.as_ref() == place { Ok(()) } else { run.set_images(place) }
}

/// Returns whether any job may have images.
fn has_begun(run: &dyn RunReader) -> Result<bool, LedgerError> {
    let counts = run.counts()?;
    let mut has_begun = counts.n_pending != counts.n_jobs();
    for jobs in [JobSet::InManifest, JobSet::Dropped] {
        if !has_begun {
            run.for_each_job(jobs, |record| {
                has_begun |= record.state.n_submits > 0;
                Ok::<_, LedgerError>(())
            })?;
        }
    }
    Ok(has_begun)
}

/// Returns the saved images of a run, wherever they are.
pub(super) fn saved<E: From<LedgerError> + From<crate::images::error::StoreError>>(
    out: &Path,
    run: &dyn RunReader,
) -> Result<Box<dyn SavedImages>, E> {
    Ok(adapters::saved(out, run.images()?.as_ref())?)
}
