//! Submissions whose answer is lost, with the times of the questions about them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::job::JobId;
use crate::model::outcome::Fault;
use crate::model::time::Moment;

/// Submissions whose answer is lost, and that are not settled.
#[derive(Debug, Default)]
pub(super) struct LostSubmissions {
    jobs: BTreeMap<JobId, Lost>,
    /// Questions to ask, with their moments.
    due: BTreeSet<(Moment, JobId)>,
}

/// Submission whose answer is lost.
#[derive(Debug)]
pub(super) struct Lost {
    /// Doubt, if the provider cannot tell.
    pub(super) fault: Fault,
    /// Says whether this process sent the submission, and has its price reserved.
    pub(super) is_own: bool,
    /// Questions without an answer.
    pub(super) n_tries: u32,
    /// Moment of the first question without an answer; `None` before it.
    pub(super) unanswered_since: Option<Moment>,
}

impl Lost {
    /// Creates a submission about which nothing was asked.
    pub(super) const fn new(fault: Fault, is_own: bool) -> Self {
        Self { fault, is_own, n_tries: 0, unanswered_since: None }
    }
}

impl LostSubmissions {
    /// Adds a submission, about which a question is asked at this moment.
    pub(super) fn push(&mut self, at: Moment, job: JobId, lost: Lost) {
        self.jobs.insert(job, lost);
        self.due.insert((at, job));
    }

    /// Takes a submission whose question is due; it stays until it is [removed](Self::remove). `None` if none is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<JobId> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.pop_first().map(|(_, id)| id)
    }

    /// Returns the moment of the next question; `None` if there is none.
    pub(super) fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Removes a submission to which an answer came; `None` if it is not awaited any more.
    pub(super) fn remove(&mut self, job: JobId) -> Option<Lost> {
        self.jobs.remove(&job)
    }

    /// Removes a job that has left memory.
    pub(super) fn forget(&mut self, job: JobId) {
        if self.jobs.remove(&job).is_some() {
            self.due.retain(|(_, due)| *due != job);
        }
    }
}
