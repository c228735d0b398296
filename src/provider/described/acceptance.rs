//! Acceptance of a submission that became a task, from its answer alone.

use crate::description::format::Description;
use crate::model::outcome::{Acceptance, Fault};
use crate::provider::described::answered::accepted;
use crate::provider::described::submitted::{SubmittedAs, submitted};
use crate::provider::http::api_response::ApiResponse;

/// Returns the task that a submission for this model created, and the response's information about the next submission.
pub(crate) fn acceptance(
    api: &Description,
    answer: &ApiResponse,
    submission_id: &str,
    model: &str,
) -> Result<Acceptance, Fault> {
    match submitted(api, answer, submission_id, model)?.what {
        SubmittedAs::Task(task) => Ok(accepted(api, answer, task, model)),
        SubmittedAs::Images(_) | SubmittedAs::Failed(_) => Err(Fault::unanswered()),
    }
}
