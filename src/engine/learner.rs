//! Learns what a provider takes from what it refuses, and tells the two limits apart that refuse alike.
//!
//! A refusal does not say whether submissions come too fast or too many tasks are in flight. The first one cuts both; what is taken or
//! refused next tells which it was, and the other gets back what it had. From then on, refusals are for the same reason as before as
//! long as that explains them.
//!
//! Tasks that have ended unheard make more seem to be in flight than are. One that is taken with a few more than were refused may have found
//! the place of one of those, and tells nothing; only clearly more tell that it was the rate.

use std::time::Duration;

use crate::engine::chance::{Chance, Load, Verdict};
use crate::engine::gain::Gain;
use crate::engine::learnt_rate::LearntRate;
use crate::engine::unheard::Unheard;
use crate::engine::window::Window;
use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// With no more tasks in flight than this, one that has just ended makes all the difference: what was taken once proves little.
const FEW: usize = 16;

/// No submission waits longer than half of this for its being beyond the window.
const BEYOND_MAX: Duration = Duration::from_secs(20);

/// So many standard deviations more tasks than is to be expected may have ended unheard: as a rule, and before a rate is taken for proven.
const AS_A_RULE: f64 = 1.5;
const AT_MOST: f64 = 2.0;

/// A pace is clearly less than another one below this part of it.
const LESS: f64 = 0.93;

/// Refusals in a row, at fewer and fewer tasks in flight, after which it is for want of a place; and so many that decide nothing.
const PATIENCE: u32 = 4;

/// A submission under way: when it left, and how many other tasks were in flight then.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    left_at: Moment,
    n_others: usize,
}

impl Ticket {
    /// When it left.
    pub const fn left_at(&self) -> Moment {
        self.left_at
    }
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
    /// Tasks in flight that may have ended.
    unheard: Unheard,
    /// Whether refusals have no reason.
    chance: Chance,
    /// None before the first cut.
    before: Option<Before>,
    /// When the last refusal came that was the first of its burst.
    refused_at: Option<Moment>,
    /// From when on one may leave that is beyond the window: not right after another, or a slow rate would refuse it.
    beyond_at: Option<Moment>,
    /// Such refusals in a row.
    n_refusals: u32,
    /// The most tasks that were in flight since then when one more was taken.
    n_others_max: usize,
    /// Refusals one after the other that met the most tasks in flight since the one before.
    n_at_most: u32,
}

/// Why a provider refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Rate,
    Window,
}

/// What was known before cuts that may not help.
#[derive(Debug)]
struct Before {
    /// The most submissions that were taken a second, lately, at a refusal since then.
    pace: f64,
    window: Window,
    rate: LearntRate,
}

/// A refusal of which nobody knows the reason yet.
#[derive(Debug)]
struct Case {
    n_others: usize,
    /// From when on one more than the window holds may leave, to see: a rate would have room for one again.
    test_at: Moment,
    /// The most tasks that were in flight when a later one was taken.
    n_others_max: Option<usize>,
    /// Refusals since it was opened that did not decide it.
    n_undecided: u32,
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
            unheard: Unheard::default(),
            chance: Chance::new(),
            before: None,
            refused_at: None,
            beyond_at: None,
            n_refusals: 0,
            n_others_max: 0,
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

    /// Whether nobody knows which limit refuses.
    pub const fn is_in_doubt(&self) -> bool {
        self.case.is_some()
    }

    /// A limit is known to exist, and nothing speaks for chance.
    #[cfg(test)]
    pub const fn distrust_chance(&mut self) {
        self.chance.distrust();
    }

    /// Whether refusals were seen to be chance, so that a wait that one names is its own job's alone.
    pub const fn is_chance_trusted(&self) -> bool {
        self.chance.is_trusted()
    }

    /// How many tasks are known to be taken, and are worth while.
    pub fn cap(&self) -> usize {
        self.window.cap().min(self.worth())
    }

    /// How many tasks in flight are worth while. Where some are refused, that says it.
    fn worth(&self) -> usize {
        self.gain.as_ref().filter(|_| !self.window.is_found()).map_or(usize::MAX, Gain::cap)
    }

    /// One of so many tasks in flight has ended. It took so long, and has been done for so long of that, as is to be expected.
    pub fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration, unheard: Duration) {
        self.unheard.ended(took, unheard);
        if let Some(gain) = self.gain.as_mut().filter(|_| !self.window.is_found()) {
            gain.ended(now, n_in_flight, took);
        }
    }

    /// Whether one more task has room among so many.
    pub fn has_room(&self, now: Moment, n_in_flight: usize) -> bool {
        let is_test = self.case.as_ref().is_some_and(|case| {
            let room = (case.n_others + self.doubt(case.n_others) + 1).min(self.window.max());
            case.test_at <= now && n_in_flight < room
        });
        let may_go_beyond = n_in_flight < self.window.cap() || self.beyond_at.is_none_or(|at| at <= now);
        is_test || (n_in_flight < self.room() && may_go_beyond)
    }

    /// Of so many tasks in flight, how many may have ended.
    fn noise(&self, n: usize) -> usize {
        self.unheard.among(n, AS_A_RULE)
    }

    /// How many more than so many tasks in flight prove that there are more places. A few are soon heard of.
    fn doubt(&self, n: usize) -> usize {
        if n <= FEW { 0 } else { self.unheard.among(n, AT_MOST) }
    }

    fn room(&self) -> usize {
        self.window.room(self.noise(self.window.cap())).min(self.worth())
    }

    /// When there will be room without any task's end, if only time has to pass.
    pub fn room_at(&self, now: Moment, n_in_flight: usize) -> Option<Moment> {
        let test_at = self.case.as_ref().map(|case| case.test_at);
        let beyond_at = self.beyond_at.filter(|_| n_in_flight < self.room());
        [test_at, beyond_at].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// When the next submission may leave, if not now.
    pub fn next_at(&self, now: Moment) -> Option<Moment> {
        self.rate.next_at(now)
    }

    /// The rate that is taken, in submissions a second, as far as refusals have taught.
    pub fn rate(&self, now: Moment) -> Option<f64> {
        self.rate.believed(now)
    }

    /// A submission leaves, with so many others in flight.
    pub fn take(&mut self, now: Moment, n_others: usize) -> Ticket {
        self.rate.take(now);
        Ticket { left_at: now, n_others }
    }

    /// A submission was taken.
    pub fn accepted(&mut self, now: Moment, ticket: Ticket) {
        self.n_refusals = 0;
        self.chance.accepted();
        let since = self.rate.since_accepted(now);
        self.rate.accepted(now);
        self.beyond_at = Some(now + since.max(self.rate.interval(now)).min(BEYOND_MAX) / 2);
        self.window.accepted(ticket.n_others, self.noise(ticket.n_others));
        if self.refused_at.is_some_and(|at| ticket.left_at <= at) {
            return;
        }
        self.n_others_max = self.n_others_max.max(ticket.n_others);
        if let Some(mut case) = self.case.take() {
            case.n_others_max = case.n_others_max.max(Some(ticket.n_others));
            if ticket.n_others < case.n_others + self.doubt(case.n_others) {
                self.case = Some(case);
            } else {
                // As many tasks were there as when it was refused, or more: it was not for want of a place.
                self.window = case.window_before;
                self.reason = Some(Reason::Rate);
            }
        }
    }

    /// A submission was refused. Gives how it is to be met; nothing if it left before an earlier refusal came, and says nothing new.
    pub fn refused(&mut self, now: Moment, ticket: Ticket) -> Option<Refused> {
        let is_late = self.refused_at.is_some_and(|at| ticket.left_at <= at);
        if is_late && !self.chance.is_presumed() {
            self.window.refused_too();
            return None;
        }
        let load = self.load(now, ticket.n_others);
        let n_before = match self.chance.refused(load) {
            Verdict::Chance => return Some(Refused::Chance),
            Verdict::Limit { n_before } => n_before,
        };
        if is_late {
            self.window.refused_too();
            return None;
        }
        self.refused_at = Some(now);
        self.n_refusals += 1;
        self.n_at_most = if ticket.n_others >= self.n_others_max { self.n_at_most + 1 } else { 0 };
        self.n_others_max = 0;
        if self.chance.is_dense() || load == Load::Beyond || self.before.is_none() {
            let (window, rate) = (self.window.clone(), self.rate.clone());
            self.before = Some(Before { pace: rate.pace(now), window, rate });
        }
        if self.chance.is_proven_by_cut(load) {
            self.restore();
            return Some(Refused::Chance);
        }
        if let Some(gain) = &mut self.gain {
            gain.disturbed();
        }
        self.cut(now, ticket.n_others);
        if self.reason == Some(Reason::Window) {
            (0..n_before).for_each(|_| self.window.refused_too());
        }
        Some(if self.n_refusals > 1 { Refused::Wait } else { Refused::Cut })
    }

    /// Takes back cuts that did not help.
    fn restore(&mut self) {
        self.case = None;
        if let Some(before) = self.before.take() {
            let n_taken = self.window.cap();
            (self.window, self.rate) = (before.window, before.rate);
            self.window.found(n_taken);
        }
    }

    /// How the load at a refusal compares to what is known to be taken, by the limit that refuses as far as that is known.
    fn load(&mut self, now: Moment, n_others: usize) -> Load {
        let pace = self.rate.pace(now);
        let (top, pace_top) = self.before.as_mut().map_or((self.window.cap(), pace), |before| {
            before.pace = before.pace.max(pace);
            (before.window.cap(), before.pace)
        });
        let rate = self.rate.believed(now).map(|_| match self.rate.has_rested(now) {
            true => Load::Beyond,
            false if pace < LESS * pace_top => Load::Within,
            false => Load::Unclear,
        });
        let window = (n_others > 0 && self.window.is_found()).then(|| match n_others + 1 + self.doubt(top) {
            _ if n_others >= self.window.cap() => Load::Beyond,
            n if n < top => Load::Within,
            _ => Load::Unclear,
        });
        match (self.reason, rate, window) {
            (_, Some(Load::Beyond), None) | (Some(Reason::Rate) | None, Some(Load::Beyond), Some(_)) => Load::Beyond,
            (_, _, Some(Load::Beyond)) => Load::Beyond,
            (Some(Reason::Rate), Some(load), _) | (_, Some(load), None) => load,
            (Some(Reason::Window), _, Some(load)) | (_, None, Some(load)) => load,
            (None, Some(Load::Within), Some(Load::Within)) => Load::Within,
            (None, Some(_), Some(_)) | (_, None, None) => Load::Unclear,
        }
    }

    /// Cuts what refused, or both if nobody knows.
    fn cut(&mut self, now: Moment, n_others: usize) {
        match self.judge(now, n_others) {
            Some(Reason::Rate) => {
                if let Some(case) = self.case.take() {
                    self.window = case.window_before;
                }
                self.rate.refused(now, true, self.chance.share());
                self.reason = Some(Reason::Rate);
            }
            Some(Reason::Window) => {
                let case = self.case.take();
                self.window.refused(n_others, self.noise(n_others), case.is_some());
                if let Some(case) = case {
                    self.rate = case.rate_before;
                }
                self.reason = Some(Reason::Window);
            }
            None => self.open_case(now, n_others),
        }
    }

    /// Why a submission was refused, as far as that is known.
    fn judge(&self, now: Moment, n_others: usize) -> Option<Reason> {
        if n_others == 0 {
            return Some(Reason::Rate);
        }
        if let Some(case) = &self.case {
            let doubt = self.doubt(n_others);
            return match case.n_others_max {
                Some(max) if max >= n_others + doubt || n_others + doubt < case.n_others => Some(Reason::Rate),
                Some(_) if doubt == 0 || case.n_undecided >= PATIENCE => Some(Reason::Window),
                // What was the reason before still is as long as nothing speaks against it.
                Some(_) => self.reason.filter(|reason| *reason == Reason::Rate && self.rate.explains(now)),
                // Tasks ended and that did not help: time may, for some while.
                None if n_others < case.n_others && self.n_refusals < PATIENCE => None,
                // Where nothing was known, or nothing like it, the rate is a guess, and may have been tested too soon.
                None if self.n_refusals < PATIENCE - 1 && self.is_news(case) => None,
                None => Some(Reason::Window),
            };
        }
        self.reason.filter(|reason| match reason {
            Reason::Rate => (self.n_at_most < 2 || n_others > FEW) && self.rate.explains(now),
            Reason::Window => self.window.explains(n_others),
        })
    }

    /// Whether nothing that is known prepared for this case.
    const fn is_news(&self, case: &Case) -> bool {
        self.reason.is_none() || (case.n_others + 1) * 4 < case.window_before.cap()
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
        self.case = Some(Case { n_others, test_at, n_others_max: None, n_undecided, window_before, rate_before });
    }
}

/// How a refusal is to be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It was chance: nobody but its job waits.
    Chance,
    /// Nobody submits for a while.
    Wait,
    /// What was cut sees to it: there is room when a task ends, or in a moment.
    Cut,
}

#[cfg(test)]
mod tests;
