//! Choice of the store for the images of a run: the only place that names the stores.

use std::path::Path;
use std::sync::Arc;

use crate::images::error::StoreError;
use crate::images::local::LocalStore;
use crate::images::local::saved::LocalImages;
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, SavedImages};
use crate::model::output_options::PostProcessing;

/// Opens the store of the run in the folder `out`, for one process at a time: the process that holds the ledger.
pub(crate) fn open(
    out: &Path,
    limits: CheckLimits,
    processing: PostProcessing,
) -> Result<Arc<dyn ImageStore>, StoreError> {
    Ok(Arc::new(LocalStore::open_with(out, limits, processing)?))
}

/// Returns the saved images of the run in the folder `out`, for any number of processes.
pub(crate) fn saved(out: &Path) -> Box<dyn SavedImages> {
    Box::new(LocalImages::new(out))
}
