//! Choice of the store for the images of a run: the only place that names the stores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::images::error::StoreError;
use crate::images::local::LocalStore;
use crate::images::local::saved::LocalImages;
#[cfg(feature = "cloud")]
use crate::images::object::{ObjectStoreImages, files::ObjectFiles, saved::ObjectImages};
use crate::images::validate::verdict::CheckLimits;
use crate::images::{ImageStore, SavedImages, StoredFiles};
use crate::model::output_options::PostProcessing;
use crate::model::storage_url::StorageUrl;

/// Opens the store of the run in the folder `out`, for one process at a time: the process that holds the ledger. The images are at `place`,
/// or in the folder if that is `None`. A worker of a shared run names the folder of its incomplete images. `patience` is the longest outage of a place that a save waits for.
pub(crate) fn open(
    out: &Path,
    place: Option<&StorageUrl>,
    partials: Option<&str>,
    patience: Duration,
    limits: CheckLimits,
    processing: PostProcessing,
) -> Result<Arc<dyn ImageStore>, StoreError> {
    match place {
        None if let Some(partials) = partials => {
            Ok(Arc::new(LocalStore::open_beside(out, partials, limits, processing)?))
        }
        None => Ok(Arc::new(LocalStore::open_with(out, limits, processing)?)),
        #[cfg(feature = "cloud")]
        Some(url) => Ok(Arc::new(ObjectStoreImages::open(out, url, patience, limits, processing)?)),
        #[cfg(not(feature = "cloud"))]
        Some(url) => {
            let _ = patience;
            Err(StoreError::NoCloud { url: url.to_string() })
        }
    }
}

/// Returns the saved images of the run in the folder `out`, for any number of processes. The images are at `place`, or in the folder if
/// that is `None`.
pub(crate) fn saved(out: &Path, place: Option<&StorageUrl>) -> Result<Box<dyn SavedImages>, StoreError> {
    match place {
        None => Ok(Box::new(LocalImages::new(out))),
        #[cfg(feature = "cloud")]
        Some(url) => Ok(Box::new(ObjectImages::open(url)?)),
        #[cfg(not(feature = "cloud"))]
        Some(url) => Err(StoreError::NoCloud { url: url.to_string() }),
    }
}

/// Returns the files below an address in object storage. `images` is the place of the run's images, if that is in object storage too.
pub(crate) fn files(url: &StorageUrl, images: Option<&StorageUrl>) -> Result<Box<dyn StoredFiles>, StoreError> {
    #[cfg(feature = "cloud")]
    return Ok(Box::new(ObjectFiles::open(url, images)?));
    #[cfg(not(feature = "cloud"))]
    {
        let _ = images;
        Err(StoreError::NoCloud { url: url.to_string() })
    }
}
