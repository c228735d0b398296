//! Simulated world: a provider, a disk and a ledger that outlive the process, and the process between them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::select;

use promptbatch::internals::driver::clock::Clock;
use promptbatch::internals::driver::context::DriverContext;
use promptbatch::internals::driver::{self, DriveError};
use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::turn::StopReason;
use promptbatch::internals::images::MemoryStore;
use promptbatch::internals::simulator::Server;
use promptbatch::internals::store::MemoryLedger;
use promptbatch::model::event::{Event, EventKind};
use promptbatch::model::history::History;
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::limits::Limits;
use promptbatch::model::outcome::TaskId;
use promptbatch::model::phase::JobRecord;
use promptbatch::model::request::Request;
use promptbatch::model::time::{Moment, Timestamp};
use promptbatch::provider::{Provider, ProviderTraits};
use promptbatch::report::Reporters;
use promptbatch::run::stopper;
use promptbatch::simulator::config::SimulatorConfig;
use promptbatch::store::error::LedgerError;
use promptbatch::store::lease::Lease;
use promptbatch::store::{Ledger, Loaded, TaskOwner};

use crate::crash::{Crash, Stepped};
use crate::direct::{Direct, Outage};
use crate::exchanges::{Exchange, Exchanging, Lasting};
use crate::money;
use crate::witness::{Complaints, Witness, Witnessed};

/// Maximum length of a session in virtual time, longer than any of these worlds needs.
pub const SESSION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Maximum number of processes for a batch.
const SESSIONS_MAX: usize = 100;

/// Time from a stop until the next process starts.
const PAUSE: Duration = Duration::from_secs(3600);

/// Wall-clock time at the start of a world.
pub const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Runs a future in virtual time.
pub fn simulate<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// State that a crash of the process does not affect.
pub struct World {
    pub server: Arc<Mutex<Server>>,
    pub ledger: MemoryLedger,
    pub store: MemoryStore,
    /// Period in which the provider is unreachable, measured from the start of the world.
    pub outage: Option<Outage>,
    pub complaints: Complaints,
    /// Kind of the provider.
    pub exchange: Exchange,
    pub lasting: Arc<Lasting>,
    /// One entry for each process so far.
    pub sessions: Mutex<Vec<Begun>>,
    clock: OnceLock<Clock>,
}

/// Process that has started.
#[derive(Clone)]
pub struct Begun {
    pub limits: Limits,
    /// Whether the process crashed or failed.
    pub has_died: bool,
}

/// End of a process.
#[derive(Debug)]
pub enum Session {
    /// Normal end, with the reason if the batch was not finished.
    Ended(Option<StopReason>),
    /// Failure because of a full disk.
    Failed(DriveError),
    /// Crash.
    Crashed,
}

impl World {
    pub fn new(n_jobs: u64, config: SimulatorConfig) -> Self {
        Self {
            server: Arc::new(Mutex::new(Server::new(config))),
            ledger: MemoryLedger::new((1..=n_jobs).map(job)),
            store: MemoryStore::default(),
            outage: None,
            complaints: Complaints::default(),
            exchange: Exchange::default(),
            lasting: Arc::default(),
            sessions: Mutex::default(),
            clock: OnceLock::new(),
        }
    }

    /// Creates a world with a provider of this kind.
    pub fn of(exchange: Exchange, n_jobs: u64, config: SimulatorConfig) -> Self {
        Self { exchange, lasting: Arc::new(Lasting::with_bills()), ..Self::new(n_jobs, config) }
    }

    /// Runs one process without a crash. Returns why it stopped before the end, if it did.
    pub async fn run(&self, limits: Limits) -> Option<StopReason> {
        match self.session(limits, &Crash::never()).await {
            Session::Ended(stop) => stop,
            other => panic!("a run ends: {other:?}"),
        }
    }

    /// Runs one process after the other, with a pause after every stop, until the batch is done.
    pub async fn run_to_the_end(&self, limits: &Limits) {
        for _ in 0..SESSIONS_MAX {
            let Some(stop) = self.run(limits.clone()).await else { return };
            // Among enough random refusals, some come in a row. The user then runs the same command again.
            assert!(!matches!(stop, StopReason::Interrupted(_) | StopReason::Failures(_)), "{stop:?}");
            self.check_after_crash();
            tokio::time::sleep(PAUSE).await;
        }
        panic!("a batch without an end");
    }

    /// Runs one process without a crash, whose submissions need this lease. Returns why it stopped before the end, if it did.
    pub async fn run_under(&self, limits: Limits, lease: Lease) -> Option<StopReason> {
        match self.session_under(limits, &Crash::never(), lease).await {
            Session::Ended(stop) => stop,
            other => panic!("a run ends: {other:?}"),
        }
    }

    /// Runs one process from its start to its end or its crash.
    pub async fn session(&self, limits: Limits, crash: &Crash) -> Session {
        self.session_under(limits, crash, Lease::always()).await
    }

    async fn session_under(&self, limits: Limits, crash: &Crash, lease: Lease) -> Session {
        // Time continues between two processes.
        let clock = *self.clock.get_or_init(|| Clock::simulated(START));
        self.sessions.lock().unwrap().push(Begun { limits: limits.clone(), has_died: false });
        let witness = Witness::new(&self.ledger, self.complaints.clone());
        let lasting = Arc::clone(&self.lasting);
        let direct = Direct::new(self.server.clone(), clock, START, self.outage, Arc::clone(&lasting.listed));
        let provider = Exchanging { direct, exchange: self.exchange, lasting, crash: crash.clone() };
        let ProviderTraits { settles_after, repeats, .. } = provider.traits();
        let limits = Limits { settles_after, repeats, ..limits };
        let context = DriverContext {
            run: "simulation".into(),
            others: Arc::default(),
            provider: Arc::new(Stepped(Witnessed(provider, witness.clone()), crash.clone())),
            store: Arc::new(Stepped(self.store.clone(), crash.clone())),
            pictures: Arc::default(),
            naming: Arc::default(),
        };
        let ledger = Stepped(Witnessed(self.ledger.session(), witness), crash.clone());
        let mut ledger = Leasing(ledger, lease);
        let (_stopper, mut stops) = stopper();
        let mut reporters = Reporters::default();
        let paid = limits.price.as_ref().map(|price| money::paid(&self.ledger, price));
        let mut engine = Engine::new(limits);
        engine.remember(clock.now(), &self.history());
        engine.remember_cost(paid);
        let is_saved = |task: &TaskId| {
            let is_owner = |known: &&JobRecord| known.state.task.as_ref() == Some(task);
            let known = self.ledger.known();
            let mut owners = known.iter().filter(is_owner);
            Ok::<_, Infallible>(owners.any(|known| known.state.status() == "succeeded"))
        };
        let Ok(()) = driver::release_saved(&*context.provider, is_saved);
        let drive = driver::drive(engine, &mut ledger, &mut reporters, &context, &clock, &mut stops);
        let session = select! {
            biased;
            ended = tokio::time::timeout(SESSION_MAX, drive) => match ended.expect("a run ends") {
                Ok(stop) => Session::Ended(stop),
                Err(error) => Session::Failed(error),
            },
            () = crash.happened() => Session::Crashed,
        };
        let has_died = !matches!(session, Session::Ended(_));
        self.sessions.lock().unwrap().last_mut().expect("it was pushed above").has_died = has_died;
        session
    }

    /// Returns the history that the ledger would report.
    fn history(&self) -> History {
        let events = self.ledger.events();
        let submits = events.iter().filter(|event| event.kind == EventKind::SubmitStarted);
        History { submitted_at: submits.map(|event| event.at).collect(), ..History::default() }
    }
}

/// Ledger with a lease of its own.
struct Leasing<L>(L, Lease);

impl<L: Ledger> Ledger for Leasing<L> {
    fn record(&mut self, events: Arc<[Event]>) -> BoxFuture<'_, Result<(), LedgerError>> {
        self.0.record(events)
    }

    fn load(&mut self, max: usize) -> BoxFuture<'_, Result<Loaded, LedgerError>> {
        self.0.load(max)
    }

    fn owners(&mut self, tasks: Vec<TaskId>) -> BoxFuture<'_, Result<Vec<Option<TaskOwner>>, LedgerError>> {
        self.0.owners(tasks)
    }

    fn lease(&self, _decided_at: Moment) -> Lease {
        self.1.clone()
    }
}

fn job(n: u64) -> Job {
    // Every third row repeats an earlier one: equal prompts are separate jobs.
    let content = if n.is_multiple_of(3) { n - 1 } else { n };
    let request = Request { prompt: format!("猫 number {content}"), model: "a/b".into(), ..Request::default() };
    let occurrence = u32::from(n.is_multiple_of(3));
    Job {
        id: JobId::new(&request.content(), occurrence),
        index: n,
        label: None,
        request,
        extras: vec![],
        row: ManifestRow::default(),
    }
}
