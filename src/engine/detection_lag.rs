//! Detection lag: estimates how many tasks in flight have already ended without a poll that showed it.

use std::time::Duration;

/// Approximate number of recent task ends that count.
const COUNT: f64 = 30.0;

/// Assumed detection lag as a fraction of the task duration, before any task was seen to end.
const UNKNOWN: f64 = 0.3;

/// Exponential averages of the task duration and of the detection lag, in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct DetectionLag {
    took: f64,
    unheard: f64,
}

impl DetectionLag {
    /// Records a task that was found done. `took` is its duration, and `unheard` the expected time for which its end was undetected.
    pub(super) fn ended(&mut self, took: Duration, unheard: Duration) {
        self.took += (took.as_secs_f64() - self.took) / COUNT;
        self.unheard += (unheard.as_secs_f64() - self.unheard) / COUNT;
    }

    /// Returns how many of `n` tasks in flight may have ended: the expected number, plus `deviations` standard deviations.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    pub(super) fn among(&self, n: usize, deviations: f64) -> usize {
        let share = if self.took > 0.0 { (self.unheard / self.took).min(1.0) } else { UNKNOWN };
        let mean = share * n as f64;
        (mean + deviations * mean.sqrt()) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_are_heard_of_late_are_many() {
        let mut unheard = DetectionLag::default();
        assert_eq!(unheard.among(100, 0.0), 30, "nothing is known");
        (0..1000).for_each(|_| unheard.ended(Duration::from_secs(10), Duration::from_millis(401)));
        assert_eq!((unheard.among(100, 0.0), unheard.among(100, 2.0), unheard.among(2, 1.5)), (4, 8, 0));
        (0..1000).for_each(|_| unheard.ended(Duration::from_secs(1), Duration::from_secs(5)));
        assert_eq!(unheard.among(100, 0.0), 100, "never more than there are");
    }
}
