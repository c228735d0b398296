//! Client of ModelScope's API-Inference over HTTP: submit, poll and download.
//!
//! Two separate HTTP clients protect the token. The API client follows no redirect; the image client never holds the token. `reach` decides
//! which addresses image links may lead to. [`answer`] parses the responses without any I/O.

mod address_policy;
mod address_realm;
pub mod answer;
pub mod body;
mod body_decoding;
mod body_reader;
pub mod decision_table;
mod download;
pub mod envelope;
pub mod fault;
mod http;
pub mod ids;
pub mod rate_limit_headers;
mod request_limiter;
pub mod retry_after;
mod text_rejection;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder};

use crate::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use crate::model::partial_download::PartialDownload;
use crate::model::request::Request;
use crate::provider::modelscope::address_policy::AddressPolicy;
use crate::provider::modelscope::answer::ApiResponse;
use crate::provider::modelscope::download::DownloadLimits;
pub use crate::provider::modelscope::http::ClientError;
use crate::provider::modelscope::http::NoResponse;
use crate::provider::modelscope::request_limiter::RequestLimiter;
use crate::provider::modelscope::token::Token;
use crate::provider::{Download, Provider};

/// Default base URL of the API.
pub const BASE_URL: &str = "https://api-inference.modelscope.cn";

/// Default model, for requests that name no model: fast, and in the cheapest class.
pub const MODEL: &str = "Tongyi-MAI/Z-Image-Turbo";

/// Normalizes a base URL for comparison: checked, without a trailing `/` or `/v1`.
pub fn base_url(text: &str) -> Result<String, ClientError> {
    Ok(http::base(text)?.as_str().trim_end_matches('/').to_owned())
}

/// Returns true if a base URL is on this machine.
pub fn is_here(text: &str) -> Result<bool, ClientError> {
    Ok(http::is_loopback(&http::base(text)?))
}

/// Connection settings of the API.
#[derive(Clone, Debug)]
pub struct ModelScopeSettings {
    /// Base URL; a trailing `/` or `/v1` is accepted.
    pub base_url: String,
    /// Access token of the account.
    pub token: Token,
    /// Timeout of one request; for a download, the longest time without a byte.
    pub request_timeout: Duration,
    /// Longest image in bytes. An image that announces a greater length is not downloaded.
    pub image_bytes_max: u64,
}

/// Client of the API, ready for requests.
#[derive(Debug)]
pub struct ModelScope {
    /// URL of submissions; `tasks` is the URL below which tasks are polled.
    submissions: reqwest::Url,
    tasks: reqwest::Url,
    token: Token,
    api: Client,
    images: Client,
    /// Policy for the addresses that image links may lead to.
    reach: AddressPolicy,
    bounds: DownloadLimits,
    sockets: Arc<RequestLimiter>,
}

impl ModelScope {
    /// Creates the two HTTP clients. Sends no request.
    pub fn new(settings: &ModelScopeSettings) -> Result<Self, ClientError> {
        let base = http::base(&settings.base_url)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, settings.token.header());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-modelscope-async-mode", HeaderValue::from_static("true"));
        let reach = AddressPolicy::of_api(&base);
        let api = http::api_client(&base, headers, settings.request_timeout, &reach)?;
        let images = http::image_client(&base, settings.request_timeout, &reach)?;
        let sockets = RequestLimiter::new();
        let bounds = DownloadLimits::new(settings.request_timeout, settings.image_bytes_max, Arc::clone(&sockets));
        let submissions = http::below(&base, "/v1/images/generations")?;
        let tasks = http::below(&base, "/v1/tasks")?;
        Ok(Self { submissions, tasks, token: settings.token.clone(), api, images, reach, bounds, sockets })
    }

    /// Sends a request and reads its response. The token is removed from the response, wherever it is repeated.
    async fn ask(&self, request: RequestBuilder) -> Result<ApiResponse, NoResponse> {
        let (response, _slot) = self.sockets.send(request).await?;
        Ok(http::answer(response).await.without(&self.token))
    }

    async fn submit_one(&self, request: &Request) -> Result<Acceptance, Fault> {
        let body = body::text(request)?;
        match self.ask(self.api.post(self.submissions.clone()).body(body)).await {
            Ok(answer) => answer::submitted(&answer, &request.model),
            Err(NoResponse { was_sent: false, words, .. }) => {
                Err(Fault::new(FaultKind::Transient, format!("could not reach the API: {words}")))
            }
            Err(NoResponse { was_sent: true, words, .. }) => {
                let words = format!("the response to the submission was lost ({words}): it may have been accepted");
                Err(Fault::new(FaultKind::InDoubt, words))
            }
        }
    }

    async fn poll_one(&self, task: &TaskId) -> Result<Status, Fault> {
        let url = http::task_url(&self.tasks, task)?;
        let request = self.api.get(url).header("x-modelscope-task-type", "image_generation");
        match self.ask(request).await {
            Ok(answer) => answer::polled(&answer, task),
            Err(lost) => Err(Fault::new(FaultKind::Transient, format!("could not poll: {}", lost.words))),
        }
    }

    /// Starts the download of an image, if its link leads to an allowed address.
    async fn fetch(&self, url: &Url, part: Option<&PartialDownload>) -> Result<Download<'static>, Fault> {
        let hidden = |fault: Fault| Fault { message: self.token.hide_in_text(&fault.message), ..fault };
        self.reach.check(&http::image_url(url)?).map_err(|refused| {
            let words = format!("could not download {}: {refused}", answer::shown(url));
            hidden(Fault::new(FaultKind::BadOutput, words))
        })?;
        let download = download::open(&self.images, url, part, &self.bounds).await.map_err(hidden)?;
        // The rest of a resumed image needs no check for text, because its beginning was checked.
        if download.n_before > 0 {
            return Ok(download);
        }
        let body = text_rejection::guarded(download.body, self.token.clone(), self.reach.is_quotable());
        Ok(Download { body, ..download })
    }
}

impl Provider for ModelScope {
    fn submit<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.submit_one(request).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        // The API has no query for a list of tasks: each task needs its own request.
        join_all(tasks.iter().map(|task| self.poll_one(task))).boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.fetch(url, part).boxed()
    }
}
