//! Two clocks read at once: a monotonic one for deciding and the wall's for the records.
//!
//! Nothing here asks what time it is. Every function that needs the time is given a [`Moment`]; only the driver's clock makes them.

use std::cmp::Ordering;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A wall-clock time in milliseconds since the Unix epoch: what the records carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time `millis` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time so long before this one.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it, as wall clocks do step back.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// One reading of both clocks. Moments are ordered by the monotonic one alone.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    micros: i64,
    wall: Timestamp,
}

impl Moment {
    /// The moment `micros` microseconds after the process's origin, at which the wall clock showed `wall`.
    pub const fn new(micros: i64, wall: Timestamp) -> Self {
        Self { micros, wall }
    }

    /// Monotonic microseconds since the process's origin; negative for what an earlier process recorded.
    pub const fn micros(self) -> i64 {
        self.micros
    }

    /// What the wall clock shows at this moment.
    pub const fn wall(self) -> Timestamp {
        self.wall
    }

    /// How long after `earlier` this is, zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros.saturating_sub(earlier.micros)).unwrap_or(0))
    }

    /// The moment at which the wall clock showed, or will show, `wall`, seen from this one.
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
