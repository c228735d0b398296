//! Services that the driver and its tasks use.

use std::sync::Arc;

use crate::driver::pictures::PictureFiles;
use crate::images::ImageStore;
use crate::model::name::template::NameTemplate;
use crate::provider::Provider;

/// Services that the driver uses.
#[derive(Clone)]
pub struct DriverContext {
    /// Number of the run, from which the ids of its submissions are computed.
    pub run: Arc<str>,
    /// Provider that makes the images.
    pub provider: Arc<dyn Provider>,
    /// Store that keeps the images.
    pub store: Arc<dyn ImageStore>,
    /// Pictures on this disk that requests name.
    pub pictures: Arc<PictureFiles>,
    /// Template of the image names in the store.
    pub naming: Arc<NameTemplate>,
}

impl std::fmt::Debug for DriverContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DriverContext")
    }
}
