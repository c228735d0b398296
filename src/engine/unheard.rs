//! How many of the tasks in flight may have ended without our knowing: so much less is there than seems to be.

use std::time::Duration;

/// Ends that count, about.
const COUNT: f64 = 30.0;

/// The part of its time for which a task has ended unheard, before any has been seen to: nobody knows how long tasks take.
const UNKNOWN: f64 = 0.3;

/// What the ends of tasks tell: how long tasks take, and for how long nobody hears of their end.
#[derive(Clone, Debug, Default)]
pub struct Unheard {
    took: f64,
    unheard: f64,
}

impl Unheard {
    /// A task was found done that took so long, and has been done for so long of that, as is to be expected.
    pub fn ended(&mut self, took: Duration, unheard: Duration) {
        self.took += (took.as_secs_f64() - self.took) / COUNT;
        self.unheard += (unheard.as_secs_f64() - self.unheard) / COUNT;
    }

    /// Of so many tasks in flight, how many may have ended: as is to be expected, and so many standard deviations more.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    pub fn among(&self, n: usize, deviations: f64) -> usize {
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
        let mut unheard = Unheard::default();
        assert_eq!(unheard.among(100, 0.0), 30, "nothing is known");
        (0..1000).for_each(|_| unheard.ended(Duration::from_secs(10), Duration::from_millis(401)));
        assert_eq!((unheard.among(100, 0.0), unheard.among(100, 2.0), unheard.among(2, 1.5)), (4, 8, 0));
        (0..1000).for_each(|_| unheard.ended(Duration::from_secs(1), Duration::from_secs(5)));
        assert_eq!(unheard.among(100, 0.0), 100, "never more than there are");
    }
}
