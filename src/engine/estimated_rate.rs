//! Estimated rate limit for submissions, learnt from the provider's refusals.

use std::time::Duration;

use crate::model::time::Moment;

/// Safety factor: the rate stays slightly below the estimate, so that the provider's token bucket fills and does not empty.
const SHY: f64 = 0.97;

/// Minimum time after a refusal without growth of the rate, and minimum number of accepted submissions in that time.
const REST: Duration = Duration::from_secs(10);
const REST_ACCEPTED: u32 = 30;

/// Minimum time after a refusal from which a rate is trusted: a bucket that was full accepts anything before.
const TRIED: Duration = Duration::from_secs(2);

/// Growth coefficient after that rest. The rate grows by a twentieth after five seconds, by a quarter after ten, and sevenfold after
/// thirty.
const BOLDNESS: f64 = 0.0022;

/// Rate below which the growth takes as many submissions as at this rate, and not as much time.
const SLOW: f64 = 10.0;

/// Growth factor above which a rate no longer counts as a limit.
const GROWN: f64 = 2.0;

/// Ratio above which a rate is higher than the one that was accepted for long.
const GROWN_MIN: f64 = 1.005;

/// Recent acceptance rate, as a share of the rate, below which something else holds the submissions back.
const USED: f64 = 0.8;
/// The same share, from which nothing else does.
const USED_ALONE: f64 = 0.9;

/// Unexpected refusals in a row that a rate explains.
const UNEXPLAINED_MAX: u32 = 2;

/// Averaging time of the recent acceptance rate, in seconds: the minimum, and the maximum. At a low rate it covers about `LATELY_COUNT`
/// submissions.
const LATELY: f64 = 2.0;
const LATELY_MAX: f64 = 60.0;
const LATELY_COUNT: f64 = 8.0;

/// Minimum time from which the first rate is estimated, in seconds.
const SPAN_MIN: f64 = 1.0;

/// Maximum wait for the next submission, in seconds.
const WAIT_MAX: f64 = 60.0;

/// Maximum lateness of a submission that is compensated: where the recent acceptance rate is at least this share of the rate, and elsewhere.
const LATE: Duration = Duration::from_millis(20);
const LATE_USED: f64 = 0.6;
const TIMER: Duration = Duration::from_millis(2);

/// Gap between two submissions, in intervals of the rate, after which there is a token.
const TOKEN_SURE: f64 = 1.25;

/// Estimated rate in submissions per second; none before the first refusal.
///
/// Between two refusals by the rate limit, the provider accepts exactly what its rate allows. Its bucket is empty at both refusals. That
/// gives the rate, however large the allowed bursts are.
#[derive(Clone, Debug)]
pub(super) struct EstimatedRate {
    /// Rate after the last cut, in submissions per second; `None` before the first refusal.
    base: Option<f64>,
    /// Moment of the first submission, or of the last cut.
    since: Option<Moment>,
    /// Submissions accepted since that moment (`since`).
    n_accepted: u32,
    /// Moment from which the rate grows; `None` until its rest is long enough.
    grows_at: Option<Moment>,
    /// Recent acceptance rate, in submissions per second.
    lately: f64,
    accepted_at: Option<Moment>,
    next_at: Option<Moment>,
    /// Moment at which the last submission left.
    left_at: Option<Moment>,
    /// Highest rate that was accepted for long, in submissions per second.
    proven: f64,
    /// Consecutive refusals that came before the rate had grown again.
    n_unexplained: u32,
}

impl EstimatedRate {
    /// Creates an estimate without a rate.
    pub(super) const fn new() -> Self {
        Self {
            base: None,
            since: None,
            n_accepted: 0,
            grows_at: None,
            lately: 0.0,
            accepted_at: None,
            next_at: None,
            left_at: None,
            proven: 0.0,
            n_unexplained: 0,
        }
    }

    /// Creates an estimate with the rate that a search has found, in submissions per second.
    pub(super) fn found(now: Moment, rate: f64) -> Self {
        let base = rate * SHY;
        let next_at = Some(now + Duration::from_secs_f64((1.0 / base).min(WAIT_MAX)));
        Self {
            base: Some(base),
            since: Some(now),
            lately: base,
            proven: base,
            accepted_at: Some(now),
            next_at,
            ..Self::new()
        }
    }

    /// Returns the current rate in submissions per second; `None` before the first refusal.
    pub(super) fn now(&self, now: Moment) -> Option<f64> {
        let grown = self.grows_at.map_or(0.0, |at| (now - at).as_secs_f64());
        self.base.map(|base| {
            let grown = grown * (base / SLOW).min(1.0);
            base * (BOLDNESS * grown * grown).exp()
        })
    }

    /// Returns the current rate as long as it is informative. A rate that has grown far beyond the estimate limits nothing, and gives
    /// `None`.
    pub(super) fn believed(&self, now: Moment) -> Option<f64> {
        self.now(now).filter(|rate| self.base.is_some_and(|base| *rate < base * GROWN))
    }

    /// Returns when the next submission may leave; `None` means now.
    pub(super) fn next_at(&self, now: Moment) -> Option<Moment> {
        self.next_at.filter(|at| *at > now)
    }

    /// Records a submission that leaves.
    pub(super) fn take(&mut self, now: Moment) {
        self.since.get_or_insert(now);
        self.rest_if_unused(now);
        self.left_at = Some(now);
        let Some(rate) = self.now(now) else { return };
        // A timer is late by little. What waited for something else must not follow more closely.
        let late = if self.lately(now) >= LATE_USED * rate { LATE } else { TIMER };
        let due = self.next_at.filter(|at| now - *at <= late).unwrap_or(now);
        self.next_at = Some(due + Duration::from_secs_f64((1.0 / rate).min(WAIT_MAX)));
    }

    /// Takes back the growth since the last submission if something else holds the submissions back: it is not tested.
    fn rest_if_unused(&mut self, now: Moment) {
        let is_unused = self.now(now).is_some_and(|rate| self.lately(now) < USED * rate);
        if let (true, Some(left_at), Some(grows_at)) = (is_unused, self.left_at, self.grows_at) {
            self.grows_at = Some(grows_at + (now - left_at.max(grows_at.min(now))));
        }
    }

    /// Records an accepted submission.
    pub(super) fn accepted(&mut self, now: Moment) {
        self.n_accepted += 1;
        self.lately = self.lately(now) + 1.0 / self.lately_span();
        self.accepted_at = Some(now);
        if let Some(since) = self.since.filter(|_| self.grows_at.is_none() && self.n_accepted >= REST_ACCEPTED) {
            self.grows_at = Some(now.max(since + REST));
            self.proven = self.proven.max(self.base.unwrap_or(0.0));
        }
    }

    /// Records a submission that was refused by the rate limit, as far as is known. `is_sure` says whether that is certain. `chance` is the
    /// share of random refusals besides; 0 if none is known.
    pub(super) fn refused(&mut self, now: Moment, is_sure: bool, chance: f64) {
        let has_grown = self.has_rested(now);
        self.n_unexplained = if has_grown || self.base.is_none() { 0 } else { self.n_unexplained + 1 };
        if self.n_accepted > 0 {
            let current = self.now(now).unwrap_or(f64::INFINITY);
            let span = self.since.map_or(0.0, |since| (now - since).as_secs_f64());
            let span = if self.base.is_none() { span.max(SPAN_MIN) } else { span.max(0.001) };
            // The refused submission found only a fraction of a token left.
            let whole = (f64::from(self.n_accepted) + 0.5) / span;
            // Without bursts, the refusal came as soon as the rate had grown too far. With bursts, the rate is still too high. The next
            // refusals then come soon, and show by how much.
            let found = if chance > 0.0 {
                // Refusals came close together for a while, so the submissions accepted meanwhile show the rate. Random refusals took their
                // share of it.
                self.lately(now) / (1.0 - chance)
            } else if has_grown && is_sure {
                current
            } else {
                f64::midpoint(whole, current.min(whole * 2.0))
            };
            let is_new = self.base.is_none() || has_grown || self.n_accepted >= REST_ACCEPTED / 2;
            self.base = Some(found.clamp(0.5 * current.min(self.lately(now)), current) * SHY);
            if is_sure {
                self.proven = self.proven.min(current);
            }
            // A few further refusals at the same rate count together with the first one.
            if is_new {
                (self.since, self.n_accepted) = (Some(now), 0);
            }
        }
        self.grows_at = None;
        self.next_at = self.base.map(|base| now + Duration::from_secs_f64((1.5 / base).min(WAIT_MAX)));
    }

    /// Returns whether the rate has rested since the last refusal, and grows.
    pub(super) fn has_rested(&self, now: Moment) -> bool {
        self.grows_at.is_some_and(|at| at <= now)
    }

    /// Returns whether this rate explains a refusal now. The recent acceptance rate must be close to it, and the refusal not the third
    /// unexpected one in a row.
    pub(super) fn explains(&self, now: Moment) -> bool {
        !self.is_unexplained() && self.base.is_some_and(|base| self.lately(now) >= 0.75 * base)
    }

    /// Returns whether a submission that leaves now finds a token, as nothing has left for long enough.
    pub(super) fn has_token(&self, now: Moment) -> bool {
        let gap = self.left_at.map_or(0.0, |at| (now - at).as_secs_f64());
        self.base.is_some_and(|base| gap * base > TOKEN_SURE)
    }

    /// Returns whether the rate is higher than the one that was accepted for long.
    pub(super) fn is_grown(&self, now: Moment) -> bool {
        self.now(now).is_some_and(|rate| rate > GROWN_MIN * self.proven)
    }

    /// Returns whether the rate is so low that it is used for long before it grows.
    pub(super) fn is_slow(&self) -> bool {
        self.base.is_some_and(|base| base < SLOW)
    }

    /// Returns whether nothing but the rate holds the submissions back.
    pub(super) fn is_used(&self, now: Moment) -> bool {
        self.now(now).is_some_and(|rate| self.lately(now) >= USED_ALONE * rate)
    }

    /// Returns whether enough submissions were accepted since the last cut, and for long enough, to trust the rate.
    pub(super) fn is_tried(&self, now: Moment) -> bool {
        self.n_accepted >= REST_ACCEPTED / 2 && self.since.is_some_and(|since| now - since >= TRIED)
    }

    /// Returns whether the last refusals came before the rate had grown again, so that a further one has another cause.
    pub(super) const fn is_unexplained(&self) -> bool {
        self.n_unexplained >= UNEXPLAINED_MAX
    }

    /// Returns to an earlier rate, as the cuts since then did not help.
    pub(super) fn restore(&mut self, now: Moment, before: &Self) {
        if before.base.is_none() {
            self.clone_from(before);
            return;
        }
        (self.base, self.grows_at, self.n_unexplained) = (before.base, None, 0);
        (self.since, self.n_accepted) = (Some(now), 0);
        self.next_at = None;
    }

    /// Returns the time since the last accepted submission; zero before the first.
    pub(super) fn since_accepted(&self, now: Moment) -> Duration {
        self.accepted_at.map_or(Duration::ZERO, |at| now - at)
    }

    /// Returns the mean time between two recently accepted submissions.
    pub(super) fn interval(&self, now: Moment) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.lately(now)).unwrap_or(Duration::MAX)
    }

    /// Returns the recent acceptance rate, in submissions per second.
    pub(super) fn pace(&self, now: Moment) -> f64 {
        self.lately(now)
    }

    fn lately(&self, now: Moment) -> f64 {
        let age = self.accepted_at.map_or(0.0, |at| (now - at).as_secs_f64());
        self.lately * (-age / self.lately_span()).exp()
    }

    fn lately_span(&self) -> f64 {
        self.base.map_or(LATELY, |base| (LATELY_COUNT / base).clamp(LATELY, LATELY_MAX))
    }
}

#[cfg(test)]
mod tests;
