//! Checks of the conformance suite on the limit on the cost of all workers together.

use std::time::Duration;

use futures::future::join_all;

use crate::model::amount::Amount;
use crate::model::cost::Cost;
use crate::model::event::EventKind;
use crate::model::shared_cost::{CostReached, CostRequest};
use crate::model::shared_rate::ReserveRequest;
use crate::store::shared::backend::{
    Claim, Numbered, Renewal, ReservedTimes, SharedBackend, SharedCommit, SharedJob, WorkerId, WorkerProfile,
};
use crate::store::shared::conformance_jobs::{accepted, commit_of};
use crate::store::shared::cost::{CostTotals, signed};

const ONE: WorkerId = WorkerId(1);
const TWO: WorkerId = WorkerId(2);

fn usd(amount: f64) -> Amount {
    Amount::new(amount)
}

/// Reserves for submissions at 2 each, for a worker that holds these.
async fn ask(server: &dyn SharedBackend, worker: WorkerId, n: u64, max: u32, held: (u32, f64)) -> ReservedTimes {
    let cost = CostRequest { each: Some(usd(2.0)), held: usd(held.1) };
    server.reserve(worker, n, ReserveRequest { max, held: held.0, cost }).await.unwrap()
}

/// Lets two workers join, and sets a limit. Returns the jobs of the first one.
async fn begin(server: &dyn SharedBackend, max: f64) -> Vec<SharedJob> {
    for worker in [ONE, TWO] {
        server.join(worker, &WorkerProfile::default()).await.unwrap();
    }
    assert_eq!(server.share_cost_max(usd(max)).await.unwrap(), None);
    let claimed = server.claim(ONE, 1, &Claim::Next(9)).await.unwrap();
    let Numbered::Written(blocks, flags) = claimed else { panic!("{claimed:?}") };
    assert_eq!(flags.cost_max, Some(usd(max)));
    server.load(&blocks).await.unwrap()
}

/// Returns a commit of these events that changes the cost so.
fn costing(job: &SharedJob, kinds: &[EventKind], numbers: [f64; 2], n_possible: i128, n_unknown: i128) -> SharedCommit {
    let [sure, possible] = numbers.map(|number| signed(usd(number.abs())) * if number < 0.0 { -1 } else { 1 });
    SharedCommit { cost: CostTotals { sure, possible, n_possible, n_unknown }, ..commit_of(job, kinds, &[]) }
}

async fn commit(server: &dyn SharedBackend, n: u64, commit: &SharedCommit) {
    let written = server.commit(ONE, n, commit).await.unwrap();
    assert!(matches!(written, Numbered::Written((), _)), "{written:?}");
}

pub(super) async fn amounts(server: &dyn SharedBackend) {
    let jobs = begin(server, 11.0).await;
    let first = ask(server, ONE, 1, 3, (0, 0.0)).await;
    assert_eq!((first.count, first.is_short, first.reached), (3, false, None));
    let second = ask(server, TWO, 1, 3, (0, 0.0)).await;
    assert_eq!((second.count, second.is_short, second.reached), (2, true, None), "10 of 11 are reserved");
    assert_eq!(ask(server, TWO, 1, 9, (0, 0.0)).await.count, 0, "an old request changes nothing");
    let third = ask(server, TWO, 2, 3, (2, 4.0)).await;
    assert_eq!((third.count, third.is_short, third.reached), (0, true, None), "others may leave some over");
    // The first worker records one submission, which is refused, and one that is accepted, and gives one back.
    commit(server, 2, &costing(&jobs[0], &[EventKind::SubmitStarted], [0.0, 4.0], 2, 0)).await;
    assert_eq!(ask(server, TWO, 3, 3, (2, 4.0)).await.count, 0, "what is recorded and not told counts twice");
    assert_eq!(ask(server, ONE, 2, 0, (2, 0.0)).await.count, 0);
    assert_eq!(ask(server, TWO, 4, 3, (2, 4.0)).await.count, 1, "4 are recorded, and 4 held");
    commit(server, 3, &costing(&jobs[0], &accepted("t1")[1..], [2.0, -4.0], -2, 0)).await;
    assert_eq!(ask(server, TWO, 5, 3, (3, 6.0)).await.count, 1, "2 are paid, and 6 held");
}

pub(super) async fn cost_once(server: &dyn SharedBackend) {
    let jobs = begin(server, 11.0).await;
    let paid = costing(&jobs[0], &accepted("t1"), [6.0, 0.0], 0, 0);
    commit(server, 2, &paid).await;
    assert_eq!(server.commit(ONE, 2, &paid).await.unwrap(), Numbered::LastIs(2));
    assert_eq!(ask(server, TWO, 1, 9, (0, 0.0)).await.count, 2, "6 are paid once");
    // What a worker holds that is gone is free, and what it has recorded is not.
    server.leave(TWO, Duration::ZERO).await.unwrap();
    assert_eq!(ask(server, ONE, 1, 9, (0, 0.0)).await.count, 2);
    server.leave(ONE, Duration::ZERO).await.unwrap();
    let three = WorkerId(3);
    server.join(three, &WorkerProfile::default()).await.unwrap();
    assert_eq!(ask(server, three, 1, 9, (0, 0.0)).await.count, 2);
    assert_eq!(server.share_cost_max(usd(7.0)).await.unwrap(), Some(usd(11.0)));
    let last = ask(server, three, 2, 9, (0, 0.0)).await;
    let cost = Some(Cost { sure: usd(6.0), ..Cost::default() });
    assert_eq!((last.count, last.reached), (0, Some(CostReached { cost, max: usd(7.0) })));
    assert_eq!(ask(server, three, 3, 0, (0, 0.0)).await.reached, None, "nothing was asked for");
    assert_eq!(server.share_cost_max(usd(8.0)).await.unwrap(), Some(usd(7.0)));
    let Renewal::Renewed { flags, .. } = server.renew(three).await.unwrap() else { panic!("it is live") };
    assert_eq!(flags.cost_max, Some(usd(8.0)));
    assert_eq!(ask(server, three, 4, 9, (0, 0.0)).await.count, 1);
}

pub(super) async fn unknown_prices(server: &dyn SharedBackend) {
    let jobs = begin(server, 11.0).await;
    let unpriced = ReserveRequest { max: 1, held: 0, cost: CostRequest::default() };
    let none = server.reserve(TWO, 1, unpriced).await.unwrap();
    assert_eq!((none.count, none.is_short), (0, true));
    let free = CostRequest { each: Some(Amount::ZERO), ..CostRequest::default() };
    assert_eq!(server.reserve(TWO, 2, ReserveRequest { cost: free, ..unpriced }).await.unwrap().count, 1);
    server.reserve(TWO, 3, ReserveRequest { max: 0, ..unpriced }).await.unwrap();
    commit(server, 2, &costing(&jobs[0], &accepted("t1"), [0.0, 0.0], 0, 1)).await;
    let last = ask(server, ONE, 1, 9, (0, 0.0)).await;
    assert_eq!((last.count, last.reached), (0, Some(CostReached { cost: None, max: usd(11.0) })));
    commit(server, 3, &costing(&jobs[1], &accepted("t2"), [3.0, 0.0], 0, -1)).await;
    assert_eq!(ask(server, ONE, 2, 9, (0, 0.0)).await.count, 4);
}

pub(super) async fn races_for_amounts(server: &dyn SharedBackend) {
    begin(server, 41.0).await;
    let calls = (1..=20).map(|n| async move {
        let worker = if n % 2 == 0 { ONE } else { TWO };
        // Each says that it holds what it may have by then.
        ask(server, worker, n, 2, (40, 40.0)).await.count
    });
    let all: u32 = join_all(calls).await.into_iter().sum();
    assert_eq!(all, 0, "80 are held");
    server.reserve(TWO, 30, ReserveRequest { max: 0, held: 0, cost: CostRequest::default() }).await.unwrap();
    assert_eq!(ask(server, ONE, 30, 99, (0, 0.0)).await.count, 20);
    assert_eq!(ask(server, TWO, 31, 99, (0, 0.0)).await.count, 0);
}
