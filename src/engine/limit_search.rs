//! Search for a hidden limit after the first refusals of a run: a rate or a number of slots, and its size.
//!
//! Which of the two it is follows from how refusals come, by a sequential test. Slots refuse as long as as many tasks are in flight as at
//! the first refusal, however long that takes, and accept when one has ended. A rate accepts after a while, whatever is in flight.

use crate::engine::rate_bracket::RateBracket;
use crate::engine::submit_permit::SubmitPermit;
use crate::model::time::Moment;

/// Log-odds from which a limit counts as the cause.
const SURE: f64 = 3.2;

/// Log-odds of slots down to which the end of a task is taken as an opportunity to test them.
const TEST_MIN: f64 = -1.0;

/// Probability of a refusal that slots exclude.
const UNLIKELY: f64 = 0.05;

/// Probability that some of many tasks have ended undetected, and the factor for each one more than expected.
const DETECTED: f64 = 0.6;
const UNDETECTED: f64 = 0.15;

/// Refusals after which the search ends.
const REFUSALS_MAX: u32 = 9;

/// Refusals at longer and longer waits, after which the end of a task most likely comes before the next test.
const TESTS_MAX: u32 = 4;

/// Submissions under way while slots are filled that are not certain.
const OUT_MAX: usize = 4;

/// Acceptances after which the search ends.
const ACCEPTED_MAX: u32 = 200;

/// Acceptances without a refusal after which the first refusals count as random.
const UNBOUNDED: u32 = 64;

/// Limits that a search has found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FoundLimits {
    /// Rate in submissions per second.
    pub rate: Option<f64>,
    /// Number of slots.
    pub slots: Option<usize>,
}

/// Search for one limit.
#[derive(Debug)]
pub struct LimitSearch {
    rate: RateBracket,
    /// Number of slots, if they are the limit.
    n_slots: usize,
    /// Logarithm of the odds of slots against a rate.
    odds: f64,
    n_refused: u32,
    n_tests: u32,
    n_accepted: u32,
    /// Says whether a task has ended since the last submission.
    has_test: bool,
}

impl LimitSearch {
    /// Begins a search with `n_slots` accepted tasks in flight, after `n_refused` refusals.
    pub const fn new(rate: RateBracket, n_slots: usize, n_refused: u32, odds: f64) -> Self {
        Self { rate, n_slots, odds, n_refused, n_tests: 0, n_accepted: 0, has_test: false }
    }

    /// Returns whether it is open which limit refuses.
    pub fn is_in_doubt(&self) -> bool {
        self.odds.abs() < SURE
    }

    /// Returns the number of slots, if they are the limit.
    const fn n_slots(&self) -> usize {
        if self.n_slots == 0 { 1 } else { self.n_slots }
    }

    /// Returns the rate that is known so far.
    pub fn rate(&self) -> Option<f64> {
        self.rate.rate().filter(|_| self.odds < -SURE)
    }

    /// Returns when the next submission may leave with `n_accepted` tasks in flight and `n_out` submissions under way; `None` means after
    /// an answer or the end of a task.
    pub fn next_at(&self, now: Moment, n_accepted: usize, n_out: usize) -> Option<Moment> {
        if self.has_test && self.odds > TEST_MIN && n_accepted < self.n_slots() && n_out == 0 && self.rate.is_blocked()
        {
            return Some(now);
        }
        if self.odds > -SURE && self.n_tests >= TESTS_MAX && n_accepted > 0 && self.rate.is_silent() {
            return (n_out == 0).then(|| self.rate.late_test_at());
        }
        // As long as slots are likelier, they are filled, and one submission at a time may go beyond them.
        if self.odds > 0.0 && !self.rate.is_blocked() {
            if n_accepted + n_out < self.n_slots() {
                return (n_out < OUT_MAX).then_some(now);
            }
            if n_out > 0 {
                return None;
            }
        }
        self.rate.next_at(n_out)
    }

    /// Records the end of a task, after which slots accept one more.
    pub const fn ended(&mut self) {
        self.has_test = true;
    }

    /// Records a submission that leaves.
    pub fn sent(&mut self, now: Moment) {
        self.has_test = false;
        self.rate.sent(now);
    }

    /// Records an accepted submission. So many tasks may have ended undetected when it left.
    pub fn accepted(&mut self, permit: SubmitPermit, n_undetected: usize, is_late: bool) {
        self.n_accepted += 1;
        if self.rate.is_before(permit.left_at()) {
            // It occupied a slot at the first refusal already.
            self.n_slots += 1;
        } else if !is_late {
            let likely = self.rate.likely(permit.left_at());
            let n_beyond = (permit.n_accepted() + 1).saturating_sub(self.n_slots());
            // More slots than these can only have been free if so many tasks had ended undetected.
            let by_slots =
                if n_beyond == 0 { 1.0 } else { DETECTED * power(UNDETECTED, n_beyond.saturating_sub(n_undetected)) };
            self.weigh(by_slots / likely);
        }
        self.rate.accepted(permit.left_at());
    }

    /// Records a refused submission, with `n_others` accepted tasks in flight when it came to the provider.
    pub fn refused(&mut self, permit: SubmitPermit, n_others: usize, is_late: bool, has_told: bool) {
        self.n_refused += 1;
        if !is_late {
            self.n_tests += 1;
            let likely = self.rate.likely(permit.left_at());
            let by_slots = if n_others < self.n_slots() { UNLIKELY } else { 1.0 };
            self.weigh(by_slots / (1.0 - likely));
        }
        self.rate.refused(permit.left_at(), has_told);
    }

    /// Weighs slots against a rate. A rate that has proved to be the cause remains it.
    fn weigh(&mut self, ratio: f64) {
        if self.odds > -SURE {
            self.odds += ratio.ln();
        }
    }

    /// Returns what is found; `None` as long as the search goes on.
    pub fn found(&self) -> Option<FoundLimits> {
        let is_known = self.odds > 0.0 || self.rate.rate().is_some();
        let is_over = self.n_accepted >= ACCEPTED_MAX || (self.n_refused >= REFUSALS_MAX && is_known);
        let slots = Some(FoundLimits { slots: Some(self.n_slots()), rate: None });
        let rate = Some(FoundLimits { slots: None, rate: self.rate.rate() });
        if self.rate.n_unbounded() >= UNBOUNDED {
            Some(FoundLimits::default())
        } else if self.odds > SURE {
            slots
        } else if self.odds < -SURE && self.rate.is_tight() {
            rate
        } else if is_over {
            if self.odds > 0.0 { slots } else { rate }
        } else {
            None
        }
    }
}

fn power(base: f64, n: usize) -> f64 {
    (0..n.min(4)).fold(1.0, |product, _| product * base)
}
