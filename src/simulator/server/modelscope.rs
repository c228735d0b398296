//! Answers of the simulated service as ModelScope's API gives them.

use serde_json::{Value, json};

use crate::description::words::AnswerStage;
use crate::model::time::Timestamp;
use crate::simulator::check;
use crate::simulator::check::Submission;
use crate::simulator::message::{HttpRequest, Reply};
use crate::simulator::refusal::Refusal;
use crate::simulator::server::{Server, only};
use crate::simulator::task::{Task, TaskOutcome, TaskProgress};

pub(super) const SUBMIT_PATH: &str = "/v1/images/generations";
pub(super) const TASK_PATH: &str = "/v1/tasks/";

impl Server {
    /// Answers a request to the API.
    pub(super) fn modelscope_route(&mut self, now: Timestamp, request: &HttpRequest) -> Result<Reply, Refusal> {
        let path = request.path.split('?').next().unwrap_or_default();
        if path == SUBMIT_PATH {
            only("POST", request)?;
            self.submit(now, request, None)
        } else if let Some(id) = path.strip_prefix(TASK_PATH) {
            only("GET", request)?;
            self.poll(now, request, id, AnswerStage::Poll)
        } else {
            Err(Refusal::NoPath(path.to_owned()))
        }
    }

    /// Returns whether a request has a token that is accepted.
    pub(super) fn is_modelscope_token(&self, request: &HttpRequest) -> bool {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        match (&self.config.token, token) {
            (Some(right), Some(token)) => token == right,
            (None, Some(token)) => !token.is_empty(),
            (_, None) => false,
        }
    }

    /// Reads a submission.
    pub(super) fn modelscope_submission(request: &HttpRequest) -> Result<Submission, Refusal> {
        if !request.header("x-modelscope-async-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("true")) {
            return Err(Refusal::Synchronous);
        }
        check::submission(&request.body)
    }

    /// Returns the task of a poll; `None` if there is no such task, or if the header that names its type is missing.
    pub(super) fn modelscope_task(request: &HttpRequest, id: &str) -> Option<Task> {
        let is_image = request.header("x-modelscope-task-type") == Some("image_generation");
        Task::from_id(id).filter(|_| is_image)
    }

    /// Returns the acceptance of a task.
    pub(super) fn modelscope_accepted(&mut self, task: &Task, model: &str) -> Reply {
        let mut answer = json!({ "task_id": task.to_string(), "request_id": self.request_id() });
        // The real service sometimes sends this status. It means only that the task was accepted.
        if self.rng.bool() {
            answer["task_status"] = "SUCCEED".into();
        }
        self.with_quota(Reply::json(200, &answer), model)
    }

    /// Returns the answer to a poll.
    pub(super) fn modelscope_progress(&mut self, now: Timestamp, request: &HttpRequest, task: &Task) -> Reply {
        let id = task.to_string();
        match task.progress(now) {
            TaskProgress::Pending => self.running(&id, "PENDING"),
            TaskProgress::Processing => self.running(&id, "PROCESSING"),
            // Observed on the real service: a lost task is answered with empty ids.
            TaskProgress::Lost | TaskProgress::Ended(TaskOutcome::Stuck) => Reply::json(
                200,
                &json!({ "task_id": "", "request_id": "", "task_status": "PROCESSING", "outputs": {} }),
            ),
            TaskProgress::Ended(TaskOutcome::Succeeds) => {
                let link = self.link(now, request, task.picture());
                self.succeeded(task, &[link])
            }
            TaskProgress::Ended(TaskOutcome::Empty) => self.succeeded(task, &[]),
            TaskProgress::Ended(TaskOutcome::Moderated) => {
                self.failed(&id, 422, "Output data may contain inappropriate content.")
            }
            TaskProgress::Ended(TaskOutcome::Failed) => self.failed(&id, 500, "Internal error, the task has failed"),
        }
    }

    fn running(&mut self, id: &str, status: &str) -> Reply {
        let request_id = self.request_id();
        Reply::json(200, &json!({ "task_id": id, "request_id": request_id, "task_status": status, "outputs": {} }))
    }

    fn succeeded(&mut self, task: &Task, links: &[String]) -> Reply {
        let answer = json!({
            "task_id": task.to_string(),
            "request_id": self.request_id(),
            "task_status": "SUCCEED",
            "output_images": links,
            "time_taken": task.latency().as_secs_f64() * 1000.0,
        });
        Reply::json(200, &answer)
    }

    /// Returns the answer for a task that failed.
    pub(super) fn failed(&mut self, id: &str, code: u16, message: &str) -> Reply {
        let answer = json!({
            "task_id": id,
            "request_id": self.request_id(),
            "task_status": "FAILED",
            "errors": { "code": code, "message": message },
        });
        Reply::json(200, &answer)
    }

    /// Turns an acceptance into an error: adds an error envelope next to the task id.
    pub(super) fn modelscope_id_in_error(acceptance: Reply, status: u16) -> Reply {
        let mut answer: Value = serde_json::from_slice(&acceptance.body.into_bytes()).unwrap_or_default();
        answer["errors"] = json!({ "code": status, "message": Refusal::Busy.to_string() });
        Reply::json(status, &answer)
    }

    /// Returns a random id in the form of a UUID.
    pub(super) fn request_id(&mut self) -> String {
        let digits = format!("{:032x}", self.rng.u128(..));
        let (a, b, c) = (&digits[..8], &digits[8..12], &digits[13..16]);
        format!("{a}-{b}-4{c}-8{}-{}", &digits[17..20], &digits[20..])
    }

    /// Returns a refusal in the error envelope.
    pub(super) fn modelscope_error(&mut self, refusal: &Refusal) -> Reply {
        let request_id = self.request_id();
        Reply::error(refusal.status(), &refusal.to_string(), &request_id)
    }

    fn with_quota(&self, reply: Reply, model: &str) -> Reply {
        let reply = match self.gate.model_quota_left(model) {
            Some(left) => reply.with("modelscope-ratelimit-model-requests-remaining", left.to_string()),
            None => reply,
        };
        let Some((quota, left)) = self.gate.quota() else { return reply };
        let reply = reply.with("modelscope-ratelimit-requests-limit", quota.to_string());
        reply.with("modelscope-ratelimit-requests-remaining", left.to_string())
    }
}
