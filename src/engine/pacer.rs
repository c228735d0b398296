//! When the next request of one kind may leave: a rate, and a gate that one refusal closes for everybody.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::engine::retry::Backoff;
use crate::model::counts::{Hold, HoldReason};
use crate::model::limits::Rate;
use crate::model::time::{Moment, Timestamp};

type Limiter = RateLimiter<NotKeyed, InMemoryState, EngineClock, NoOpMiddleware<Nanos>>;

/// Transient faults in a row, from whichever jobs, after which the other side counts as down.
const FALTERS_MAX: u32 = 8;

/// The wait before an allowance is tried again that should be back and is not, or of which nobody said when it will be.
/// Doubled each time.
const PROBE_FIRST: Duration = Duration::from_secs(5 * 60);

/// The longest such wait.
const PROBE_MAX: Duration = Duration::from_secs(3600);

/// Such tries in a row, after which the provider's word for the next reset counts again.
const PROBES_MAX: u32 = 6;

/// The longest wait for a reset: a day and a little, whatever a clock that is wrong says.
const RESET_MAX: Duration = Duration::from_secs(25 * 3600);

/// Everybody's allowance comes back at the same moment: not all come at once.
const RESET_SPREAD: Duration = Duration::from_secs(30);

/// What may be sent at once under a rate, unless the user says otherwise: as much as a timer of this grain would hold up.
const BURST_GRAIN: Duration = Duration::from_millis(5);

/// governor's clock knows no time before its zero, and what an earlier process sent was before ours.
const EPOCH_MICROS: i64 = 2 * 24 * 3600 * 1_000_000;

/// Paces one kind of request.
#[derive(Debug)]
pub struct Pacer {
    limiter: Option<Limiter>,
    clock: EngineClock,
    backoff: Backoff,
    wait_max: Duration,
    closed_until: Option<Moment>,
    /// Refusals one after the other, each of which came after the gate had opened again.
    n_refusals: u32,
    /// Transient faults one after the other.
    n_falters: u32,
    /// When the first of them came.
    down_since: Option<Moment>,
    /// Until when the allowance is used up: by the wall clock, which goes on while a machine sleeps. It stays until a request
    /// gets through, so that the first ones after it go one by one.
    spent_until: Option<Timestamp>,
    /// Refusals for a used-up allowance one after the other.
    n_spent: u32,
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

impl Pacer {
    /// A pacer at this rate (none: no rate), whose refusals are waited out no longer than `wait_max`.
    pub fn new(rate: Option<Rate>, burst: Option<NonZeroU32>, backoff: Backoff, wait_max: Duration) -> Self {
        let clock = EngineClock::default();
        let limiter = rate.and_then(|rate| {
            let burst = burst.unwrap_or_else(|| default_burst(rate));
            let quota = Quota::with_period(rate.interval())?.allow_burst(burst);
            Some(RateLimiter::direct_with_clock(quota, clock.clone()))
        });
        Self {
            limiter,
            clock,
            backoff,
            wait_max,
            closed_until: None,
            n_refusals: 0,
            n_falters: 0,
            down_since: None,
            spent_until: None,
            n_spent: 0,
        }
    }

    /// Counts a request that left at that moment, before this process began or was asked.
    pub fn remember(&mut self, sent_at: Moment) {
        if let Some(limiter) = &self.limiter {
            self.clock.set(sent_at);
            // One too many in the past is not made undone by one less in the present.
            drop(limiter.check());
        }
    }

    /// Takes one permit, or says when to ask again.
    pub fn take(&mut self, now: Moment) -> Result<(), Moment> {
        if let Some(hold) = self.hold(now) {
            return Err(hold.until);
        }
        let Some(limiter) = &self.limiter else { return Ok(()) };
        self.clock.set(now);
        limiter.check().map_err(|not_until| {
            let wait = Duration::from(not_until.earliest_possible().duration_since(self.clock.now()));
            // Moments have microseconds: round up, or the next question comes a hair too early.
            now + wait + Duration::from_micros(1)
        })
    }

    /// Why and until when the gate is closed, if it is.
    pub fn hold(&self, now: Moment) -> Option<Hold> {
        if let Some(until) = self.spent_until.filter(|until| *until > now.wall()) {
            return Some(Hold { why: HoldReason::Quota, until: now.at_wall(until) });
        }
        let why = if self.is_down() { HoldReason::Down } else { HoldReason::Throttled };
        self.closed_until(now).map(|until| Hold { why, until })
    }

    fn closed_until(&self, now: Moment) -> Option<Moment> {
        self.closed_until.filter(|until| *until > now)
    }

    /// Whether one request at a time should try, as the other side seems down or the allowance may be used up still.
    pub const fn is_probing(&self) -> bool {
        self.is_down() || self.spent_until.is_some()
    }

    /// Whether the other side seems down: many transient faults in a row, and nothing else.
    pub const fn is_down(&self) -> bool {
        self.n_falters >= FALTERS_MAX
    }

    /// How long nothing but transient faults has come back.
    pub fn down_for(&self, now: Moment) -> Duration {
        self.down_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Closes the gate after a refusal. Returns whether it was the first of its burst: the others say nothing new.
    pub fn refused(&mut self, now: Moment, retry_after: Option<Duration>) -> bool {
        let is_first = self.closed_until(now).is_none();
        if is_first {
            self.n_refusals += 1;
        }
        // Whoever refuses is not down.
        (self.n_falters, self.down_since) = (0, None);
        let wait = match retry_after {
            Some(wait) => wait.min(self.wait_max),
            None if is_first => self.backoff.after(self.n_refusals),
            None => return false,
        };
        self.close(now + wait);
        is_first
    }

    /// Takes note of a transient fault. Many in a row close the gate too, and then one request at a time tries.
    pub fn faltered(&mut self, now: Moment) {
        self.n_falters = self.n_falters.saturating_add(1);
        self.down_since.get_or_insert(now);
        if self.is_down() && self.closed_until(now).is_none() {
            let wait = self.backoff.after(self.n_falters - FALTERS_MAX + 1);
            self.close(now + wait);
        }
    }

    /// Takes note that the other side answers: it is not down, and says nothing of a pace.
    pub const fn answered(&mut self) {
        self.n_refusals = 0;
        self.n_falters = 0;
        self.down_since = None;
    }

    /// Takes note that a request got through.
    pub fn succeeded(&mut self, now: Moment) {
        self.answered();
        // One that left before the allowance was used up says nothing about the next one.
        if self.spent_until.take_if(|until| *until <= now.wall()).is_some() {
            self.n_spent = 0;
        }
    }

    /// Closes the gate until the allowance is back. Refusals that come while it is closed say nothing new.
    ///
    /// If it is not back when it should be, it is tried again ever more seldom, and not only a day later.
    pub fn spent(&mut self, now: Moment, resets_at: Option<Timestamp>) {
        if self.spent_until.is_some_and(|until| until > now.wall()) {
            return;
        }
        let probe = PROBE_FIRST.saturating_mul(1 << self.n_spent.saturating_sub(1).min(16)).min(PROBE_MAX);
        let spread = RESET_SPREAD.mul_f64(self.backoff.draw());
        let reset = resets_at
            .filter(|resets_at| *resets_at > now.wall())
            .map(|resets_at| now.at_wall(resets_at).min(now + RESET_MAX) + spread);
        let until = match reset {
            Some(reset) if self.n_spent == 0 => reset,
            Some(reset) => reset.min(now + probe),
            None => now + probe,
        };
        self.n_spent = if self.n_spent < PROBES_MAX { self.n_spent + 1 } else { 0 };
        self.spent_until = Some(until.wall());
    }

    fn close(&mut self, until: Moment) {
        self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
    }
}

/// The burst that keeps a rate of thousands a second exact on millisecond timers.
fn default_burst(rate: Rate) -> NonZeroU32 {
    let in_grain = f64::from(rate.count.get()) * BURST_GRAIN.as_secs_f64() / rate.per.as_secs_f64();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of at most u32::MAX / 200"
    )]
    let burst = in_grain.ceil() as u32;
    NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests;
