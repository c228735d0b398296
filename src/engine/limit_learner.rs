//! Learner of hidden limits: a search at the start of a run, and then the limiter that follows what the search has found.

use std::time::Duration;

use crate::engine::adaptive_limiter::{AdaptiveLimiter, RefusalReaction, SubmitPermit};
use crate::engine::limit_search::LimitSearch;
use crate::engine::submit_verdicts::Held;
use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// Search, as long as it lasts, and the limiter after it.
#[derive(Debug)]
pub struct LimitLearner {
    search: Option<Box<LimitSearch>>,
    limiter: AdaptiveLimiter,
}

impl LimitLearner {
    /// Creates a learner that knows only the user's settings.
    pub fn new(concurrency: Concurrency, is_rate_known: bool) -> Self {
        let search = Some(Box::new(LimitSearch::new(concurrency, is_rate_known)));
        Self { search, limiter: AdaptiveLimiter::new(concurrency, is_rate_known) }
    }

    /// Records that `n_in_flight` tasks of an earlier process are at the provider.
    pub fn found(&mut self, n_in_flight: usize) {
        self.limiter.found(n_in_flight);
        if let Some(search) = &mut self.search {
            search.found_in_flight(n_in_flight);
        }
    }

    /// Returns whether the in-flight limit is known from refusals.
    pub fn has_found_places(&self) -> bool {
        self.search.as_ref().map_or_else(|| self.limiter.has_found_places(), |search| search.has_found_places())
    }

    /// Returns whether it is unknown which limit refuses.
    pub fn is_in_doubt(&self) -> bool {
        self.search.as_ref().map_or_else(|| self.limiter.is_in_doubt(), |search| search.is_in_doubt())
    }

    /// Returns whether refusals have proved random, so that a wait named by one applies to its own job alone.
    pub fn is_chance_trusted(&self) -> bool {
        self.search.as_ref().map_or_else(|| self.limiter.is_chance_trusted(), |search| search.is_chance_trusted())
    }

    /// Returns how many tasks are known to be accepted and useful.
    pub fn cap(&self) -> usize {
        self.search.as_ref().map_or_else(|| self.limiter.cap(), |search| search.cap().min(self.limiter.worth()))
    }

    /// Records the end of one of `n_in_flight` tasks, its duration `took`, and the expected delay `unheard` of its detection.
    pub fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration, unheard: Duration) {
        self.limiter.ended(now, n_in_flight, took, unheard);
        if let Some(search) = &mut self.search {
            search.ended();
        }
    }

    /// Sets how many of the tasks in flight are expected to have ended undetected.
    pub fn expect_ended(&mut self, n: f64) {
        if let Some(search) = &mut self.search {
            search.expect_ended(n);
        }
    }

    /// Returns whether the number of tasks that have ended undetected matters: the search has met a refusal.
    pub fn counts_ended(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.has_refused())
    }

    /// Returns whether all slots are in use, as far as they are limited by the user, who `is_fixed` is about, or by the provider.
    pub fn is_full(&self, now: Moment, n_in_flight: usize, is_fixed: bool) -> bool {
        match &self.search {
            Some(search) => (is_fixed || search.has_refused()) && search.is_full(),
            None => (is_fixed || self.limiter.has_found_places()) && !self.limiter.has_room(now, n_in_flight),
        }
    }

    /// Checks whether one more submission may leave with `n_in_flight` tasks in flight.
    pub fn check(&mut self, now: Moment, n_in_flight: usize) -> Result<(), Held> {
        if let Some(search) = &mut self.search {
            return search.check(now, n_in_flight, self.limiter.worth());
        }
        if !self.limiter.has_room(now, n_in_flight) {
            return Err(Held::Slots(self.limiter.room_at(now, n_in_flight)));
        }
        self.limiter.next_at(now).map_or(Ok(()), |next_at| Err(Held::Rate(next_at)))
    }

    /// Returns the rate that the provider accepts, in submissions per second; `None` as long as refusals have not shown it.
    pub fn rate(&self, now: Moment) -> Option<f64> {
        self.search.as_ref().map_or_else(|| self.limiter.rate(now), |search| search.rate())
    }

    /// Issues the permit of a submission that leaves with `n_others` other tasks in flight.
    pub fn take(&mut self, now: Moment, n_others: usize) -> SubmitPermit {
        match &mut self.search {
            Some(search) => search.take(now, n_others),
            None => self.limiter.take(now, n_others),
        }
    }

    /// Forgets a submission whose answer says nothing about limits.
    pub fn forget(&mut self, permit: SubmitPermit) {
        if let Some(search) = &mut self.search {
            search.forget(permit);
        }
    }

    /// Records an accepted submission.
    pub fn accepted(&mut self, now: Moment, permit: SubmitPermit) {
        match &mut self.search {
            Some(search) => search.accepted(permit),
            None => self.limiter.accepted(now, permit),
        }
        self.end_search(now);
    }

    /// Records a refused submission and returns the reaction; `None` if nothing follows from it.
    pub fn refused(&mut self, now: Moment, permit: SubmitPermit) -> Option<RefusalReaction> {
        let reaction = match &mut self.search {
            Some(search) => search.refused(now, permit),
            // What left during the search says nothing new about what the search has found.
            None if permit.number() > 0 => Some(RefusalReaction::Known),
            None => self.limiter.refused(now, permit),
        };
        self.end_search(now);
        reaction
    }

    fn end_search(&mut self, now: Moment) {
        if let Some(found) = self.search.as_ref().and_then(|search| search.found()) {
            self.search = None;
            self.limiter.begin(now, found);
        }
    }
}
