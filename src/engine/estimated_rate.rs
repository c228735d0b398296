//! Estimated rate limit for submissions, learnt from the provider's refusals.

use std::time::Duration;

use crate::model::time::Moment;

/// Safety factor: the rate stays slightly below the estimate, so that the provider's token bucket fills and does not empty.
const SHY: f64 = 0.97;

/// Minimum time after a refusal without growth of the rate, and minimum number of accepted submissions in that time.
const REST: Duration = Duration::from_secs(10);
const REST_ACCEPTED: u32 = 30;

/// Growth coefficient after that rest. The rate grows by a twentieth after five seconds, by a quarter after ten, and sevenfold after
/// thirty.
const BOLDNESS: f64 = 0.0022;

/// Rate below which the growth takes as many submissions as at this rate, and not as much time.
const SLOW: f64 = 10.0;

/// Growth factor above which a rate no longer counts as a limit.
const GROWN: f64 = 2.0;

/// Averaging time of the recent acceptance rate, in seconds: the minimum, and the maximum. At a low rate it covers about `LATELY_COUNT`
/// submissions.
const LATELY: f64 = 2.0;
const LATELY_MAX: f64 = 60.0;
const LATELY_COUNT: f64 = 8.0;

/// Minimum time from which the first rate is estimated, in seconds.
const SPAN_MIN: f64 = 1.0;

/// Maximum wait for the next submission, in seconds.
const WAIT_MAX: f64 = 60.0;

/// Maximum lateness of a submission that is compensated.
const LATE: Duration = Duration::from_millis(20);

/// Estimated rate in submissions per second; none before the first refusal.
///
/// Between two refusals by the rate limit, the provider accepts exactly what its rate allows. Its bucket is empty at both refusals. That
/// gives the rate, however large the allowed bursts are.
#[derive(Clone, Debug)]
pub struct EstimatedRate {
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
    /// Consecutive refusals that came before the rate had grown again.
    n_unexplained: u32,
}

impl EstimatedRate {
    /// Creates an estimate without a rate.
    pub const fn new() -> Self {
        Self {
            base: None,
            since: None,
            n_accepted: 0,
            grows_at: None,
            lately: 0.0,
            accepted_at: None,
            next_at: None,
            n_unexplained: 0,
        }
    }

    /// Creates an estimate with the rate that a search has found, in submissions per second.
    pub fn found(now: Moment, rate: f64) -> Self {
        let base = rate * SHY;
        let next_at = Some(now + Duration::from_secs_f64((1.0 / base).min(WAIT_MAX)));
        Self { base: Some(base), since: Some(now), lately: base, accepted_at: Some(now), next_at, ..Self::new() }
    }

    /// Returns the current rate in submissions per second; `None` before the first refusal.
    pub fn now(&self, now: Moment) -> Option<f64> {
        let grown = self.grows_at.map_or(0.0, |at| (now - at).as_secs_f64());
        self.base.map(|base| {
            let grown = grown * (base / SLOW).min(1.0);
            base * (BOLDNESS * grown * grown).exp()
        })
    }

    /// Returns the current rate as long as it is informative. A rate that has grown far beyond the estimate limits nothing, and gives
    /// `None`.
    pub fn believed(&self, now: Moment) -> Option<f64> {
        self.now(now).filter(|rate| self.base.is_some_and(|base| *rate < base * GROWN))
    }

    /// Returns when the next submission may leave; `None` means now.
    pub fn next_at(&self, now: Moment) -> Option<Moment> {
        self.next_at.filter(|at| *at > now)
    }

    /// Records a submission that leaves.
    pub fn take(&mut self, now: Moment) {
        self.since.get_or_insert(now);
        let Some(rate) = self.now(now) else { return };
        let due = self.next_at.filter(|at| now - *at <= LATE).unwrap_or(now);
        self.next_at = Some(due + Duration::from_secs_f64((1.0 / rate).min(WAIT_MAX)));
    }

    /// Records an accepted submission.
    pub fn accepted(&mut self, now: Moment) {
        self.n_accepted += 1;
        self.lately = self.lately(now) + 1.0 / self.lately_span();
        self.accepted_at = Some(now);
        if let Some(since) = self.since.filter(|_| self.grows_at.is_none() && self.n_accepted >= REST_ACCEPTED) {
            self.grows_at = Some(now.max(since + REST));
        }
    }

    /// Records a submission that was refused by the rate limit, as far as is known. `is_sure` says whether that is certain. `chance` is the
    /// share of random refusals besides; 0 if none is known.
    pub fn refused(&mut self, now: Moment, is_sure: bool, chance: f64) {
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
            // A few further refusals at the same rate count together with the first one.
            if is_new {
                (self.since, self.n_accepted) = (Some(now), 0);
            }
        }
        self.grows_at = None;
        self.next_at = self.base.map(|base| now + Duration::from_secs_f64((1.5 / base).min(WAIT_MAX)));
    }

    /// Returns whether the rate has rested since the last refusal, and grows.
    pub fn has_rested(&self, now: Moment) -> bool {
        self.grows_at.is_some_and(|at| at <= now)
    }

    /// Returns whether this rate explains a refusal now. The recent acceptance rate must be close to it, and the refusal not the third
    /// unexpected one in a row.
    pub fn explains(&self, now: Moment) -> bool {
        self.n_unexplained < 2 && self.base.is_some_and(|base| self.lately(now) >= 0.75 * base)
    }

    /// Returns the time since the last accepted submission; zero before the first.
    pub fn since_accepted(&self, now: Moment) -> Duration {
        self.accepted_at.map_or(Duration::ZERO, |at| now - at)
    }

    /// Returns the mean time between two recently accepted submissions.
    pub fn interval(&self, now: Moment) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.lately(now)).unwrap_or(Duration::MAX)
    }

    /// Returns the recent acceptance rate, in submissions per second.
    pub fn pace(&self, now: Moment) -> f64 {
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
