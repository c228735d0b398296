//! Search for hidden limits at the start of a run: Bayesian comparison of what the provider may limit.
//!
//! A refusal does not say whether submissions come too fast, too many tasks are in flight, or the provider refuses at random.
//! `refusal_causes` weighs these assumptions by Bayes' rule. Within an assumption, `token_bucket_filter` and `slot_filter` weigh the
//! possible limits in the same way.
//!
//! While a limit is unknown and refusals may be spent, a submission leaves as soon as an acceptance is about as likely as a refusal. Either
//! answer then halves what is still possible (Burnashev and Zigangirov, 1974: noisy binary search). Otherwise it leaves when the cost of a
//! refusal and the cost of further delay balance. Once the limit is known within some per cent, `adaptive_limiter` follows it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::adaptive_limiter::{FoundLimits, RefusalReaction, SubmitPermit};
use crate::engine::refusal_causes::{ASSUMPTIONS, Assumption, Likely, RefusalCauses};
use crate::engine::slot_filter::{InFlight, Slots};
use crate::engine::submit_verdicts::Held;
use crate::engine::token_bucket_filter::{self, Expected, Goal, TokenBuckets, Weights};
use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// Refusals that the search may cost.
const CREDIT: f32 = 7.0;

/// Price of a refusal, in accepted submissions, and its growth with every refusal beyond the credit.
const PRICE: f32 = 6.0;
const THRIFT: f32 = 0.5;

/// Accepted submissions since the first refusal after which the search ends, whatever it has found.
const ACCEPTED_MAX: u32 = 200;

/// Submissions per second that may be lost by waiting where nothing limits.
const UNLIMITED: f32 = 10_000.0;

/// Probability of acceptance at which a submission leaves while a limit is searched, and the ratio of the limits between which it may
/// lie from which it is searched.
const TRY: f32 = 0.4;
const WIDE: f32 = 1.07;

/// Expected refusals among the submissions under way up to which another one may leave as a trial.
const RISK_MAX: f32 = 0.4;

/// Evidence of a refusal that belongs to the same burst as the one before.
const LATE_NEWS: f32 = 0.4;

/// Submissions whose answers are awaited while the limits of the provider are unknown: a number, and a part of the accepted ones.
const UNPROVEN: usize = 3;
const UNPROVEN_PART: usize = 8;

/// Probability of slots from which the end of a task is taken as an opportunity to test them.
const TEST_MIN: f32 = 0.08;

/// Probability from which an assumption counts as known.
const KNOWN: f32 = 0.8;

/// Consecutive refusals, each of a submission that left after the one before, from which all submissions pause.
const PATIENCE: u32 = 5;

/// Submission whose answer is awaited.
#[derive(Clone, Debug)]
struct Awaited {
    in_flight: InFlight,
    expected: Expected,
    /// Probability that a limit refuses it.
    risk: f32,
}

/// Search for all limits, and for which of them refuse.
#[derive(Debug)]
pub struct LimitSearch {
    max: usize,
    is_told: bool,
    /// Estimate of the tasks in flight that have ended undetected.
    unheard: f32,
    causes: RefusalCauses,
    buckets: TokenBuckets,
    /// Weights of the buckets and slots, if there is only one limit, and if there are both.
    rate: [Weights; 2],
    slots: [Slots; 2],
    awaited: BTreeMap<u64, Awaited>,
    n_sent: u64,
    n_accepted: usize,
    /// Maximum number of tasks in flight that were accepted.
    proven: usize,
    /// Refusals that may be spent, and those that the submissions under way may cost.
    credit: f32,
    risk: f32,
    /// Submissions accepted since the first refusal.
    n_accepted_since: u32,
    /// Says whether a task has ended since the last refusal, so that the next submission tells slots from a rate.
    has_test: bool,
    /// Consecutive refusals, each of a submission that left after the one before, and the moment of the last one.
    n_refusals: u32,
    refused_at: Option<Moment>,
    /// Result of the last check, and the number of tasks in flight then; `None` if something has happened since.
    held: Option<(usize, Held)>,
}

impl LimitSearch {
    /// Creates a limiter that knows only the user's settings. A configured rate already gives the useful number of tasks.
    pub fn new(concurrency: Concurrency, is_rate_known: bool) -> Self {
        let (max, is_auto) = match concurrency {
            Concurrency::Fixed(n) => (n.get() as usize, false),
            Concurrency::Auto => (usize::MAX, true),
        };
        Self {
            max,
            is_told: !is_auto || is_rate_known,
            unheard: 0.0,
            causes: RefusalCauses::new(),
            buckets: TokenBuckets::new(),
            rate: [Weights::new(), Weights::new()],
            slots: [Slots::new(), Slots::new()],
            awaited: BTreeMap::new(),
            n_sent: 0,
            n_accepted: 0,
            proven: 0,
            credit: CREDIT,
            risk: 0.0,
            n_accepted_since: 0,
            has_test: false,
            n_refusals: 0,
            refused_at: None,
            held: None,
        }
    }

    /// Records that `n_in_flight` tasks of an earlier process are at the provider.
    pub fn found_in_flight(&mut self, n_in_flight: usize) {
        self.proven = self.proven.max(n_in_flight);
        self.held = None;
    }

    /// Returns whether refusals have shown a number of slots.
    pub fn has_found_places(&self) -> bool {
        self.causes.probability(Assumption::Slots) + self.causes.probability(Assumption::Both) > KNOWN
    }

    fn has_found_rate(&self) -> bool {
        self.causes.probability(Assumption::Rate) + self.causes.probability(Assumption::Both) > KNOWN
    }

    /// Returns whether it is unknown which limit refuses.
    pub fn is_in_doubt(&self) -> bool {
        !self.has_found_places()
            && self.causes.probability(Assumption::Slots) + self.causes.probability(Assumption::Both) > 1.0 - KNOWN
            && self.n_refusals > 0
    }

    /// Returns whether refusals have proved random, so that a wait named by one applies to its own job alone.
    pub fn is_chance_trusted(&self) -> bool {
        self.causes.probability(Assumption::None) > KNOWN
    }

    /// Returns how many tasks are known to be accepted and useful.
    pub fn cap(&self) -> usize {
        let known = if self.has_found_places() { self.slots[self.main()].count(0.5) } else { self.proven.max(4) };
        known.min(self.max)
    }

    /// Returns which weights count most: those for one limit, or those for both.
    fn main(&self) -> usize {
        usize::from(
            self.causes.probability(Assumption::Both)
                > self.causes.probability(Assumption::Slots).max(self.causes.probability(Assumption::Rate)),
        )
    }

    /// Records the end of a task.
    pub const fn ended(&mut self) {
        (self.has_test, self.held) = (true, None);
    }

    /// Sets how many of the tasks in flight are expected to have ended undetected.
    #[expect(clippy::cast_possible_truncation, reason = "at most some thousands")]
    pub const fn expect_ended(&mut self, n: f64) {
        self.unheard = n as f32;
    }

    /// Returns whether anything was refused yet.
    pub const fn has_refused(&self) -> bool {
        self.refused_at.is_some()
    }

    fn in_flight(&self, n_others: usize) -> InFlight {
        InFlight { n_others, unheard: self.unheard }
    }

    fn likely(&self, in_flight: InFlight) -> Likely {
        Likely { rate: self.buckets.likely(&self.rate), slots: [0, 1].map(|nth| self.slots[nth].likely(in_flight)) }
    }

    /// Returns whether the last check found no slot.
    pub const fn is_full(&self) -> bool {
        matches!(self.held, Some((_, Held::Slots(_))))
    }

    /// Returns what is found; `None` as long as the search has not ended.
    pub fn found(&self) -> Option<FoundLimits> {
        let is_over = self.n_accepted_since >= ACCEPTED_MAX;
        if self.refused_at.is_none() || (!is_over && (self.n_refusals > 0 || self.is_wide())) {
            return None;
        }
        let [none, rate, slots, both] = ASSUMPTIONS.map(|assumption| self.causes.probability(assumption));
        let (main, best) = (self.main(), none.max(rate).max(slots).max(both));
        let (has_rate, has_slots) = (best == rate || best == both, best == slots || best == both);
        Some(FoundLimits {
            proven: self.proven,
            rate: has_rate.then(|| f64::from(self.buckets.rate(&self.rate[main], 0.5))),
            slots: has_slots.then(|| self.slots[main].count(0.5)),
        })
    }

    /// Checks whether one more submission may leave with `n_others` tasks in flight, of which at most `worth` are useful.
    pub fn check(&mut self, now: Moment, n_others: usize, worth: usize) -> Result<(), Held> {
        if let Some((n_then, held)) = self.held
            && n_then == n_others
            && held.until().is_none_or(|until| now < until)
        {
            return Err(held);
        }
        let checked = self.weigh_up(now, n_others, worth);
        self.held = checked.err().map(|held| (n_others, held));
        checked
    }

    fn weigh_up(&mut self, now: Moment, n_others: usize, worth: usize) -> Result<(), Held> {
        if n_others >= self.max.min(worth) {
            return Err(Held::Slots(None));
        }
        if !self.is_told && self.awaited.len() >= UNPROVEN + self.n_accepted.max(self.proven) / UNPROVEN_PART {
            return Err(Held::Answers);
        }
        if self.refused_at.is_none() {
            return Ok(());
        }
        self.buckets.advance(now);
        let likely = self.likely(self.in_flight(n_others));
        let may_try = self.risk < RISK_MAX;
        if self.has_test && may_try && likely.slots[0] > KNOWN && self.causes.probability(Assumption::Slots) > TEST_MIN
        {
            return Ok(());
        }
        let both = self.causes.probability(Assumption::Both);
        let sure =
            self.causes.probability(Assumption::None) + self.causes.probability(Assumption::Slots) * likely.slots[0];
        let parts =
            [(self.causes.probability(Assumption::Rate), &self.rate[0]), (both * likely.slots[1], &self.rate[1])];
        let by_slots =
            self.causes.probability(Assumption::Slots) * (1.0 - likely.slots[0]) + both * (1.0 - likely.slots[1]);
        let by_rate =
            self.causes.probability(Assumption::Rate) * (1.0 - likely.rate[0]) + both * (1.0 - likely.rate[1]);
        let is_search = may_try && self.credit > 0.0 && self.is_wide();
        let price = PRICE * (1.0 - self.credit.min(0.0) * THRIFT);
        let goal = if is_search {
            Goal::Likely(TRY)
        } else {
            // Where nothing seems to limit, time is worth more than any rate shows.
            let free = UNLIMITED * self.causes.probability(Assumption::None).powi(4);
            Goal::Cheap { price, per_second: self.buckets.rate(&self.rate[0], 0.3).max(free) }
        };
        // The end of a task, which frees a slot, is as far away as the next submission.
        let end = if n_others > 0 { 1.0 + price * by_rate } else { f32::INFINITY };
        match self.buckets.wait(parts, sure, goal) {
            Some((cost, wait)) if is_search || cost <= end => {
                if wait == 0.0 {
                    return Ok(());
                }
                let at = now + Duration::from_secs_f32(wait.min(60.0));
                Err(if by_rate > by_slots { Held::Rate(at) } else { Held::Slots(Some(at)) })
            }
            _ => Err(Held::Slots(None)),
        }
    }

    /// Returns whether much is still possible: the limit that refuses, or its size.
    fn is_wide(&self) -> bool {
        let [none, rate, slots, both] = ASSUMPTIONS.map(|assumption| self.causes.probability(assumption));
        let main = self.main();
        let is_rate_wide =
            || self.buckets.rate(&self.rate[main], 1.0 - TRY) > WIDE * self.buckets.rate(&self.rate[main], TRY);
        let is_slots_wide = || self.slots[main].count(1.0 - TRY) > self.slots[main].count(TRY);
        none.max(rate).max(slots).max(both) < KNOWN
            || (rate + both > 0.5 && is_rate_wide())
            || (slots + both > 0.5 && is_slots_wide())
    }

    /// Returns the rate that the provider accepts, in submissions per second; `None` as long as refusals have not shown it.
    pub fn rate(&self) -> Option<f64> {
        self.has_found_rate().then(|| f64::from(self.buckets.rate(&self.rate[self.main()], 0.5)))
    }

    /// Issues the permit of a submission that leaves with `n_others` other tasks in flight.
    pub fn take(&mut self, now: Moment, n_others: usize) -> SubmitPermit {
        self.buckets.advance(now);
        let in_flight = self.in_flight(n_others);
        let risk = if self.has_refused() { 1.0 - self.causes.accepts(self.likely(in_flight)) } else { 0.0 };
        self.n_sent += 1;
        self.held = None;
        self.risk += risk;
        self.awaited.insert(self.n_sent, Awaited { in_flight, expected: self.buckets.take(), risk });
        SubmitPermit::of_search(now, n_others, self.n_sent)
    }

    /// Forgets a submission whose answer says nothing about limits.
    pub fn forget(&mut self, permit: SubmitPermit) {
        self.release(permit);
    }

    fn release(&mut self, permit: SubmitPermit) -> Awaited {
        self.held = None;
        let awaited = self.awaited.remove(&permit.number()).expect("a submission is answered once");
        self.risk = if self.awaited.is_empty() { 0.0 } else { self.risk - awaited.risk };
        awaited
    }

    /// Returns the probabilities that this submission had, by what is known now.
    fn hindsight(&self, awaited: &Awaited) -> Likely {
        Likely {
            rate: token_bucket_filter::expected(&self.rate, &awaited.expected),
            slots: [0, 1].map(|nth| self.slots[nth].likely(awaited.in_flight)),
        }
    }

    /// Records an accepted submission.
    pub fn accepted(&mut self, permit: SubmitPermit) {
        let awaited = self.release(permit);
        self.n_refusals = 0;
        self.n_accepted += 1;
        self.proven = self.proven.max(awaited.in_flight.n_others + 1);
        self.n_accepted_since += u32::from(self.has_refused());
        let likely = self.hindsight(&awaited);
        self.causes.accepted(likely);
        self.buckets.accepted(&awaited.expected);
        for nth in [0, 1] {
            self.rate[nth].accepted(&awaited.expected);
            self.slots[nth].accepted(awaited.in_flight);
        }
    }

    /// Records a refused submission and returns the reaction; `None` as long as the limit is not known.
    pub fn refused(&mut self, now: Moment, permit: SubmitPermit) -> Option<RefusalReaction> {
        let awaited = self.release(permit);
        let likely = self.hindsight(&awaited);
        let is_late = self.refused_at.is_some_and(|at| permit.left_at() <= at);
        let news = if is_late { LATE_NEWS } else { 1.0 };
        let chance = self.causes.refused(likely, news);
        self.credit -= 1.0 - chance;
        let age = (now - permit.left_at()).as_secs_f32();
        let rates = self.causes.probability(Assumption::Rate) + self.causes.probability(Assumption::Both);
        self.buckets.refused(&awaited.expected, age, rates * (1.0 - chance) > 0.5);
        let [rate, slots, both] =
            [Assumption::Rate, Assumption::Slots, Assumption::Both].map(|of| 1.0 - self.causes.chance(of));
        self.rate[0].refused(&awaited.expected, rate, news);
        self.slots[0].refused(awaited.in_flight, slots, news);
        self.rate[1].refused(&awaited.expected, both * likely.slots[1], news);
        self.slots[1].refused(awaited.in_flight, both * likely.rate[1], news);
        if !is_late {
            self.refused_at = Some(now);
            self.has_test = false;
            self.n_refusals += 1;
        }
        match chance {
            chance if chance > 0.5 => Some(RefusalReaction::Chance),
            _ if self.n_refusals >= PATIENCE => Some(RefusalReaction::Wait),
            _ if self.has_found_places() || self.has_found_rate() => Some(RefusalReaction::Known),
            _ => None,
        }
    }
}
