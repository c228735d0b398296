//! Learns what a provider takes from what it refuses, and tells the two limits apart that refuse alike.
//!
//! A refusal does not say whether submissions come too fast or too many tasks are in flight. The first one cuts both; what is taken or
//! refused next tells which it was, and the other gets back what it had. From then on, refusals are for the same reason as before as
//! long as that explains them.

use std::time::Duration;

use crate::engine::gain::Gain;
use crate::engine::learnt_rate::LearntRate;
use crate::engine::window::Window;
use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// With no more tasks in flight than this, one that has just ended makes all the difference: what was taken once proves little.
const FEW: usize = 16;

/// Cuts one after the other, after which refusals count as chance.
const IN_VAIN: u32 = 12;

/// Submissions that are taken one after the other once a limit is kept.
const MANY: u64 = 30;

/// The part of submissions that chance may refuse, over about so many.
const CHANCE_MAX: f64 = 0.35;
const SHARE_COUNT: f64 = 50.0;

/// No submission waits longer than half of this for its being beyond the window.
const BEYOND_MAX: Duration = Duration::from_secs(20);

/// Refusals in a row, at fewer and fewer tasks in flight, after which it is for want of a place.
const PATIENCE: u32 = 4;

/// A submission under way: when it left, and how many other tasks were in flight then.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    left_at: Moment,
    n_others: usize,
}

/// Both limits, and which of them refuses.
#[derive(Debug)]
pub struct Learner {
    window: Window,
    /// What is worth while as long as nothing is refused, if that is to be found out.
    gain: Option<Gain>,
    rate: LearntRate,
    reason: Option<Reason>,
    case: Option<Case>,
    /// When the last refusal came that was the first of its burst.
    refused_at: Option<Moment>,
    /// From when on one may leave that is beyond the window: not right after another, or a slow rate would refuse it.
    beyond_at: Option<Moment>,
    /// Such refusals in a row.
    n_refusals: u32,
    /// The most tasks that were in flight since then when one more was taken.
    n_others_max: usize,
    /// Submissions taken since then.
    n_accepted: u64,
    /// Refusals one after the other with fewer than many taken in between, though each cut something.
    n_in_vain: u32,
    /// The part of the last submissions that was refused.
    share: f64,
    /// Refusals one after the other that met the most tasks in flight since the one before.
    n_at_most: u32,
}

/// Why a provider refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Rate,
    Window,
}

/// A refusal of which nobody knows the reason yet.
#[derive(Debug)]
struct Case {
    n_others: usize,
    /// From when on one more than the window holds may leave, to see: a rate would have room for one again.
    test_at: Moment,
    /// The most tasks that were in flight when a later one was taken.
    n_others_max: Option<usize>,
    window_before: Window,
    rate_before: LearntRate,
}

impl Learner {
    /// Knows nothing but what the user says. Where the rate is known, it says what is worth while.
    pub fn new(concurrency: Concurrency, is_rate_known: bool) -> Self {
        let gain = (concurrency == Concurrency::Auto && !is_rate_known).then(Gain::new);
        let (window, rate) = (Window::new(concurrency), LearntRate::new());
        Self {
            window,
            gain,
            rate,
            reason: None,
            case: None,
            refused_at: None,
            beyond_at: None,
            n_refusals: 0,
            n_others_max: 0,
            n_accepted: 0,
            n_in_vain: 0,
            share: 0.0,
            n_at_most: 0,
        }
    }

    /// So many tasks of an earlier process are there.
    pub fn found(&mut self, n_in_flight: usize) {
        self.window.found(n_in_flight);
        if let Some(gain) = &mut self.gain {
            gain.found(n_in_flight);
        }
    }

    /// Whether it is known how many tasks are taken, as more were refused.
    pub const fn has_found_places(&self) -> bool {
        self.window.is_found()
    }

    /// How many tasks are known to be taken, and are worth while.
    pub fn cap(&self) -> usize {
        self.window.cap().min(self.worth())
    }

    /// How many tasks in flight are worth while. Where some are refused, that says it.
    fn worth(&self) -> usize {
        self.gain.as_ref().filter(|_| !self.window.is_found()).map_or(usize::MAX, Gain::cap)
    }

    /// One of so many tasks in flight has ended, and took so long.
    pub fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration) {
        if let Some(gain) = self.gain.as_mut().filter(|_| !self.window.is_found()) {
            gain.ended(now, n_in_flight, took);
        }
    }

    /// Whether one more task has room among so many.
    pub fn has_room(&self, now: Moment, n_in_flight: usize) -> bool {
        let is_test = self.case.as_ref().is_some_and(|case| case.test_at <= now && n_in_flight <= case.n_others);
        let may_go_beyond = n_in_flight < self.window.cap() || self.beyond_at.is_none_or(|at| at <= now);
        is_test || (n_in_flight < self.room(now) && may_go_beyond)
    }

    fn room(&self, now: Moment) -> usize {
        self.window.room(now).min(self.worth())
    }

    /// When there will be room without any task's end, if only time has to pass.
    pub fn room_at(&self, now: Moment, n_in_flight: usize) -> Option<Moment> {
        let test_at = self.case.as_ref().map(|case| case.test_at);
        let beyond_at = self.beyond_at.filter(|_| n_in_flight < self.room(now));
        let trial_at = self.window.trial_at().map(|at| self.beyond_at.map_or(at, |beyond_at| at.max(beyond_at)));
        [test_at, beyond_at, trial_at].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// When the next submission may leave, if not now.
    pub fn next_at(&self, now: Moment) -> Option<Moment> {
        self.rate.next_at(now)
    }

    /// A submission leaves, with so many others in flight.
    pub fn take(&mut self, now: Moment, n_others: usize) -> Ticket {
        self.rate.take(now);
        Ticket { left_at: now, n_others }
    }

    /// A submission was taken.
    pub fn accepted(&mut self, now: Moment, ticket: Ticket) {
        self.n_refusals = 0;
        self.n_accepted += 1;
        self.share -= self.share / SHARE_COUNT;
        self.beyond_at = Some(now + self.rate.since_accepted(now).min(BEYOND_MAX) / 2);
        self.rate.accepted(now);
        self.window.accepted(now, ticket.n_others);
        if self.refused_at.is_some_and(|at| ticket.left_at <= at) {
            return;
        }
        self.n_others_max = self.n_others_max.max(ticket.n_others);
        if let Some(mut case) = self.case.take() {
            case.n_others_max = case.n_others_max.max(Some(ticket.n_others));
            if ticket.n_others < case.n_others {
                self.case = Some(case);
            } else {
                // As many tasks were there as when it was refused: it was not for want of a place.
                self.window = case.window_before;
                self.reason = Some(Reason::Rate);
            }
        }
    }

    /// A submission was refused. Gives how it is to be met; nothing if it left before an earlier refusal came, and says nothing new.
    pub fn refused(&mut self, now: Moment, ticket: Ticket) -> Option<Refused> {
        self.share += (1.0 - self.share) / SHARE_COUNT;
        if self.refused_at.is_some_and(|at| ticket.left_at <= at) {
            return None;
        }
        self.refused_at = Some(now);
        self.n_refusals += 1;
        self.n_at_most = if ticket.n_others >= self.n_others_max { self.n_at_most + 1 } else { 0 };
        self.n_others_max = 0;
        let is_borne = self.n_in_vain > IN_VAIN;
        self.n_in_vain = if self.n_accepted < MANY || is_borne { self.n_in_vain.saturating_add(1) } else { 0 };
        self.n_accepted = 0;
        if self.n_in_vain > IN_VAIN {
            return Some(self.bear());
        }
        match self.judge(now, ticket.n_others) {
            Some(Reason::Rate) => {
                if let Some(case) = self.case.take() {
                    self.window = case.window_before;
                }
                self.rate.refused(now, true);
                self.reason = Some(Reason::Rate);
            }
            Some(Reason::Window) => {
                let case = self.case.take();
                self.window.refused(now, ticket.n_others, case.is_some());
                if let Some(case) = case {
                    self.rate = case.rate_before;
                }
                self.reason = Some(Reason::Window);
            }
            None => self.open_case(now, ticket.n_others),
        }
        Some(if self.n_refusals > 1 { Refused::Wait } else { Refused::Cut })
    }

    /// Cutting has not helped, so it is chance, and cut no more, unless it becomes more than that.
    fn bear(&mut self) -> Refused {
        if self.n_in_vain == IN_VAIN + 1 {
            (self.rate, self.case) = (LearntRate::new(), None);
            self.window.forget();
        } else if self.share > CHANCE_MAX || self.n_refusals > 2 * PATIENCE {
            self.n_in_vain = 0;
        }
        if self.n_refusals > 1 { Refused::Wait } else { Refused::Cut }
    }

    /// Why a submission was refused, as far as that is known.
    fn judge(&self, now: Moment, n_others: usize) -> Option<Reason> {
        if n_others == 0 {
            return Some(Reason::Rate);
        }
        if let Some(case) = &self.case {
            return match case.n_others_max {
                Some(max) if max >= n_others || n_others < case.n_others => Some(Reason::Rate),
                Some(_) => Some(Reason::Window),
                // Tasks ended and that did not help: time may, for some while.
                None if n_others < case.n_others && self.n_refusals < PATIENCE => None,
                None => Some(Reason::Window),
            };
        }
        self.reason.filter(|reason| match reason {
            Reason::Rate => (self.n_at_most < 2 || n_others > FEW) && self.rate.explains(now),
            Reason::Window => self.window.explains(n_others),
        })
    }

    fn open_case(&mut self, now: Moment, n_others: usize) {
        let before = self.case.take().map(|case| (case.window_before, case.rate_before));
        let (window_before, rate_before) = before.unwrap_or_else(|| (self.window.clone(), self.rate.clone()));
        self.window.refused(now, n_others, true);
        self.rate.refused(now, false);
        self.n_at_most = 0;
        let wait = self.rate.now(now).map_or(0.0, |rate| (1.5 / rate).min(60.0));
        let test_at = now + Duration::from_secs_f64(wait);
        self.case = Some(Case { n_others, test_at, n_others_max: None, window_before, rate_before });
    }
}

/// How a refusal is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody submits for a while.
    Wait,
    /// What was cut sees to it: there is room when a task ends, or in a moment.
    Cut,
}

#[cfg(test)]
mod tests;
