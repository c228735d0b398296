//! Source of the jobs of a run: a manifest, or jobs that the program made.

use std::path::Path;

use crate::manifest::source::Source;
use crate::manifest::{self, Manifest};
use crate::model::partition::Partition;
use crate::model::progress::Progress;
use crate::plan;
use crate::plan::checked_jobs::CheckedJobs;
use crate::plan::job_list::{CheckedJobList, JobList};
use crate::run::error::RunError;

/// Source of the jobs of a run.
#[expect(clippy::large_enum_variant, reason = "a run has one")]
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum JobSource {
    /// Manifest, and how to read it.
    Manifest(Source),
    /// Jobs that the program made.
    Jobs(JobList),
}

impl From<Source> for JobSource {
    fn from(source: Source) -> Self {
        Self::Manifest(source)
    }
}

impl From<JobList> for JobSource {
    fn from(jobs: JobList) -> Self {
        Self::Jobs(jobs)
    }
}

/// Jobs of a source that passed all checks.
pub(super) enum OpenedJobs {
    /// Jobs of a manifest.
    Manifest(Box<Manifest>),
    /// Jobs that the program made.
    Jobs(CheckedJobList),
}

impl JobSource {
    /// Returns the fingerprint by which a ledger knows exactly these jobs, before any of them is checked. `None` if only a check
    /// finds it out.
    pub(super) fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Manifest(source) => plan::fingerprint_of(source),
            Self::Jobs(_) => None,
        }
    }

    /// Returns the part of the manifest that is to be run; `None` for the whole.
    pub(super) const fn partition(&self) -> Option<Partition> {
        match self {
            Self::Manifest(source) => source.partition,
            Self::Jobs(_) => None,
        }
    }

    /// Returns the path of the manifest; `None` for jobs that the program made.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Manifest(source) => Some(&source.path),
            Self::Jobs(_) => None,
        }
    }

    /// Reads the manifest, and checks all jobs.
    pub(super) fn open(&self, progress: &mut dyn Progress) -> Result<OpenedJobs, RunError> {
        Ok(match self {
            Self::Manifest(source) => OpenedJobs::Manifest(manifest::open_watched(source.clone(), progress)?.into()),
            Self::Jobs(jobs) => OpenedJobs::Jobs(jobs.check()?),
        })
    }
}

impl OpenedJobs {
    pub(super) fn jobs(&self) -> &dyn CheckedJobs {
        match self {
            Self::Manifest(manifest) => &**manifest,
            Self::Jobs(jobs) => jobs,
        }
    }

    pub(super) fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Manifest(manifest) => Some(manifest),
            Self::Jobs(_) => None,
        }
    }
}
