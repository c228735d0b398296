//! Virtual-time simulation of a service with hidden limits that move: the real engine and driver with an endless batch.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt};

use promptbatch::images::{ImageStore, IncomingImage, Saved};
use promptbatch::internals::driver;
use promptbatch::internals::driver::clock::Clock;
use promptbatch::internals::driver::context::DriverContext;
use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::turn::{Signal, StopReason};
use promptbatch::internals::simulator::Server;
use promptbatch::model::event::Event;
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::limits::{Limits, Rate};
use promptbatch::model::more::More;
use promptbatch::model::name::ImageName;
use promptbatch::model::outcome::{Artifact, ImageFormat, TaskId};
use promptbatch::model::partial_download::PartialDownload;
use promptbatch::model::phase::JobRecord;
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::report::Reporters;
use promptbatch::run::stopper;
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::store::error::LedgerError;
use promptbatch::store::{Ledger, Loaded, TaskOwner};

use crate::direct::Direct;

/// Wall-clock time at the start of a world.
const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Interval at which the service is sampled.
pub const TICK: Duration = Duration::from_millis(100);

/// Limits of the service. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    pub rate: Option<Rate>,
    pub concurrency: Option<u32>,
}

/// Counts of the service at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub submits: u64,
    pub accepted: u64,
    pub unfinished: usize,
}

/// Simulates one service. `moves` holds its later limits, each with the second from which it applies. Returns a sample
/// for every tick until `end`, in seconds.
pub fn play(config: SimulatorConfig, limits: &Limits, moves: &[(u64, Taken)], end: u64) -> Vec<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let server = Arc::new(Mutex::new(Server::new(config)));
        let clock = Clock::simulated(START);
        let direct = Direct::new(server.clone(), clock, START, None, Arc::default());
        let context = DriverContext {
            run: "simulation".into(),
            others: Arc::default(),
            provider: Arc::new(direct),
            store: Arc::new(Nowhere),
            pictures: Arc::default(),
            naming: Arc::default(),
        };
        let (stopper, mut stops) = stopper();
        let (engine, mut ledger, mut reporters) = (Engine::new(limits.clone()), Endless(0), Reporters::default());
        let drive = driver::drive(engine, &mut ledger, &mut reporters, &context, &clock, &mut stops);
        let watch = async {
            let samples = watch(&server, &clock, moves, end).await;
            stopper.stop(StopReason::Interrupted(Signal::Interrupt));
            samples
        };
        let (ended, samples) = futures::future::join(drive, watch).await;
        ended.expect("nothing is wrong with the disk");
        samples
    })
}

async fn watch(server: &Mutex<Server>, clock: &Clock, moves: &[(u64, Taken)], end: u64) -> Vec<Sample> {
    let begun = clock.now();
    let n_ticks = u32::try_from(end * 10).expect("some minutes");
    let mut samples = vec![];
    for tick in 1..=n_ticks {
        clock.sleep_until(begun + TICK * tick).await;
        let mut server = server.lock().expect("nobody panics");
        if let Some((_, taken)) = moves.iter().find(|(second, _)| second * 10 == u64::from(tick)) {
            server.set_limits(taken.rate, taken.concurrency);
        }
        let unfinished = server.n_unfinished(clock.now().wall());
        let stats = server.stats();
        samples.push(Sample { submits: stats.n_submits, accepted: stats.n_accepted, unfinished });
    }
    samples
}

/// Ledger with an endless supply of jobs, which records nothing.
struct Endless(u64);

impl Ledger for Endless {
    fn record(&mut self, _events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        ready(Ok(())).boxed()
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        let jobs = std::iter::repeat_with(|| {
            self.0 += 1;
            let request = Request { prompt: format!("cat {}", self.0), model: "a/b".into(), ..Request::default() };
            let id = JobId::new(&request.content(), 0);
            JobRecord {
                job: Job { id, index: self.0, label: None, request, extras: vec![], row: ManifestRow::default() }
                    .into(),
                state: <_>::default(),
            }
        });
        let loaded = Loaded { jobs: jobs.take(max).collect(), more: More::Now };
        ready(Ok(loaded)).boxed()
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        ready(Ok(vec![None; tasks.len()])).boxed()
    }
}

/// Image store that accepts everything and keeps nothing.
struct Nowhere;

impl ImageStore for Nowhere {
    fn partial<'a>(&'a self, _name: &'a ImageName) -> BoxFuture<'a, Option<PartialDownload>> {
        ready(None).boxed()
    }

    fn remove_partial(&self, _job: JobId) {}

    fn remove_partials(&self) {}

    fn holds<'a>(&'a self, _artifact: &'a Artifact) -> BoxFuture<'a, bool> {
        ready(false).boxed()
    }

    fn save<'a>(&'a self, _name: ImageName, image: IncomingImage<'a>) -> BoxFuture<'a, Saved> {
        async {
            image.body.for_each(|_| ready(())).await;
            let (file_name, sha256) = ("x.png".to_owned(), [0; 32]);
            Ok(Ok(Artifact { file_name, sha256, bytes: 1, width: 1, height: 1, format: ImageFormat::Png }))
        }
        .boxed()
    }
}
