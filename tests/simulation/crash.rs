//! Fault injection: a crash, a pause or a full disk at a chosen step. Wrappers count the steps of every action.
//!
//! Each action has two steps. Before the first, the action never happens. After the second, the action happened and its
//! result is lost. A save has one more step in between: the bytes are written, and the file has no name yet.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::Instant;

use promptbatch::images::error::StoreError;
use promptbatch::images::{ImageStore, IncomingImage, Saved};
use promptbatch::model::event::Event;
use promptbatch::model::job::JobId;
use promptbatch::model::name::ImageName;
use promptbatch::model::outcome::{Acceptance, Artifact, Fault, Found, Status, TaskId, Url};
use promptbatch::model::partial_download::PartialDownload;
use promptbatch::model::request::Request;
use promptbatch::model::submission_id::SubmissionId;
use promptbatch::provider::{Download, LostSubmission, Provider, ProviderTraits};
use promptbatch::store::error::LedgerError;
use promptbatch::store::{Ledger, Loaded, TaskOwner};

/// Counts steps. At the chosen step, the caller never continues, and the world is notified.
#[derive(Clone)]
pub struct Crash(Arc<Inner>);

struct Inner {
    /// Step at which the process crashes. Steps count from 1, so 0 means never.
    at_step: u64,
    /// Interval of provider requests that panic: every n-th one. `None` means never.
    panic_every: Option<u64>,
    /// Step at which the process is stopped, and for how long; `None` means never.
    pause: Option<(u64, Duration)>,
    /// End of the pause; `None` before it.
    paused_until: Mutex<Option<Instant>>,
    /// Write of an event or an image for which the disk has no space.
    full: Option<Full>,
    n_steps: AtomicU64,
    n_requests: AtomicU64,
    n_writes: AtomicU64,
    happened: Notify,
}

/// Write that a full disk refuses.
#[derive(Clone, Copy, Debug)]
pub struct Full {
    /// Number of the write, from 1.
    pub at_write: u64,
    /// Whether the write was done nevertheless, as when only the last sync fails.
    pub is_late: bool,
}

impl Crash {
    pub fn at(at_step: u64) -> Self {
        Self::new(at_step, None, None, None)
    }

    pub fn never() -> Self {
        Self::at(0)
    }

    /// Creates an injection without a crash, in which every n-th request panics.
    pub fn panicking_every(n: u64) -> Self {
        Self::new(0, Some(n), None, None)
    }

    /// Creates an injection without a crash, in which the disk is full.
    pub fn full(full: Full) -> Self {
        Self::new(0, None, Some(full), None)
    }

    /// Creates an injection that stops the process at this step for a while. Everything that it does from then on waits for the end.
    pub fn paused_at(at_step: u64, span: Duration) -> Self {
        Self::new(0, None, None, Some((at_step, span)))
    }

    fn new(at_step: u64, panic_every: Option<u64>, full: Option<Full>, pause: Option<(u64, Duration)>) -> Self {
        let (n_steps, n_requests, n_writes) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let (happened, paused_until) = (Notify::new(), Mutex::default());
        Self(Arc::new(Inner {
            at_step,
            panic_every,
            pause,
            paused_until,
            full,
            n_steps,
            n_requests,
            n_writes,
            happened,
        }))
    }

    pub async fn happened(&self) {
        self.0.happened.notified().await;
    }

    pub async fn step(&self) {
        let n = self.0.n_steps.fetch_add(1, Ordering::Relaxed) + 1;
        if n == self.0.at_step {
            self.0.happened.notify_one();
            std::future::pending::<()>().await;
        }
        if let Some((_, span)) = self.0.pause.filter(|(at_step, _)| *at_step == n) {
            *self.0.paused_until.lock().unwrap() = Some(Instant::now() + span);
        }
        let paused_until = *self.0.paused_until.lock().unwrap();
        if let Some(until) = paused_until {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Reports whether the pause has begun.
    pub fn was_paused(&self) -> bool {
        self.0.paused_until.lock().unwrap().is_some()
    }

    async fn request<T>(&self, request: impl Future<Output = T>) -> T {
        let n = self.0.n_requests.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(self.0.panic_every.is_none_or(|every| !n.is_multiple_of(every)), "a bug in the provider's code");
        self.around(request).await
    }

    async fn around<T>(&self, action: impl Future<Output = T>) -> T {
        self.step().await;
        let result = action.await;
        self.step().await;
        result
    }

    /// Performs one write, or returns the error of a disk that is full before or after it.
    async fn write<T, E>(&self, write: impl Future<Output = Result<T, E>>, full: impl Fn() -> E) -> Result<T, E> {
        let n = self.0.n_writes.fetch_add(1, Ordering::Relaxed) + 1;
        let refusal = self.0.full.filter(|full| full.at_write == n);
        if refusal.is_some_and(|full| !full.is_late) {
            return Err(full());
        }
        let written = self.around(write).await?;
        if refusal.is_some() { Err(full()) } else { Ok(written) }
    }
}

/// Wrapper that adds steps around each action of the inner value.
pub struct Stepped<T>(pub T, pub Crash);

impl<P: Provider> Provider for Stepped<P> {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.1.request(self.0.submit(request, id)).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        self.1.request(self.0.poll(tasks)).boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.1.request(self.0.download(url, part)).boxed()
    }

    fn traits(&self) -> ProviderTraits {
        self.0.traits()
    }

    fn find<'a>(&'a self, lost: &'a [LostSubmission]) -> BoxFuture<'a, Vec<Result<Found, Fault>>> {
        self.1.request(self.0.find(lost)).boxed()
    }

    fn kept(&self) -> Vec<TaskId> {
        self.0.kept()
    }

    fn release(&self, tasks: &[TaskId]) {
        self.0.release(tasks);
    }
}

impl<S: ImageStore> ImageStore for Stepped<S> {
    fn partial<'a>(&'a self, name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        self.0.partial(name)
    }

    fn remove_partial(&self, job: JobId) {
        self.0.remove_partial(job);
    }

    fn remove_partials(&self) {
        self.0.remove_partials();
    }

    fn holds<'a>(&'a self, artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        self.0.holds(artifact)
    }

    fn save<'a>(&'a self, name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        let end = stream::once(self.1.step()).filter_map(|()| std::future::ready(None));
        let save = self.0.save(name, IncomingImage { body: image.body.chain(end).boxed(), ..image });
        let full =
            || StoreError::Io { doing: "write", path: "images".into(), cause: io::Error::from(ErrorKind::StorageFull) };
        self.1.write(save, full).boxed()
    }
}

impl<L: Ledger + Sync> Ledger for Stepped<L> {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        let Self(ledger, crash) = self;
        // The future of a commit must not start before its first step.
        let commit = async move { ledger.record(events).await };
        crash.write(commit, || LedgerError::Full { path: "run.db".into() }).boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        let Self(ledger, crash) = self;
        async move {
            crash.step().await;
            ledger.load(max).await
        }
        .boxed()
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        self.0.owners(tasks)
    }
}
