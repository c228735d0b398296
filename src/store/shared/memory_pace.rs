//! Limits of all workers together, as the server in memory keeps them: a time up to which all times are reserved, places, and a limit on the cost.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::model::amount::Amount;
use crate::model::shared_cost::CostReached;
use crate::model::shared_rate::{ReserveRequest, SharedRate};
use crate::store::shared::backend::{AMOUNTS_REST, RESERVED_AHEAD, ReservedTimes, SharedFlags, WorkerId};
use crate::store::shared::cost::{CostTotals, signed};
use crate::store::shared::memory_rows::WorkerEntry;
use crate::store::totals::Totals;

/// Limits of all workers together, and what is reserved.
#[derive(Clone, Default)]
pub(super) struct Pace {
    pub(super) rate: Option<SharedRate>,
    pub(super) places: Option<NonZeroU32>,
    pub(super) cost_max: Option<Amount>,
    /// Earliest time that is not reserved, by the server's clock.
    next: i64,
    /// Generation in which it was set.
    generation: u64,
    /// Time until which no amount is reserved.
    amounts_rest_until: i64,
}

/// Request of a live worker, and what all live workers have together.
pub(super) struct ReserveDemand {
    request: ReserveRequest,
    /// Tasks that are running, and submissions that may be sent or have no answer.
    n_used: u32,
    /// Submissions that may be sent or have no answer.
    n_held: u32,
    cost: CostTotals,
    /// Cost, and amounts that may still be spent.
    spent: i128,
}

impl ReserveDemand {
    /// Adds up what all workers have. What the asking one holds is what it tells.
    pub(super) fn of(
        workers: &BTreeMap<WorkerId, WorkerEntry>,
        worker: WorkerId,
        before: Totals,
        request: ReserveRequest,
    ) -> Self {
        let mut cost = CostTotals::default();
        let (mut n_running, mut n_held, mut amounts) = (before.0[2], request.held, Amount::ZERO + request.cost.held);
        for (id, other) in workers {
            cost += other.cost;
            n_running += other.totals.0[2];
            if *id != worker && other.is_live {
                n_held += other.n_held;
                amounts += other.held_amount;
            }
        }
        let n_used = u32::try_from(n_running).unwrap_or(0) + n_held;
        Self { request, n_used, n_held, cost, spent: cost.sure + cost.possible + signed(amounts) }
    }

    /// Returns how many submissions fit under this limit on the cost.
    fn affordable(&self, max: Amount) -> u32 {
        let left = signed(max) - self.spent;
        match self.request.cost.each.map(signed) {
            Some(each) if left >= 0 && self.cost.n_unknown <= 0 => {
                left.checked_div(each).map_or(self.request.max, |n| u32::try_from(n).unwrap_or(u32::MAX))
            }
            Some(_) | None => 0,
        }
    }
}

impl Pace {
    /// Reserves what was asked for, now by the server's clock; nothing for a worker that is not live.
    pub(super) fn reserve(
        &mut self,
        now: i64,
        generation: u64,
        asked: Option<&ReserveDemand>,
        flags: SharedFlags,
    ) -> ReservedTimes {
        let max = asked.map_or(0, |asked| asked.request.max);
        let is_same = self.generation == generation;
        if !is_same {
            self.amounts_rest_until = now + micros(AMOUNTS_REST);
        }
        let rests = now < self.amounts_rest_until;
        let n_affordable = match (self.cost_max, asked) {
            (Some(cost_max), Some(asked)) => if rests { 0 } else { asked.affordable(cost_max) }.min(max),
            (None, _) | (_, None) => max,
        };
        let n_places = match (self.places, asked) {
            (Some(places), Some(asked)) => places.get().saturating_sub(asked.n_used),
            (None, _) | (_, None) => max,
        };
        let n = n_affordable.min(n_places);
        let (first, interval, count) = self.times(now, is_same, n);
        self.generation = generation;
        let is_last = |asked: &&ReserveDemand| max > 0 && n_affordable == 0 && asked.n_held == 0 && !rests;
        let reached = asked.filter(is_last).zip(self.cost_max);
        ReservedTimes {
            first,
            interval,
            count,
            next: self.rate.map_or(now, |_| self.next),
            now,
            is_short: n_affordable < max,
            reached: reached.map(|(asked, max)| CostReached { cost: asked.cost.cost(), max }),
            flags,
        }
    }

    /// Takes at most so many times. Returns the first, the microseconds between two of them, and their number.
    fn times(&mut self, now: i64, is_same: bool, max: u32) -> (i64, u64, u32) {
        let Some(rate) = self.rate else { return (now, 0, max) };
        let (interval, last) = (micros(rate.interval()), now + micros(RESERVED_AHEAD));
        let earliest = if is_same { now - micros(rate.reach_back()) } else { last };
        // A clock that was set back, or a slower rate before, must not keep all times from being reserved.
        let first = self.next.min(last + interval).max(earliest);
        let n_free = if first <= last { (last - first) / interval + 1 } else { 0 };
        let count = i64::from(max).min(n_free);
        self.next = first + count * interval;
        (first, interval.unsigned_abs(), u32::try_from(count).expect("at most max"))
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).expect("some days")
}
