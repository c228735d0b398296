//! Client of a described API over HTTP: submit, poll, find and download.

use std::path::PathBuf;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, Url};
use tempfile::TempDir;

use crate::description::format::Description;
use crate::description::leaf::Given;
use crate::description::pointer::scalar;
use crate::description::requests::HeaderText;
use crate::description::words::{DoubtClass, Exchange, Method};
use crate::model::escape::excerpt;
use crate::model::limits::RepeatCost;
use crate::model::link;
use crate::model::outcome::{Acceptance, Fault, FaultKind, Found, Status, TaskId, Url as Link};
use crate::model::partial_download::PartialDownload;
use crate::model::request::Request;
use crate::model::submission_id::SubmissionId;
use crate::provider::described::acceptance::acceptance;
use crate::provider::described::addresses::Addresses;
use crate::provider::described::answered::{accepted, cost_entry, kept_status, paid_without_image, spooled};
use crate::provider::described::find;
use crate::provider::described::money::with_cost;
use crate::provider::described::polled::{Polled, polled, result};
use crate::provider::described::request::{EncodedBody, encoded, poll_body, poll_path, submit_body, submit_path};
use crate::provider::described::submitted::{SubmittedAs, submitted};
use crate::provider::http::api_response::{ApiResponse, QuotaHeaders};
use crate::provider::http::client::{HttpClient, HttpSettings};
use crate::provider::http::error::{ClientError, NoResponse};
use crate::provider::http::spool::Spool;
use crate::provider::http::task_path::is_usable;
use crate::provider::{Download, LostSubmission, Provider, ProviderTraits};

/// Client of a described API, ready for requests.
#[derive(Debug)]
pub(crate) struct DescribedProvider {
    api: &'static Description,
    addresses: Addresses,
    http: HttpClient,
    /// Images that came inside answers; `None` for an API with tasks and no folder.
    spool: Option<Spool>,
    /// Folder of a spool that no later process finds.
    _temporary: Option<TempDir>,
}

impl DescribedProvider {
    /// Creates the client. Sends no request.
    pub(crate) fn new(
        api: &'static Description,
        settings: &HttpSettings,
        spool: Option<PathBuf>,
    ) -> Result<Self, ClientError> {
        let addresses = Addresses::new(api, settings)?;
        let quota_headers = QuotaHeaders {
            account: api.rate_headers.quota_left.as_deref(),
            model: api.rate_headers.model_quota_left.as_deref(),
        };
        let http = HttpClient::new(settings, HeaderMap::new(), quota_headers)?;
        let (folder, temporary) = match (spool, api.exchange) {
            (Some(folder), _) => (Some(folder), None),
            (None, Exchange::Task) => (None, None),
            (None, Exchange::Answer) => {
                let folder = tempfile::tempdir().map_err(|error| ClientError::Setup(error.to_string()))?;
                (Some(folder.path().to_owned()), Some(folder))
            }
        };
        let spool = folder.map(|folder| Spool::new(folder, settings.image_bytes_max));
        Ok(Self { api, addresses, http, spool, _temporary: temporary })
    }

    /// Returns the links of the images that are kept of a submission.
    fn kept_links(&self, task: &TaskId) -> Option<Vec<Link>> {
        self.spool.as_ref()?.links(task)
    }

    /// Returns a request of this method with its headers and its body.
    fn request(
        &self,
        method: Method,
        url: Url,
        headers: impl IntoIterator<Item = (&'static String, &'static HeaderText)>,
        given: &Given<'_>,
        body: Option<EncodedBody>,
    ) -> RequestBuilder {
        let mut request = match method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
        };
        for (name, HeaderText(tree)) in headers {
            if let Some(value) = tree.value(given).as_ref().and_then(scalar) {
                request = request.header(name.as_str(), value);
            }
        }
        match body {
            Some(EncodedBody { content_type, text }) => request.header(CONTENT_TYPE, content_type).body(text),
            None => request,
        }
    }

    async fn submit_one(&self, request: &Request, id: &SubmissionId) -> Result<Acceptance, Fault> {
        let id_text = id.to_string();
        // A process that was killed after its answer had arrived has left the images here. They are paid for.
        if let Some(links) = self.kept_links(&TaskId(id_text.clone())).filter(|_| self.api.exchange == Exchange::Answer)
        {
            return Ok(spooled(TaskId(id_text), links));
        }
        let with_nonce = find::with_nonce(self.api, request, id);
        let request = with_nonce.as_ref().unwrap_or(request);
        let body = submit_body(self.api, request, &id_text)?;
        let url = self.addresses.below(&submit_path(self.api, request)?)?;
        let given = Given { request: Some(request), submission_id: Some(&id_text), task_id: None };
        let body = encoded(self.api.submit.encoding, &body, &format!("promptbatch-{id_text}"));
        let submit = &self.api.submit;
        let sent = self.request(submit.method, url, &submit.headers, &given, Some(body));
        match self.api.exchange {
            Exchange::Task => {
                let answer = self.http.ask(sent).await.map_err(NoResponse::of_submission)?;
                acceptance(self.api, &answer, &id_text, &request.model)
            }
            Exchange::Answer => self.images(sent, id, &request.model).await,
        }
    }

    /// Sends a submission whose answer has the images, and keeps them on this disk.
    async fn images(&self, sent: RequestBuilder, id: &SubmissionId, model: &str) -> Result<Acceptance, Fault> {
        let unkept = |words: &str| {
            let words = format!("nothing was sent, because its answer could not be kept: {words}");
            Fault::new(FaultKind::Transient, words)
        };
        let spool = self.spool.as_ref().ok_or_else(|| unkept("there is no folder for it"))?;
        let mut entry = spool.entry(id).map_err(|fault| unkept(&fault.message))?;
        let answer = self.http.ask_for_images(sent, &mut entry).await.map_err(NoResponse::of_submission)??;
        let mut links = match submitted(self.api, &answer, &id.to_string(), model)?.what {
            SubmittedAs::Images(images) => {
                images.into_iter().map(|image| image.into_link(&mut entry)).collect::<Result<Vec<Link>, Fault>>()?
            }
            SubmittedAs::Failed(fault) => vec![paid_without_image(&fault)],
            SubmittedAs::Task(_) => return Err(Fault::unanswered()),
        };
        let task = entry.task();
        let acceptance = accepted(self.api, &answer, task.clone(), model);
        links.extend(acceptance.cost.as_ref().map(cost_entry));
        entry.commit(&links).await?;
        let Acceptance { images, .. } = spooled(task, links);
        Ok(Acceptance { images, ..acceptance })
    }

    async fn poll_one(&self, task: &TaskId) -> Result<Status, Fault> {
        if self.api.exchange == Exchange::Answer {
            return kept_status(self.kept_links(task));
        }
        let poll = &self.api.poll;
        let url = match poll_path(self.api, task) {
            Some(path) if is_usable(task) => self.addresses.below(&path)?,
            Some(_) => return Err(unusable(task)),
            None if poll.path.is_some() => return Err(unusable(task)),
            None => self.addresses.given(&task.0)?,
        };
        let method = poll.method.unwrap_or(Method::Get);
        let given = Given { task_id: Some(&task.0), ..Given::default() };
        let body = poll_body(self.api, task).map(|body| encoded(self.api.submit.encoding, &body, "promptbatch-poll"));
        let answer = self.ask(self.request(method, url, &poll.headers, &given, body)).await?;
        match polled(self.api, &answer, task)? {
            Polled::Status(status) => Ok(with_cost(self.api, status, &answer)),
            Polled::Result(address) => {
                let url = self.addresses.given(&address)?;
                let answer = self.ask(self.request(Method::Get, url, &poll.headers, &given, None)).await?;
                result(self.api, &answer).map(|status| with_cost(self.api, status, &answer))
            }
        }
    }

    async fn find_one(&self, lost: &LostSubmission) -> Result<Found, Fault> {
        let LostSubmission { id, request, sent_at } = lost;
        let id_text = id.to_string();
        if let Some(links) = self.kept_links(&TaskId(id_text.clone())) {
            return Ok(Found::Accepted(Box::new(spooled(TaskId(id_text), links))));
        }
        let Some(question) = &self.api.find else { return Ok(Found::Unknown) };
        let with_nonce = find::with_nonce(self.api, request, id);
        let sent = find::Sent {
            request: with_nonce.as_ref().unwrap_or(request),
            has_nonce: with_nonce.is_some(),
            id: &id_text,
        };
        let Some(path) = question.path.path(&request.model, "") else { return Ok(Found::Unknown) };
        let mut url = match question.base_url.as_str() {
            // A relay or another region knows what was sent to it, and the usual host does not.
            base if self.addresses.is_usual(&self.api.base_url) && !base.is_empty() => {
                self.addresses.given(&format!("{base}{path}"))?
            }
            _ => self.addresses.below(&path)?,
        };
        let given = Given { request: Some(sent.request), submission_id: Some(&id_text), task_id: None };
        find::set_query(question, &mut url, &given, *sent_at);
        for _ in 0..find::PAGES_MAX {
            let body = question.body.as_ref().and_then(|tree| tree.value(&given));
            let body = body.map(|body| encoded(self.api.submit.encoding, &body, "promptbatch-find"));
            let method = question.method.unwrap_or(Method::Get);
            let answer = self.ask(self.request(method, url, [], &given, body)).await?;
            match find::judged(question, &answer, &sent, *sent_at)? {
                find::Page::Found(Found::Accepted(acceptance)) => return Ok(self.with_address(*acceptance, request)),
                find::Page::Found(found) => return Ok(found),
                find::Page::Next(address) => url = self.addresses.given(&address)?,
            }
        }
        Ok(Found::Unknown)
    }

    /// Returns an acceptance that was found, with the address of its task where the address stands for the task.
    fn with_address(&self, acceptance: Acceptance, request: &Request) -> Found {
        let Some(path) = self.api.find.as_ref().and_then(|find| find.task.as_ref()) else {
            // A task that is polled at its address is not found by an id alone.
            let is_address = self.addresses.given(&acceptance.task.0).is_ok();
            let can_be_polled = self.api.accepted.status_url.is_empty() || is_address;
            return if can_be_polled { Found::Accepted(Box::new(acceptance)) } else { Found::Unknown };
        };
        let path = path.path(&request.model, &acceptance.task.0);
        match path.and_then(|path| self.addresses.below(&path).ok()) {
            Some(url) => Found::Accepted(Box::new(Acceptance { task: TaskId(url.to_string()), ..acceptance })),
            None => Found::Unknown,
        }
    }

    /// Sends a request that costs nothing.
    async fn ask(&self, request: RequestBuilder) -> Result<ApiResponse, Fault> {
        let lost = |lost: NoResponse| Fault::new(FaultKind::Transient, format!("could not poll: {}", lost.words));
        self.http.ask(request).await.map_err(lost)
    }
}

/// Creates the fault of a task that no request can name.
fn unusable(task: &TaskId) -> Fault {
    let words = format!("the task id {} cannot be used in a request", excerpt(&task.0, 80));
    Fault::new(FaultKind::TaskLost, words)
}

impl Provider for DescribedProvider {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.submit_one(request, id).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        join_all(tasks.iter().map(|task| self.poll_one(task))).boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Link,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        match &self.spool {
            Some(spool) if link::is_spooled(url) && self.api.exchange == Exchange::Answer => {
                async { spool.open(url) }.boxed()
            }
            Some(_) | None => self.http.download(url, part).boxed(),
        }
    }

    fn traits(&self) -> ProviderTraits {
        let api = self.api;
        let settles_after = match api.doubt {
            DoubtClass::Lookable | DoubtClass::Listable => api.settle.map(|span| span.0),
            DoubtClass::Free | DoubtClass::Guarded | DoubtClass::Unknown => None,
        };
        // Images of an answer that arrived before the process was killed are on this disk.
        let settles_after = settles_after.or((api.exchange == Exchange::Answer).then_some(Duration::ZERO));
        let repeats = match api.doubt {
            DoubtClass::Free => RepeatCost::Nothing,
            DoubtClass::Guarded => RepeatCost::Once,
            DoubtClass::Lookable if !api.accepted.conflict.is_empty() => RepeatCost::Once,
            DoubtClass::Lookable | DoubtClass::Listable | DoubtClass::Unknown => RepeatCost::Again,
        };
        ProviderTraits { answers_with_images: api.exchange == Exchange::Answer, settles_after, repeats }
    }

    fn find<'a>(&'a self, lost: &'a [LostSubmission]) -> BoxFuture<'a, Vec<Result<Found, Fault>>> {
        join_all(lost.iter().map(|lost| self.find_one(lost))).boxed()
    }

    fn kept(&self) -> Vec<TaskId> {
        self.spool.as_ref().map(Spool::tasks).unwrap_or_default()
    }

    fn release(&self, tasks: &[TaskId]) {
        if let Some(spool) = &self.spool {
            spool.remove(tasks);
        }
    }
}
