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
        let micros = u64::try_from(now.micros()).unwrap_or(0);
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
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    fn pacer(rate: Option<&str>) -> Pacer {
        let rate = rate.map(|text| text.parse().unwrap());
        Pacer::new(rate, None, Backoff::new(1), Duration::from_secs(900))
    }

    /// How many permits a pacer gives when asked again exactly when it says, from `from` to before `until`.
    fn permits(pacer: &mut Pacer, from: i64, until: i64) -> usize {
        let (mut now, mut n) = (at(from), 0);
        while now < at(until) {
            match pacer.take(now) {
                Ok(()) => n += 1,
                Err(moment) => {
                    assert!(moment > now, "a pacer that says `now` again would spin");
                    now = moment;
                }
            }
        }
        n
    }

    #[test]
    fn without_a_rate_everything_may_leave() {
        let mut pacer = pacer(None);
        assert!((0..10_000).all(|_| pacer.take(at(0)).is_ok()));
    }

    #[test]
    fn a_rate_is_kept_to_within_two_in_a_hundred() {
        for (text, seconds, expected) in
            [("10/s", 100, 1000), ("1000/s", 10, 10_000), ("30/m", 600, 300), ("125/d", 86_400, 125)]
        {
            let n = permits(&mut pacer(Some(text)), 0, seconds * 1000);
            assert!(n * 100 >= expected * 98 && n <= expected + 6, "{text}: {n} of {expected}");
        }
    }

    #[test]
    fn no_second_ever_sees_more_than_the_rate_and_the_burst() {
        let mut pacer = pacer(Some("10/s"));
        permits(&mut pacer, 0, 3000);
        // After a pause the limiter must not have saved up a second's worth.
        assert!(permits(&mut pacer, 60_000, 61_000) <= 11);
    }

    #[test]
    fn a_burst_is_what_the_user_says() {
        let rate = "1/m".parse().unwrap();
        let mut pacer = Pacer::new(Some(rate), NonZeroU32::new(5), Backoff::new(1), Duration::MAX);
        assert_eq!(permits(&mut pacer, 0, 10), 5);
    }

    #[test]
    fn one_refusal_closes_the_gate_for_everybody() {
        let mut pacer = pacer(None);
        assert!(pacer.refused(at(0), Some(Duration::from_secs(7))));
        assert_eq!(pacer.take(at(10)), Err(at(7000)));
        assert_eq!(pacer.take(at(7000)), Ok(()));
    }

    #[test]
    fn only_the_first_refusal_of_a_burst_counts() {
        let mut pacer = pacer(None);
        assert!(pacer.refused(at(0), None));
        let until = pacer.closed_until(at(1)).unwrap();
        assert!(!pacer.refused(at(1), None));
        assert_eq!(pacer.closed_until(at(1)), Some(until));
        assert!(pacer.refused(until, None), "a refusal after the gate opened is news");
    }

    #[test]
    fn refusals_in_a_row_wait_longer_and_success_forgets_them() {
        let mut pacer = pacer(None);
        let mut now = at(0);
        let mut waits = vec![];
        for _ in 0..6 {
            pacer.refused(now, None);
            let until = pacer.closed_until(now).unwrap();
            waits.push(until - now);
            now = until;
        }
        assert!(waits[5] > waits[0] * 8, "{waits:?}");
        pacer.succeeded(at(0));
        pacer.refused(now, None);
        assert!(pacer.closed_until(now).unwrap() - now <= Duration::from_secs(2));
    }

    #[test]
    fn a_wait_is_capped() {
        let mut pacer = pacer(None);
        pacer.refused(at(0), Some(Duration::from_secs(1_000_000)));
        assert_eq!(pacer.closed_until(at(0)), Some(at(900_000)));
    }

    #[test]
    fn a_side_that_seems_down_is_tried_one_by_one() {
        let mut pacer = pacer(None);
        for i in 0..7 {
            pacer.faltered(at(i));
            assert!(pacer.take(at(i)).is_ok() && !pacer.is_probing());
        }
        pacer.faltered(at(7));
        assert!(pacer.take(at(7)).is_err() && pacer.is_probing());
        assert_eq!(pacer.hold(at(8)).map(|hold| hold.why), Some(HoldReason::Down));
        assert_eq!(pacer.down_for(at(8)), Duration::from_millis(8), "since the first of them");
        pacer.succeeded(at(9));
        assert!(!pacer.is_probing());
        assert_eq!(pacer.down_for(at(10)), Duration::ZERO);
    }

    const HOUR: i64 = 3_600_000;

    /// Moments at which a pacer asks again, in minutes, when every try is refused for a used-up allowance that is back at `resets_at`.
    fn tries(resets_at: impl Fn(Moment) -> Option<Timestamp>, n: usize) -> Vec<i64> {
        let mut pacer = pacer(None);
        let mut now = at(0);
        let mut tries = vec![];
        for _ in 0..n {
            pacer.spent(now, resets_at(now));
            let hold = pacer.hold(now).unwrap();
            assert_eq!(hold.why, HoldReason::Quota);
            now = hold.until;
            assert!(pacer.take(now).is_ok() && pacer.is_probing(), "one request tries");
            tries.push(now.wall().millis() / 60_000);
        }
        tries
    }

    #[test]
    fn a_used_up_allowance_is_waited_for_until_it_is_back() {
        let mut pacer = pacer(None);
        pacer.spent(at(0), Some(Timestamp::from_millis(7 * HOUR)));
        assert!(pacer.take(at(7 * HOUR - 1)).is_err());
        assert!(pacer.take(at(7 * HOUR + 30_000)).is_ok());
        pacer.succeeded(at(7 * HOUR + 30_001));
        assert!(!pacer.is_probing() && pacer.hold(at(7 * HOUR + 30_002)).is_none());
    }

    #[test]
    fn an_allowance_that_is_not_back_in_time_is_tried_again_the_same_day() {
        let next_day = |now: Moment| Some(Timestamp::from_millis((now.wall().millis() / (24 * HOUR) + 1) * 24 * HOUR));
        assert_eq!(tries(next_day, 6), [1440, 1445, 1455, 1475, 1515, 1575]);
    }

    #[test]
    fn an_allowance_of_which_nobody_knows_is_tried_ever_more_seldom() {
        assert_eq!(tries(|_| None, 6), [5, 10, 20, 40, 80, 140]);
    }

    #[test]
    fn what_left_before_the_allowance_was_used_up_says_nothing() {
        let mut pacer = pacer(None);
        pacer.spent(at(0), Some(Timestamp::from_millis(HOUR)));
        pacer.succeeded(at(1));
        assert!(pacer.take(at(2)).is_err() && pacer.is_probing());
        pacer.spent(at(3), None);
        assert!(pacer.take(at(HOUR - 1)).is_err(), "nor does a second refusal");
    }
}
