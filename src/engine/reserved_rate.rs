//! Limiter for a rate, a number of tasks in flight and a cost that several processes keep together: spends the times that are reserved for this
//! one, and asks for more.
//!
//! Without a reserved time nothing leaves. A process that cannot reach the others' server therefore sends nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::amount::Amount;
use crate::model::limits::{Concurrency, Limits, Rate};
use crate::model::shared_cost::CostRequest;
use crate::model::shared_rate::{Reservation, ReserveRequest, SharedRate};
use crate::model::time::Moment;

/// Time for which a process reserves at once. What a process that dies had reserved is lost.
const RESERVED_AT_ONCE: Duration = Duration::from_millis(500);

/// Time before the last reserved one at which more are asked for: the answer takes a while.
const ASKED_BEFORE: Duration = Duration::from_millis(250);

/// Wait before the next request, after one without an answer.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Number of times in one request without a rate.
const COUNT_UNPACED: usize = 64;

/// Shortest wait before the next request. An answer without a time must not be followed by the same question at once.
const ASKED_AGAIN_MIN: Duration = Duration::from_millis(20);

/// Maximum number of times in one request.
const COUNT_MAX: usize = 1024;

/// Shortest time between two requests that only say which amounts are no longer needed.
const TOLD_EVERY: Duration = Duration::from_millis(500);

/// Submissions that could leave now, and what they may cost.
pub(super) struct Wish<'a> {
    /// Number of submissions.
    pub(super) n: usize,
    /// Most that the first one may cost; `None` if a price is unknown.
    pub(super) first: Option<Amount>,
    /// Returns the most that one of the first so many may cost.
    pub(super) most: &'a dyn Fn(usize) -> Option<Amount>,
    /// Amount that submissions under way may cost beyond their prices.
    pub(super) surplus: Amount,
}

/// State of the requests for more times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Request possible.
    Possible,
    /// Request possible from this moment on.
    Later(Moment),
    /// Request sent: its answer is awaited.
    Sent,
}

/// Issues permits at the times that are reserved for this process.
#[derive(Debug)]
pub(super) struct ReservedRate {
    /// Rate of all processes together; `None` if only the tasks in flight are limited.
    rate: Option<SharedRate>,
    /// Says whether the tasks in flight of all processes are limited. A reserved time is then a place too, from which others are kept.
    has_places: bool,
    /// Says whether the cost of all processes is limited. A reserved time then has an amount too.
    has_cost: bool,
    /// Says whether the last answer was short of money.
    is_short: bool,
    /// Number of submissions that the server counts as held by this process, and their amount; `None` if it is not known.
    counted: Option<(usize, Amount)>,
    /// Moment of the last request; `None` before it.
    asked_at: Option<Moment>,
    /// What the last request said that this process holds.
    asked: ReserveRequest,
    /// Reserved times that are not spent, in order.
    reserved: VecDeque<Reservation>,
    request: Request,
}

impl ReservedRate {
    /// Creates a limiter without any reserved time.
    pub(super) const fn new(rate: Option<SharedRate>, has_places: bool) -> Self {
        let cost = CostRequest { each: None, held: Amount::ZERO };
        Self {
            rate,
            has_places,
            has_cost: false,
            is_short: false,
            counted: Some((0, Amount::ZERO)),
            asked_at: None,
            asked: ReserveRequest { max: 0, held: 0, cost },
            reserved: VecDeque::new(),
            request: Request::Possible,
        }
    }

    /// Creates the limiter of what processes keep together; `None` if they keep nothing together.
    pub(super) fn from_limits(rate: Option<Rate>, limits: &Limits) -> Option<Self> {
        let rate = rate.map(|rate| SharedRate { rate, burst: limits.burst });
        let has_places = limits.is_shared && limits.concurrency != Concurrency::Auto;
        let has_cost = limits.is_shared && limits.cost_max.is_some();
        (rate.is_some() || has_places || has_cost).then(|| Self { has_cost, ..Self::new(rate, has_places) })
    }

    /// Sets another rate. Times that are reserved stay.
    pub(super) const fn set_rate(&mut self, rate: SharedRate) {
        self.rate = Some(rate);
    }

    /// Takes note that the tasks in flight are limited.
    pub(super) const fn limit_places(&mut self) {
        self.has_places = true;
    }

    /// Takes note that the cost is limited.
    pub(super) const fn limit_cost(&mut self) {
        self.has_cost = true;
    }

    /// Takes note of what the next submission may cost. Amounts that are too small for it are given up.
    pub(super) fn expect_cost(&mut self, cost: Option<Amount>) {
        if self.has_cost {
            let cost = cost.unwrap_or_default();
            self.reserved.retain(|reserved| reserved.each >= cost);
        }
    }

    /// Gives up everything that is reserved: the server may have forgotten it.
    pub(super) fn forget(&mut self) {
        self.reserved.clear();
        self.counted = None;
    }

    /// Returns whether the last request was in vain, as other processes have all places: only the end of a task brings one.
    pub(super) const fn is_short_of_places(&self) -> bool {
        self.has_places && self.rate.is_none() && matches!(self.request, Request::Later(_))
    }

    /// Gives up the reserved times, which cannot be used for a while, if other processes wait for the places or the money.
    pub(super) fn give_up(&mut self) {
        if self.has_places || self.has_cost {
            self.reserved.clear();
        }
    }

    /// Returns whether a submission that waits needs a place.
    pub(super) const fn has_places(&self) -> bool {
        self.has_places
    }

    /// Returns whether there is a rate. If not, a submission without a reserved time has no place.
    pub(super) const fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// Takes one permit, or returns the moment of the next attempt; `None` if it is not known yet.
    pub(super) fn take(&mut self, now: Moment) -> Result<(), Option<Moment>> {
        self.drop_late(now);
        let Some(next) = self.reserved.front_mut() else { return Err(None) };
        if next.first > now {
            return Err(Some(next.first));
        }
        spend(next, 1);
        self.reserved.pop_front_if(|next| next.count == 0);
        Ok(())
    }

    /// Returns the request for times for `n_wanted` submissions that could leave now, with `n_out` under way. Returns `None` if none are needed,
    /// or none can be asked for at present. The answer must follow.
    ///
    /// If the tasks in flight or the cost are limited, a request without a time gives back what is no longer needed.
    pub(super) fn ask(
        &mut self,
        now: Moment,
        (n_wanted, n_out): (usize, usize),
        wish: &Wish<'_>,
    ) -> Option<ReserveRequest> {
        self.drop_late(now);
        if self.has_cost && wish.n == 0 {
            self.reserved.clear();
        }
        let n_reserved: usize = self.reserved.iter().map(|reserved| reserved.count as usize).sum();
        let is_possible = match self.request {
            Request::Possible => true,
            Request::Later(moment) => moment <= now,
            Request::Sent => false,
        };
        let is_soon = self.last().is_none_or(|last| last <= now + ASKED_BEFORE);
        let at_once = if self.is_short { 1 } else { self.at_once() };
        let n_missing = n_wanted.saturating_sub(n_reserved).min(at_once);
        let n_held = n_reserved + n_out;
        let n_asked = if is_soon { n_missing } else { 0 };
        let amount = self.reserved.iter().map(Reservation::amount).sum::<Amount>() + wish.surplus;
        if !is_possible || (n_asked == 0 && !self.gives_back(now, (n_held, amount))) {
            return None;
        }
        // A dearer job behind the first one must not keep it back.
        let each = match n_asked {
            0 => None,
            1 if n_reserved == 0 => wish.first,
            _ => (wish.most)(n_reserved + n_asked),
        };
        let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
        let cost = CostRequest { each, held: amount };
        self.request = Request::Sent;
        self.asked_at = Some(now);
        self.asked = ReserveRequest { max: number(n_asked), held: number(n_held), cost };
        Some(self.asked)
    }

    /// Returns whether the server counts more as held than this process holds, and should hear it.
    fn gives_back(&self, now: Moment, (n_held, amount): (usize, Amount)) -> bool {
        let counts_more = self.counted.is_none_or(|(counted, _)| counted > n_held);
        let has_waited = self.asked_at.is_none_or(|at| now - at >= TOLD_EVERY);
        let costs_more = counts_more || self.counted.is_none_or(|(_, counted)| counted > amount);
        (self.has_places && counts_more) || (self.has_cost && costs_more && has_waited)
    }

    /// Returns the moment at which the next request is possible; `None` if it is possible now, or an answer is awaited.
    pub(super) const fn asks_at(&self) -> Option<Moment> {
        match self.request {
            Request::Later(moment) => Some(moment),
            Request::Possible | Request::Sent => None,
        }
    }

    /// Processes the answer to a request; `None` if it is not known.
    pub(super) fn answered(&mut self, now: Moment, answer: Option<Reservation>) {
        let asked = self.asked;
        self.counted = answer.map(|reservation| {
            (asked.held as usize + reservation.count as usize, asked.cost.held + reservation.amount())
        });
        self.is_short = answer.is_some_and(|answer| answer.is_short);
        self.request = match answer {
            Some(reservation) if reservation.count > 0 => {
                self.reserved.push_back(reservation);
                Request::Possible
            }
            Some(_) if asked.max == 0 => Request::Possible,
            Some(none) => Request::Later(now + none.again_in.max(ASKED_AGAIN_MIN)),
            None => Request::Later(now + ASKED_AGAIN_AFTER),
        };
    }

    /// Returns the number of times to reserve at once.
    fn at_once(&self) -> usize {
        let Some(rate) = self.rate else { return COUNT_UNPACED };
        let n = RESERVED_AT_ONCE.as_nanos().div_ceil(rate.interval().as_nanos().max(1));
        usize::try_from(n).unwrap_or(COUNT_MAX).clamp(1, COUNT_MAX)
    }

    fn last(&self) -> Option<Moment> {
        self.reserved.back().map(|reserved| reserved.first + reserved.interval * reserved.count.saturating_sub(1))
    }

    /// Drops the times that are too late to be used: all processes together would otherwise exceed the rate for a while.
    fn drop_late(&mut self, now: Moment) {
        while let Some(next) = self.reserved.front_mut() {
            while next.count > 0 && next.first + next.usable_for < now {
                spend(next, 1);
            }
            if next.count > 0 {
                return;
            }
            self.reserved.pop_front();
        }
    }
}

/// Removes the first times of a reservation.
fn spend(reservation: &mut Reservation, n: u32) {
    reservation.first = reservation.first + reservation.interval * n;
    reservation.count -= n;
}

#[cfg(test)]
mod tests;
