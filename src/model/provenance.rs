//! Provenance of an image: the data that its name and its caption may contain.

use std::sync::Arc;

use crate::model::job::Job;
use crate::model::outcome::{Artifact, TaskId};
use crate::model::phase::JobState;
use crate::model::time::Timestamp;

/// Job, task and time of an image. They are the same whenever the image is fetched, and therefore so is its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// Job to which the image belongs.
    pub job: Arc<Job>,
    /// Task that made the image; `None` if it is unknown.
    pub task: Option<TaskId>,
    /// Time of the task's submission; `None` if it is unknown.
    pub submitted_at: Option<Timestamp>,
    /// Images of the task that were saved before, when others of it could not be fetched.
    pub kept: Vec<Artifact>,
}

impl Provenance {
    /// Creates the provenance from a job's record.
    pub fn new(job: &Arc<Job>, state: &JobState) -> Self {
        let (task, submitted_at, kept) = (state.task.clone(), state.submitted_at, state.kept.clone());
        Self { job: Arc::clone(job), task, submitted_at, kept }
    }

    /// Creates the provenance of a job of which nothing more is known.
    pub fn of_job(job: impl Into<Arc<Job>>) -> Self {
        Self { job: job.into(), task: None, submitted_at: None, kept: Vec::new() }
    }
}
