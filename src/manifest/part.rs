//! Part of a manifest: decides which jobs are in it, by their places among all jobs.

use crate::model::job::JobSpec;
use crate::model::partition::Partition;

/// Jobs so far, and the part that is read; `None` for the whole manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartFilter {
    partition: Option<Partition>,
    /// Jobs so far, with those that are left out.
    n_jobs: u64,
}

impl PartFilter {
    pub(super) const fn new(partition: Option<Partition>) -> Self {
        Self { partition, n_jobs: 0 }
    }

    /// Counts the next job, and returns whether it is in the part.
    pub(super) fn takes(&mut self, draft: &JobSpec) -> bool {
        self.n_jobs += 1;
        self.partition.is_none_or(|part| part.has(self.n_jobs, &draft.request.content()))
    }
}
