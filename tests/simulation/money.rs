//! Cost limit, checked against the server's own counts, under all faults and repeated crashes.

use std::collections::BTreeMap;
use std::time::Duration;

use promptbatch::internals::effort::cases;
use promptbatch::internals::engine::turn::StopReason;
use promptbatch::internals::store::MemoryLedger;
use promptbatch::model::amount::Amount;
use promptbatch::model::cost::Cost;
use promptbatch::model::event::EventKind;
use promptbatch::model::limits::{Concurrency, InDoubtPolicy, Limits};
use promptbatch::model::money::Charge;
use promptbatch::model::price::Price;
use promptbatch::simulator::config::SimulatorConfig;

use crate::crash::Crash;
use crate::world::{self, Session, World};
use crate::{LOSING, PASSING, calm, limits, stormy};

/// Price of an image, in USD.
const PRICE: f64 = 0.7;

/// Faults that hide which submissions the server has accepted.
const HIDING: [&str; 3] = ["submit-cut-after=0.2", "submit-garbage=0.1", "500=0.05"];

/// Computes the cost from every event of a ledger, independently of the SQL of the real ledger.
pub fn paid(ledger: &MemoryLedger, price: &Price) -> Cost {
    let mut n_accepted: BTreeMap<_, u64> = BTreeMap::new();
    let mut charges: BTreeMap<_, BTreeMap<u32, Amount>> = BTreeMap::new();
    for event in ledger.events() {
        match event.kind {
            EventKind::Accepted(_) => *n_accepted.entry(event.job).or_default() += 1,
            EventKind::Charged(Charge { submission, money }) => {
                charges.entry(event.job).or_default().insert(submission, money.amount);
            }
            _ => (),
        }
    }
    let mut cost = Cost::default();
    for known in ledger.known() {
        let state = &known.state;
        let price = price.amount_for(&known.job.request).expect("every model has a price");
        let n_accepted = n_accepted.get(&known.job.id).copied().unwrap_or(0);
        let n_open = u64::from(state.is_in_doubt() && !state.is_doubt_counted());
        let n_in_doubt =
            (u64::from(state.n_in_doubt) + n_open).min(u64::from(state.n_submits).saturating_sub(n_accepted));
        let charges = charges.get(&known.job.id).cloned().unwrap_or_default();
        cost.sure += price.times(n_accepted - charges.len() as u64) + charges.into_values().sum();
        cost.in_doubt += price.times(n_in_doubt);
        cost.n_in_doubt += n_in_doubt;
    }
    cost
}

/// Returns limits for a run that may pay for `n_images` images, and for a little less than one more.
fn capped(seed: u64, n_images: u64, concurrency: u32) -> Limits {
    let price: Price = format!("{PRICE} USD").parse().unwrap();
    let max = price.amount_of("", None).unwrap().times(n_images) + Amount::new(PRICE * 0.999);
    Limits {
        cost_max: max.to_string().parse().ok(),
        price: Some(price),
        concurrency: Concurrency::Fixed(concurrency.try_into().unwrap()),
        look_ahead_max: 64,
        ..limits(seed)
    }
}

impl World {
    /// Checks that the cost by the server's counts is within our recorded bounds, and within the limit.
    fn check_cost(&self, limits: &Limits) {
        let price = limits.price.as_ref().unwrap();
        let told = paid(&self.ledger, price);
        let truly = price.amount_of("", None).unwrap().times(self.server_stats().n_accepted);
        let max = limits.cost_max.as_ref().unwrap().amount;
        assert!(told.sure <= truly && truly <= told.most(), "{truly} is not {}", told.words("USD"));
        assert!(truly <= max && told.most() <= max, "{truly}, told {}, of {max}", told.words("USD"));
    }
}

/// Goal: the limit holds across crashes, with lost answers, lost tasks and many submissions in flight.
///
/// Method: crash at random steps, until a process stops at the limit. By then, the next image would exceed the limit.
#[test]
fn the_servers_books_never_exceed_the_limit() {
    let (mut n_stopped, mut n_crashes, mut n_in_doubt) = (0, 0, 0);
    for seed in 0..cases(60) {
        let concurrency = [3, 64, 8][(seed % 3) as usize];
        let in_doubt = [InDoubtPolicy::Resubmit, InDoubtPolicy::Hold, InDoubtPolicy::Resubmit, InDoubtPolicy::Fail]
            [(seed % 4) as usize];
        let limits = Limits { in_doubt, ..capped(seed, 3 + seed % 12, concurrency) };
        world::simulate(async {
            let faults = [&PASSING[..], &LOSING, &HIDING].concat();
            let world = World::new(12, stormy(seed, if seed % 5 == 0 { &HIDING } else { &faults }));
            let mut rng = fastrand::Rng::with_seed(seed);
            for n_sessions in 0.. {
                assert!(n_sessions < 200, "seed {seed}: no end");
                let limits = Limits { seed: n_sessions, ..limits.clone() };
                let crash = if rng.f64() < 0.7 { Crash::at(rng.u64(1..80)) } else { Crash::never() };
                let session = world.session(limits.clone(), &crash).await;
                world.check_after_crash();
                world.check_cost(&limits);
                match session {
                    Session::Crashed => n_crashes += 1,
                    Session::Ended(Some(StopReason::Cost(capped))) => {
                        let (cost, next) = (capped.cost.unwrap(), capped.next.unwrap());
                        assert!(cost.most() + next > capped.max, "seed {seed}: stopped too early: {capped:?}");
                        assert_eq!(cost, paid(&world.ledger, limits.price.as_ref().unwrap()), "live as in the ledger");
                        n_in_doubt += cost.n_in_doubt;
                        n_stopped += 1;
                        return;
                    }
                    Session::Ended(None) => return,
                    Session::Ended(Some(_)) => tokio::time::sleep(Duration::from_secs(3600)).await,
                    Session::Failed(error) => panic!("{error}"),
                }
            }
        });
    }
    assert!(
        n_stopped > cases(20) && n_crashes > cases(50) && n_in_doubt > cases(20),
        "{n_stopped} {n_crashes} {n_in_doubt}: it must bite"
    );
}

/// Goal: a higher limit continues where the lower one stopped, and nothing is paid for twice.
#[test]
fn a_higher_limit_goes_on() {
    world::simulate(async {
        let expected = World::new(12, calm(1)).outcomes_of_a_calm_run().await;
        let world = World::new(12, calm(1));
        for n_images in [0, 5, 5, 9] {
            let limits = capped(1, n_images, 64);
            assert!(matches!(world.run(limits.clone()).await, Some(StopReason::Cost(_))));
            world.check_cost(&limits);
            assert_eq!(world.server_stats().n_accepted, n_images, "all of the limit is used");
        }
        assert_eq!(world.run(capped(1, 12, 64)).await, None);
        assert_eq!((world.outcomes(), world.server_stats().n_accepted), (expected, 12));
    });
}

/// Goal: parts of a batch add up to the whole batch, even if a process crashes in between. Each part has as many jobs
/// as allowed.
#[test]
fn part_after_part_is_the_batch() {
    world::simulate(async {
        let expected = World::new(11, calm(2)).outcomes_of_a_calm_run().await;
        let world = World::new(11, SimulatorConfig { latency: Duration::from_secs(30), ..calm(2) });
        let limits = Limits { jobs_max: Some(3), ..limits(2) };
        assert!(matches!(world.session(limits.clone(), &Crash::at(9)).await, Session::Crashed));
        let n_begun = world.server_stats().n_accepted;
        assert!((1..=3).contains(&n_begun), "{n_begun} begun");
        let mut n_parts = 0;
        while let Some(stop) = world.run(limits.clone()).await {
            world.check_after_crash();
            n_parts += 1;
            assert_eq!(stop, StopReason::Limit(3));
            let n_ended = world.outcomes().values().filter(|end| end.0 == "succeeded").count();
            assert_eq!(n_ended, 3 * n_parts, "what was begun comes first");
        }
        world.check();
        assert_eq!((world.outcomes(), n_parts), (expected, 3));
        assert!(
            world.server_stats().n_accepted <= 11 + world.n_in_doubt(),
            "only what the crash hid is paid for again"
        );
    });
}

/// Goal: when the time is up, submitted tasks complete, and the next process continues.
#[test]
fn time_after_time_is_the_batch() {
    world::simulate(async {
        let expected = World::new(12, calm(3)).outcomes_of_a_calm_run().await;
        let world = World::new(12, stormy(3, &PASSING));
        let limits = Limits { duration_max: Some(Duration::from_secs(4)), ..limits(3) };
        let mut n_stops = 0;
        while let Some(stop) = world.run(limits.clone()).await {
            assert_eq!(stop, StopReason::Duration(Duration::from_secs(4)));
            world.check_after_crash();
            assert!(world.ledger.known().iter().all(|known| known.state.status() != "running"), "all came home");
            n_stops += 1;
            assert!(n_stops < 50);
        }
        world.check();
        assert!(n_stops > 1 && world.outcomes() == expected, "{n_stops} stops");
    });
}
