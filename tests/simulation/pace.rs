//! Checks on the recorded events: the requested concurrency and the requested rate are kept.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use promptbatch::model::event::{Event, EventKind, Stage};
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::time::Timestamp;

/// Goal: the provider never has more tasks than the concurrency allows, whichever process polled them. A task past its
/// timeout does not count, although it may still be polled.
pub fn check_in_flight(events: &[Event], limits: &Limits) {
    let Concurrency::Fixed(max) = limits.concurrency else { return };
    let mut in_flight = BTreeMap::new();
    for event in events {
        in_flight.retain(|_, since: &mut Timestamp| event.at.since(*since) < limits.task_timeout);
        match &event.kind {
            EventKind::SubmitStarted => drop(in_flight.insert(event.job, event.at)),
            EventKind::Ready(_) | EventKind::Finished(_) | EventKind::Setback(Stage::Submit | Stage::Task, _) => {
                in_flight.remove(&event.job);
            }
            _ => (),
        }
        assert!(in_flight.len() <= max.get() as usize, "{} tasks in flight at {event:?}", in_flight.len());
    }
}

/// Goal: no span of time has more submissions than the rate allows, whichever processes sent them.
///
/// Method: count as servers do. Any period of the rate has at most its count. Any window has at most its share of the
/// rate, plus a burst. The burst is the user's, or the one that compensates for a late timer.
pub fn check_rate(events: &[Event], limits: &Limits) {
    let Some(rate) = limits.rate else { return };
    let sent: Vec<i64> =
        events.iter().filter(|event| event.kind == EventKind::SubmitStarted).map(|event| event.at.millis()).collect();
    let span = i64::try_from(rate.per.as_millis()).unwrap();
    let most = |window| (0..sent.len()).map(|n| sent[n..].partition_point(|at| *at < sent[n] + window)).max();
    let burst = limits.burst.map_or(1, NonZeroU32::get) as usize;
    assert!(
        most(span) <= Some(rate.count.get() as usize + burst - 1),
        "faster than {rate}: {:?} in a span",
        most(span)
    );
    let interval = i64::try_from(rate.interval().as_millis()).unwrap();
    let mut full_at = i64::MIN;
    for at in sent {
        full_at = at.max(full_at) + interval;
        // Records are rounded down to whole milliseconds.
        assert!(full_at - at <= i64::try_from(burst + 1).unwrap() * interval + 1, "faster than {rate} at {at}");
    }
}
