//! Time as evidence: it counts only while this process runs and receives answers from the provider.
//!
//! A deadline measured by a clock alone also runs during machine sleep, in a stopped process, and without answers. It also changes when the
//! clock is set. None of these is a reason to give up a task that is paid for.

use std::time::Duration;

use crate::model::time::Moment;

/// Maximum gap between two looks at the clock that counts. The driver looks once a second. A longer gap means that the process was stopped
/// or that the machine slept.
const GAP_MAX: Duration = Duration::from_secs(5);

/// Sum of the time in which the process was running.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AwakeClock {
    looked_at: Option<Moment>,
    total: Duration,
}

impl AwakeClock {
    /// Adds the time since the last look, unless the process cannot have been running all the time.
    pub(super) fn look(&mut self, now: Moment) {
        if let Some(before) = self.looked_at.replace(now) {
            let gap = now - before;
            self.total += if gap <= GAP_MAX { gap } else { Duration::ZERO };
        }
    }

    /// Returns the time in which this process was running so far.
    pub(super) const fn total(&self) -> Duration {
        self.total
    }
}

/// Sum of the time between consecutive answers without a failed request in between.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EvidenceTime {
    total: Duration,
    /// Awake time of the last answer; `None` before the first answer and after a failed request.
    answered_at: Option<Duration>,
}

impl EvidenceTime {
    /// Records an answer at this [awake time](AwakeClock::total).
    pub(super) fn answered(&mut self, awake: Duration) {
        if let Some(before) = self.answered_at.replace(awake) {
            self.total += awake.saturating_sub(before);
        }
    }

    /// Records a request without an answer: nothing is known about the time since the last answer.
    pub(super) const fn failed(&mut self) {
        self.answered_at = None;
    }

    /// Returns the time that counts.
    pub(super) const fn total(&self) -> Duration {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(millis: i64) -> Moment {
        Moment::new(millis * 1000, Timestamp::from_millis(millis))
    }

    #[test]
    fn a_gap_in_which_the_process_was_stopped_does_not_count() {
        let mut clock = AwakeClock::default();
        for millis in [1000, 2000, 3000, 3_603_000, 3_604_000] {
            clock.look(at(millis));
        }
        assert_eq!(clock.total(), Duration::from_secs(3));
    }

    #[test]
    fn a_wall_clock_that_jumps_changes_nothing() {
        let mut clock = AwakeClock::default();
        for (micros, wall) in [(0, 0), (1_000_000, 99_999_999_999), (2_000_000, -99_999_999_999)] {
            clock.look(Moment::new(micros, Timestamp::from_millis(wall)));
        }
        assert_eq!(clock.total(), Duration::from_secs(2));
    }

    #[test]
    fn time_around_a_failed_request_does_not_count() {
        let (mut listening, secs) = (EvidenceTime::default(), Duration::from_secs);
        for awake in [10, 12, 15] {
            listening.answered(secs(awake));
        }
        assert_eq!(listening.total(), secs(5), "nothing before the first answer");
        listening.failed();
        listening.answered(secs(1000));
        assert_eq!(listening.total(), secs(5));
        listening.answered(secs(1001));
        assert_eq!(listening.total(), secs(6));
    }
}
