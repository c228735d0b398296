//! Observer of the other workers: tells which of them are silent, by this machine's own clock.
//!
//! No time of another machine counts, only whether a worker's numbers move. A read that fails forgets all observations: while the server
//! cannot be reached, no worker can be heard, and none may be taken for dead.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::time::Moment;
use crate::store::shared::backend::{WorkerId, WorkerNumbers, WorkerRow};

/// Longest time between two reads that observe one silence. After a longer one, this process itself was silent.
const GAPS_MAX: u32 = 2;

/// Numbers of the other workers, and since when each has not moved.
#[derive(Debug)]
pub(super) struct Observer {
    ttl: Duration,
    read_every: Duration,
    seen: BTreeMap<WorkerId, (WorkerNumbers, Moment)>,
    read_at: Option<Moment>,
}

impl Observer {
    /// Creates an observer of workers that are dead after a silence of `ttl`, and that reads them at this interval.
    pub(super) const fn new(ttl: Duration, read_every: Duration) -> Self {
        Self { ttl, read_every, seen: BTreeMap::new(), read_at: None }
    }

    /// Forgets all observations: a read had no answer.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        self.read_at = None;
    }

    /// Takes the rows of the live workers, from a read that was sent and returned at these moments. Returns the workers that are silent for
    /// too long, with the numbers that have not moved.
    ///
    /// Numbers that are new moved at the latest when their read returned. Numbers that are old had not moved when their read was sent.
    pub(super) fn look(
        &mut self,
        (sent_at, returned_at): (Moment, Moment),
        rows: impl IntoIterator<Item = WorkerRow>,
    ) -> Vec<(WorkerId, WorkerNumbers)> {
        if self.read_at.replace(returned_at).is_some_and(|before| returned_at - before > self.read_every * GAPS_MAX) {
            self.seen.clear();
        }
        let mut silent = Vec::new();
        let mut seen = BTreeMap::new();
        for WorkerRow { id, numbers, .. } in rows {
            let since = match self.seen.get(&id) {
                Some((before, since)) if *before == numbers => *since,
                Some(_) | None => returned_at,
            };
            if sent_at - since >= self.ttl {
                silent.push((id, numbers));
            }
            seen.insert(id, (numbers, since));
        }
        self.seen = seen;
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;
    use crate::store::totals::Totals;

    fn at(seconds: i64) -> Moment {
        Moment::new(seconds * 1_000_000, Timestamp::from_millis(0))
    }

    fn row(id: i64, n_writes: u64, n_renewals: u64) -> WorkerRow {
        let numbers = WorkerNumbers { n_writes, n_renewals };
        WorkerRow { id: WorkerId(id), is_live: true, numbers, totals: Totals::default() }
    }

    fn observer() -> Observer {
        Observer::new(Duration::from_secs(30), Duration::from_secs(5))
    }

    /// Returns the workers that are silent after reads of one row each, five seconds apart.
    fn silent(observer: &mut Observer, begin: i64, reads: &[WorkerRow]) -> Vec<(WorkerId, WorkerNumbers)> {
        let mut silent = vec![];
        for (read, n) in reads.iter().zip(0..) {
            let now = at(begin + 5 * n);
            silent = observer.look((now, now), [*read]);
        }
        silent
    }

    /// Goal: a worker is dead after a silence of the whole term, and not before; any movement counts, also backwards. Method: seven reads in
    /// thirty seconds, of a worker that moves at one of them or never.
    #[test]
    fn a_worker_is_dead_after_a_whole_term_without_a_movement() {
        let still = row(1, 3, 4);
        assert_eq!(silent(&mut observer(), 0, &[still; 6]), []);
        assert_eq!(silent(&mut observer(), 0, &[still; 7]), [(still.id, still.numbers)]);
        for moved in [row(1, 4, 4), row(1, 3, 5), row(1, 2, 4), row(1, 3, 0)] {
            let reads = [still, still, moved, moved, moved, moved, moved];
            assert_eq!(silent(&mut observer(), 0, &reads), [], "{moved:?}");
        }
    }

    /// Goal: the time of a slow read counts for the worker that is read, at both ends. Method: a first read that takes nine seconds.
    #[test]
    fn a_slow_read_makes_nobody_dead_too_early() {
        let mut observer = observer();
        observer.look((at(0), at(9)), [row(1, 1, 1)]);
        for now in [14, 19, 24, 29, 34, 38] {
            assert_eq!(observer.look((at(now), at(now)), [row(1, 1, 1)]), []);
        }
        assert_eq!(observer.look((at(39), at(40)), [row(1, 1, 1)]).len(), 1);
    }

    /// Goal: an outage of the server, or a pause of this process, makes nobody dead. Method: a failed read, and a gap between two reads.
    #[test]
    fn after_an_outage_or_a_pause_every_worker_is_observed_anew() {
        let still = row(1, 1, 1);
        let mut failed = observer();
        silent(&mut failed, 0, &[still; 6]);
        failed.forget();
        assert_eq!(silent(&mut failed, 30, &[still; 6]), []);
        let mut paused = observer();
        silent(&mut paused, 0, &[still; 6]);
        assert_eq!(silent(&mut paused, 300, &[still; 6]), []);
        assert_eq!(silent(&mut paused, 330, &[still]).len(), 1);
    }
}
