//! Interface of checked jobs on their way into a ledger, wherever they come from.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifest::Manifest;
use crate::manifest::error::ManifestError;
use crate::model::job::JobSpec;
use crate::model::partition::Partition;
use crate::model::picture::SourcePicture;
use crate::model::price::Price;

/// Jobs in their order. The error is that of a manifest that changed since it was checked.
pub type JobSpecs = Box<dyn Iterator<Item = Result<JobSpec, ManifestError>>>;

/// Jobs that passed all checks: those of a manifest, or those that a program made.
pub trait CheckedJobs {
    /// Returns a hash of all that determines the jobs. A ledger with this fingerprint has imported exactly these jobs.
    fn fingerprint(&self) -> [u8; 32];

    /// Returns the path of the manifest; `None` for jobs that a program made.
    fn path(&self) -> Option<&Path> {
        None
    }

    /// Returns the part of a manifest that these jobs are, and the fingerprint of the whole; `None` for a whole.
    fn partition(&self) -> Option<(Partition, [u8; 32])> {
        None
    }

    /// Returns the number of jobs.
    fn n_jobs(&self) -> u64;

    /// Returns the passthrough columns, in the order of their first use.
    fn columns(&self) -> &[String];

    /// Returns the price of an image that the jobs came with; `None` if they came with none.
    fn price(&self) -> Option<&Price>;

    /// Returns the seed of the shuffled work order; `None` for the order of the jobs.
    fn shuffle(&self) -> Option<u64>;

    /// Returns the pictures on this disk that requests name as their source images, by their names.
    fn pictures(&self) -> Option<&BTreeMap<String, SourcePicture>> {
        None
    }

    /// Yields the jobs.
    fn specs(&self) -> Result<JobSpecs, ManifestError>;
}

impl CheckedJobs for Manifest {
    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint()
    }

    fn path(&self) -> Option<&Path> {
        Some(self.path())
    }

    fn partition(&self) -> Option<(Partition, [u8; 32])> {
        self.partition()
    }

    fn n_jobs(&self) -> u64 {
        self.n_jobs()
    }

    fn columns(&self) -> &[String] {
        self.columns()
    }

    fn price(&self) -> Option<&Price> {
        self.price()
    }

    fn shuffle(&self) -> Option<u64> {
        self.shuffle()
    }

    fn pictures(&self) -> Option<&BTreeMap<String, SourcePicture>> {
        Some(self.pictures())
    }

    fn specs(&self) -> Result<JobSpecs, ManifestError> {
        Ok(Box::new(self.drafts()?))
    }
}
