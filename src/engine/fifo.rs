//! Detects a first-in, first-out queue at the provider: a task that takes too long may only wait for its turn there.
//!
//! Order is the order in which this process had tasks accepted. Clocks may have jumped between processes, so tasks of earlier processes
//! count as equally old, and older than all of this one.

use std::time::Duration;

/// The place of a task in the order of acceptance; zero for every task of an earlier process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcceptOrder(u64);

/// What the ends of tasks say about those that have not ended.
#[derive(Debug, Default)]
pub struct FifoDetector {
    n_accepted: u64,
    /// The youngest task that was seen to end.
    youngest_ended: AcceptOrder,
    /// The [listening time](crate::engine::listening::ListeningTime) at which the last end was seen; zero before the first.
    last_end_at: Duration,
}

impl FifoDetector {
    /// A task is accepted now.
    pub const fn accepted(&mut self) -> AcceptOrder {
        self.n_accepted += 1;
        AcceptOrder(self.n_accepted)
    }

    /// A task was seen to have ended.
    pub fn ended(&mut self, listening: Duration, order: AcceptOrder) {
        self.youngest_ended = self.youngest_ended.max(order);
        self.last_end_at = listening;
    }

    /// Whether a task may still be waiting for its turn: no younger one has ended, and the last end is less than `patience` ago.
    pub fn may_be_queued(&self, listening: Duration, order: AcceptOrder, patience: Duration) -> bool {
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

    /// Their order is not known, so that none of them overtakes another.
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
