//! Two clocks read at once: a monotonic clock for decisions, and the wall clock for records.
//!
//! No function here reads a clock. Every function that needs the time receives a [`Moment`], and only the driver's clock makes those.

use std::cmp::Ordering;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Wall-clock time in milliseconds since the Unix epoch, as in the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates the time `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the time that is `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the time since `earlier`; zero if `earlier` is later, as wall clocks do step back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Reading of both clocks at one moment. Moments are ordered by the monotonic clock alone.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    micros: i64,
    wall: Timestamp,
}

impl Moment {
    /// Creates the moment `micros` microseconds after the process's origin, at which the wall clock showed `wall`.
    pub const fn new(micros: i64, wall: Timestamp) -> Self {
        Self { micros, wall }
    }

    /// Returns the monotonic microseconds since the process's origin; negative for what an earlier process recorded.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// Returns the time that the wall clock shows at this moment.
    pub const fn wall(self) -> Timestamp {
        self.wall
    }

    /// Returns the time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros.saturating_sub(earlier.micros)).unwrap_or(0))
    }

    /// Returns the moment at which the wall clock showed, or will show, `wall`, seen from this moment.
    #[must_use]
    pub fn at_wall(self, wall: Timestamp) -> Self {
        let ahead = wall.millis().saturating_sub(self.wall.millis());
        Self { micros: self.micros.saturating_add(ahead.saturating_mul(1000)), wall }
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let wall = Timestamp(self.wall.0.saturating_add(millis));
        Self { micros: self.micros.saturating_add(micros), wall }
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.micros == other.micros
    }
}

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> Ordering {
        self.micros.cmp(&other.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Moment = Moment::new(5_000_000, Timestamp::from_millis(1_000_000));

    #[test]
    fn adding_a_span_moves_both_clocks() {
        let later = NOON + Duration::from_millis(1500);
        assert_eq!(later.micros(), 6_500_000);
        assert_eq!(later.wall().millis(), 1_001_500);
        assert_eq!(later - NOON, Duration::from_millis(1500));
    }

    #[test]
    fn a_span_backwards_is_zero() {
        assert_eq!(NOON - (NOON + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(5).since(Timestamp::from_millis(9)), Duration::ZERO);
    }

    #[test]
    fn a_recorded_time_before_this_process_has_a_moment_too() {
        let before = NOON.at_wall(Timestamp::from_millis(1_000_000 - 60_000));
        assert!(before.micros() < 0);
        assert_eq!(NOON - before, Duration::from_secs(60));
    }
}
