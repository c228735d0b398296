//! What the commands on shared runs have in common: the address of the images, and the request to work on a run.

use std::path::PathBuf;

use crate::cli::exit::Exit;
use crate::cli::flags::ShowArgs;
use crate::cli::output::fail;
use crate::images::validate::verdict::CheckLimits;
use crate::model::limits::Limits;
use crate::model::storage_url::{StorageUrl, StorageUrlError};
use crate::run::credentials::Credentials;

/// Address of the images that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("could not use the address of --images: {0}")]
struct ImagesError(StorageUrlError);

/// Reads the address of the images. The text is not repeated, because it may contain a key.
pub(crate) fn images_at(text: Option<&str>) -> Result<Option<StorageUrl>, Exit> {
    text.map(str::parse::<StorageUrl>).transpose().map_err(|error| fail(Exit::Usage, &ImagesError(error)))
}

/// Request to work on a shared run.
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "a build without shared runs refuses it"))]
pub(crate) struct WorkRequest<'a> {
    /// Address of the run.
    pub(crate) ledger: &'a str,
    /// Folder of the images; `None` for object storage.
    pub(crate) out: Option<PathBuf>,
    /// Address of the images in object storage; `None` for the place of the run so far.
    pub(crate) images: Option<StorageUrl>,
    /// Access to the provider.
    pub(crate) access: Credentials,
    /// Limits of this worker.
    pub(crate) limits: Limits,
    /// Largest image that is accepted.
    pub(crate) image_limits: CheckLimits,
    /// What is shown.
    pub(crate) show: &'a ShowArgs,
}
