//! Server of a shared run behind a network that loses, delays and doubles: every call of one worker passes here.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use promptbatch::internals::store::shared::{
    BackendError, BackendResult, BlockNumber, Claim, MemoryServer, Numbered, Outlook, Renewal, ReservedTimes,
    SharedBackend, SharedCommit, SharedFlags, SharedJob, Testimony, WorkerId, WorkerNumbers, WorkerProfile, WorkerRow,
};
use promptbatch::model::amount::Amount;
use promptbatch::model::outcome::TaskId;
use promptbatch::model::shared_rate::{ReserveRequest, SharedRate};
use promptbatch::store::TaskOwner;

use crate::crash::Crash;

/// Time after which a call without an answer fails.
const DEADLINE: Duration = Duration::from_secs(5);

/// Longest time for which a call, or its answer, is on its way.
const DELAY_MAX: u64 = 1500;

/// Longest time after which a doubled call happens once more.
const DOUBLED_AFTER_MAX: u64 = 60_000;

/// Probabilities of the faults of one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// The call is lost.
    pub lost: f64,
    /// The call happens, and its answer is lost.
    pub unanswered: f64,
    /// The call happens, and once more much later.
    pub doubled: f64,
    /// The call, or its answer, takes long.
    pub slow: f64,
}

impl Weather {
    /// Returns weather with every fault at this probability.
    pub const fn of(p: f64) -> Self {
        Self { lost: p, unanswered: p, doubled: p, slow: p }
    }
}

/// Time in which a worker cannot reach the server, from the start of the world.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Number of the worker; `None` for all.
    pub worker: Option<u64>,
    pub from: Duration,
    pub until: Duration,
}

/// The server, as one worker reaches it.
pub struct Unsteady {
    pub server: Arc<MemoryServer>,
    pub crash: Crash,
    pub weather: Weather,
    /// Times at which the server cannot be reached.
    pub cut: Option<(Instant, Instant)>,
    pub rng: Mutex<fastrand::Rng>,
}

impl Unsteady {
    fn is(&self, p: f64) -> bool {
        p > 0.0 && self.rng.lock().unwrap().f64() < p
    }

    async fn delay(&self) {
        if self.is(self.weather.slow) {
            let millis = self.rng.lock().unwrap().u64(..DELAY_MAX);
            sleep(Duration::from_millis(millis)).await;
        }
    }

    /// Passes a call on, with what may happen on the way there and back.
    async fn call<T: Send + 'static>(
        &self,
        call: impl Fn(Arc<MemoryServer>) -> BoxFuture<'static, BackendResult<T>> + Send + 'static,
    ) -> BackendResult<T> {
        let began = Instant::now();
        self.crash.step().await;
        // After a pause, what needs no network goes on first: only the lease can keep it back.
        if began.elapsed() > Duration::ZERO {
            sleep(Duration::from_millis(50)).await;
        }
        let answer = self.pass(call).await;
        self.crash.step().await;
        answer
    }

    async fn pass<T: Send + 'static>(
        &self,
        call: impl Fn(Arc<MemoryServer>) -> BoxFuture<'static, BackendResult<T>> + Send + 'static,
    ) -> BackendResult<T> {
        let unavailable = || Err(BackendError::Unavailable("no answer in time".into()));
        self.delay().await;
        let now = Instant::now();
        let is_cut = self.cut.is_some_and(|(from, until)| (from..until).contains(&now));
        if is_cut || self.is(self.weather.lost) {
            sleep(DEADLINE).await;
            return unavailable();
        }
        let answer = call(Arc::clone(&self.server)).await;
        if self.is(self.weather.doubled) {
            let (server, millis) = (Arc::clone(&self.server), self.rng.lock().unwrap().u64(..DOUBLED_AFTER_MAX));
            tokio::spawn(async move {
                sleep(Duration::from_millis(millis)).await;
                drop(call(server).await);
            });
        }
        if self.is(self.weather.unanswered) {
            sleep(DEADLINE).await;
            return unavailable();
        }
        self.delay().await;
        answer
    }
}

/// Returns a future of a call that owns what it needs.
fn owned<T, F>(call: F) -> BoxFuture<'static, BackendResult<T>>
where
    F: Future<Output = BackendResult<T>> + Send + 'static,
{
    call.boxed()
}

impl SharedBackend for Unsteady {
    fn join<'a>(&'a self, worker: WorkerId, profile: &'a WorkerProfile) -> BoxFuture<'a, BackendResult<()>> {
        let profile = profile.clone();
        self.call(move |server| {
            let profile = profile.clone();
            owned(async move { server.join(worker, &profile).await })
        })
        .boxed()
    }

    fn commit<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        commit: &'a SharedCommit,
    ) -> BoxFuture<'a, BackendResult<Numbered<()>>> {
        let commit = commit.clone();
        self.call(move |server| {
            let commit = commit.clone();
            owned(async move { server.commit(worker, n, &commit).await })
        })
        .boxed()
    }

    fn claim<'a>(
        &'a self,
        worker: WorkerId,
        n: u64,
        claim: &'a Claim,
    ) -> BoxFuture<'a, BackendResult<Numbered<Vec<BlockNumber>>>> {
        let claim = claim.clone();
        self.call(move |server| {
            let claim = claim.clone();
            owned(async move { server.claim(worker, n, &claim).await })
        })
        .boxed()
    }

    fn owned(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Vec<BlockNumber>>> {
        self.call(move |server| owned(async move { server.owned(worker).await })).boxed()
    }

    fn load<'a>(&'a self, blocks: &'a [BlockNumber]) -> BoxFuture<'a, BackendResult<Vec<SharedJob>>> {
        let blocks = blocks.to_vec();
        self.call(move |server| {
            let blocks = blocks.clone();
            owned(async move { server.load(&blocks).await })
        })
        .boxed()
    }

    fn renew(&self, worker: WorkerId) -> BoxFuture<'_, BackendResult<Renewal>> {
        self.call(move |server| owned(async move { server.renew(worker).await })).boxed()
    }

    fn workers(&self) -> BoxFuture<'_, BackendResult<Vec<WorkerRow>>> {
        self.call(move |server| owned(async move { server.workers().await })).boxed()
    }

    fn take_over(&self, worker: WorkerId, seen: WorkerNumbers, rest: Duration) -> BoxFuture<'_, BackendResult<bool>> {
        self.call(move |server| owned(async move { server.take_over(worker, seen, rest).await })).boxed()
    }

    fn leave(&self, worker: WorkerId, rest: Duration) -> BoxFuture<'_, BackendResult<()>> {
        self.call(move |server| owned(async move { server.leave(worker, rest).await })).boxed()
    }

    fn testify<'a>(
        &'a self,
        worker: WorkerId,
        testimonies: &'a [(i64, Testimony)],
    ) -> BoxFuture<'a, BackendResult<()>> {
        let testimonies = testimonies.to_vec();
        self.call(move |server| {
            let testimonies = testimonies.clone();
            owned(async move { server.testify(worker, &testimonies).await })
        })
        .boxed()
    }

    fn owners<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, BackendResult<Vec<Option<TaskOwner>>>> {
        let tasks = tasks.to_vec();
        self.call(move |server| {
            let tasks = tasks.clone();
            owned(async move { server.owners(&tasks).await })
        })
        .boxed()
    }

    fn outlook(&self) -> BoxFuture<'_, BackendResult<Outlook>> {
        self.call(move |server| owned(async move { server.outlook().await })).boxed()
    }

    fn raise<'a>(&'a self, flags: &'a SharedFlags) -> BoxFuture<'a, BackendResult<()>> {
        let flags = flags.clone();
        self.call(move |server| {
            let flags = flags.clone();
            owned(async move { server.raise(&flags).await })
        })
        .boxed()
    }

    fn share_rate(&self, rate: SharedRate) -> BoxFuture<'_, BackendResult<Option<SharedRate>>> {
        self.call(move |server| owned(async move { server.share_rate(rate).await })).boxed()
    }

    fn share_places(&self, max: NonZeroU32) -> BoxFuture<'_, BackendResult<Option<NonZeroU32>>> {
        self.call(move |server| owned(async move { server.share_places(max).await })).boxed()
    }

    fn share_cost_max(&self, max: Amount) -> BoxFuture<'_, BackendResult<Option<Amount>>> {
        self.call(move |server| owned(async move { server.share_cost_max(max).await })).boxed()
    }

    fn reserve(
        &self,
        worker: WorkerId,
        n: u64,
        request: ReserveRequest,
    ) -> BoxFuture<'_, BackendResult<ReservedTimes>> {
        self.call(move |server| owned(async move { server.reserve(worker, n, request).await })).boxed()
    }
}
