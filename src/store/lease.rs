//! Lease of a process on its jobs: while it holds, no other process works on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::model::time::Moment;

/// Lease of a process on the jobs that were handed out to it. Clones are the same lease.
///
/// It is checked immediately before a submission leaves. What no check can exclude is a pause between the check and the request.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    /// Term of the process; `None` for one that has its ledger to itself.
    term: Option<Arc<Term>>,
    /// Moment after which this clone no longer holds; `None` for no such moment.
    ends_at: Option<Moment>,
}

/// Term of a lease.
#[derive(Debug)]
struct Term {
    /// End, in the microseconds of a [`Moment`].
    until: AtomicI64,
    is_lost: AtomicBool,
}

impl Lease {
    /// Returns the lease of a process that has its ledger to itself: it always holds.
    pub const fn always() -> Self {
        Self { term: None, ends_at: None }
    }

    /// Returns a lease that does not hold until it is extended.
    pub fn lapsed() -> Self {
        let term = Term { until: AtomicI64::new(i64::MIN), is_lost: AtomicBool::new(false) };
        Self { term: Some(Arc::new(term)), ends_at: None }
    }

    /// Extends the lease to this moment, unless it lasts longer or is lost.
    pub fn extend(&self, until: Moment) {
        if let Some(term) = &self.term {
            term.until.fetch_max(until.micros(), Ordering::Relaxed);
        }
    }

    /// Returns this lease, which holds until this moment at most.
    #[must_use]
    pub fn until(self, ends_at: Moment) -> Self {
        Self { ends_at: Some(ends_at), ..self }
    }

    /// Ends the lease for good.
    pub fn lose(&self) {
        if let Some(term) = &self.term {
            term.is_lost.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether the lease holds at this moment.
    pub fn holds(&self, now: Moment) -> bool {
        let is_within = self.ends_at.is_none_or(|ends_at| now <= ends_at);
        let holds = self.term.as_ref().is_none_or(|term| {
            !term.is_lost.load(Ordering::Relaxed) && now.micros() <= term.until.load(Ordering::Relaxed)
        });
        is_within && holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(seconds: i64) -> Moment {
        Moment::new(seconds * 1_000_000, Timestamp::from_millis(0))
    }

    /// Goal: a lease holds up to its end, is never shortened, and does not come back once it is lost. Method: moments around its end.
    #[test]
    fn a_lease_ends_in_time_and_for_good() {
        assert!(Lease::always().holds(at(1)));
        let lease = Lease::lapsed();
        assert!(!lease.holds(at(0)));
        lease.extend(at(20));
        lease.extend(at(10));
        assert!(lease.holds(at(20)) && !lease.holds(at(21)));
        assert!(lease.clone().until(at(20)).holds(at(20)) && !lease.clone().until(at(19)).holds(at(20)));
        lease.clone().lose();
        lease.extend(at(30));
        assert!(!lease.holds(at(5)));
    }
}
