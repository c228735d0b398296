//! Limiter for a rate and a number of tasks in flight that several processes keep together: spends the times that are reserved for this one, and
//! asks for more.
//!
//! Without a reserved time nothing leaves. A process that cannot reach the others' server therefore sends nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::limits::{Concurrency, Limits, Rate};
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
    /// Number of submissions that the server counts as held by this process; `None` if it is not known.
    counted: Option<usize>,
    /// What the last request said that this process holds.
    asked: ReserveRequest,
    /// Reserved times that are not spent, in order.
    reserved: VecDeque<Reservation>,
    request: Request,
}

impl ReservedRate {
    /// Creates a limiter without any reserved time.
    pub(super) const fn new(rate: Option<SharedRate>, has_places: bool) -> Self {
        let asked = ReserveRequest { max: 0, held: 0 };
        Self { rate, has_places, counted: Some(0), asked, reserved: VecDeque::new(), request: Request::Possible }
    }

    /// Creates the limiter of what processes keep together; `None` if they keep nothing together.
    pub(super) fn from_limits(rate: Option<Rate>, limits: &Limits) -> Option<Self> {
        let rate = rate.map(|rate| SharedRate { rate, burst: limits.burst });
        let has_places = limits.is_shared && limits.concurrency != Concurrency::Auto;
        (rate.is_some() || has_places).then(|| Self::new(rate, has_places))
    }

    /// Sets another rate. Times that are reserved stay.
    pub(super) const fn set_rate(&mut self, rate: SharedRate) {
        self.rate = Some(rate);
    }

    /// Takes note that the tasks in flight are limited.
    pub(super) const fn limit_places(&mut self) {
        self.has_places = true;
    }

    /// Returns whether the last request was in vain, as other processes have all places: only the end of a task brings one.
    pub(super) const fn is_short_of_places(&self) -> bool {
        self.has_places && self.rate.is_none() && matches!(self.request, Request::Later(_))
    }

    /// Gives up the reserved times, which cannot be used for a while, if other processes wait for the places.
    pub(super) fn give_up(&mut self) {
        if self.has_places {
            self.reserved.clear();
        }
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
    /// If the tasks in flight are limited, a request without a time gives back the places that are no longer needed.
    pub(super) fn ask(&mut self, now: Moment, n_wanted: usize, n_out: usize) -> Option<ReserveRequest> {
        self.drop_late(now);
        let n_reserved: usize = self.reserved.iter().map(|reserved| reserved.count as usize).sum();
        let is_possible = match self.request {
            Request::Possible => true,
            Request::Later(moment) => moment <= now,
            Request::Sent => false,
        };
        let is_soon = self.last().is_none_or(|last| last <= now + ASKED_BEFORE);
        let n_missing = n_wanted.saturating_sub(n_reserved).min(self.at_once());
        let n_held = n_reserved + n_out;
        let n_asked = if is_soon { n_missing } else { 0 };
        let gives_back = self.has_places && self.counted.is_none_or(|counted| counted > n_held);
        if !is_possible || (n_asked == 0 && !gives_back) {
            return None;
        }
        self.request = Request::Sent;
        let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
        self.asked = ReserveRequest { max: number(n_asked), held: number(n_held) };
        Some(self.asked)
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
        self.counted = answer.map(|reservation| self.asked.held as usize + reservation.count as usize);
        self.request = match answer {
            Some(reservation) if reservation.count > 0 => {
                self.reserved.push_back(reservation);
                Request::Possible
            }
            Some(_) if self.asked.max == 0 => Request::Possible,
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
