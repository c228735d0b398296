//! How much at once, and how fast: what the events say of the concurrency and the rate that were asked for.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use promptbatch::model::event::{Event, EventKind, Stage};
use promptbatch::model::limits::{Concurrency, Limits};
use promptbatch::model::time::Timestamp;

/// Goal: never more tasks at the provider than the concurrency allows, whichever process looked after them. A task whose time is up
/// keeps nobody from theirs, though it may still be asked for.
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

/// Goal: never more submissions in any span of time than the rate allows, whichever process sent them.
///
/// Method: as servers count. In any of the rate's own spans no more than its count, and in any window no more than its share of it and
/// a burst: the user's, or the one that makes up for a late timer.
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
