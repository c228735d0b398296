//! Download queue of one host: jobs whose links expire soonest come first, then all others in order of arrival.

use std::collections::BTreeMap;

use crate::model::job::JobId;
use crate::model::time::Moment;

/// Minimum backlog of jobs, with ended tasks and images still to fetch, at which submissions stop. It keeps every download busy while the
/// next tasks run.
pub(super) const BACKLOG_MIN: usize = 1000;

/// Position of a job in the queues of all hosts; the smallest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DownloadOrder {
    has_no_expiry: bool,
    expires_at: Option<Moment>,
    n_before: u64,
}

/// Queue of jobs whose images can be downloaded.
#[derive(Debug, Default)]
pub(super) struct DownloadQueue {
    jobs: BTreeMap<DownloadOrder, JobId>,
}

impl DownloadQueue {
    /// Adds a job whose links expire at this moment; `None` if they do not say. `n_before` is the number of jobs that were added earlier, to
    /// any host.
    ///
    /// A link that seems expired on arrival counts as a link without expiry. The local clock may be wrong, and a useless request costs less
    /// than a task that counts as lost.
    pub(super) fn push(&mut self, now: Moment, job: JobId, expires_at: Option<Moment>, n_before: u64) {
        let expires_at = expires_at.filter(|moment| *moment > now);
        self.jobs.insert(DownloadOrder { has_no_expiry: expires_at.is_none(), expires_at, n_before }, job);
    }

    /// Takes the next job to download: the first that `is_preferred`, or else the first.
    pub(super) fn pop(&mut self, is_preferred: impl Fn(JobId) -> bool) -> Option<JobId> {
        let preferred = self.jobs.iter().find(|(_, job)| is_preferred(**job)).map(|(order, _)| *order);
        self.jobs.remove(&preferred.or_else(|| self.next())?)
    }

    /// Returns the position of the next job to download.
    pub(super) fn next(&self) -> Option<DownloadOrder> {
        self.jobs.first_key_value().map(|(order, _)| *order)
    }

    /// Takes a job whose links expired while it waited. The job needs fresh links.
    pub(super) fn pop_expired(&mut self, now: Moment) -> Option<JobId> {
        let soonest = self.jobs.first_entry()?;
        soonest.key().expires_at.is_some_and(|moment| moment <= now).then(|| soonest.remove())
    }

    /// Returns the number of waiting jobs.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Returns whether no job waits.
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}
