//! Gate for one kind of request: its rate limit, and a pause for all jobs after one refusal.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::engine::configured_rate::ConfiguredRate;
use crate::engine::retry::Backoff;
use crate::model::limits::Rate;
use crate::model::snapshot::{PauseReason, SubmitPause};
use crate::model::time::{Moment, Timestamp};

/// Consecutive transient faults, of any jobs, after which the remote side counts as down.
const FALTERS_MAX: u32 = 8;

/// Consecutive transient faults without which a long time between two of them is no outage.
const OUTAGE_FALTERS: u32 = 3;

/// Factor on the backoff between two requests that may be paid for, while the remote side seems down.
const COSTLY: u32 = 5;

/// Wait before the first probe of a quota that is not back in time, or whose reset time is unknown. Doubled each time.
const PROBE_FIRST: Duration = Duration::from_secs(5 * 60);

/// Maximum wait between two quota probes.
const PROBE_MAX: Duration = Duration::from_secs(3600);

/// Consecutive quota probes, after which the reset time that the provider names counts again.
const PROBES_MAX: u32 = 6;

/// Maximum wait for a reset: a day and a little more, whatever a wrong clock shows.
const RESET_MAX: Duration = Duration::from_secs(25 * 3600);

/// Maximum random delay after a reset. All clients get their quota back at the same moment, and must not all send at once.
const RESET_SPREAD: Duration = Duration::from_secs(30);

/// Used-up quota, until the earlier of two moments. A clock that is set back must not prolong the wait. Neither must a sleep of the machine
/// that the monotonic clock does not count.
#[derive(Clone, Copy, Debug)]
struct QuotaPause {
    until: Moment,
    until_wall: Timestamp,
}

impl QuotaPause {
    fn is_over(self, now: Moment) -> bool {
        self.until <= now || self.until_wall <= now.wall()
    }
}

/// Paces one kind of request.
#[derive(Debug)]
pub(crate) struct Pacer {
    rate: Option<ConfiguredRate>,
    backoff: Backoff,
    wait_max: Duration,
    closed_until: Option<Moment>,
    /// End of the last pause that the remote side named.
    named_until: Option<Moment>,
    /// Consecutive refusals, each of which came after the gate had opened again.
    n_refusals: u32,
    /// Consecutive transient faults.
    n_falters: u32,
    /// Moment of the first of the consecutive transient faults.
    down_since: Option<Moment>,
    /// Used-up quota. It is kept until a request succeeds, so that the first requests after the reset leave one by one.
    spent: Option<QuotaPause>,
    /// Consecutive refusals for a used-up quota.
    n_spent: u32,
}

impl Pacer {
    /// Creates a pacer at this rate (`None` means no rate limit). A wait that a refusal requests is limited to `wait_max`.
    pub(crate) fn new(rate: Option<Rate>, burst: Option<NonZeroU32>, backoff: Backoff, wait_max: Duration) -> Self {
        Self {
            rate: rate.map(|rate| ConfiguredRate::new(rate, burst)),
            backoff,
            wait_max,
            closed_until: None,
            named_until: None,
            n_refusals: 0,
            n_falters: 0,
            down_since: None,
            spent: None,
            n_spent: 0,
        }
    }

    /// Counts a request that left at `sent_at`, before this process began.
    pub(crate) fn remember(&mut self, now: Moment, sent_at: Moment) {
        if let Some(rate) = &mut self.rate {
            rate.remember(now, sent_at);
        }
    }

    /// Takes one permit, or returns the moment of the next attempt.
    pub(crate) fn take(&mut self, now: Moment) -> Result<(), Moment> {
        match (self.hold(now), &mut self.rate) {
            (Some(hold), _) => Err(hold.until),
            (None, Some(rate)) => rate.take(now),
            (None, None) => Ok(()),
        }
    }

    /// Returns why and until when the gate is closed; `None` if it is open.
    pub(crate) fn hold(&self, now: Moment) -> Option<SubmitPause> {
        if let Some(spent) = self.spent.filter(|spent| !spent.is_over(now)) {
            let until = spent.until.min(now.at_wall(spent.until_wall));
            return Some(SubmitPause { why: PauseReason::Quota, until });
        }
        let why = if self.is_down() { PauseReason::Down } else { PauseReason::Throttled };
        self.closed_until(now).map(|until| SubmitPause { why, until })
    }

    fn closed_until(&self, now: Moment) -> Option<Moment> {
        self.closed_until.filter(|until| *until > now)
    }

    /// Returns whether one request at a time should probe. In that case the remote side seems down, or the quota may still be used up.
    pub(crate) const fn is_probing(&self) -> bool {
        self.is_down() || self.spent.is_some()
    }

    /// Returns whether the remote side seems down: many consecutive transient faults, and no other answer.
    pub(crate) const fn is_down(&self) -> bool {
        self.n_falters >= FALTERS_MAX
    }

    /// Returns the time since the first consecutive transient fault; `None` if there were too few for an outage.
    pub(crate) fn down_for(&self, now: Moment) -> Option<Duration> {
        self.down_since.filter(|_| self.n_falters >= OUTAGE_FALTERS).map(|since| now - since)
    }

    /// Returns the moment of the first consecutive transient fault; `None` if the last request was answered.
    pub(crate) const fn down_since(&self) -> Option<Moment> {
        self.down_since
    }

    /// Opens the gate for a probe at this moment, if the remote side is down and the gate would open later.
    pub(crate) fn probe_by(&mut self, moment: Moment) {
        if self.is_down() {
            self.closed_until = self.closed_until.map(|until| until.min(moment));
        }
    }

    /// Closes the gate after a refusal. Only the first refusal of a burst counts, unless another one names a wait.
    pub(crate) fn refused(&mut self, now: Moment, retry_after: Option<Duration>, is_first: bool) {
        if is_first {
            self.n_refusals += 1;
        }
        // A remote side that refuses is not down.
        (self.n_falters, self.down_since) = (0, None);
        // A refusal with a wait of zero has not named a wait.
        match retry_after.filter(|wait| !wait.is_zero()) {
            Some(wait) => self.pause(now, wait),
            None if is_first => {
                let wait = self.backoff.after(self.n_refusals);
                self.close(now + wait);
            }
            None => (),
        }
    }

    /// Closes the gate before anything is refused: the provider announces that it accepts nothing more for `span`.
    pub(crate) fn pause(&mut self, now: Moment, span: Duration) {
        let until = now + span.min(self.wait_max);
        self.named_until = self.named_until.max(Some(until));
        self.close(until);
    }

    /// Returns the end of the pause that the remote side named; `None` without one. An outage is no such pause, nor is a wait after a refusal
    /// that named none.
    pub(crate) fn named_pause(&self, now: Moment) -> Option<Moment> {
        self.named_until.filter(|until| *until > now)
    }

    /// Closes the gate for `span`, up to the longest wait for a quota.
    pub(crate) fn hold_for(&mut self, now: Moment, span: Duration) {
        self.close(now + span.min(RESET_MAX));
    }

    /// Records a transient fault. Many in a row also close the gate, and then one request at a time probes. Probes are less frequent if
    /// each one `is_costly`, as it may be paid for.
    pub(crate) fn faltered(&mut self, now: Moment, is_costly: bool) {
        self.n_falters = self.n_falters.saturating_add(1);
        self.down_since.get_or_insert(now);
        if self.is_down() && self.closed_until(now).is_none() {
            let wait = self.backoff.after(self.n_falters - FALTERS_MAX + 1);
            self.close(now + if is_costly { wait * COSTLY } else { wait });
        }
    }

    /// Treats the remote side as down at once. Its refusals are answers, so that the next probe follows soon unless it `is_costly`.
    pub(crate) fn block(&mut self, now: Moment, is_costly: bool) {
        self.n_falters = if is_costly { self.n_falters.max(FALTERS_MAX - 1) } else { FALTERS_MAX - 1 };
        self.faltered(now, is_costly);
    }

    /// Records an answer: the remote side is not down, and the answer says nothing about the rate.
    pub(crate) const fn answered(&mut self) {
        self.n_refusals = 0;
        self.n_falters = 0;
        self.down_since = None;
    }

    /// Records a request that succeeded.
    pub(crate) fn succeeded(&mut self, now: Moment) {
        self.answered();
        // A request that left before the quota was used up says nothing about the next quota.
        if self.spent.take_if(|spent| spent.is_over(now)).is_some() {
            self.n_spent = 0;
        }
    }

    /// Closes the gate until the quota resets. Refusals that arrive while the gate is closed add no information.
    ///
    /// If the quota is not back in time, probes follow at growing intervals, and not only a day later.
    pub(crate) fn spent(&mut self, now: Moment, resets_at: Option<Timestamp>) {
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
        self.spent = Some(QuotaPause { until, until_wall: until.wall() });
    }

    fn close(&mut self, until: Moment) {
        self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
    }
}

#[cfg(test)]
mod tests;
