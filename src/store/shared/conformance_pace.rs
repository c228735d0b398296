//! Checks of the conformance suite on the rate of all workers together.

use std::time::Duration;

use futures::future::join_all;

use crate::model::shared_rate::SharedRate;
use crate::store::shared::backend::{RESERVED_AHEAD, Renewal, ReservedTimes, SharedBackend, WorkerId, WorkerProfile};

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
    assert_eq!(server.reserve(ONE, 5).await.unwrap().count, 0, "it has not joined");
    server.join(ONE, &WorkerProfile::default()).await.unwrap();
    let free = server.reserve(ONE, 5).await.unwrap();
    assert_eq!((free.count, free.interval, free.flags.rate), (5, 0, None));
    server.leave(ONE, Duration::ZERO).await.unwrap();
    assert_eq!(server.reserve(ONE, 5).await.unwrap().count, 0, "it has left");

    let thousand = rate("1000/s");
    assert_eq!(server.share_rate(thousand).await.unwrap(), None);
    for worker in [TWO, WorkerId(3)] {
        server.join(worker, &WorkerProfile::default()).await.unwrap();
    }
    let first = server.reserve(TWO, 10).await.unwrap();
    assert!(first.count == 10 && first.first <= first.now, "{first:?}");
    let mut last = end(&first, thousand);
    let calls = (0..40).map(|n| server.reserve(if n % 2 == 0 { TWO } else { WorkerId(3) }, 3));
    let mut all: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    all.sort_by_key(|times| times.first);
    for times in all {
        assert!(times.first >= last, "{times:?} overlaps what ends at {last}");
        last = end(&times, thousand);
    }
    let rest = server.reserve(TWO, 100_000).await.unwrap();
    assert!(rest.first >= last && rest.count < 1000, "{rest:?}");
    end(&rest, thousand);
}

pub(super) async fn rates(server: &dyn SharedBackend) {
    begin(server, "1/h").await;
    let hour = rate("1/h");
    assert_eq!(server.reserve(ONE, 9).await.unwrap().count, 1);
    let none = server.reserve(TWO, 9).await.unwrap();
    assert!(none.count == 0 && none.next > none.now + micros(RESERVED_AHEAD), "{none:?}");
    let quick = rate("1000/s with bursts of 1");
    assert_eq!(server.share_rate(quick).await.unwrap(), Some(hour));
    let Renewal::Renewed { flags, .. } = server.renew(ONE).await.unwrap() else { panic!("it is live") };
    assert_eq!(flags.rate, Some(quick));
    let again = server.reserve(TWO, 9).await.unwrap();
    let soon = again.now + micros(RESERVED_AHEAD + quick.interval());
    assert!(again.next <= soon && again.flags.rate == Some(quick), "an hour is not waited for: {again:?}");
    end(&again, quick);
}

pub(super) async fn bursts(server: &dyn SharedBackend) {
    begin(server, "1/s with bursts of 5").await;
    let burst = rate("1/s with bursts of 5");
    let times = server.reserve(ONE, 9).await.unwrap();
    assert_eq!(times.count, 6, "five at once, and one within the next second");
    assert!(times.first <= times.now - micros(burst.reach_back()), "{times:?}");
    assert_eq!(server.reserve(TWO, 9).await.unwrap().count, 0);
}
