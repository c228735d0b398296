//! Checks of the conformance suite on the rate of all workers together.

use std::num::NonZeroU32;
use std::time::Duration;

use futures::future::join_all;

use crate::model::shared_cost::CostRequest;
use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::store::shared::backend::{
    Claim, Numbered, RESERVED_AHEAD, Renewal, ReservedTimes, SharedBackend, WorkerId, WorkerProfile,
};
use crate::store::shared::conformance_jobs::{accepted, commit_of};

const ONE: WorkerId = WorkerId(1);
const TWO: WorkerId = WorkerId(2);

fn rate(text: &str) -> SharedRate {
    text.parse().unwrap()
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap()
}

/// Lets two workers join, which keep this rate.
async fn begin(server: &dyn SharedBackend, text: &str) {
    for worker in [ONE, TWO] {
        server.join(worker, &WorkerProfile::default()).await.unwrap();
    }
    assert_eq!(server.share_rate(rate(text)).await.unwrap(), None);
}

/// Returns the answer to a request for so many times, of a worker that holds nothing.
async fn reserve(server: &dyn SharedBackend, worker: WorkerId, n: u64, max: u32) -> ReservedTimes {
    server.reserve(worker, n, ReserveRequest { max, held: 0, cost: CostRequest::default() }).await.unwrap()
}

/// Returns the end of reserved times, after checking that they are within their bounds.
fn end(times: &ReservedTimes, rate: SharedRate) -> i64 {
    let interval = micros(rate.interval());
    assert_eq!(i64::try_from(times.interval).unwrap(), interval);
    let end = times.first + i64::from(times.count) * interval;
    assert_eq!(times.next, end, "{times:?}");
    let is_near = end - interval <= times.now + micros(RESERVED_AHEAD);
    assert!(is_near || times.count == 0, "{times:?}");
    end
}

pub(super) async fn reserves(server: &dyn SharedBackend) {
    assert_eq!(reserve(server, ONE, 1, 5).await.count, 0, "it has not joined");
    server.join(ONE, &WorkerProfile::default()).await.unwrap();
    let free = reserve(server, ONE, 2, 5).await;
    assert_eq!((free.count, free.interval, free.flags.rate), (5, 0, None));
    server.leave(ONE, Duration::ZERO).await.unwrap();
    assert_eq!(reserve(server, ONE, 3, 5).await.count, 0, "it has left");

    let thousand = rate("1000/s");
    assert_eq!(server.share_rate(thousand).await.unwrap(), None);
    for worker in [TWO, WorkerId(3)] {
        server.join(worker, &WorkerProfile::default()).await.unwrap();
    }
    let first = reserve(server, TWO, 4, 10).await;
    assert!(first.count == 10 && first.first <= first.now, "{first:?}");
    let mut last = end(&first, thousand);
    let calls = (10..50).map(|n| reserve(server, if n % 2 == 0 { TWO } else { WorkerId(3) }, n, 3));
    let mut all: Vec<_> = join_all(calls).await;
    all.sort_by_key(|times| times.first);
    for times in all {
        assert!(times.first >= last, "{times:?} overlaps what ends at {last}");
        last = end(&times, thousand);
    }
    let rest = reserve(server, TWO, 100, 100_000).await;
    assert!(rest.first >= last && rest.count < 1000, "{rest:?}");
    end(&rest, thousand);
}

pub(super) async fn rates(server: &dyn SharedBackend) {
    begin(server, "1/h").await;
    let hour = rate("1/h");
    assert_eq!(reserve(server, ONE, 6, 9).await.count, 1);
    let none = reserve(server, TWO, 7, 9).await;
    assert!(none.count == 0 && none.next > none.now + micros(RESERVED_AHEAD), "{none:?}");
    let quick = rate("1000/s with bursts of 1");
    assert_eq!(server.share_rate(quick).await.unwrap(), Some(hour));
    let Renewal::Renewed { flags, .. } = server.renew(ONE).await.unwrap() else { panic!("it is live") };
    assert_eq!(flags.rate, Some(quick));
    let again = reserve(server, TWO, 8, 9).await;
    let soon = again.now + micros(RESERVED_AHEAD + quick.interval());
    assert!(again.next <= soon && again.flags.rate == Some(quick), "an hour is not waited for: {again:?}");
    end(&again, quick);
}

pub(super) async fn bursts(server: &dyn SharedBackend) {
    begin(server, "1/s with bursts of 5").await;
    let burst = rate("1/s with bursts of 5");
    let times = reserve(server, ONE, 9, 9).await;
    assert_eq!(times.count, 6, "five at once, and one within the next second");
    assert!(times.first <= times.now - micros(burst.reach_back()), "{times:?}");
    assert_eq!(reserve(server, TWO, 10, 9).await.count, 0);
}

pub(super) async fn places(server: &dyn SharedBackend) {
    for worker in [ONE, TWO] {
        server.join(worker, &WorkerProfile::default()).await.unwrap();
    }
    let five = NonZeroU32::new(5).unwrap();
    assert_eq!(server.share_places(five).await.unwrap(), None);
    let ask = |worker, n, max, held| async move {
        server.reserve(worker, n, ReserveRequest { max, held, cost: CostRequest::default() }).await.unwrap().count
    };
    assert_eq!((ask(ONE, 1, 3, 0).await, ask(TWO, 1, 3, 0).await, ask(TWO, 2, 3, 2).await), (3, 2, 0));
    assert_eq!(ask(ONE, 1, 3, 0).await, 0, "an old request changes nothing");
    assert_eq!((ask(ONE, 2, 0, 1).await, ask(TWO, 3, 9, 2).await), (0, 2), "what is given back is free");
    // A task that is running takes its place, whoever drives it.
    let claimed = server.claim(ONE, 1, &Claim::Next(1)).await.unwrap();
    let Numbered::Written(blocks, flags) = claimed else { panic!("{claimed:?}") };
    assert_eq!(flags.places, Some(five));
    let jobs = server.load(&blocks).await.unwrap();
    server.commit(ONE, 2, &commit_of(&jobs[0], &accepted("t1"), &[])).await.unwrap();
    assert_eq!((ask(ONE, 3, 9, 0).await, ask(TWO, 4, 9, 0).await), (0, 4));
    server.leave(TWO, Duration::ZERO).await.unwrap();
    assert_eq!(ask(ONE, 4, 9, 0).await, 4, "what a worker held that is gone is free, and its task is not");
    server.leave(ONE, Duration::ZERO).await.unwrap();
    let three = WorkerId(3);
    server.join(three, &WorkerProfile::default()).await.unwrap();
    assert_eq!(ask(three, 1, 9, 0).await, 4);
    assert_eq!(server.share_places(NonZeroU32::MIN).await.unwrap(), Some(five));
    assert_eq!(ask(three, 2, 9, 4).await, 0);
}
