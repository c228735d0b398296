//! Simulated API called without a network, with outages in which it cannot be reached.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};

use promptbatch::internals::driver::clock::Clock;
use promptbatch::internals::provider::ApiResponse;
use promptbatch::internals::provider::RateLimitHeaders;
use promptbatch::internals::provider::answer;
use promptbatch::internals::provider::body;
use promptbatch::internals::provider::image_refused;
use promptbatch::internals::simulator::Server;
use promptbatch::internals::simulator::{Delivery, HttpRequest, Reply};
use promptbatch::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use promptbatch::model::partial_download::{PartialDownload, Validator};
use promptbatch::model::request::Request;
use promptbatch::model::submission_id::SubmissionId;
use promptbatch::model::time::Timestamp;
use promptbatch::provider::{Download, Provider};

/// Time that a request waits for an answer that never comes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Provider without a network: the same request bodies and the same parsing of answers, passed directly.
pub struct Direct {
    server: Arc<Mutex<Server>>,
    clock: Clock,
    /// Start of the world, from which an outage is measured.
    start: Timestamp,
    outage: Option<Outage>,
    /// List of the submissions that the service accepted, whatever became of its answers.
    listing: Listing,
}

/// Task of every submission that the service accepted.
pub type Listing = Arc<Mutex<BTreeMap<SubmissionId, TaskId>>>;

/// Period in which no request reaches the provider.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Start and end, measured from the start of the world.
    pub from: Duration,
    pub until: Duration,
    pub kind: Silence,
}

/// Kind of an outage, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// No connection: the request certainly never arrived.
    Refused,
    /// No answer: the request may have arrived.
    Unanswered,
    /// No connection to the image host. The API answers.
    ImagesRefused,
    /// This HTTP status from the image host, and this `Retry-After` in seconds. The API answers.
    ImagesBusy(u16, Option<u64>),
}

/// Kind of a lost answer, as the client sees it.
enum Lost {
    Refused,
    Cut,
    TimedOut,
}

impl Direct {
    pub fn new(
        server: Arc<Mutex<Server>>,
        clock: Clock,
        start: Timestamp,
        outage: Option<Outage>,
        listing: Listing,
    ) -> Self {
        Self { server, clock, start, outage, listing }
    }

    fn outage(&self) -> Option<Outage> {
        let age = self.clock.now().wall().since(self.start);
        self.outage.filter(|outage| (outage.from..outage.until).contains(&age))
    }

    /// Lets a request through to the provider, unless there is an outage.
    async fn reach(&self) -> Result<(), Lost> {
        match self.outage() {
            None => Ok(()),
            Some(Outage { kind: Silence::ImagesRefused | Silence::ImagesBusy(..), .. }) => Ok(()),
            Some(Outage { kind: Silence::Refused, .. }) => Err(Lost::Refused),
            Some(Outage { kind: Silence::Unanswered, .. }) => {
                tokio::time::sleep(REQUEST_TIMEOUT).await;
                Err(Lost::TimedOut)
            }
        }
    }

    async fn ask(&self, request: HttpRequest, id: Option<&SubmissionId>) -> Result<Reply, Lost> {
        self.reach().await?;
        let request = request
            .with("authorization", "Bearer simulated")
            .with("content-type", "application/json")
            .with("x-modelscope-async-mode", "true");
        let reply = {
            let mut server = self.server.lock().unwrap();
            let n_before = server.stats().n_accepted;
            let reply = server.handle(self.clock.now().wall(), &request);
            if server.stats().n_accepted > n_before
                && let (Some(id), Some(task)) = (id, server.last_task())
            {
                self.listing.lock().unwrap().insert(*id, TaskId(task.to_string()));
            }
            reply
        };
        tokio::time::sleep(reply.delay).await;
        match reply.delivery {
            Delivery::Whole => Ok(reply),
            Delivery::CutBefore | Delivery::CutAfter | Delivery::CutMidway => Err(Lost::Cut),
            Delivery::Hang => {
                tokio::time::sleep(REQUEST_TIMEOUT).await;
                Err(Lost::TimedOut)
            }
        }
    }

    async fn answer(&self, request: HttpRequest, id: Option<&SubmissionId>) -> Result<ApiResponse, Lost> {
        let reply = self.ask(request, id).await?;
        let remaining = reply.header("modelscope-ratelimit-requests-remaining").and_then(|text| text.parse().ok());
        let model_remaining = reply.header("modelscope-ratelimit-model-requests-remaining");
        let model_remaining = model_remaining.and_then(|text| text.parse().ok());
        let date = Some(self.clock.now().wall());
        let retry_after = reply.header("retry-after").map(str::to_owned);
        let rate = RateLimitHeaders::read(|name| reply.header(name), date);
        Ok(ApiResponse {
            status: reply.status,
            retry_after,
            date,
            remaining,
            model_remaining,
            rate,
            body: reply.body.into_bytes(),
            cut: None,
        })
    }

    async fn submit_one(&self, request: &Request, id: &SubmissionId) -> Result<Acceptance, Fault> {
        let post = HttpRequest::post("/v1/images/generations", body::text(request)?);
        match self.answer(post, Some(id)).await {
            Ok(answer) => answer::submitted(&answer, &request.model),
            Err(Lost::Refused) => Err(Fault::new(FaultKind::Transient, "could not connect")),
            Err(Lost::Cut | Lost::TimedOut) => Err(Fault::new(FaultKind::InDoubt, "the answer was lost")),
        }
    }

    async fn poll_one(&self, task: &TaskId) -> Result<Status, Fault> {
        let get = HttpRequest::get(format!("/v1/tasks/{task}")).with("x-modelscope-task-type", "image_generation");
        match self.answer(get, None).await {
            Ok(answer) => answer::polled(&answer, task),
            Err(Lost::Refused | Lost::Cut | Lost::TimedOut) => {
                Err(Fault::new(FaultKind::Transient, "the answer was lost"))
            }
        }
    }

    async fn open_image(&self, url: &Url, part: Option<&PartialDownload>) -> Result<Download<'static>, Fault> {
        let path = url.0.find("/img/").map_or("", |at| &url.0[at..]);
        let cut = || Fault::new(FaultKind::Transient, "the download broke off");
        self.reach().await.map_err(|_| cut())?;
        match self.outage().map(|outage| outage.kind) {
            Some(Silence::ImagesRefused) => return Err(cut()),
            Some(Silence::ImagesBusy(status, wait)) => {
                return Err(image_refused(status, wait.map(Duration::from_secs), url));
            }
            Some(Silence::Refused | Silence::Unanswered) | None => (),
        }
        // The image host never receives the token.
        let mut request = HttpRequest::get(path);
        if let Some(PartialDownload { n_bytes, validator: Validator::ETag(etag), .. }) = part {
            request = request.with("range", format!("bytes={n_bytes}-")).with("if-range", etag);
        }
        let reply = self.server.lock().unwrap().handle(self.clock.now().wall(), &request).drawn();
        tokio::time::sleep(reply.delay).await;
        let (delivery, status) = (reply.delivery, reply.status);
        let n_before = part.filter(|_| status == 206).map_or(0, |part| part.n_bytes);
        let validator = reply.header("etag").map(|etag| Validator::ETag(etag.to_owned()));
        let bytes = Bytes::from(reply.body.into_bytes());
        let bytes_total = Some(n_before + bytes.len() as u64);
        let body = match delivery {
            Delivery::Whole if matches!(status, 200 | 206) => stream::iter([Ok(bytes)]).boxed(),
            Delivery::Whole => return Err(image_refused(status, None, url)),
            Delivery::CutMidway => stream::iter([Ok(bytes.slice(..bytes.len() / 2)), Err(cut())]).boxed(),
            Delivery::CutBefore | Delivery::CutAfter => return Err(cut()),
            Delivery::Hang => {
                tokio::time::sleep(REQUEST_TIMEOUT).await;
                return Err(cut());
            }
        };
        Ok(Download { n_before, bytes_total, validator, body })
    }
}

impl Provider for Direct {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.submit_one(request, id).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        futures::future::join_all(tasks.iter().map(|task| self.poll_one(task))).boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.open_image(url, part).boxed()
    }
}
