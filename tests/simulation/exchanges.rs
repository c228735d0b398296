//! Providers of every kind, played on the same simulated service: how an answer is exchanged, and how a doubt ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};

use promptbatch::model::amount::Amount;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{InDoubtPolicy, Limits, RepeatCost};
use promptbatch::model::money::Money;
use promptbatch::model::outcome::{Acceptance, Fault, Found, Status, TaskId, Url};
use promptbatch::model::partial_download::PartialDownload;
use promptbatch::model::price::Price;
use promptbatch::model::request::Request;
use promptbatch::model::submission_id::SubmissionId;
use promptbatch::provider::{Download, LostSubmission, Provider, ProviderTraits};
use promptbatch::simulator::config::SimulatorConfig;

use crate::crash::Crash;
use crate::direct::{Direct, Listing};
use crate::money;
use crate::world::{self, Session, World};
use crate::{PASSING, calm, limits, stormy};

/// Time after which the service lists every submission that it accepted.
const SETTLES_AFTER: Duration = Duration::from_secs(20);

/// Time between two looks of the service at its own task, before it answers with the image.
const LOOK: Duration = Duration::from_millis(200);

/// Kind of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exchange {
    /// The answer is a task, and a doubt stays one.
    #[default]
    Task,
    /// The answer carries the image, and a doubt stays one.
    Answer,
    /// The answer is a task, and a submission is found by its id.
    Listed,
    /// The answer is a task, and a submission with a known id gets the task that it has.
    Guarded,
}

/// What outlives the process: the list of the service, and the images on this disk.
#[derive(Debug, Default)]
pub struct Lasting {
    pub listed: Listing,
    /// Says whether the provider's answers say what a task costs.
    pub has_bills: bool,
    spool: Mutex<BTreeMap<TaskId, Bytes>>,
    spooled: Mutex<BTreeMap<SubmissionId, TaskId>>,
}

impl Lasting {
    /// Creates the memory of a provider whose answers say what a task costs.
    pub fn with_bills() -> Self {
        Self { has_bills: true, ..Self::default() }
    }
}

/// Provider of a kind, on top of the service.
pub struct Exchanging {
    pub direct: Direct,
    pub exchange: Exchange,
    pub lasting: Arc<Lasting>,
    pub crash: Crash,
}

/// Returns what the provider bills for a task, which no list of prices says.
pub fn bill(task: &TaskId) -> Money {
    let rank = task.0.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % 7;
    Money { amount: Amount::new(0.5 + 0.1 * f64::from(rank)), unit: "USD".into() }
}

fn spool_url(task: &TaskId) -> Url {
    Url(format!("spool:///{task}"))
}

impl Exchanging {
    /// Returns what the answer about a task says that it costs.
    fn cost(&self, task: &TaskId) -> Option<Money> {
        self.lasting.has_bills.then(|| bill(task))
    }

    async fn submit_one(&self, request: &Request, id: &SubmissionId) -> Result<Acceptance, Fault> {
        let known = self.lasting.listed.lock().unwrap().get(id).cloned();
        if let Some(task) = known.filter(|_| self.exchange == Exchange::Guarded) {
            return Ok(Acceptance { cost: self.cost(&task), ..task.into() });
        }
        let acceptance = self.direct.submit(request, id).await?;
        // Some say the cost at once, and others when the task is done.
        if self.exchange == Exchange::Guarded {
            return Ok(Acceptance { cost: self.cost(&acceptance.task), ..acceptance });
        }
        if self.exchange != Exchange::Answer {
            return Ok(acceptance);
        }
        let image = self.made(&acceptance.task).await;
        // A kill before this moment leaves a doubt, and a kill after it does not.
        self.crash.step().await;
        self.lasting.spool.lock().unwrap().insert(acceptance.task.clone(), image);
        self.lasting.spooled.lock().unwrap().insert(*id, acceptance.task.clone());
        self.crash.step().await;
        let cost = self.cost(&acceptance.task);
        Ok(Acceptance { images: vec![spool_url(&acceptance.task)], cost, ..acceptance })
    }

    /// Returns the image of a task, as the service itself sees it: whatever the network does to others.
    async fn made(&self, task: &TaskId) -> Bytes {
        let links = loop {
            tokio::time::sleep(LOOK).await;
            if let Ok(Status::Done(links)) = self.direct.poll(std::slice::from_ref(task)).await.remove(0) {
                break links;
            }
        };
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(download) = self.direct.download(&links[0], None).await else { continue };
            let pieces: Vec<_> = download.body.collect().await;
            let whole: Result<Vec<Bytes>, _> = pieces.into_iter().collect();
            let Ok(whole) = whole else { continue };
            let image: BytesMut = whole.iter().flatten().copied().collect();
            if image.starts_with(b"\x89PNG") && image.ends_with(b"IEND\xae\x42\x60\x82") {
                return image.freeze();
            }
        }
    }

    fn find_one(&self, lost: &LostSubmission) -> Found {
        let found = match self.exchange {
            Exchange::Task | Exchange::Guarded => return Found::Unknown,
            Exchange::Listed => self.lasting.listed.lock().unwrap().get(&lost.id).cloned().map(Acceptance::from),
            Exchange::Answer => self.lasting.spooled.lock().unwrap().get(&lost.id).cloned().map(|task| {
                let images = vec![spool_url(&task)];
                Acceptance { images, cost: self.cost(&task), ..task.into() }
            }),
        };
        match (found, self.exchange) {
            (Some(acceptance), _) => Found::Accepted(Box::new(acceptance)),
            (None, Exchange::Listed) => Found::Absent,
            (None, _) => Found::Unknown,
        }
    }
}

impl Provider for Exchanging {
    fn submit<'a>(&'a self, request: &'a Request, id: &'a SubmissionId) -> BoxFuture<'a, Result<Acceptance, Fault>> {
        self.submit_one(request, id).boxed()
    }

    fn poll<'a>(&'a self, tasks: &'a [TaskId]) -> BoxFuture<'a, Vec<Result<Status, Fault>>> {
        let spooled = |task: &TaskId| self.lasting.spool.lock().unwrap().contains_key(task);
        if self.exchange == Exchange::Answer {
            let done = tasks.iter().map(|task| {
                assert!(spooled(task), "what is recorded is there");
                Ok(Status::Done(vec![spool_url(task)]).charged(self.cost(task)))
            });
            return std::future::ready(done.collect()).boxed();
        }
        if self.exchange == Exchange::Guarded {
            return self.direct.poll(tasks);
        }
        let charged = |(task, answer): (&TaskId, Result<Status, Fault>)| match answer {
            Ok(status @ Status::Done(_)) => Ok(status.charged(self.cost(task))),
            other => other,
        };
        self.direct.poll(tasks).map(move |answers| tasks.iter().zip(answers).map(charged).collect()).boxed()
    }

    fn download<'a>(
        &'a self,
        url: &'a Url,
        part: Option<&'a PartialDownload>,
    ) -> BoxFuture<'a, Result<Download<'static>, Fault>> {
        let Some(task) = url.0.strip_prefix("spool:///") else { return self.direct.download(url, part) };
        let image = self.lasting.spool.lock().unwrap().get(&TaskId(task.into())).cloned();
        let image = image.expect("nothing is released before it is saved");
        std::future::ready(Ok(Download::whole(stream::iter([Ok(image)]).boxed()))).boxed()
    }

    fn traits(&self) -> ProviderTraits {
        let settles_after = match self.exchange {
            Exchange::Task | Exchange::Guarded => None,
            Exchange::Answer => Some(Duration::ZERO),
            Exchange::Listed => Some(SETTLES_AFTER),
        };
        let answers_with_images = self.exchange == Exchange::Answer;
        let repeats = if self.exchange == Exchange::Guarded { RepeatCost::Once } else { RepeatCost::Again };
        ProviderTraits { answers_with_images, settles_after, repeats }
    }

    fn find<'a>(&'a self, lost: &'a [LostSubmission]) -> BoxFuture<'a, Vec<Result<Found, Fault>>> {
        std::future::ready(lost.iter().map(|lost| Ok(self.find_one(lost))).collect()).boxed()
    }

    fn kept(&self) -> Vec<TaskId> {
        self.lasting.spool.lock().unwrap().keys().cloned().collect()
    }

    fn release(&self, tasks: &[TaskId]) {
        self.lasting.spool.lock().unwrap().retain(|task, _| !tasks.contains(task));
    }
}

impl World {
    /// Goal: what the ledger says that the run cost is what the provider bills, whatever was killed: within the price of the tasks that no
    /// answer has told of, and within the doubts.
    ///
    /// Method: the bills of all tasks that the service accepted, and those of the tasks on record.
    fn check_bills(&self, price: &Price) {
        let told = money::paid(&self.ledger, price);
        let mut on_record = Amount::ZERO;
        // Tasks whose cost no answer has said: they count at the price until then.
        let mut n_untold = 0;
        let mut last: BTreeMap<_, TaskId> = BTreeMap::new();
        let mut charges: BTreeMap<TaskId, Money> = BTreeMap::new();
        let mut n_submits: BTreeMap<_, u32> = BTreeMap::new();
        for event in self.ledger_events() {
            match event.kind {
                EventKind::Accepted(task) => {
                    on_record += bill(&task).amount;
                    last.insert(event.job, task);
                }
                EventKind::SubmitStarted => *n_submits.entry(event.job).or_default() += 1,
                EventKind::Charged(charge) => {
                    assert_eq!(charge.submission, n_submits[&event.job], "the number of its own submission");
                    let before = charges.insert(last[&event.job].clone(), charge.money);
                    assert_eq!(before, None, "a task that is polled again is not charged again");
                }
                EventKind::Ready(_) => assert!(charges.contains_key(&last[&event.job]), "an ended task says its cost"),
                _ => (),
            }
        }
        for (task, money) in &charges {
            assert_eq!(*money, bill(task), "the charge is that of its own task");
        }
        let tasks = self.ledger_events().into_iter().filter_map(|event| match event.kind {
            EventKind::Accepted(task) => Some(task),
            _ => None,
        });
        let mut untold = Amount::ZERO;
        for task in tasks.filter(|task| !charges.contains_key(task)) {
            untold += bill(&task).amount;
            n_untold += 1;
        }
        let expected = on_record.without(untold) + price.amount_of("", None).unwrap().times(n_untold);
        assert_eq!(told.sure, expected, "{n_untold} tasks without a word about their cost");
        // What the service accepted beyond the record is within the doubts.
        let billed: Amount = self.lasting.listed.lock().unwrap().values().map(|task| bill(task).amount).sum();
        assert!(billed >= on_record, "{billed} billed, {on_record} on record");
        let hidden = bill_max().times(told.n_in_doubt);
        assert!(billed.without(on_record) <= hidden, "{billed} billed, {on_record} on record, {told:?}");
    }
}

/// Returns the highest bill.
fn bill_max() -> Amount {
    Amount::new(0.5 + 0.1 * 6.0)
}

/// Jobs of a world here. Two of them request the same image.
const JOBS: u64 = 6;

/// Counts of many worlds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Toll {
    kills: u64,
    doubts: u64,
    duplicates: u64,
}

/// Kills processes of a world at random steps, runs it to its end, and counts what was paid for twice.
async fn killed(exchange: Exchange, config: SimulatorConfig, limits: &Limits, seed: u64, toll: &mut Toll) {
    let expected = World::new(JOBS, calm(seed)).outcomes_of_a_calm_run().await;
    let world = World::of(exchange, JOBS, config);
    let mut rng = fastrand::Rng::with_seed(seed);
    for _ in 0..4 {
        if !matches!(world.session(limits.clone(), &Crash::at(rng.u64(1..50))).await, Session::Crashed) {
            break;
        }
        toll.kills += 1;
        world.check_after_crash();
        world.check_bills(limits.price.as_ref().unwrap());
    }
    world.run_to_the_end(limits).await;
    world.check();
    world.check_bills(limits.price.as_ref().unwrap());
    for (index, end) in world.outcomes() {
        let is_held = end.0 == "in_doubt" && limits.in_doubt == InDoubtPolicy::Hold;
        assert!(is_held || end == expected[&index], "{exchange:?}, seed {seed}, job {index}: {end:?}");
    }
    toll.doubts += world.n_in_doubt();
    toll.duplicates += world.server_stats().n_accepted.saturating_sub(JOBS + world.n_lost());
    // A process that was killed after its last record leaves its images to the next one.
    world.run(limits.clone()).await;
    assert!(world.lasting.spool.lock().unwrap().is_empty(), "every image is saved, and freed");
}

fn kills(exchange: Exchange, faults: &[&str], in_doubt: InDoubtPolicy, n_kills_min: u64) -> Toll {
    let mut toll = Toll::default();
    let mut seed = 0;
    while toll.kills < n_kills_min {
        let limits = Limits { in_doubt, price: "0.7 USD".parse().ok(), ..limits(seed) };
        world::simulate(killed(exchange, stormy(seed, faults), &limits, seed, &mut toll));
        seed += 1;
    }
    toll
}

/// Goal: a kill at any moment loses no image with any kind of provider, and costs nothing twice where the provider can prevent that.
///
/// Method: a thousand kills for each kind of provider, with a calm network and under faults; then the run ends. The simulated service counts
/// what it made.
fn kills_cost_only_what_no_one_can_know(n_kills_min: u64) {
    for (name, faults) in [("calm", &[][..]), ("faults", &PASSING[..])] {
        for exchange in [Exchange::Task, Exchange::Answer, Exchange::Listed, Exchange::Guarded] {
            let Toll { kills: n_kills, doubts: n_doubts, duplicates: n_duplicates } =
                kills(exchange, faults, InDoubtPolicy::Resubmit, n_kills_min);
            println!("{exchange:?}, {name}: {n_kills} kills, {n_doubts} doubts, {n_duplicates} duplicates");
            assert!(n_duplicates <= n_doubts, "each is counted");
            match exchange {
                Exchange::Task | Exchange::Answer => assert!(n_duplicates > 2, "the kills must bite"),
                Exchange::Guarded => assert!(n_doubts > 2 && n_duplicates == 0, "the same id is not paid for twice"),
                Exchange::Listed => {
                    assert_eq!((n_doubts, n_duplicates), (0, 0), "every submission is found, or surely absent");
                }
            }
        }
    }
}

#[test]
#[cfg_attr(not(every_test), ignore = "long: see CONTRIBUTING.md")]
fn a_kill_costs_only_what_no_one_can_know() {
    kills_cost_only_what_no_one_can_know(30);
}

#[test]
#[ignore = "eight thousand kills, minutes of one core"]
fn a_thousand_kills_of_each_kind_cost_only_what_no_one_can_know() {
    kills_cost_only_what_no_one_can_know(1000);
}

/// Goal: a user who wants nothing paid for twice gets exactly that, with every kind of provider.
#[test]
fn held_doubts_are_never_paid_for_twice() {
    for exchange in [Exchange::Task, Exchange::Answer, Exchange::Listed] {
        let toll = kills(exchange, &PASSING, InDoubtPolicy::Hold, 30);
        assert_eq!(toll.duplicates, 0, "{exchange:?}: {toll:?}");
    }
}
