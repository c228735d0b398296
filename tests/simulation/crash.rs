//! A crash at a chosen step, and the wrappers that count the steps of everything that acts.
//!
//! Each action has a step before it (it never happens) and one after it (it has happened, and nobody hears of it).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;

use promptbatch::driver::images::{Body as ImageBody, ImageStore, Saved};
use promptbatch::ledger::error::LedgerError;
use promptbatch::ledger::{Ledger, Loaded};
use promptbatch::model::event::Event;
use promptbatch::model::name::ImageName;
use promptbatch::model::outcome::{Acceptance, Fault, Status, TaskId, Url};
use promptbatch::model::request::Request;
use promptbatch::provider::{Body, Provider};

/// Counts steps; at the chosen one, time stands still for whoever takes it, and the world is told.
#[derive(Clone)]
pub struct Crash(Arc<Inner>);

struct Inner {
    at_step: u64,
    /// Of the provider's steps, every so-many-th panics.
    panic_every: Option<u64>,
    n_steps: AtomicU64,
    n_requests: AtomicU64,
    happened: Notify,
}

impl Crash {
    pub fn at(at_step: u64) -> Self {
        Self::new(at_step, None)
    }

    /// No crash, but requests that panic now and then.
    pub fn panicking_every(n: u64) -> Self {
        Self::new(0, Some(n))
    }

    fn new(at_step: u64, panic_every: Option<u64>) -> Self {
        let (n_steps, n_requests, happened) = (AtomicU64::new(0), AtomicU64::new(0), Notify::new());
        Self(Arc::new(Inner { at_step, panic_every, n_steps, n_requests, happened }))
    }

    pub fn never() -> Self {
        Self::at(0)
    }

    pub async fn happened(&self) {
        self.0.happened.notified().await;
    }

    async fn step(&self) {
        if self.0.n_steps.fetch_add(1, Ordering::Relaxed) + 1 == self.0.at_step {
            self.0.happened.notify_one();
            std::future::pending::<()>().await;
        }
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
}

/// Something that acts, with steps around each of its actions.
pub struct Stepped<T>(pub T, pub Crash);

impl<P: Provider> Provider for Stepped<P> {
    fn submit<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.1.request(self.0.submit(request)).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        self.1.request(self.0.poll(tasks)).boxed()
    }

    fn download<'a>(&'a self, url: &'a Url) -> BoxFuture<'a, Result<Body, Fault>> {
        self.1.request(self.0.download(url)).boxed()
    }
}

impl<S: ImageStore> ImageStore for Stepped<S> {
    fn save<'a>(&'a self, name: ImageName, body: ImageBody<'a>) -> BoxFuture<'a, Saved> {
        self.1.around(self.0.save(name, body)).boxed()
    }
}

impl<L: Ledger + Sync> Ledger for Stepped<L> {
    fn commit(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        let Self(ledger, crash) = self;
        // The future of a commit must not begin before its first step.
        async move {
            crash.step().await;
            ledger.commit(events).await?;
            crash.step().await;
            Ok(())
        }
        .boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        let Self(ledger, crash) = self;
        async move {
            crash.step().await;
            ledger.load(max).await
        }
        .boxed()
    }
}
