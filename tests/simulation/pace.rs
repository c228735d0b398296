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

/// Goal: never more submissions than the rate allows, in whatever window of one process's time.
pub fn check_rate(events: &[Event], limits: &Limits) {
    let Some(rate) = limits.rate else { return };
    let interval = i64::try_from(rate.interval().as_millis()).unwrap();
    let burst = i64::from(limits.burst.map_or(1, NonZeroU32::get));
    let mut full_at = 0;
    for event in events.iter().filter(|event| event.kind == EventKind::SubmitStarted) {
        full_at = event.at.millis().max(full_at) + interval;
        // Records are rounded down to whole milliseconds.
        assert!(full_at - event.at.millis() <= burst * interval + 1, "faster than {rate}: {event:?}");
    }
}
