//! Adaptive limiter: learns a rate limit and a concurrency limit from refusals that do not name the limit.
//!
//! A refusal does not say whether submissions come too fast or too many tasks are in flight. The first refusal cuts both limits. The next
//! acceptances and refusals show which limit it was, and the other limit is restored. Later refusals are attributed to the same limit as
//! long as that explains them.
//!
//! Tasks that have ended undetected make the number of tasks in flight seem larger than it is. A submission accepted with a few more tasks
//! may have found such a slot, and proves nothing. Only clearly more tasks in flight prove that the rate was the cause.

use std::time::Duration;

use crate::engine::concurrency_window::ConcurrencyWindow;
use crate::engine::detection_lag::DetectionLag;
use crate::engine::estimated_rate::EstimatedRate;
use crate::engine::limit_search::FoundLimits;
use crate::engine::random_refusals::{LoadLevel, RandomRefusalTest, RefusalVerdict};
use crate::engine::recent_answers::RecentAnswers;
use crate::engine::refusal_cause::{Hypothesis, LimitsBeforeCut, RefusalCause};
use crate::engine::submit_permit::{RefusalReaction, SubmitPermit};
use crate::engine::throughput_probe::ThroughputProbe;
use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// Number of tasks in flight up to which one task that just ended matters: a single acceptance proves little.
const FEW: usize = 16;

/// Maximum wait of a submission because it is beyond the window, times two.
const BEYOND_MAX: Duration = Duration::from_secs(20);
/// Standard deviations added to the expected number of undetected ends: by default, and before a rate counts as proven.
const AS_A_RULE: f64 = 1.5;
const AT_MOST: f64 = 2.0;
/// Ratio below which one acceptance rate is clearly lower than another.
const LESS: f64 = 0.93;
/// Ratio from which a mean acceptance rate disproves a rate: bursts cannot explain it.
const FASTER: f64 = 2.0;

/// Limiter that estimates both limits, and which of them refuses.
#[derive(Debug)]
pub(crate) struct AdaptiveLimiter {
    window: ConcurrencyWindow,
    /// Useful number of tasks in flight while nothing is refused; `None` if it is not to be measured.
    gain: Option<ThroughputProbe>,
    rate: EstimatedRate,
    reason: Option<RefusalCause>,
    case: Option<Hypothesis>,
    /// Estimate of the tasks in flight that have ended undetected.
    unheard: DetectionLag,
    chance: RandomRefusalTest,
    recent: RecentAnswers,
    /// Limits before the last cuts; `None` before the first cut.
    before: Option<LimitsBeforeCut>,
    /// Moment of the last refusal that was the first of its burst.
    refused_at: Option<Moment>,
    /// Moment from which one submission beyond the window may leave. A low rate would refuse it directly after another one.
    beyond_at: Option<Moment>,
    /// Consecutive refusals, each the first of its burst.
    n_refusals: u32,
    /// Maximum number of other tasks in flight at an acceptance since the last refusal.
    n_others_max: usize,
    /// Consecutive refusals with at least as many tasks in flight as at any acceptance since the previous one.
    n_at_most: u32,
}

impl AdaptiveLimiter {
    /// Creates a limiter that knows only the user's settings. A configured rate already gives the useful number of tasks.
    pub(crate) fn new(concurrency: Concurrency, is_rate_known: bool) -> Self {
        let gain = (concurrency == Concurrency::Auto && !is_rate_known).then(ThroughputProbe::new);
        Self {
            window: ConcurrencyWindow::new(concurrency),
            gain,
            rate: EstimatedRate::new(),
            reason: None,
            case: None,
            unheard: DetectionLag::default(),
            chance: RandomRefusalTest::new(),
            recent: RecentAnswers::default(),
            before: None,
            refused_at: None,
            beyond_at: None,
            n_refusals: 0,
            n_others_max: 0,
            n_at_most: 0,
        }
    }

    /// Sets the number of jobs that are left to submit; `None` if many.
    pub(crate) const fn expect_jobs(&mut self, n_jobs: Option<usize>) {
        self.window.expect_jobs(n_jobs);
    }

    /// Records that `n_in_flight` tasks of an earlier process are at the provider.
    pub(crate) fn found(&mut self, n_in_flight: usize) {
        self.window.found(n_in_flight);
        self.gain.iter_mut().for_each(|gain| gain.found(n_in_flight));
    }

    /// Begins with the limits that a search has found, with `n_accepted` tasks in flight. So far `mean_rate` submissions per second were
    /// accepted, which shows whether a rate that was found earlier is wrong.
    pub(crate) fn begin(&mut self, now: Moment, n_accepted: usize, found: FoundLimits, mean_rate: f64) {
        if let Some(slots) = found.slots {
            self.window.limit_to(slots);
            if self.rate.now(now).is_some_and(|rate| mean_rate > FASTER * rate) {
                self.rate = EstimatedRate::new();
            }
            self.reason = Some(RefusalCause::Window);
        } else {
            // A rate does not limit the tasks in flight.
            self.window.found(2 * n_accepted.max(FEW));
        }
        if let Some(rate) = found.rate {
            // There may be slots besides, so that the next refusal is judged afresh.
            self.rate = EstimatedRate::found(now, rate);
        }
        if found != FoundLimits::default() {
            self.chance.limit_found();
        }
    }

    /// Returns whether a refusal has cut a limit.
    pub(crate) const fn has_cut(&self) -> bool {
        self.before.is_some() || self.reason.is_some()
    }

    /// Returns whether a rate is known, and submissions are not faster than what was accepted.
    pub(crate) fn has_proven_rate(&self, now: Moment) -> bool {
        self.rate.believed(now).is_some() && self.rate.is_tried(now) && !self.rate.is_grown(now)
    }

    /// Returns how many tasks may be in flight at most.
    pub(crate) fn most(&self) -> usize {
        self.window.max().min(self.worth())
    }

    /// Returns whether the in-flight limit is known from a refusal.
    pub(crate) const fn has_found_places(&self) -> bool {
        self.window.is_found()
    }

    /// Returns whether it is unknown which limit refuses.
    pub(crate) const fn is_in_doubt(&self) -> bool {
        self.case.is_some()
    }

    /// Sets the state in which a limit is known to exist, and nothing points to random refusals.
    #[cfg(test)]
    pub(crate) const fn distrust_chance(&mut self) {
        self.chance.distrust();
    }

    /// Returns whether refusals have proved random, so that a wait named by one applies to its own job alone.
    pub(crate) const fn is_chance_trusted(&self) -> bool {
        self.chance.is_trusted()
    }

    /// Returns how many tasks are known to be accepted and useful.
    pub(crate) fn cap(&self) -> usize {
        self.window.cap().min(self.worth())
    }

    /// Returns how many tasks in flight are useful; once some are refused, the window alone decides.
    fn worth(&self) -> usize {
        self.gain.as_ref().filter(|_| !self.window.is_found()).map_or(usize::MAX, ThroughputProbe::cap)
    }

    /// Records the end of one of `n_in_flight` tasks, its duration `took`, and the expected delay `unheard` of its detection.
    pub(crate) fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration, unheard: Duration) {
        self.unheard.ended(took, unheard);
        if let Some(gain) = self.gain.as_mut().filter(|_| !self.window.is_found()) {
            gain.ended(now, n_in_flight, took);
        }
    }

    /// Returns whether one more task may be submitted with `n_in_flight` in flight.
    pub(crate) fn has_room(&self, now: Moment, n_in_flight: usize) -> bool {
        let is_test = self.case.as_ref().is_some_and(|case| {
            let room = (case.n_others + self.doubt(case.n_others) + 1).min(self.window.max());
            case.test_at <= now && n_in_flight < room
        });
        let may_go_beyond = n_in_flight < self.window.cap() || self.beyond_at.is_none_or(|at| at <= now);
        is_test || (n_in_flight < self.room() && may_go_beyond)
    }

    /// Returns how many of `n` tasks in flight may have ended.
    pub(crate) fn noise(&self, n: usize) -> usize {
        self.unheard.among(n, AS_A_RULE)
    }

    /// Returns by how much a number must exceed `n` tasks in flight to prove more slots. The ends of a few tasks are detected soon.
    fn doubt(&self, n: usize) -> usize {
        if n <= FEW { 0 } else { self.unheard.among(n, AT_MOST) }
    }

    fn room(&self) -> usize {
        self.window.room(self.noise(self.window.cap())).min(self.worth())
    }

    /// Returns when there will be room without the end of a task; `None` if only an end makes room.
    pub(crate) fn room_at(&self, now: Moment, n_in_flight: usize) -> Option<Moment> {
        let test_at = self.case.as_ref().map(|case| case.test_at);
        let beyond_at = self.beyond_at.filter(|_| n_in_flight < self.room());
        [test_at, beyond_at].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Returns when the next submission may leave; `None` means now.
    pub(crate) fn next_at(&self, now: Moment) -> Option<Moment> {
        self.rate.next_at(now)
    }

    /// Returns the rate that the provider accepts, in submissions per second; `None` as long as refusals have not shown it.
    pub(crate) fn rate(&self, now: Moment) -> Option<f64> {
        self.rate.believed(now)
    }

    /// Issues the permit of a submission that leaves with `n_others` other tasks in flight.
    pub(crate) fn take(&mut self, now: Moment, n_others: usize) -> SubmitPermit {
        let has_token = self.rate.has_token(now);
        self.rate.take(now);
        SubmitPermit::new(now, n_others).with_token(has_token)
    }

    /// Records an accepted submission.
    pub(crate) fn accepted(&mut self, now: Moment, ticket: SubmitPermit) {
        self.n_refusals = 0;
        self.recent.accepted(ticket.n_others());
        self.chance.accepted();
        let since = self.rate.since_accepted(now);
        self.rate.accepted(now);
        self.beyond_at = Some(now + since.max(self.rate.interval(now)).min(BEYOND_MAX) / 2);
        self.window.accepted(ticket.n_others(), self.noise(ticket.n_others()));
        if self.refused_at.is_some_and(|at| ticket.left_at() <= at) {
            return;
        }
        self.n_others_max = self.n_others_max.max(ticket.n_others());
        if let Some(mut case) = self.case.take() {
            case.n_others_max = case.n_others_max.max(Some(ticket.n_others()));
            if ticket.n_others() < case.n_others + self.doubt(case.n_others) {
                self.case = Some(case);
            } else {
                // At least as many tasks were in flight as at the refusal, so a missing slot was not the cause.
                self.window = case.window_before;
                self.reason = Some(RefusalCause::Rate);
            }
        }
    }

    /// Records a refused submission and returns the reaction; `None` if an earlier refusal of the same burst already counted.
    pub(crate) fn refused(&mut self, now: Moment, ticket: SubmitPermit) -> Option<RefusalReaction> {
        let is_random = self.is_random(now, ticket.n_others());
        self.recent.refused(ticket.n_others(), ticket.n_others() >= self.window.cap());
        let is_late = self.refused_at.is_some_and(|at| ticket.left_at() <= at);
        if is_late && !self.chance.is_presumed() {
            self.window.refused_too();
            return None;
        }
        let load = self.load(now, ticket.n_others());
        let n_before = match self.chance.refused(load) {
            RefusalVerdict::Chance => return Some(RefusalReaction::Chance),
            RefusalVerdict::Limit { n_before } => n_before,
        };
        if is_random {
            if self.recent.count_random() && self.reason == Some(RefusalCause::Rate) {
                self.chance.prove_by_singles();
            }
            return Some(RefusalReaction::Chance);
        }
        if is_late {
            self.window.refused_too();
            return None;
        }
        self.refused_at = Some(now);
        self.recent.count_limit();
        self.n_refusals += 1;
        self.n_at_most = if ticket.n_others() >= self.n_others_max { self.n_at_most + 1 } else { 0 };
        self.n_others_max = 0;
        if self.chance.is_dense() || load == LoadLevel::Beyond || self.before.is_none() {
            let (window, rate) = (self.window.clone(), self.rate.clone());
            self.before = Some(LimitsBeforeCut { pace: rate.pace(now), window, rate });
        }
        if self.chance.is_proven_by_cut(load) {
            self.restore();
            return Some(RefusalReaction::Chance);
        }
        if let Some(gain) = &mut self.gain {
            gain.disturbed();
        }
        self.cut(now, ticket);
        if self.reason == Some(RefusalCause::Window) {
            (0..n_before).for_each(|_| self.window.refused_too());
        }
        Some(if self.n_refusals > 1 { RefusalReaction::Wait } else { RefusalReaction::Cut })
    }

    /// Returns whether neither the slots nor the rate explain a refusal with `n_others` other tasks in flight: as many are usually accepted,
    /// at a rate that was accepted for long.
    fn is_random(&self, now: Moment, n_others: usize) -> bool {
        let is_within = n_others < FEW && self.recent.are_accepted(n_others);
        let is_below_rate = self.recent.are_accepted(0) && self.rate.is_slow() && !self.rate.is_grown(now);
        match self.reason {
            Some(RefusalCause::Window) => is_within,
            Some(RefusalCause::Rate) => is_below_rate,
            None => is_within && self.window.is_found() && (is_below_rate || self.rate.believed(now).is_none()),
        }
    }

    /// Reverts cuts that did not help.
    fn restore(&mut self) {
        self.case = None;
        if let Some(before) = self.before.take() {
            let n_taken = self.window.cap();
            (self.window, self.rate) = (before.window, before.rate);
            self.window.found(n_taken);
        }
    }

    /// Returns how the load at a refusal compares with the known limits, by the limit that refuses, if known.
    fn load(&mut self, now: Moment, n_others: usize) -> LoadLevel {
        let pace = self.rate.pace(now);
        let (top, pace_top) = self.before.as_mut().map_or((self.window.cap(), pace), |before| {
            before.pace = before.pace.max(pace);
            (before.window.cap(), before.pace)
        });
        let rate = self.rate.believed(now).map(|_| match self.rate.has_rested(now) {
            true => LoadLevel::Beyond,
            false if pace < LESS * pace_top => LoadLevel::Within,
            false => LoadLevel::Unclear,
        });
        let window = (n_others > 0 && self.window.is_found()).then(|| match n_others + 1 + self.doubt(top) {
            _ if n_others >= self.window.cap() => LoadLevel::Beyond,
            n if n < top => LoadLevel::Within,
            _ => LoadLevel::Unclear,
        });
        RefusalCause::load(self.reason, rate, window)
    }

    /// Cuts the limit that refused, or both if the cause is unknown.
    fn cut(&mut self, now: Moment, permit: SubmitPermit) {
        let n_others = permit.n_others();
        match self.judge(now, permit) {
            Some(RefusalCause::Rate) => {
                if let Some(case) = self.case.take() {
                    self.window = case.window_before;
                }
                self.rate.refused(now, true, self.chance.share());
                self.reason = Some(RefusalCause::Rate);
            }
            Some(RefusalCause::Window) => {
                let case = self.case.take();
                self.window.refused(n_others, self.noise(n_others), case.is_some());
                if let Some(case) = case {
                    self.rate.restore(now, &case.rate_before);
                }
                self.reason = Some(RefusalCause::Window);
            }
            None => self.open_case(now, n_others),
        }
    }

    /// Returns the limit that refused a submission; `None` if it is not known.
    fn judge(&self, now: Moment, permit: SubmitPermit) -> Option<RefusalCause> {
        let n_others = permit.n_others();
        if n_others == 0 {
            return Some(RefusalCause::Rate);
        }
        if n_others < FEW && self.recent.show_slots(n_others) {
            return Some(RefusalCause::Window);
        }
        if self.case.is_none() && !self.chance.is_presumed() && self.rate.believed(now).is_some() {
            let n_undetected = self.noise(n_others);
            let cause = RefusalCause::beside_rate(now, permit, &self.window, &self.rate, n_undetected);
            if cause.is_some() {
                return cause;
            }
        }
        if let Some(case) = &self.case {
            let reason = self.reason.filter(|reason| *reason == RefusalCause::Window || self.rate.explains(now));
            return case.judge(n_others, self.doubt(n_others), self.n_refusals, self.reason, reason);
        }
        self.reason.filter(|reason| match reason {
            RefusalCause::Rate => (self.n_at_most < 2 || n_others > FEW) && self.rate.explains(now),
            RefusalCause::Window => self.window.explains(n_others),
        })
    }

    fn open_case(&mut self, now: Moment, n_others: usize) {
        let before = self.case.take();
        let n_undecided = before.as_ref().map_or(0, |case| case.n_undecided + u32::from(case.n_others_max.is_some()));
        let (window_before, rate_before) = before
            .map_or_else(|| (self.window.clone(), self.rate.clone()), |case| (case.window_before, case.rate_before));
        self.window.refused(n_others, self.noise(n_others), true);
        self.rate.refused(now, false, self.chance.share());
        self.n_at_most = 0;
        let wait = self.rate.now(now).map_or(0.0, |rate| (1.5 * f64::from(self.n_refusals) / rate).min(60.0));
        let test_at = now + Duration::from_secs_f64(wait);
        self.case = Some(Hypothesis { n_others, test_at, n_others_max: None, n_undecided, window_before, rate_before });
    }
}

#[cfg(test)]
mod tests;
