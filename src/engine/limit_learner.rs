//! Learner of hidden limits: looks out for the first refusals of a run, searches for their limit, and follows it afterwards.

use std::time::Duration;

use crate::engine::adaptive_limiter::AdaptiveLimiter;
use crate::engine::limit_posterior::FirstRefusal;
use crate::engine::limit_search::{LimitSearch, SearchStep, Stake, SubmitOutlook};
use crate::engine::submission_order::{PendingSubmission, SubmissionOrder, Trial};
use crate::engine::submit_permit::{RefusalReaction, SubmitPermit};
use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// Submissions under way while nothing has been refused: at first, soon after, and later as a part of the accepted ones. A limit then
/// refuses only a few before the first refusal is known.
const OUT_FIRST: usize = 3;
const OUT_SOON: usize = 8;
const OUT_GROWTH: usize = 4;
const OUT_PART: usize = 6;

/// Consecutive refusals that begin a search: by default, and where the user has limited the tasks in flight.
const RUN: usize = 2;
const RUN_TOLD: usize = 4;

/// Number of submissions after which refusals no longer begin a search, and the maximum number of searches.
const ACCEPTED_MAX: usize = 2_000;
const SEARCHES_MAX: u32 = 3;

/// Factor on the prior probability of slots where a known rate was kept: it would not have refused.
const SLOTS_BESIDES: f64 = 7.0;

/// Number of tasks of which one more may have ended undetected: tasks that were accepted together end together.
const MANY: usize = 8;

/// Weight of the last task in the mean duration, and the shortest duration that is assumed before one has ended, in seconds.
const TASK_WEIGHT: f64 = 0.1;
const TASK_MIN: f64 = 0.1;

/// Reason why a submission may not leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitedBy {
    /// Slots: until a task ends, or until that moment.
    Slots(Option<Moment>),
    /// Rate, until that moment.
    Rate(Moment),
    /// Answers under way, which must show first what the provider accepts.
    Answers,
}

/// Learner of one provider's limits.
#[derive(Debug)]
pub(super) struct LimitLearner {
    limiter: AdaptiveLimiter,
    search: Option<LimitSearch>,
    n_searches: u32,
    /// Says whether the user has set a limit, so that submissions under way need no proof.
    is_told: bool,
    is_rate_known: bool,
    n_accepted: usize,
    n_ended: usize,
    n_found: usize,
    n_out: usize,
    order: SubmissionOrder,
    /// Consecutive refusals so far, as long as they may begin a search.
    run: Vec<Trial>,
    stake: Stake,
    /// Mean duration of recent tasks, in seconds; `None` before the first has ended.
    task: Option<f64>,
    /// Moment of the first submission.
    started_at: Option<Moment>,
    /// When the last accepted submission left, and the shortest time between two of them, in seconds.
    last_accepted: Option<Moment>,
    gap_accepted: f64,
}

impl LimitLearner {
    /// Creates a learner that knows only the user's settings.
    pub(super) fn new(concurrency: Concurrency, is_rate_known: bool) -> Self {
        Self {
            limiter: AdaptiveLimiter::new(concurrency, is_rate_known),
            search: None,
            n_searches: 0,
            is_rate_known,
            is_told: is_rate_known || concurrency != Concurrency::Auto,
            n_accepted: 0,
            n_ended: 0,
            n_found: 0,
            n_out: 0,
            order: SubmissionOrder::default(),
            run: vec![],
            stake: Stake { n_jobs: None, wait: 0.0 },
            task: None,
            started_at: None,
            last_accepted: None,
            gap_accepted: f64::INFINITY,
        }
    }

    /// Records that `n_in_flight` tasks of an earlier process are at the provider.
    pub(super) fn found(&mut self, n_in_flight: usize) {
        self.n_found += 1;
        self.order.found();
        self.limiter.found(n_in_flight);
    }

    /// Sets the state in which a limit is known to exist, and nothing points to random refusals.
    #[cfg(test)]
    pub(crate) const fn distrust_chance(&mut self) {
        self.n_searches = SEARCHES_MAX;
        self.limiter.distrust_chance();
    }

    /// Returns whether the in-flight limit is known from refusals.
    pub(super) const fn has_found_places(&self) -> bool {
        self.search.is_none() && self.limiter.has_found_places()
    }

    /// Returns whether it is unknown which limit refuses.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.search.as_ref().map_or_else(|| self.limiter.is_in_doubt(), LimitSearch::is_in_doubt)
    }

    /// Returns whether refusals have proved random, so that a wait named by one applies to its own job alone.
    pub(super) const fn is_chance_trusted(&self) -> bool {
        self.search.is_none() && self.limiter.is_chance_trusted()
    }

    /// Returns how many tasks are known to be accepted and useful.
    pub(super) fn cap(&self) -> usize {
        self.limiter.cap()
    }

    /// Returns the rate that the provider accepts, in submissions per second; `None` as long as refusals have not shown it.
    pub(super) fn rate(&self, now: Moment) -> Option<f64> {
        self.search.as_ref().map_or_else(|| self.limiter.rate(now), LimitSearch::rate)
    }

    /// Records the end of one of `n_in_flight` tasks, its duration `took`, and the expected delay `unheard` of its detection.
    pub(super) fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration, unheard: Duration) {
        let seconds = took.as_secs_f64();
        self.task = Some(self.task.map_or(seconds, |task| task + TASK_WEIGHT * (seconds - task)));
        self.limiter.ended(now, n_in_flight, took, unheard);
    }

    /// Records that a task no longer occupies a slot.
    pub(super) fn freed(&mut self) {
        self.n_ended += 1;
        if let Some(search) = &self.search {
            search.ended();
        }
    }

    /// Sets the number of jobs that are left to submit; `None` if many. Few jobs do not repay what is learnt for them.
    pub(super) const fn expect_jobs(&mut self, n_jobs: Option<usize>) {
        self.stake.n_jobs = n_jobs;
        self.limiter.expect_jobs(n_jobs);
    }

    /// Returns how many of `n` tasks in flight may have ended undetected.
    fn undetected(&self, n: usize) -> usize {
        if self.n_ended == 0 { 0 } else { self.limiter.noise(n).max(n / MANY) }
    }

    fn n_accepted_in_flight(&self) -> usize {
        (self.n_found + self.n_accepted).saturating_sub(self.n_ended)
    }

    /// Checks whether one more submission may leave with `n_in_flight` tasks in flight.
    pub(super) fn check(&self, now: Moment, n_in_flight: usize) -> Result<(), LimitedBy> {
        if let Some(search) = &self.search {
            if n_in_flight >= self.limiter.most() {
                return Err(LimitedBy::Slots(None));
            }
            let pending = self.order.pending();
            return match search.next(&self.outlook(now, &pending)) {
                // A rate that was found before is kept while slots are searched.
                SearchStep::Submit(at) if at <= now => {
                    self.limiter.next_at(now).map_or(Ok(()), |next_at| Err(LimitedBy::Rate(next_at)))
                }
                SearchStep::Submit(at) if search.rate().is_some() => Err(LimitedBy::Rate(at)),
                SearchStep::Submit(at) | SearchStep::End(at) => Err(LimitedBy::Slots(Some(at))),
                SearchStep::Answer => Err(LimitedBy::Slots(None)),
            };
        }
        if self.is_unproven(self.n_out) {
            return Err(LimitedBy::Answers);
        }
        if !self.has_room(now, n_in_flight) {
            return Err(LimitedBy::Slots(self.limiter.room_at(now, n_in_flight)));
        }
        self.limiter.next_at(now).map_or(Ok(()), |next_at| Err(LimitedBy::Rate(next_at)))
    }

    fn outlook<'a>(&self, now: Moment, pending: &'a [PendingSubmission]) -> SubmitOutlook<'a> {
        let n_pending = pending.iter().filter(|pending| pending.is_accepted).count();
        let n_busy = self.n_accepted_in_flight().saturating_sub(n_pending);
        let elapsed = self.started_at.map_or(0.0, |at| (now - at).as_secs_f64());
        let task = self.task.unwrap_or_else(|| elapsed.max(TASK_MIN));
        SubmitOutlook { now, n_busy, n_undetected: self.undetected(n_busy), pending, stake: self.stake, task }
    }

    /// Returns whether there is room for one more task.
    pub(super) fn has_room(&self, now: Moment, n_in_flight: usize) -> bool {
        match &self.search {
            Some(_) => self.check(now, n_in_flight).is_ok(),
            // Submissions under way are limited, and tasks in flight are not.
            None if self.is_free() => n_in_flight < self.limiter.most(),
            None => self.limiter.has_room(now, n_in_flight),
        }
    }

    /// Returns whether nothing limits the submissions: neither the user nor a refusal.
    const fn is_free(&self) -> bool {
        !self.is_told && self.n_searches == 0 && !self.limiter.has_cut()
    }

    /// Returns whether the answers under way must come first.
    fn is_unproven(&self, n_out: usize) -> bool {
        let n = self.n_accepted + self.n_found;
        let n_max = (OUT_FIRST + n / OUT_GROWTH).min(OUT_SOON).max(n / OUT_PART);
        let is_suspicious = (!self.run.is_empty() || self.order.has_refused()) && self.is_watchful();
        (is_suspicious && n_out > 0) || (self.is_free() && n_out >= n_max)
    }

    /// Returns whether a search may begin. Where the user has set a rate, refusals are more likely random, and none does.
    fn may_search(&self) -> bool {
        !self.is_rate_known && self.is_watchful()
    }

    /// Returns whether refusals may still show a limit that is not known.
    fn is_watchful(&self) -> bool {
        self.n_searches < SEARCHES_MAX
            && self.n_accepted < ACCEPTED_MAX
            && !self.limiter.is_chance_trusted()
            && !self.limiter.has_cut()
    }

    /// Issues the permit of a submission that leaves with `n_others` other tasks in flight.
    pub(super) fn take(&mut self, now: Moment, n_others: usize) -> SubmitPermit {
        self.n_out += 1;
        self.started_at.get_or_insert(now);
        let number = self.order.sent(now, self.n_ended);
        self.limiter.take(now, n_others).with_number(number)
    }

    /// Forgets a submission whose answer says nothing about limits.
    pub(super) fn forget(&mut self, now: Moment, permit: SubmitPermit) {
        self.n_out -= 1;
        self.order.forget(permit.number());
        self.drain(now);
    }

    /// Records an accepted submission.
    pub(super) fn accepted(&mut self, now: Moment, permit: SubmitPermit) {
        self.n_out -= 1;
        self.n_accepted += 1;
        self.order.answered(permit.number(), self.n_ended, true);
        if self.search.is_none() {
            self.limiter.accepted(now, permit);
        }
        self.drain(now);
    }

    /// Records a refused submission and the wait that the refusal names, and returns the reaction; `None` if an earlier refusal of the same
    /// burst already counted.
    pub(super) fn refused(
        &mut self,
        now: Moment,
        permit: SubmitPermit,
        wait: Option<Duration>,
    ) -> Option<RefusalReaction> {
        self.n_out -= 1;
        self.stake.wait = wait.map_or(0.0, |wait| wait.as_secs_f64());
        self.order.answered(permit.number(), self.n_ended, false);
        let was_searching = self.search.is_some();
        self.drain(now);
        if was_searching || self.search.is_some() {
            return Some(RefusalReaction::Cut);
        }
        self.limiter.refused(now, permit)
    }

    /// Learns from the answers that are in order.
    fn drain(&mut self, now: Moment) {
        while let Some(trial) = self.order.pop() {
            let trial = Trial { n_undetected: self.undetected(trial.n_busy_max), ..trial };
            if let Some(search) = &mut self.search {
                search.observe(trial);
                self.end_search(now);
            } else if trial.is_accepted || !self.may_search() {
                self.run.clear();
            } else {
                self.run.push(trial);
                self.begin_search(now);
            }
            if trial.is_accepted {
                if let Some(last) = self.last_accepted {
                    self.gap_accepted = self.gap_accepted.min((trial.left_at - last).as_secs_f64());
                }
                self.last_accepted = self.last_accepted.max(Some(trial.left_at));
            }
        }
    }

    /// Begins a search if enough refusals have come one after the other.
    fn begin_search(&mut self, now: Moment) {
        if self.run.len() < if self.is_told { RUN_TOLD } else { RUN } {
            return;
        }
        let first = FirstRefusal {
            at: self.run[0].left_at,
            last_accepted: self.last_accepted,
            gap_accepted: self.gap_accepted,
            n_busy: self.run[0].n_busy_max,
        };
        let favour = if self.limiter.has_proven_rate(now) { SLOTS_BESIDES } else { 1.0 };
        let mut search = LimitSearch::new(first, favour);
        self.run.drain(..).for_each(|trial| search.observe(trial));
        self.search = Some(search);
        self.n_searches += 1;
    }

    fn end_search(&mut self, now: Moment) {
        if let Some(found) = self.search.as_ref().and_then(|search| search.found(self.stake)) {
            self.search = None;
            let elapsed = self.started_at.map_or(0.0, |at| (now - at).as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "some thousands")]
            let mean_rate = self.n_accepted as f64 / elapsed.max(0.001);
            self.limiter.begin(now, self.n_accepted_in_flight(), found, mean_rate);
        }
    }
}

#[cfg(test)]
mod tests;
