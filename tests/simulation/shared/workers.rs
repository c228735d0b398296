//! World of a shared run: one server and one provider, on one clock, and the processes of several workers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use tokio::select;
use tokio::time::{Instant, sleep};

use promptbatch::internals::driver::clock::Clock;
use promptbatch::internals::driver::context::DriverContext;
use promptbatch::internals::driver::{self, DriveError};
use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::turn::StopReason;
use promptbatch::internals::store::MemoryLedger;
use promptbatch::internals::store::Totals;
use promptbatch::internals::store::shared::{
    MemoryServer, ReadClock, RecentTestimonies, SharedBackend, SharedLedger, SharedOptions, WorkerId, WorkerProfile,
};
use promptbatch::model::event::EventKind;
use promptbatch::model::job::{Job, JobId};
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::outcome::{Acceptance, Fault, FaultKind, Status, TaskId, Url};
use promptbatch::model::partial_download::PartialDownload;
use promptbatch::model::request::Request;
use promptbatch::model::shared_rate::SharedRate;
use promptbatch::model::submission_id::SubmissionId;
use promptbatch::model::time::Moment;
use promptbatch::provider::{Download, Provider};
use promptbatch::report::Reporters;
use promptbatch::run::{CostLimitReached, stopper};
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::store::Ledger;
use promptbatch::store::error::LedgerError;
use promptbatch::store::lease::Lease;

use crate::crash::{Crash, Stepped};
use crate::direct::Direct;
use crate::money::paid;
use crate::oracle::Ends;
use crate::shared::unsteady::{Cut, Unsteady, Weather};
use crate::world::{Begun, SESSION_MAX, START, World};

/// Jobs of a block.
const BLOCK_JOBS: usize = 2;

/// Maximum number of sessions of one worker.
const SESSIONS_MAX: usize = 200;

/// Longest time from a crash until the next process of that worker starts.
const RESTART_MAX: u64 = 120;

/// World of a shared run.
pub struct SharedWorld {
    world: World,
    pub server: Arc<MemoryServer>,
    clock: Clock,
    pub weather: Weather,
    pub cut: Option<Cut>,
    start: Instant,
    /// Submissions that were sent, by content.
    sent: Arc<Mutex<BTreeMap<JobId, usize>>>,
    /// Times of these submissions, in microseconds.
    sent_at: Arc<Mutex<Vec<i64>>>,
    n_joined: AtomicI64,
    /// Workers that have ended because the run was over, or the limit on the cost was reached.
    n_left: AtomicU64,
    /// Reasons of those that met the limit on the cost.
    pub capped: Mutex<Vec<CostLimitReached>>,
    pub tally: Arc<Tally>,
    /// Says whether the server forgets, so that its records lag behind what was sent.
    pub is_forgetful: bool,
}

/// Counts of what happened.
#[derive(Debug, Default)]
pub struct Tally {
    pub crashed: AtomicU64,
    pub fenced: AtomicU64,
    /// Submissions that were not sent after a pause, as the lease had lapsed.
    pub withheld: AtomicU64,
    pub forgotten: AtomicU64,
    /// Sessions that stopped before the end, and those of them that another worker stopped.
    pub stopped: AtomicU64,
    pub stopped_elsewhere: AtomicU64,
}

/// End of the session of one worker.
#[derive(Debug)]
enum SharedSession {
    Over,
    Stopped(StopReason),
    /// The worker lost its jobs to others, or the server forgot too much.
    Fenced,
    Crashed,
}

impl SharedWorld {
    pub fn new(n_jobs: u64, config: SimulatorConfig) -> Self {
        let (world, clock) = (World::new(n_jobs, config), Clock::simulated(START));
        let server = Arc::new(MemoryServer::new(jobs(&world), BLOCK_JOBS, read(clock)));
        Self {
            world,
            server,
            clock,
            weather: Weather::default(),
            cut: None,
            start: Instant::now(),
            sent: Arc::default(),
            sent_at: Arc::default(),
            n_joined: AtomicI64::new(0),
            n_left: AtomicU64::new(0),
            capped: Mutex::default(),
            tally: Arc::default(),
            is_forgetful: false,
        }
    }

    /// Returns the number of submissions that the service has accepted.
    pub fn n_accepted(&self) -> u64 {
        self.world.server_stats().n_accepted
    }

    /// Returns the times of the submissions that were sent, in microseconds.
    pub fn sent_at(&self) -> Vec<i64> {
        self.sent_at.lock().unwrap().clone()
    }

    /// Runs so many workers until the run is over. `crash` returns the fault of each session of each worker. A rate, a fixed number of
    /// tasks in flight and a limit on the cost are those of all workers.
    pub async fn run(&self, n_workers: u64, limits: &Limits, crash: impl Fn(u64, u64) -> Crash) {
        if let Some(rate) = limits.rate {
            self.server.share_rate(SharedRate { rate, burst: limits.burst }).await.expect("it is in memory");
        }
        if let Concurrency::Fixed(max) = limits.concurrency {
            self.server.share_places(max).await.expect("it is in memory");
        }
        if let Some(max) = &limits.cost_max {
            self.server.share_cost_max(max.amount).await.expect("it is in memory");
        }
        join_all((0..n_workers).map(|number| self.work(number, limits, &crash))).await;
    }

    /// Runs one worker, process after process, until the run is over.
    async fn work(&self, number: u64, limits: &Limits, crash: &impl Fn(u64, u64) -> Crash) {
        let mut testimonies = Arc::default();
        for (_, n) in (0..SESSIONS_MAX).zip(0..) {
            let mut rng = fastrand::Rng::with_seed(limits.seed ^ (number << 32) ^ n);
            let limits = Limits { seed: rng.u64(..), is_shared: true, ..limits.clone() };
            let known = Arc::clone(&testimonies);
            match self.session((number, known), limits, &crash(number, n), rng.fork()).await {
                SharedSession::Over => {
                    self.n_left.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                SharedSession::Stopped(StopReason::Cost(capped)) => {
                    self.n_left.fetch_add(1, Ordering::Relaxed);
                    self.capped.lock().unwrap().push(*capped);
                    return;
                }
                // Among enough random refusals, some come in a row. The user then runs the same command again.
                SharedSession::Stopped(stop) => {
                    assert!(!matches!(stop, StopReason::Interrupted(_) | StopReason::Failures(_)), "{stop:?}");
                    self.tally.stopped.fetch_add(1, Ordering::Relaxed);
                    let is_elsewhere = u64::from(matches!(stop, StopReason::Elsewhere(_)));
                    self.tally.stopped_elsewhere.fetch_add(is_elsewhere, Ordering::Relaxed);
                    sleep(Duration::from_secs(24 * 3600)).await;
                }
                SharedSession::Fenced => drop(self.tally.fenced.fetch_add(1, Ordering::Relaxed)),
                SharedSession::Crashed => {
                    self.tally.crashed.fetch_add(1, Ordering::Relaxed);
                    // The next process knows nothing.
                    testimonies = Arc::default();
                    sleep(Duration::from_secs(rng.u64(..RESTART_MAX))).await;
                }
            }
        }
        panic!("a worker without an end");
    }

    /// Runs one session of the process of a worker, which knows these testimonies of its earlier ones.
    async fn session(
        &self,
        (number, testimonies): (u64, Arc<RecentTestimonies>),
        limits: Limits,
        crash: &Crash,
        rng: fastrand::Rng,
    ) -> SharedSession {
        let cut = self.cut.filter(|cut| cut.worker.is_none_or(|worker| worker == number));
        let cut = cut.map(|cut| (self.start + cut.from, self.start + cut.until));
        let (server, weather) = (Arc::clone(&self.server), self.weather);
        let backend = Arc::new(Unsteady { server, crash: crash.clone(), weather, cut, rng: Mutex::new(rng) });
        select! {
            biased;
            ended = tokio::time::timeout(SESSION_MAX, self.drive(backend, testimonies, limits, crash)) => ended.expect("a run ends"),
            () = crash.happened() => SharedSession::Crashed,
        }
    }

    async fn drive(
        &self,
        backend: Arc<Unsteady>,
        testimonies: Arc<RecentTestimonies>,
        limits: Limits,
        crash: &Crash,
    ) -> SharedSession {
        let worker = WorkerId(self.n_joined.fetch_add(1, Ordering::Relaxed) + 1);
        let usual = SharedOptions::new("memory".into());
        let (options, clock) = (SharedOptions { price: limits.price.clone(), ..usual }, read(self.clock));
        let profile = WorkerProfile::default();
        let joined = SharedLedger::join(backend, (worker, profile), testimonies, options, clock);
        let mut ledger = joined.await.expect("a run to join");
        let direct = Direct::new(self.world.server.clone(), self.clock, START, None, Arc::default());
        let lease = ledger.lease(Moment::new(i64::MAX, START));
        let leased = Leased {
            direct,
            worker,
            lease,
            clock: self.clock,
            server: Arc::clone(&self.server),
            tally: Arc::clone(&self.tally),
            sent: Arc::clone(&self.sent),
            sent_at: Arc::clone(&self.sent_at),
            complaints: Arc::clone(&self.world.complaints),
            is_forgetful: self.is_forgetful,
        };
        let context = DriverContext {
            run: "simulation".into(),
            others: Arc::default(),
            provider: Arc::new(Stepped(leased, crash.clone())),
            store: Arc::new(Stepped(self.world.store.clone(), crash.clone())),
            pictures: Arc::default(),
            naming: Arc::default(),
        };
        let (_stopper, mut stops) = stopper();
        let mut reporters = Reporters::default();
        let engine = Engine::new(limits);
        let driven = driver::drive(engine, &mut ledger, &mut reporters, &context, &self.clock, &mut stops).await;
        match driven {
            Ok(stop) => {
                ledger.leave().await.expect("the server answers in the end");
                stop.map_or(SharedSession::Over, SharedSession::Stopped)
            }
            Err(DriveError::Ledger(LedgerError::Fenced { .. } | LedgerError::Forgotten { .. })) => {
                SharedSession::Fenced
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Lets the server forget its last writes now and then, with a rest in between, as long as every worker is there to notice.
    pub async fn forget_now_and_then(&self, mut rng: fastrand::Rng, rest: Duration) {
        loop {
            sleep(Duration::from_millis(rng.u64(500..8000))).await;
            let is_open = self.server.known().iter().any(|known| known.state.finished_at.is_none());
            if self.n_left.load(Ordering::Relaxed) == 0 && is_open {
                let n = self.server.forget(rng.usize(1..8));
                self.tally.forgotten.fetch_add(n as u64, Ordering::Relaxed);
                sleep(rest).await;
            }
        }
    }

    /// Checks everything that holds at the end of a run, with the oracle of the runs of one process.
    pub async fn check_end(self, limits: &Limits, expected: &Ends) -> World {
        let Self { mut world, server, .. } = self;
        let (known, events) = (server.known(), server.events());
        let mut totals = Totals::default();
        for known in &known {
            totals += Totals::of(&known.state);
        }
        assert_eq!(server.totals(), totals, "the totals are what a count of all jobs gives");
        // The ledger of one process would have recorded the same events.
        let mut ledger = MemoryLedger::new(jobs(&world));
        ledger.load(known.len()).await.unwrap();
        for event in events {
            ledger.record([event].into()).await.expect("nothing is recorded for a job that has ended");
        }
        assert_eq!(ledger.known(), known, "the states are the folds of the events");
        if let Some(price) = &limits.price {
            assert_eq!(server.cost().cost(), Some(paid(&ledger, price)), "the cost is what all events say");
        }
        world.ledger = ledger;
        // The tests of the limits of all workers judge what was sent, not what was recorded.
        let limits = Limits { concurrency: Concurrency::Auto, rate: None, ..limits.clone() };
        world.sessions.lock().unwrap().push(Begun { limits, has_died: true });
        world.check_end(expected);
        world
    }
}

fn jobs(world: &World) -> Vec<Job> {
    world.ledger.known().into_iter().map(|known| Job::clone(&known.job)).collect()
}

fn read(clock: Clock) -> ReadClock {
    Arc::new(move || clock.now())
}

/// Provider that a worker calls under its lease. A process that was paused checks the lease when it goes on.
struct Leased {
    direct: Direct,
    worker: WorkerId,
    lease: Lease,
    clock: Clock,
    server: Arc<MemoryServer>,
    tally: Arc<Tally>,
    /// Submissions that were sent, of all workers, by content.
    sent: Arc<Mutex<BTreeMap<JobId, usize>>>,
    sent_at: Arc<Mutex<Vec<i64>>>,
    complaints: Arc<Mutex<Vec<String>>>,
    is_forgetful: bool,
}

impl Leased {
    /// Checks that the worker owns the job, and that the submission is recorded before it leaves.
    fn check(&self, request: &Request) {
        let content = JobId::new(&request.content(), 0);
        let is_it = |job: &Job| JobId::new(&job.request.content(), 0) == content;
        let known = self.server.known();
        let jobs: Vec<JobId> = known.iter().filter(|known| is_it(&known.job)).map(|known| known.job.id).collect();
        let is_started = |event: &&promptbatch::model::event::Event| {
            event.kind == EventKind::SubmitStarted && jobs.contains(&event.job)
        };
        let n_started = self.server.events().iter().filter(is_started).count();
        let n_sent = {
            let mut sent = self.sent.lock().unwrap();
            let n_sent = sent.entry(content).or_default();
            *n_sent += 1;
            *n_sent
        };
        let complain = |words: &str| self.complaints.lock().unwrap().push(format!("{:?} {words}", request.prompt));
        if n_sent > n_started {
            complain("was submitted before it was recorded");
        }
        if !jobs.iter().any(|job| self.server.owner_of(*job) == Some(self.worker)) {
            complain("was submitted by a worker that does not own it");
        }
    }
}

impl Provider for Leased {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        async {
            if !self.lease.holds(self.clock.now()) {
                self.tally.withheld.fetch_add(1, Ordering::Relaxed);
                return Err(Fault::new(FaultKind::Throttled { retry_after: None }, "not sent"));
            }
            if !self.is_forgetful {
                self.check(request);
            }
            self.sent_at.lock().unwrap().push(self.clock.now().micros());
            self.direct.submit(request, id).await
        }
        .boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        self.direct.poll(tasks)
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        self.direct.download(url, part)
    }
}
