//! Rate limiter for the configured rate, kept exactly and used fully: by governor, on a clock that the engine sets.

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

/// Cells per request. governor counts whole cells. Ten cells per request allow lateness to be compensated in fractions of a request.
const CELLS: u32 = 10;

/// Lateness of a request that the next requests may compensate: timers and commits take milliseconds. It covers at most one request, so
/// that a server that allows a burst of two refuses none.
const LATE: Duration = Duration::from_millis(20);

/// Lateness that may be compensated at high rates, even if it covers many requests: the granularity of a timer.
const GRAIN: Duration = Duration::from_millis(4);

/// Minimum lateness that may be compensated, in requests.
const LATE_MIN: f64 = 0.3;

/// Maximum number of requests that are remembered one by one, so that no span ever exceeds its count.
const RECENT_MAX: u32 = 1024;

/// Extra length of a span, in thousandths: no two clocks and no two network paths are identical.
const MARGIN: u32 = 5;

/// Offset of the clock for governor, in microseconds. That clock has no time before zero, and an earlier process sent requests before the
/// zero of this process.
const EPOCH_MICROS: i64 = 2 * 24 * 3600 * 1_000_000;

/// Issues permits at a rate, evenly spaced. No span ever sees more than its count, as a server with a sliding window counts. Both checks
/// use the monotonic clock. A clock that is set, or a machine that sleeps, therefore adds no permits.
#[derive(Debug)]
pub(crate) struct ConfiguredRate {
    limiter: Limiter,
    clock: EngineClock,
    /// Cells (GCRA) charged to the first request after a pause: the full bucket, so that a late timer is made up for and idle time is
    /// not.
    after_pause: NonZeroU32,
    recent: Option<Recent>,
}

/// Most recent requests of one span.
#[derive(Debug)]
struct Recent {
    sent_at: VecDeque<Moment>,
    count: usize,
    span: Duration,
}

/// Clock for governor, set from the engine's `now`. It never reads the time of the machine.
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

impl ConfiguredRate {
    /// Creates a limiter at this rate. A `burst` that the user names may leave at once, and adds to the maximum of a span.
    pub(crate) fn new(rate: Rate, burst: Option<NonZeroU32>) -> Self {
        let interval = if rate.count.get() > RECENT_MAX && burst.is_none() {
            // These are too many requests to remember: the rate is reduced by what may be compensated.
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

    /// Counts a request that left before this process began. A `sent_at` after `now` means that the clock was set back. Such a request
    /// counts as sent now, which delays one request and not a day's worth.
    pub(crate) fn remember(&mut self, now: Moment, sent_at: Moment) {
        // One request too many in the past is not undone by one request less in the present.
        let _ = self.check(sent_at.min(now));
        if sent_at <= now
            && let Some(recent) = &mut self.recent
        {
            recent.push(sent_at);
        }
    }

    /// Takes one permit, or returns the moment of the next attempt.
    pub(crate) fn take(&mut self, now: Moment) -> Result<(), Moment> {
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
            // Moments have a resolution of microseconds. Without rounding up, the next attempt would come slightly too early.
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

    /// Returns when a full span has room for one more request; `None` if the span is not full.
    fn free_at(&self) -> Option<Moment> {
        (self.sent_at.len() == self.count).then(|| self.sent_at[0] + self.span)
    }
}

const EACH: NonZeroU32 = NonZeroU32::new(CELLS).expect("ten cells");

/// Returns how many late requests may be compensated.
fn late_max(rate: Rate) -> f64 {
    let in_span = |span: Duration| f64::from(rate.count.get()) * span.as_secs_f64() / rate.per.as_secs_f64();
    in_span(LATE).clamp(LATE_MIN, 1.0).max(in_span(GRAIN))
}

/// Returns the number of cells of a bucket that allows lateness to be compensated.
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
