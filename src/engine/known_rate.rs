//! The rate that the user allows, kept exactly and used to the full: by governor, on a clock that the engine sets.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::model::limits::Rate;
use crate::model::time::Moment;

type Limiter = RateLimiter<NotKeyed, InMemoryState, EngineClock, NoOpMiddleware<Nanos>>;

/// governor counts whole cells: ten to a request let one that left late be made up for by less than a whole one.
const CELLS: u32 = 10;

/// A request may leave late by this much, and the next ones make up for it: timers and commits take milliseconds. At most one
/// request's worth, so that a server that allows a burst of two refuses none.
const LATE: Duration = Duration::from_millis(20);

/// At rates at which that is many requests, by as much as a timer's grain holds up.
const GRAIN: Duration = Duration::from_millis(4);

/// The least that may be made up for, in requests.
const LATE_MIN: f64 = 0.3;

/// Requests that are remembered one by one, so that no span ever sees more than its count.
const RECENT_MAX: u32 = 1024;

/// A span is taken for so much longer, in thousandths, as no two clocks and no two ways through a network are alike.
const MARGIN: u32 = 5;

/// governor's clock knows no time before its zero, and what an earlier process sent was before ours.
const EPOCH_MICROS: i64 = 2 * 24 * 3600 * 1_000_000;

/// Permits at a rate: evenly spaced, and never more than its count in any of its spans, as a server counts that has a sliding
/// window. Both go by the monotonic clock, so that a clock that is set, or a machine that sleeps, gives none away.
#[derive(Debug)]
pub struct KnownRate {
    limiter: Limiter,
    clock: EngineClock,
    /// What a request takes after a pause: the whole bucket, so that only lateness is made up for, and not leisure.
    after_pause: NonZeroU32,
    recent: Option<Recent>,
}

/// The last requests of one span.
#[derive(Debug)]
struct Recent {
    sent_at: VecDeque<Moment>,
    count: usize,
    span: Duration,
}

/// governor's clock, set from the engine's `now`: it never asks the machine for the time.
#[derive(Clone, Debug, Default)]
struct EngineClock(Arc<AtomicU64>);

impl Clock for EngineClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

impl EngineClock {
    fn set(&self, now: Moment) {
        let micros = u64::try_from(now.micros().saturating_add(EPOCH_MICROS)).unwrap_or(0);
        self.0.store(micros.saturating_mul(1000), Ordering::Relaxed);
    }
}

impl KnownRate {
    /// Permits at this rate. A `burst` that the user names may leave at once, and adds to what a span may see.
    pub fn new(rate: Rate, burst: Option<NonZeroU32>) -> Self {
        let interval = if rate.count.get() > RECENT_MAX && burst.is_none() {
            // Too many to remember: what may be made up for is taken off the rate instead.
            rate.interval().mul_f64(1.0 + (1.0 + late_max(rate)) / f64::from(rate.count.get()))
        } else {
            rate.interval()
        };
        let cell = (interval / CELLS).max(Duration::from_nanos(1));
        let late = late_cells(rate);
        let (bucket, after_pause) = burst.map_or((late, late), |burst| (burst.saturating_mul(EACH), EACH));
        let quota = Quota::with_period(cell).expect("a cell takes some time").allow_burst(bucket);
        let is_counted = burst.is_none() && rate.count.get() <= RECENT_MAX;
        let recent = is_counted.then(|| Recent {
            sent_at: VecDeque::new(),
            count: rate.count.get() as usize,
            span: rate.per + rate.per * MARGIN / 1000,
        });
        let clock = EngineClock::default();
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock, after_pause, recent }
    }

    /// Counts a request that left before this process began. One that seems to have left after `now` tells of a clock that was set
    /// back: it counts as sent just now, which holds up one request and not a day's worth.
    pub fn remember(&mut self, now: Moment, sent_at: Moment) {
        // One too many in the past is not made undone by one less in the present.
        let _ = self.check(sent_at.min(now));
        if sent_at <= now
            && let Some(recent) = &mut self.recent
        {
            recent.push(sent_at);
        }
    }

    /// Takes one permit, or says when to ask again.
    pub fn take(&mut self, now: Moment) -> Result<(), Moment> {
        if let Some(free_at) = self.recent.as_ref().and_then(Recent::free_at).filter(|free_at| *free_at > now) {
            return Err(free_at);
        }
        self.check(now)?;
        if let Some(recent) = &mut self.recent {
            recent.push(now);
        }
        Ok(())
    }

    fn check(&self, now: Moment) -> Result<(), Moment> {
        self.clock.set(now);
        let check = |cells| self.limiter.check_n(cells).expect("a bucket holds at least one request");
        if check(self.after_pause).is_ok() {
            return Ok(());
        }
        check(EACH).map_err(|not_until| {
            let wait = Duration::from(not_until.earliest_possible().duration_since(self.clock.now()));
            // Moments have microseconds: round up, or the next question comes a hair too early.
            now + wait + Duration::from_micros(1)
        })
    }
}

impl Recent {
    fn push(&mut self, sent_at: Moment) {
        if self.sent_at.len() == self.count {
            self.sent_at.pop_front();
        }
        self.sent_at.push_back(sent_at);
    }

    /// When the span has room for one more, if it is full.
    fn free_at(&self) -> Option<Moment> {
        (self.sent_at.len() == self.count).then(|| self.sent_at[0] + self.span)
    }
}

const EACH: NonZeroU32 = NonZeroU32::new(CELLS).expect("ten cells");

/// How many requests may be made up for that left late.
fn late_max(rate: Rate) -> f64 {
    let in_span = |span: Duration| f64::from(rate.count.get()) * span.as_secs_f64() / rate.per.as_secs_f64();
    in_span(LATE).clamp(LATE_MIN, 1.0).max(in_span(GRAIN))
}

/// The cells of a bucket that lets lateness be made up for.
fn late_cells(rate: Rate) -> NonZeroU32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of at most u32::MAX / 25"
    )]
    EACH.saturating_add((late_max(rate) * f64::from(CELLS)) as u32)
}

#[cfg(test)]
mod tests;
