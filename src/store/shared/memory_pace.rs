//! Rate of all workers together, as the server in memory keeps it: a time up to which all times are reserved.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::shared_rate::SharedRate;
use crate::store::shared::backend::{RESERVED_AHEAD, ReservedTimes, SharedFlags};

/// Rate of all workers together, and the times that are reserved.
#[derive(Clone, Default)]
pub(super) struct Pace {
    pub(super) rate: Option<SharedRate>,
    pub(super) places: Option<NonZeroU32>,
    /// Earliest time that is not reserved, by the server's clock.
    next: i64,
    /// Generation in which it was set.
    generation: u64,
}

impl Pace {
    /// Reserves at most `max` times, now by the server's clock.
    pub(super) fn reserve(&mut self, now: i64, generation: u64, max: u32, flags: SharedFlags) -> ReservedTimes {
        let Some(rate) = self.rate else {
            return ReservedTimes { first: now, interval: 0, count: max, next: now, now, flags };
        };
        let micros = |span: Duration| i64::try_from(span.as_micros()).expect("some days");
        let (interval, last) = (micros(rate.interval()), now + micros(RESERVED_AHEAD));
        let is_same = self.generation == generation;
        let earliest = if is_same { now - micros(rate.reach_back()) } else { last };
        // A clock that was set back, or a slower rate before, must not keep all times from being reserved.
        let first = self.next.min(last + interval).max(earliest);
        let n_free = if first <= last { (last - first) / interval + 1 } else { 0 };
        let count = i64::from(max).min(n_free);
        (self.next, self.generation) = (first + count * interval, generation);
        let count = u32::try_from(count).expect("at most max");
        ReservedTimes { first, interval: interval.unsigned_abs(), count, next: self.next, now, flags }
    }
}
