//! Two providers in one run: what happens to one of them changes nothing for the jobs of the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::select;

use promptbatch::internals::driver;
use promptbatch::internals::driver::clock::Clock;
use promptbatch::internals::driver::context::DriverContext;
use promptbatch::internals::engine::Engine;
use promptbatch::internals::engine::fleet::Fleet;
use promptbatch::internals::engine::turn::StopReason;
use promptbatch::internals::images::MemoryStore;
use promptbatch::internals::provider::body;
use promptbatch::internals::simulator::Server;
use promptbatch::internals::store::MemoryLedger;
use promptbatch::model::event::EventKind;
use promptbatch::model::job::{Job, JobId, ManifestRow};
use promptbatch::model::limits::Limits;
use promptbatch::model::request::Request;
use promptbatch::model::time::Timestamp;
use promptbatch::provider::Provider;
use promptbatch::report::Reporters;
use promptbatch::run::stopper;
use promptbatch::simulator::config::SimulatorConfig;

use crate::crash::{Crash, Stepped};
use crate::direct::{Direct, Outage, Silence};
use crate::{PASSING, calm, limits, stormy, world};

const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Longest session in virtual time.
const SESSION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Jobs of each provider.
const JOBS: u64 = 8;

/// Two services, one ledger and one disk.
struct Pair {
    servers: [Arc<Mutex<Server>>; 2],
    ledger: MemoryLedger,
    store: MemoryStore,
    /// Outage of the second service.
    outage: Option<Outage>,
    clock: Clock,
}

/// Returns the `n`-th job. Every second row names the other provider, and asks for the same image as the row before.
fn job(n: u64) -> Job {
    let provider = n.is_multiple_of(2).then(|| "other".to_owned());
    let request =
        Request { prompt: format!("number {}", n.div_ceil(2)), provider, model: "a/b".into(), ..Request::default() };
    let id = JobId::new(&request.content(), 0);
    Job { id, index: n, label: None, request, extras: vec![], row: ManifestRow::default() }
}

impl Pair {
    fn new(configs: [SimulatorConfig; 2], outage: Option<Outage>) -> Self {
        Self {
            servers: configs.map(|config| Arc::new(Mutex::new(Server::new(config)))),
            ledger: MemoryLedger::new((1..=2 * JOBS).map(job)),
            store: MemoryStore::default(),
            outage,
            clock: Clock::simulated(START),
        }
    }

    /// Runs one process. Returns why it stopped; `None` after a crash.
    async fn session(&self, limits: &Limits, crash: &Crash) -> Option<Option<StopReason>> {
        let client = |i: usize| -> Arc<dyn Provider> {
            let outage = self.outage.filter(|_| i == 1);
            let direct = Direct::new(Arc::clone(&self.servers[i]), self.clock, START, outage, Arc::default());
            Arc::new(Stepped(direct, crash.clone()))
        };
        let context = DriverContext {
            run: "simulation".into(),
            provider: client(0),
            others: [client(1)].into(),
            store: Arc::new(Stepped(self.store.clone(), crash.clone())),
            pictures: Arc::default(),
            naming: Arc::default(),
        };
        let jobs_max = limits.jobs_max;
        let limits = Limits { jobs_max: None, ..limits.clone() };
        let mut fleet = Fleet::new(Engine::new(limits.clone()), jobs_max, "first".into());
        fleet.add("second".into(), ["other".to_owned()], Engine::new(limits));
        let mut ledger = Stepped(self.ledger.session(), crash.clone());
        let (_stopper, mut stops) = stopper();
        let mut reporters = Reporters::default();
        let drive = driver::drive(fleet, &mut ledger, &mut reporters, &context, &self.clock, &mut stops);
        select! {
            biased;
            ended = tokio::time::timeout(SESSION_MAX, drive) => Some(ended.expect("a run ends").unwrap()),
            () = crash.happened() => None,
        }
    }

    /// Returns the number of succeeded jobs of each provider.
    fn succeeded(&self) -> [usize; 2] {
        let known = self.ledger.known();
        [false, true].map(|is_other| {
            let of = |record: &&promptbatch::model::phase::JobRecord| record.job.request.provider.is_some() == is_other;
            known.iter().filter(of).filter(|record| record.state.status() == "succeeded").count()
        })
    }

    /// Checks that each service has accepted the tasks of its own jobs, and nothing twice except what a doubt allows.
    fn check(&self) {
        for (i, server) in self.servers.iter().enumerate() {
            let server = server.lock().unwrap();
            let mut n_due = 0;
            for record in
                self.ledger.known().iter().filter(|record| usize::from(record.job.request.provider.is_some()) == i)
            {
                let n = server.n_accepted(body::text(&record.job.request).unwrap().as_bytes());
                let state = &record.state;
                let n_open = u32::from(state.is_in_doubt() && !state.is_doubt_counted());
                let n_paid = u32::from(state.n_submits > 0) + state.n_in_doubt + state.n_lost + n_open;
                assert!(n <= n_paid, "job {}: {n} tasks accepted, {n_paid} accounted for", record.job.index);
                n_due += u64::from(n);
            }
            assert_eq!(server.stats().n_accepted, n_due, "service {i} has the jobs of its own rows only");
        }
    }
}

/// Goal: each job is done by its own provider, whatever is killed, and nothing is paid for twice unaccounted. Method: kills at random steps
/// of runs of two stormy providers, until the run ends.
#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn kills_mix_no_two_providers() {
    let mut n_kills = 0;
    for seed in 0..40 {
        world::simulate(async {
            let pair = Pair::new([stormy(seed, &PASSING), stormy(seed + 1000, &PASSING)], None);
            let mut rng = fastrand::Rng::with_seed(seed);
            let limits = limits(seed);
            for _ in 0..3 {
                if pair.session(&limits, &Crash::at(rng.u64(1..120))).await.is_some() {
                    break;
                }
                n_kills += 1;
                pair.check();
            }
            while pair.session(&limits, &Crash::never()).await.expect("no crash").is_some() {
                tokio::time::sleep(Duration::from_secs(3600)).await;
            }
            pair.check();
            assert_eq!(pair.succeeded(), [8, 8], "seed {seed}");
        });
    }
    assert!(n_kills > 60, "only {n_kills} kills");
}

/// Goal: the jobs of one provider are done as fast while another one is dead as they are without it. Method: the same world with and
/// without an outage of the other provider that outlasts the run.
#[test]
fn a_dead_provider_delays_no_job_of_another() {
    let last_end = |pair: &Pair| {
        let ends = pair.ledger.events().into_iter().filter(|event| {
            matches!(event.kind, EventKind::Finished(_)) && job(event.index).request.provider.is_none()
        });
        ends.map(|event| event.at.since(START)).max().unwrap()
    };
    let both = world::simulate(async {
        let pair = Pair::new([calm(1), calm(2)], None);
        assert_eq!(pair.session(&limits(1), &Crash::never()).await, Some(None));
        assert_eq!(pair.succeeded(), [8, 8]);
        last_end(&pair)
    });
    for kind in [Silence::Refused, Silence::Unanswered, Silence::ImagesRefused] {
        let alone = world::simulate(async {
            let outage = Outage { from: Duration::ZERO, until: SESSION_MAX, kind };
            let pair = Pair::new([calm(1), calm(2)], Some(outage));
            let limits = Limits { outage_max: Duration::from_secs(600), ..limits(1) };
            let stop = pair.session(&limits, &Crash::never()).await.expect("no crash");
            let Some(StopReason::Unreachable(_, fault)) = stop else { panic!("{kind:?}: {stop:?}") };
            assert!(fault.message.starts_with("second: "), "{fault}");
            assert_eq!(pair.succeeded(), [8, 0], "{kind:?}");
            pair.check();
            last_end(&pair)
        });
        assert!(alone <= both + Duration::from_secs(2), "{kind:?}: {alone:?} with a dead provider, {both:?} without");
    }
}

/// Goal: a limit on the jobs of a command is one for all providers, and parts add up to the whole.
#[test]
fn a_limit_on_the_jobs_is_one_for_both_providers() {
    world::simulate(async {
        let pair = Pair::new([calm(3), calm(4)], None);
        let limits = Limits { jobs_max: Some(5), ..limits(3) };
        let mut counts = BTreeMap::new();
        for n in 1.. {
            let stop = pair.session(&limits, &Crash::never()).await.expect("no crash");
            counts.insert(n, pair.succeeded().iter().sum::<usize>());
            match stop {
                Some(StopReason::Limit(5)) => (),
                None => break,
                Some(stop) => panic!("{stop:?}"),
            }
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [5, 10, 15, 16]);
    });
}
