//! Testimonies that this process has left lately, to leave them again: the server may forget them, as it may forget other writes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::outcome::TaskId;
use crate::model::time::Moment;
use crate::store::shared::backend::{BackendResult, SharedBackend, Testimony};
use crate::store::shared::link::Link;

/// Times at which testimonies were left last, by row, number of the submission, and task.
type LeftAt = BTreeMap<(i64, u32, TaskId), Moment>;

/// Testimonies of the last minute, of all sessions of one process. A process that was shut out joins again as another worker, which knows
/// nothing else of the one before. As many are kept as a worker keeps writes.
#[derive(Debug, Default)]
pub struct RecentTestimonies(Mutex<LeftAt>);

impl RecentTestimonies {
    fn left_at(&self) -> MutexGuard<'_, LeftAt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps testimonies for a minute from now on, by row.
    pub(super) fn keep(&self, now: Moment, testimonies: impl IntoIterator<Item = (i64, Testimony)>) {
        let mut left_at = self.left_at();
        for (row, Testimony { n_submits, task }) in testimonies {
            left_at.insert((row, n_submits, task), now);
        }
    }

    /// Leaves the testimonies that are not old at the server, which usually has them already.
    pub(super) async fn leave_again<B: SharedBackend + ?Sized>(&self, link: &Link<B>) -> BackendResult<()> {
        let recent: Vec<(i64, Testimony)> = {
            let (now, mut left_at) = (link.now(), self.left_at());
            left_at.retain(|_, at| now - *at <= link.options.kept_for);
            let testimony = |(row, n_submits, task): &(i64, u32, TaskId)| {
                (*row, Testimony { n_submits: *n_submits, task: task.clone() })
            };
            left_at.keys().map(testimony).collect()
        };
        if recent.is_empty() { Ok(()) } else { link.backend.testify(link.worker, &recent).await }
    }
}
