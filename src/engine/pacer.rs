//! When the next request of one kind may leave: its rate, and a gate that one refusal closes for everybody.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::engine::known_rate::KnownRate;
use crate::engine::retry::Backoff;
use crate::model::limits::Rate;
use crate::model::pace::{Hold, HoldReason};
use crate::model::time::{Moment, Timestamp};

/// Transient faults in a row, from whichever jobs, after which the other side counts as down.
const FALTERS_MAX: u32 = 8;

/// The longest wait between two requests that may be paid for, while the other side seems down, in waits of a backoff.
const COSTLY: u32 = 5;

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

/// A used-up allowance, until the sooner of two moments: a clock that is set back must not prolong the wait, nor a sleep of the machine
/// that the monotonic clock does not see.
#[derive(Clone, Copy, Debug)]
struct Spent {
    until: Moment,
    until_wall: Timestamp,
}

impl Spent {
    fn is_over(self, now: Moment) -> bool {
        self.until <= now || self.until_wall <= now.wall()
    }
}

/// Paces one kind of request.
#[derive(Debug)]
pub struct Pacer {
    rate: Option<KnownRate>,
    backoff: Backoff,
    wait_max: Duration,
    closed_until: Option<Moment>,
    /// Refusals one after the other, each of which came after the gate had opened again.
    n_refusals: u32,
    /// Transient faults one after the other.
    n_falters: u32,
    /// When the first of them came.
    down_since: Option<Moment>,
    /// Until when the allowance is used up. It stays until a request gets through, so that the first ones after it go one by one.
    spent: Option<Spent>,
    /// Refusals for a used-up allowance one after the other.
    n_spent: u32,
}

impl Pacer {
    /// A pacer at this rate (none: no rate), whose refusals are waited out no longer than `wait_max`.
    pub fn new(rate: Option<Rate>, burst: Option<NonZeroU32>, backoff: Backoff, wait_max: Duration) -> Self {
        Self {
            rate: rate.map(|rate| KnownRate::new(rate, burst)),
            backoff,
            wait_max,
            closed_until: None,
            n_refusals: 0,
            n_falters: 0,
            down_since: None,
            spent: None,
            n_spent: 0,
        }
    }

    /// Counts a request that left at that moment, before this process began.
    pub fn remember(&mut self, now: Moment, sent_at: Moment) {
        if let Some(rate) = &mut self.rate {
            rate.remember(now, sent_at);
        }
    }

    /// Takes one permit, or says when to ask again.
    pub fn take(&mut self, now: Moment) -> Result<(), Moment> {
        match (self.hold(now), &mut self.rate) {
            (Some(hold), _) => Err(hold.until),
            (None, Some(rate)) => rate.take(now),
            (None, None) => Ok(()),
        }
    }

    /// Why and until when the gate is closed, if it is.
    pub fn hold(&self, now: Moment) -> Option<Hold> {
        if let Some(spent) = self.spent.filter(|spent| !spent.is_over(now)) {
            let until = spent.until.min(now.at_wall(spent.until_wall));
            return Some(Hold { why: HoldReason::Quota, until });
        }
        let why = if self.is_down() { HoldReason::Down } else { HoldReason::Throttled };
        self.closed_until(now).map(|until| Hold { why, until })
    }

    fn closed_until(&self, now: Moment) -> Option<Moment> {
        self.closed_until.filter(|until| *until > now)
    }

    /// Whether one request at a time should try, as the other side seems down or the allowance may be used up still.
    pub const fn is_probing(&self) -> bool {
        self.is_down() || self.spent.is_some()
    }

    /// Whether the other side seems down: many transient faults in a row, and nothing else.
    pub const fn is_down(&self) -> bool {
        self.n_falters >= FALTERS_MAX
    }

    /// How long nothing but transient faults has come back.
    pub fn down_for(&self, now: Moment) -> Duration {
        self.down_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Closes the gate after a refusal. Only the first of a burst counts, unless another names a time.
    pub fn refused(&mut self, now: Moment, retry_after: Option<Duration>, is_first: bool) {
        if is_first {
            self.n_refusals += 1;
        }
        // Whoever refuses is not down.
        (self.n_falters, self.down_since) = (0, None);
        // Whoever says "at once" and refuses has not said how long.
        match retry_after.filter(|wait| !wait.is_zero()) {
            Some(wait) => self.pause(now, wait),
            None if is_first => {
                let wait = self.backoff.after(self.n_refusals);
                self.close(now + wait);
            }
            None => (),
        }
    }

    /// Closes the gate before anything is refused: the provider says that it takes nothing more for so long.
    pub fn pause(&mut self, now: Moment, span: Duration) {
        self.close(now + span.min(self.wait_max));
    }

    /// Takes note of a transient fault. Many in a row close the gate too, and then one request at a time tries: more seldom where each
    /// try `is_costly`, as it may be paid for.
    pub fn faltered(&mut self, now: Moment, is_costly: bool) {
        self.n_falters = self.n_falters.saturating_add(1);
        self.down_since.get_or_insert(now);
        if self.is_down() && self.closed_until(now).is_none() {
            let wait = self.backoff.after(self.n_falters - FALTERS_MAX + 1);
            self.close(now + if is_costly { wait * COSTLY } else { wait });
        }
    }

    /// Takes the other side for down at once.
    pub fn block(&mut self, now: Moment, is_costly: bool) {
        self.n_falters = self.n_falters.max(FALTERS_MAX - 1);
        self.faltered(now, is_costly);
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
        if self.spent.take_if(|spent| spent.is_over(now)).is_some() {
            self.n_spent = 0;
        }
    }

    /// Closes the gate until the allowance is back. Refusals that come while it is closed say nothing new.
    ///
    /// If it is not back when it should be, it is tried again ever more seldom, and not only a day later.
    pub fn spent(&mut self, now: Moment, resets_at: Option<Timestamp>) {
        if self.spent.is_some_and(|spent| !spent.is_over(now)) {
            return;
        }
        let probe = PROBE_FIRST.saturating_mul(1 << self.n_spent.saturating_sub(1).min(16)).min(PROBE_MAX);
        let spread = RESET_SPREAD.mul_f64(self.backoff.draw());
        let reset = resets_at
            .filter(|resets_at| *resets_at > now.wall())
            .map(|resets_at| now + resets_at.since(now.wall()).min(RESET_MAX) + spread);
        let until = match reset {
            Some(reset) if self.n_spent == 0 => reset,
            Some(reset) => reset.min(now + probe),
            None => now + probe,
        };
        self.n_spent = if self.n_spent < PROBES_MAX { self.n_spent + 1 } else { 0 };
        self.spent = Some(Spent { until, until_wall: until.wall() });
    }

    fn close(&mut self, until: Moment) {
        self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
    }
}

#[cfg(test)]
mod tests;
