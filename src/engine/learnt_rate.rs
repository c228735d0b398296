//! How fast submissions may leave, as far as the provider's refusals have taught.

use std::time::Duration;

use crate::model::time::Moment;

/// The rate is kept a little below what was found, so that a bucket fills and not empties.
const SHY: f64 = 0.97;

/// After a refusal the rate stays as it is for at least so long, and for so many submissions that were taken.
const REST: Duration = Duration::from_secs(10);
const REST_ACCEPTED: u32 = 30;

/// Then it grows ever more boldly: by a twentieth after five seconds, a quarter after ten, to the sevenfold after thirty.
const BOLDNESS: f64 = 0.0022;

/// By then a rate has grown so far that it is no limit any more.
const GROWN: f64 = 2.0;

/// What was taken lately is counted over about so many seconds, and at a slow rate over about so many submissions.
const LATELY: f64 = 2.0;
const LATELY_MAX: f64 = 60.0;
const LATELY_COUNT: f64 = 8.0;

/// The first rate is told from no fewer seconds than this.
const SPAN_MIN: f64 = 1.0;

/// The longest wait for the next submission, in seconds.
const WAIT_MAX: f64 = 60.0;

/// A submission that left late by no more than this is made up for.
const LATE: Duration = Duration::from_millis(20);

/// A rate in submissions a second, none before the first refusal.
///
/// Between two refusals for the rate's sake, the provider has taken what its rate allows: at both of them nothing was left. That tells
/// the rate, however large the bursts are that it allows.
#[derive(Clone, Debug)]
pub struct LearntRate {
    /// What it was cut to.
    base: Option<f64>,
    /// When the first submission left, or the last cut was.
    since: Option<Moment>,
    /// Submissions taken since.
    n_accepted: u32,
    /// When it begins to grow.
    grows_at: Option<Moment>,
    /// Submissions taken lately, a second.
    lately: f64,
    accepted_at: Option<Moment>,
    next_at: Option<Moment>,
    /// Refusals one after the other that came before the rate had grown again.
    n_unexplained: u32,
}

impl LearntRate {
    /// No rate yet.
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

    /// Submissions a second by now.
    pub fn now(&self, now: Moment) -> Option<f64> {
        let grown = self.grows_at.map_or(0.0, |at| (now - at).as_secs_f64());
        self.base.map(|base| base * (BOLDNESS * grown * grown).exp())
    }

    /// The same, as long as it says something: what has grown far beyond what was found binds nobody.
    pub fn believed(&self, now: Moment) -> Option<f64> {
        self.now(now).filter(|rate| self.base.is_some_and(|base| *rate < base * GROWN))
    }

    /// When the next submission may leave, if not now.
    pub fn next_at(&self, now: Moment) -> Option<Moment> {
        self.next_at.filter(|at| *at > now)
    }

    /// A submission leaves.
    pub fn take(&mut self, now: Moment) {
        self.since.get_or_insert(now);
        let Some(rate) = self.now(now) else { return };
        let due = self.next_at.filter(|at| now - *at <= LATE).unwrap_or(now);
        self.next_at = Some(due + Duration::from_secs_f64((1.0 / rate).min(WAIT_MAX)));
    }

    /// A submission was taken.
    pub fn accepted(&mut self, now: Moment) {
        self.n_accepted += 1;
        self.lately = self.lately(now) + 1.0 / self.lately_span();
        self.accepted_at = Some(now);
        if let Some(since) = self.since.filter(|_| self.grows_at.is_none() && self.n_accepted >= REST_ACCEPTED) {
            self.grows_at = Some(now.max(since + REST));
        }
    }

    /// A submission was refused, for the rate's sake as far as is known. `chance` is the share that is refused by chance besides; 0 if none is known.
    pub fn refused(&mut self, now: Moment, is_sure: bool, chance: f64) {
        let has_grown = self.has_rested(now);
        self.n_unexplained = if has_grown || self.base.is_none() { 0 } else { self.n_unexplained + 1 };
        if self.n_accepted > 0 {
            let current = self.now(now).unwrap_or(f64::INFINITY);
            let span = self.since.map_or(0.0, |since| (now - since).as_secs_f64());
            let span = if self.base.is_none() { span.max(SPAN_MIN) } else { span.max(0.001) };
            // What was left for the one that was refused was a part of one.
            let whole = (f64::from(self.n_accepted) + 0.5) / span;
            // Where no bursts are allowed, it was refused as soon as it had grown too much. Where they are, it is too much still, the next
            // refusals come soon, and tell how much.
            let found = if chance > 0.0 {
                // Refusals came close together for a while, so that what was taken meanwhile is the rate; chance refuses its share of it.
                self.lately(now) / (1.0 - chance)
            } else if has_grown && is_sure {
                current
            } else {
                f64::midpoint(whole, current.min(whole * 2.0))
            };
            let is_new = self.base.is_none() || has_grown || self.n_accepted >= REST_ACCEPTED / 2;
            self.base = Some(found.clamp(0.5 * current.min(self.lately(now)), current) * SHY);
            // A few more words on the same rate are taken together.
            if is_new {
                (self.since, self.n_accepted) = (Some(now), 0);
            }
        }
        self.grows_at = None;
        self.next_at = self.base.map(|base| now + Duration::from_secs_f64((1.5 / base).min(WAIT_MAX)));
    }

    /// Whether it has rested since the last refusal, and grows.
    pub fn has_rested(&self, now: Moment) -> bool {
        self.grows_at.is_some_and(|at| at <= now)
    }

    /// Whether a refusal now is about what this rate says: as much was taken lately, and it is not the third surprise in a row.
    pub fn explains(&self, now: Moment) -> bool {
        self.n_unexplained < 2 && self.base.is_some_and(|base| self.lately(now) >= 0.75 * base)
    }

    /// The time since a submission was taken.
    pub fn since_accepted(&self, now: Moment) -> Duration {
        self.accepted_at.map_or(Duration::ZERO, |at| now - at)
    }

    /// The time between two submissions that were taken lately.
    pub fn interval(&self, now: Moment) -> Duration {
        Duration::try_from_secs_f64(1.0 / self.lately(now)).unwrap_or(Duration::MAX)
    }

    /// Submissions that were taken lately, a second.
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
