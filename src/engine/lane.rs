//! Budgets of one provider's API: submissions, tasks in flight and polls, and the effect of each refusal on them.

mod shared;

use std::time::Duration;

use crate::engine::limit_learner::{LimitLearner, LimitedBy};
use crate::engine::pacer::Pacer;
use crate::engine::quota_hint::QuotaHint;
use crate::engine::random_refusals::{LoadLevel, RandomRefusalTest, RefusalVerdict};
use crate::engine::reserved_rate::ReservedRate;
use crate::engine::retry::Backoff;
use crate::engine::submit_permit::{RefusalReaction, SubmitPermit};
use crate::model::event::Stage;
use crate::model::history::History;
use crate::model::limits::{Concurrency, Limits, Rate};
use crate::model::outcome::{Fault, FaultKind};
use crate::model::snapshot::{Bottleneck, SubmitPause, SubmitRateLimit};
use crate::model::time::{Moment, Timestamp};

/// Maximum number of submissions whose answer is awaited, at a configured rate.
const SUBMITS_MAX: f64 = 1024.0;

/// Budgets of one provider.
#[derive(Debug)]
pub struct Lane {
    submits: Pacer,
    /// Rate that other processes keep too; `None` if this process keeps its own rate.
    reserved: Option<ReservedRate>,
    polls: Pacer,
    learner: LimitLearner,
    /// Test for random refusals of polls.
    poll_chance: RandomRefusalTest,
    remaining: QuotaHint,
    n_submits_out: usize,
    n_polls_out: usize,
    /// Tasks that occupy a slot at the provider, including submissions under way.
    n_in_flight: usize,
    submits_max: usize,
    polls_max: usize,
    /// Says whether the API has ever given this process an informative answer.
    has_answered: bool,
    /// Configured rate, in submissions per second.
    per_second: Option<f64>,
    /// Says whether the user set the in-flight limit.
    is_fixed: bool,
    /// Reason why the last submission that was attempted had to wait.
    slow: Option<Bottleneck>,
    /// Says whether all submissions are refused for one reason. A refusal then does not prove that the API works.
    is_blocked: bool,
    /// Maximum number of submissions under way because of refusals; `None` means any number.
    refusals_max: Option<usize>,
}

/// Reason why nothing may leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Waits for an answer.
    Busy,
    /// Waits for this moment.
    Until(Moment),
}

impl Lane {
    /// Creates the lane that these limits describe.
    pub fn new(limits: &Limits) -> Self {
        let pacer = |rate, burst, salt| Pacer::new(rate, burst, Backoff::new(limits.seed ^ salt), limits.wait_max);
        let (own, shared_rate) = if limits.is_shared { (None, limits.rate) } else { (limits.rate, None) };
        Self {
            submits: pacer(own, limits.burst, 0x5b),
            reserved: ReservedRate::from_limits(shared_rate, limits),
            polls: pacer(limits.poll_rate, None, 0x90),
            learner: LimitLearner::new(limits.concurrency, limits.rate.is_some()),
            poll_chance: RandomRefusalTest::new(),
            remaining: QuotaHint::default(),
            n_submits_out: 0,
            n_polls_out: 0,
            n_in_flight: 0,
            submits_max: limits.submits_max.max(in_two_seconds(limits.rate)),
            polls_max: limits.polls_max,
            has_answered: false,
            per_second: limits.rate.map(Rate::per_second),
            is_fixed: limits.concurrency != Concurrency::Auto,
            slow: None,
            is_blocked: false,
            refusals_max: None,
        }
    }

    /// Counts the submissions of earlier processes: a restart must not send more than the rate allows.
    pub fn remember(&mut self, now: Moment, history: &History) {
        for sent_at in &history.submitted_at {
            self.submits.remember(now, now.at_wall(*sent_at));
        }
    }

    /// Sets the number of jobs that are left to submit; `None` if many.
    pub(crate) const fn expect_jobs(&mut self, n_jobs: Option<usize>) {
        self.learner.expect_jobs(n_jobs);
    }

    /// Takes a permit for one submission, which then counts as under way and in flight.
    pub fn take_submit(&mut self, now: Moment) -> Result<SubmitPermit, Blocked> {
        let taken = self.try_submit(now);
        self.slow = taken.err().map(|(slow, _)| slow);
        taken.map_err(|(_, wait)| wait)
    }

    fn try_submit(&mut self, now: Moment) -> Result<SubmitPermit, (Bottleneck, Blocked)> {
        self.check_submit(now)?;
        self.submits.take(now).map_err(|moment| (Bottleneck::Rate, Blocked::Until(moment)))?;
        if let Some(reserved) = &mut self.reserved {
            let slow = match (reserved.has_rate(), reserved.has_places()) {
                (true, _) => Bottleneck::Rate,
                (false, true) => Bottleneck::Places,
                (false, false) => Bottleneck::Answers,
            };
            reserved.take(now).map_err(|at| (slow, at.map_or(Blocked::Busy, Blocked::Until)))?;
        }
        let ticket = self.learner.take(now, self.n_in_flight);
        self.n_submits_out += 1;
        self.n_in_flight += 1;
        Ok(ticket)
    }

    /// Checks all limits on submissions but the rate. Returns how many submissions there is room for.
    fn check_submit(&self, now: Moment) -> Result<usize, (Bottleneck, Blocked)> {
        let submits_max = if self.submits.is_probing() { 1 } else { self.submits_max };
        let submits_max = self.refusals_max.map_or(submits_max, |max| max.min(submits_max));
        if self.n_submits_out >= submits_max || !self.remaining.has_room(self.n_submits_out) {
            return Err((Bottleneck::Answers, Blocked::Busy));
        }
        self.learner.check(now, self.n_in_flight).map_err(|by| match by {
            LimitedBy::Slots(at) => (Bottleneck::Places, at.map_or(Blocked::Busy, Blocked::Until)),
            LimitedBy::Rate(at) => (Bottleneck::Rate, Blocked::Until(at)),
            LimitedBy::Answers => (Bottleneck::Answers, Blocked::Busy),
        })?;
        let n_places = self.learner.cap().saturating_sub(self.n_in_flight).max(1);
        Ok(n_places.min(submits_max - self.n_submits_out))
    }

    /// Records an accepted submission, whose task stays in flight. `remaining` is the number of further ones that the provider accepts, if
    /// reported.
    pub fn submit_accepted(&mut self, now: Moment, ticket: SubmitPermit, remaining: Option<u64>) {
        self.n_submits_out -= 1;
        self.remaining.told(now, ticket.left_at(), remaining);
        self.learner.accepted(now, ticket);
        self.submits.succeeded(now);
        (self.has_answered, self.is_blocked) = (true, false);
    }

    /// Records a submission that was not sent, and of which nothing is learnt.
    pub(crate) fn submit_unsent(&mut self, now: Moment, permit: SubmitPermit) {
        self.n_submits_out -= 1;
        self.n_in_flight -= 1;
        self.learner.forget(now, permit);
    }

    /// Limits the submissions under way, as all of them may be refused for the same reason; `None` means any number.
    pub(crate) const fn limit_submits(&mut self, max: Option<usize>) {
        self.refusals_max = max;
    }

    /// Handles submissions that are all refused for the same reason. One at a time probes. A probe that `is_costly` may be paid for, and
    /// follows at growing intervals.
    pub(crate) fn block_submits(&mut self, now: Moment, is_costly: bool) {
        self.is_blocked = true;
        self.submits.block(now, is_costly);
    }

    /// Applies a pause that the provider announces: it accepts nothing more for `span`.
    pub(crate) fn pause_submits(&mut self, now: Moment, span: Duration) {
        self.submits.pause(now, span);
    }

    /// Holds all submissions back for `span`, as another process asks, which heard it from the provider.
    pub(crate) fn hold_submits(&mut self, now: Moment, span: Duration) {
        self.submits.hold_for(now, span);
    }

    /// Applies a wait that the answer to a poll requests.
    pub(crate) fn pause_polls(&mut self, now: Moment, span: Duration) {
        self.polls.pause(now, span);
    }

    /// Records a submission that was not accepted, or may have been. Returns how long its job alone has to wait, if a random refusal named
    /// a time.
    pub fn submit_refused(&mut self, now: Moment, ticket: SubmitPermit, fault: &Fault) -> Option<Duration> {
        self.n_submits_out -= 1;
        self.n_in_flight -= 1;
        if let FaultKind::Throttled { retry_after } = fault.kind {
            return self.submit_throttled(now, ticket, retry_after);
        }
        self.learner.forget(now, ticket);
        if fault.kind.is_outage() {
            self.submits.faltered(now, fault.kind.leaves_doubt());
        // While all submissions are refused for one reason, a refusal does not show that the API works.
        } else if fault.kind.is_of_api() && !(self.is_blocked && fault.kind.is_refusal()) {
            self.submits.answered();
            self.has_answered = true;
        }
        None
    }

    /// Records a submission that was throttled. Returns how long its job alone has to wait.
    fn submit_throttled(
        &mut self,
        now: Moment,
        ticket: SubmitPermit,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        self.has_answered = true;
        let refused = self.learner.refused(now, ticket, retry_after.filter(|wait| !wait.is_zero()));
        match (refused, retry_after) {
            // If a limit also refuses, its cut is enough.
            (Some(RefusalReaction::Chance | RefusalReaction::Cut) | None, Some(wait))
                if self.learner.is_chance_trusted() =>
            {
                self.submits.answered();
                return Some(wait);
            }
            // Until refusals have proved random, the named time counts for all jobs, and nothing more follows.
            (Some(RefusalReaction::Chance), Some(_)) => self.submits.refused(now, retry_after, false),
            (Some(RefusalReaction::Chance | RefusalReaction::Cut), None) => self.submits.answered(),
            (Some(RefusalReaction::Cut | RefusalReaction::Wait), _) => {
                self.submits.refused(now, retry_after, true);
            }
            (None, _) => self.submits.refused(now, retry_after, false),
        }
        None
    }

    /// Holds all submissions back until the quota resets; `resets_at` is the time that the provider names for that.
    pub(crate) fn quota_spent(&mut self, now: Moment, resets_at: Option<Timestamp>) {
        self.submits.spent(now, resets_at);
    }

    /// Returns whether submissions of any jobs meet nothing but transient faults.
    pub(crate) const fn is_down(&self) -> bool {
        self.submits.is_down()
    }

    /// Returns the duration of an API outage for requests of this kind; `None` means no outage. An outage is several consecutive
    /// transient faults, and no other answer.
    pub(crate) fn down_for(&self, now: Moment, stage: Stage) -> Option<Duration> {
        self.pacer(stage)?.down_for(now)
    }

    /// Returns the moment of the first of the consecutive transient faults of such requests; `None` if the last one was answered.
    pub(crate) fn down_since(&self, stage: Stage) -> Option<Moment> {
        self.pacer(stage)?.down_since()
    }

    /// Allows a probe at this moment, if an outage would hold such requests back for longer.
    pub(crate) fn probe_by(&mut self, stage: Stage, moment: Moment) {
        match stage {
            Stage::Submit => self.submits.probe_by(moment),
            Stage::Poll => self.polls.probe_by(moment),
            Stage::Download | Stage::Task => (),
        }
    }

    const fn pacer(&self, stage: Stage) -> Option<&Pacer> {
        match stage {
            Stage::Submit => Some(&self.submits),
            Stage::Poll => Some(&self.polls),
            Stage::Download | Stage::Task => None,
        }
    }

    /// Returns whether the API has ever given this process an informative answer.
    pub(crate) const fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Records a task that an earlier process left at the provider, where it occupies a slot.
    pub(crate) fn task_found(&mut self) {
        self.n_in_flight += 1;
        self.learner.found(self.n_in_flight);
    }

    /// Records a task in flight that was found done: its duration, and the expected delay of the detection.
    pub fn task_done(&mut self, now: Moment, took: Duration, unheard: Duration) {
        self.learner.ended(now, self.n_in_flight, took, unheard);
    }

    /// Frees the slot of a task at the provider.
    pub fn task_ended(&mut self) {
        self.n_in_flight -= 1;
        self.learner.freed();
    }

    /// Takes a permit for one poll request.
    pub(crate) fn take_poll(&mut self, now: Moment) -> Result<(), Blocked> {
        let polls_max = if self.polls.is_probing() { 1 } else { self.polls_max };
        if self.n_polls_out >= polls_max {
            return Err(Blocked::Busy);
        }
        self.polls.take(now).map_err(Blocked::Until)?;
        self.n_polls_out += 1;
        Ok(())
    }

    /// Records the return of a poll request.
    pub(crate) const fn poll_answered(&mut self) {
        self.n_polls_out -= 1;
    }

    /// Records a poll that was answered with a status.
    pub(crate) fn poll_succeeded(&mut self, now: Moment) {
        self.polls.succeeded(now);
        self.poll_chance.accepted();
        self.has_answered = true;
    }

    /// Records a poll that was answered with a fault.
    pub(crate) fn poll_refused(&mut self, now: Moment, fault: &Fault) {
        if let FaultKind::Throttled { retry_after } = fault.kind {
            self.has_answered = true;
            let is_first = self.polls.hold(now).is_none();
            let is_chance = self.poll_chance.refused(LoadLevel::Unclear) == RefusalVerdict::Chance;
            // The task of this poll is polled again after a while, and no other poll waits.
            if is_first && is_chance && (retry_after.is_none() || self.poll_chance.is_trusted()) {
                self.polls.answered();
            } else {
                self.polls.refused(now, retry_after, is_first);
            }
        } else if fault.kind.hides_task() {
            self.polls.faltered(now, false);
        } else if fault.kind == FaultKind::TaskLost {
            // The API does answer polls, even if only to report an unknown task.
            self.poll_succeeded(now);
        }
    }

    /// Returns the number of requests whose answer is awaited.
    pub(crate) fn n_out(&self) -> usize {
        self.n_submits_out + self.n_polls_out
    }

    /// Returns the number of submissions whose answer is awaited.
    pub const fn n_submits_out(&self) -> usize {
        self.n_submits_out
    }

    /// Returns how many tasks may be in flight, as far as is known.
    pub(crate) fn cap(&self) -> usize {
        self.learner.cap()
    }

    /// Returns the number of tasks that occupy a slot at the provider, including submissions under way.
    pub const fn n_in_flight(&self) -> usize {
        self.n_in_flight
    }

    /// Returns whether ends of tasks should be detected soon. All slots may be in use, so that only an end lets the next submission leave.
    /// Or the cause of a refusal may be unknown.
    pub(crate) fn is_full(&self, now: Moment) -> bool {
        let is_limited = self.is_fixed || self.learner.has_found_places();
        let has_room = self.learner.has_room(now, self.n_in_flight) || self.submits.hold(now).is_some();
        let is_short = self.reserved.as_ref().is_some_and(ReservedRate::is_short_of_places);
        self.learner.is_in_doubt() || (is_limited && !has_room) || is_short
    }

    /// Returns the lower of the configured rate and the estimated rate of submissions; `None` if both are unknown.
    pub(crate) fn allowed(&self, now: Moment) -> Option<SubmitRateLimit> {
        let told = self.per_second.map(|per_second| SubmitRateLimit { per_second, is_told: true });
        let learnt = self.learner.rate(now).map(|per_second| SubmitRateLimit { per_second, is_told: false });
        told.into_iter().chain(learnt).min_by(|a, b| a.per_second.total_cmp(&b.per_second))
    }

    /// Returns the in-flight limit; `None` if the user did not set it and no refusal has shown it.
    pub fn places(&self) -> Option<usize> {
        (self.is_fixed || self.learner.has_found_places()).then(|| self.learner.cap())
    }

    /// Returns why the last submission that was attempted had to wait; `None` if it did not wait.
    pub const fn slow(&self) -> Option<Bottleneck> {
        self.slow
    }

    /// Returns why and until when submissions are held back, or polls in an outage; `None` if neither is.
    pub fn hold(&self, now: Moment) -> Option<SubmitPause> {
        self.submits.hold(now).or_else(|| self.polls.hold(now).filter(|_| self.polls.is_down()))
    }
}

/// Returns the submissions of two seconds, within bounds. A configured rate is thus kept although answers take time.
fn in_two_seconds(rate: Option<Rate>) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and SUBMITS_MAX")]
    rate.map_or(0, |rate| (2.0 * rate.per_second()).min(SUBMITS_MAX) as usize)
}

#[cfg(test)]
mod tests;
