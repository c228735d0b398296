//! Where an image comes from: all that its name and its caption may tell.

use std::sync::Arc;

use crate::model::job::Job;
use crate::model::outcome::TaskId;
use crate::model::phase::JobState;
use crate::model::time::Timestamp;

/// The job, the task and the time of an image. It is the same whenever the image is fetched, so that its name is too.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Whose image it is.
    pub job: Arc<Job>,
    /// The task that made it.
    pub task: Option<TaskId>,
    /// When that was submitted.
    pub submitted_at: Option<Timestamp>,
}

impl Origin {
    /// What a job's record tells.
    pub fn new(job: &Arc<Job>, state: &JobState) -> Self {
        Self { job: Arc::clone(job), task: state.task.clone(), submitted_at: state.submitted_at }
    }

    /// A job of which nothing more is known.
    pub fn of_job(job: impl Into<Arc<Job>>) -> Self {
        Self { job: job.into(), task: None, submitted_at: None }
    }
}
