//! Detection of a first-in, first-out queue at the provider: a slow task may only wait for its turn.
//!
//! Order is the order in which this process had tasks accepted. Clocks may have jumped between processes. Tasks of earlier processes
//! therefore count as equally old, and older than all tasks of this process.

use std::time::Duration;

/// Position of a task in the order of acceptance; zero for every task of an earlier process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AcceptOrder(u64);

/// Evidence about unfinished tasks, from the ends of other tasks.
#[derive(Debug, Default)]
pub(super) struct FifoDetector {
    n_accepted: u64,
    /// Youngest task that was seen to end.
    youngest_ended: AcceptOrder,
    /// [Listening time](crate::engine::listening::EvidenceTime) of the most recent end; zero before the first.
    last_end_at: Duration,
}

impl FifoDetector {
    /// Returns the position of a task that is accepted now.
    pub(super) const fn accepted(&mut self) -> AcceptOrder {
        self.n_accepted += 1;
        AcceptOrder(self.n_accepted)
    }

    /// Records that the task at position `order` ended, `listening` into the evidence time.
    pub(super) fn ended(&mut self, listening: Duration, order: AcceptOrder) {
        self.youngest_ended = self.youngest_ended.max(order);
        self.last_end_at = listening;
    }

    /// Returns whether a task may still wait for its turn. In that case no younger task has ended, and the most recent end is less than
    /// `patience` ago.
    pub(super) fn may_be_queued(&self, listening: Duration, order: AcceptOrder, patience: Duration) -> bool {
        order >= self.youngest_ended && listening.saturating_sub(self.last_end_at) < patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(100);

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn where_no_task_ends_there_is_a_queue_for_a_while() {
        let mut fifo = FifoDetector::default();
        let order = fifo.accepted();
        assert!(fifo.may_be_queued(secs(99), order, PATIENCE));
        assert!(!fifo.may_be_queued(secs(100), order, PATIENCE));
    }

    #[test]
    fn a_task_that_was_overtaken_is_not_queued() {
        let mut fifo = FifoDetector::default();
        let [first, second, third] = [(); 3].map(|()| fifo.accepted());
        fifo.ended(secs(50), second);
        fifo.ended(secs(60), first);
        assert!(fifo.may_be_queued(secs(61), third, PATIENCE));
        assert!(!fifo.may_be_queued(secs(61), first, PATIENCE), "one that was accepted after it has ended");
    }

    #[test]
    fn a_queue_that_does_not_move_is_none() {
        let mut fifo = FifoDetector::default();
        let [first, second] = [(); 2].map(|()| fifo.accepted());
        fifo.ended(secs(50), first);
        assert!(fifo.may_be_queued(secs(149), second, PATIENCE) && !fifo.may_be_queued(secs(150), second, PATIENCE));
    }

    /// Order among tasks of earlier processes is unknown, so none of them overtakes another.
    #[test]
    fn tasks_of_earlier_processes_overtake_each_other_never_and_are_overtaken_by_new_ones() {
        let mut fifo = FifoDetector::default();
        fifo.ended(secs(1), AcceptOrder::default());
        assert!(fifo.may_be_queued(secs(2), AcceptOrder::default(), PATIENCE));
        let new = fifo.accepted();
        fifo.ended(secs(3), new);
        assert!(!fifo.may_be_queued(secs(4), AcceptOrder::default(), PATIENCE));
    }
}
