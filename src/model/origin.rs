//! Where an image comes from: all that its name and its caption may tell.

use std::sync::Arc;

use crate::model::job::Job;
use crate::model::outcome::{Artifact, TaskId};
use crate::model::phase::JobState;
use crate::model::time::Timestamp;

/// The job, the task and the time of an image. They are the same whenever the image is fetched, so that its name is too.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Whose image it is.
    pub job: Arc<Job>,
    /// The task that made it.
    pub task: Option<TaskId>,
    /// When that was submitted.
    pub submitted_at: Option<Timestamp>,
    /// Images of the task that were saved before, when others of it could not be had.
    pub kept: Vec<Artifact>,
}

impl Origin {
    /// What a job's record tells.
    pub fn new(job: &Arc<Job>, state: &JobState) -> Self {
        let (task, submitted_at, kept) = (state.task.clone(), state.submitted_at, state.kept.clone());
        Self { job: Arc::clone(job), task, submitted_at, kept }
    }

    /// A job of which nothing more is known.
    pub fn of_job(job: impl Into<Arc<Job>>) -> Self {
        Self { job: job.into(), task: None, submitted_at: None, kept: Vec::new() }
    }
}
