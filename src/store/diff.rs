//! Differences between an edited manifest and the jobs of a ledger.

use crate::model::counts::StatusCounts;
use crate::model::job::JobSpec;
use crate::model::request::Request;

/// Differences between a manifest and the jobs of a ledger. Every row of the manifest is new, changed, kept or back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManifestDiff {
    /// Jobs that the ledger does not know and that replace no other job.
    pub n_new: u64,
    /// New jobs that replace a removed job: one with the same label, or else at the same position.
    pub n_changed: u64,
    /// Jobs that have a position in the ledger and keep one.
    pub n_kept: u64,
    /// Kept jobs whose position changes.
    pub n_moved: u64,
    /// Kept jobs whose label or carried-through columns change.
    pub n_relabelled: u64,
    /// Jobs that had been dropped and return, with all their images.
    pub n_back: u64,
    /// Jobs that lose their position without a replacement.
    pub n_dropped: u64,
    /// Jobs that lose their position because their row is to be left out, and they were neither accepted nor finished.
    pub n_skipped: u64,
    /// Kept and returning jobs, by status.
    pub standing: StatusCounts,
    /// Jobs that lose their position, by status, including those that a changed job replaces or that are left out.
    pub leaving: StatusCounts,
    /// First new jobs, by position; the other lists are sorted by position too.
    pub new: Vec<DiffEntry>,
    /// First changed jobs: the old job and the new one.
    pub changed: Vec<(DiffEntry, DiffEntry)>,
    /// First jobs that return.
    pub back: Vec<DiffEntry>,
    /// First dropped jobs, by their former position.
    pub dropped: Vec<DiffEntry>,
}

/// Job in a list of differences.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffEntry {
    /// Index in the manifest that has, or had, the job.
    pub index: u64,
    /// User's own name for the job (the manifest's `id`); `None` if there is none.
    pub label: Option<String>,
    /// Request to the provider.
    pub request: Request,
}

impl DiffEntry {
    /// Creates the entry for the draft at this index.
    pub fn new(index: u64, draft: JobSpec) -> Self {
        Self { index, label: draft.label, request: draft.request }
    }
}
