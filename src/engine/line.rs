//! Whether a task that takes too long only waits its turn: a provider may take more tasks than it works on, and work on them in the order
//! in which they came.

use std::time::Duration;

use crate::model::time::Moment;

/// What the ends of tasks tell of those that go on.
#[derive(Debug, Default)]
pub struct Line {
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// When that one of the ended tasks was accepted that was accepted last.
    accepted_at: Moment,
    /// When the last end was seen.
    seen_at: Moment,
}

impl Line {
    /// A task that was accepted then was seen to have ended.
    pub fn ended(&mut self, now: Moment, accepted_at: Moment) {
        let accepted_at = self.last.map_or(accepted_at, |last| last.accepted_at.max(accepted_at));
        self.last = Some(Last { accepted_at, seen_at: now });
    }

    /// Whether a task that was accepted then may have its turn yet: tasks still end, and none that was accepted after it has.
    ///
    /// Ends that are further apart than `patience` are no line any more.
    pub fn has(&self, now: Moment, accepted_at: Moment, patience: Duration) -> bool {
        self.last.is_some_and(|last| accepted_at >= last.accepted_at && now - last.seen_at < patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    const PATIENCE: Duration = Duration::from_secs(100);

    fn at(seconds: i64) -> Moment {
        Moment::new(seconds * 1_000_000, Timestamp::from_millis(seconds * 1000))
    }

    #[test]
    fn where_no_task_has_ended_there_is_no_line() {
        assert!(!Line::default().has(at(200), at(0), PATIENCE));
    }

    #[test]
    fn behind_the_last_that_ended_is_the_line_and_before_it_is_not() {
        let mut line = Line::default();
        line.ended(at(50), at(10));
        line.ended(at(60), at(5));
        assert!(line.has(at(61), at(11), PATIENCE) && line.has(at(61), at(10), PATIENCE));
        assert!(!line.has(at(61), at(9), PATIENCE), "one that was accepted after it has ended");
    }

    #[test]
    fn a_line_that_does_not_move_is_none() {
        let mut line = Line::default();
        line.ended(at(50), at(0));
        assert!(line.has(at(149), at(1), PATIENCE) && !line.has(at(150), at(1), PATIENCE));
    }
}
