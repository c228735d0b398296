//! Client of ModelScope's API-Inference over HTTP: submit, poll and download.

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url as Link};
use crate::model::partial_download::PartialDownload;
use crate::model::request::Request;
use crate::model::submission_id::SubmissionId;
use crate::provider::http::api_response::QuotaHeaders;
use crate::provider::http::client::{HttpClient, HttpSettings};
use crate::provider::http::error::ClientError;
use crate::provider::http::task_path::task_url;
use crate::provider::modelscope::{answer, body};
use crate::provider::{Download, Provider};

/// Headers with the remaining quota.
const QUOTA_HEADERS: QuotaHeaders = QuotaHeaders {
    account: Some("modelscope-ratelimit-requests-remaining"),
    model: Some("modelscope-ratelimit-model-requests-remaining"),
};

/// Client of the API, ready for requests.
#[derive(Debug)]
pub(crate) struct ModelScope {
    /// URL of submissions; `tasks` is the URL below which tasks are polled.
    submissions: Url,
    tasks: Url,
    http: HttpClient,
}

impl ModelScope {
    /// Creates the client. Sends no request.
    pub(crate) fn new(settings: &HttpSettings) -> Result<Self, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-modelscope-async-mode", HeaderValue::from_static("true"));
        let http = HttpClient::new(settings, headers, QUOTA_HEADERS)?;
        let submissions = settings.base_url.below("/v1/images/generations");
        let tasks = settings.base_url.below("/v1/tasks");
        Ok(Self { submissions, tasks, http })
    }

    async fn submit_one(&self, request: &Request) -> Result<Acceptance, Fault> {
        let body = body::text(request)?;
        match self.http.ask(self.http.post(self.submissions.clone()).body(body)).await {
            Ok(answer) => answer::submitted(&answer, &request.model),
            Err(lost) => Err(lost.of_submission()),
        }
    }

    async fn poll_one(&self, task: &TaskId) -> Result<Status, Fault> {
        let url = task_url(&self.tasks, task)?;
        let request = self.http.get(url).header("x-modelscope-task-type", "image_generation");
        match self.http.ask(request).await {
            Ok(answer) => answer::polled(&answer, task),
            Err(lost) => Err(Fault::new(FaultKind::Transient, format!("could not poll: {}", lost.words))),
        }
    }
}

impl Provider for ModelScope {
    fn submit<'a>(&'a self, request: &'a Request, _id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.submit_one(request).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        // The API has no query for a list of tasks: each task needs its own request.
        join_all(tasks.iter().map(|task| self.poll_one(task))).boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Link,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.http.download(url, part).boxed()
    }
}
