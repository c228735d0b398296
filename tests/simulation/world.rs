//! A provider, a disk and a ledger that outlive the process, and the process that runs between them.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::select;

use promptbatch::driver::clock::Clock;
use promptbatch::driver::images::MemoryStore;
use promptbatch::driver::{self, DriveError, Hands};
use promptbatch::engine::Engine;
use promptbatch::engine::turn::Stop;
use promptbatch::ledger::memory::MemoryLedger;
use promptbatch::model::event::EventKind;
use promptbatch::model::history::History;
use promptbatch::model::job::{Job, JobId};
use promptbatch::model::limits::Limits;
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::provider::simulator::config::Config;
use promptbatch::provider::simulator::server::Server;
use promptbatch::report::Reporters;

use crate::crash::{Crash, Stepped};
use crate::direct::{Direct, Outage};
use crate::money;
use crate::witness::{Complaints, Witness, Witnessed};

/// Longer than any of these worlds needs, in virtual time.
const SESSION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Processes that a batch may need.
const SESSIONS_MAX: usize = 100;

/// After a stop, until the next process begins.
const PAUSE: Duration = Duration::from_secs(3600);

/// What the wall shows when a world begins.
const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Runs a future in virtual time.
pub fn simulate<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

/// Everything that a crash of the process does not touch.
pub struct World {
    pub server: Arc<Mutex<Server>>,
    pub ledger: MemoryLedger,
    pub store: MemoryStore,
    /// When nobody can reach the provider, from the world's beginning.
    pub outage: Option<Outage>,
    pub complaints: Complaints,
    /// One for each process so far.
    pub sessions: Mutex<Vec<Begun>>,
    clock: OnceLock<Clock>,
}

/// A process that has begun.
#[derive(Clone)]
pub struct Begun {
    pub limits: Limits,
    /// Whether it ended in the middle of something.
    pub has_died: bool,
}

/// How a process ended.
#[derive(Debug)]
pub enum Session {
    /// By itself, with the reason if it was before the end of the batch.
    Ended(Option<Stop>),
    /// Of a full disk.
    Failed(DriveError),
    /// In the middle of something.
    Crashed,
}

impl World {
    pub fn new(n_jobs: u64, config: Config) -> Self {
        Self {
            server: Arc::new(Mutex::new(Server::new(config))),
            ledger: MemoryLedger::new((1..=n_jobs).map(job)),
            store: MemoryStore::default(),
            outage: None,
            complaints: Complaints::default(),
            sessions: Mutex::default(),
            clock: OnceLock::new(),
        }
    }

    /// One process that nothing befalls. Gives why it stopped before the end, if it did.
    pub async fn run(&self, limits: Limits) -> Option<Stop> {
        match self.session(limits, &Crash::never()).await {
            Session::Ended(stop) => stop,
            other => panic!("a run ends: {other:?}"),
        }
    }

    /// One process after the other, a while after every stop, until the batch is done.
    pub async fn run_to_the_end(&self, limits: &Limits) {
        for _ in 0..SESSIONS_MAX {
            let Some(stop) = self.run(limits.clone()).await else { return };
            // Among enough refusals by lot, some come one after the other: the user looks, and runs the same command again.
            assert!(!matches!(stop, Stop::Interrupted(_) | Stop::Failures(_)), "{stop:?}");
            self.check_after_crash();
            tokio::time::sleep(PAUSE).await;
        }
        panic!("a batch without an end");
    }

    /// One process, from its start to its end or to what befalls it.
    pub async fn session(&self, limits: Limits, crash: &Crash) -> Session {
        // Time goes on between two processes.
        let clock = *self.clock.get_or_init(|| Clock::simulated(START));
        self.sessions.lock().unwrap().push(Begun { limits: limits.clone(), has_died: false });
        let witness = Witness::new(&self.ledger, self.complaints.clone());
        let direct = Direct::new(self.server.clone(), clock, START, self.outage);
        let hands = Hands {
            provider: Arc::new(Stepped(Witnessed(direct, witness.clone()), crash.clone())),
            store: Arc::new(Stepped(self.store.clone(), crash.clone())),
            naming: Arc::default(),
        };
        let mut ledger = Stepped(Witnessed(self.ledger.session(), witness), crash.clone());
        let (_stopper, mut stops) = driver::stopper();
        let mut reporters = Reporters::default();
        let paid = limits.price.as_ref().map(|price| money::paid(&self.ledger, price));
        let mut engine = Engine::new(limits);
        engine.remember(clock.now(), &self.history());
        engine.remember_cost(paid);
        let drive = driver::drive(engine, &mut ledger, &mut reporters, &hands, &clock, &mut stops);
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

    /// What the ledger would tell of the pace so far.
    fn history(&self) -> History {
        let events = self.ledger.events();
        let submits = events.iter().filter(|event| event.kind == EventKind::SubmitStarted);
        History { submitted_at: submits.map(|event| event.at).collect(), ..History::default() }
    }
}

fn job(n: u64) -> Job {
    // Every third row repeats an earlier one: equal prompts are jobs of their own.
    let content = if n.is_multiple_of(3) { n - 1 } else { n };
    let request = Request { prompt: format!("猫 number {content}"), model: "a/b".into(), ..Request::default() };
    let occurrence = u32::from(n.is_multiple_of(3));
    Job { id: JobId::new(&request.content(), occurrence), index: n, label: None, request, extras: vec![] }
}
