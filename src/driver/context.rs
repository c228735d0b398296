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
    /// Provider that makes the images, unless the row of a job names another one.
    pub provider: Arc<dyn Provider>,
    /// Further providers, in the order of their engines.
    pub others: Arc<[Arc<dyn Provider>]>,
    /// Store that keeps the images.
    pub store: Arc<dyn ImageStore>,
    /// Pictures on this disk that requests name.
    pub pictures: Arc<PictureFiles>,
    /// Template of the image names in the store.
    pub naming: Arc<NameTemplate>,
}

impl DriverContext {
    /// Returns the services for the jobs of one engine of the fleet.
    pub(super) fn of(&self, member: usize) -> Self {
        match member.checked_sub(1).and_then(|i| self.others.get(i)) {
            Some(provider) => Self { provider: Arc::clone(provider), ..self.clone() },
            None => self.clone(),
        }
    }
}

impl std::fmt::Debug for DriverContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DriverContext")
    }
}
