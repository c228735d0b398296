//! Rate limiter for a rate that several processes keep together: spends the times that are reserved for this one, and asks for more.
//!
//! Without a reserved time nothing leaves. A process that cannot reach the others' server therefore sends nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::shared_rate::{Reservation, SharedRate};
use crate::model::time::Moment;

/// Time for which a process reserves at once. What a process that dies had reserved is lost.
const RESERVED_AT_ONCE: Duration = Duration::from_millis(500);

/// Time before the last reserved one at which more are asked for: the answer takes a while.
const ASKED_BEFORE: Duration = Duration::from_millis(250);

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
pub struct ReservedRate {
    rate: SharedRate,
    /// Reserved times that are not spent, in order.
    reserved: VecDeque<Reservation>,
    request: Request,
}

impl ReservedRate {
    /// Creates a limiter without any reserved time.
    pub const fn new(rate: SharedRate) -> Self {
        Self { rate, reserved: VecDeque::new(), request: Request::Possible }
    }

    /// Sets another rate. Times that are reserved stay.
    pub const fn set_rate(&mut self, rate: SharedRate) {
        self.rate = rate;
    }

    /// Takes one permit, or returns the moment of the next attempt; `None` if it is not known yet.
    pub fn take(&mut self, now: Moment) -> Result<(), Option<Moment>> {
        self.drop_late(now);
        let Some(next) = self.reserved.front_mut() else { return Err(None) };
        if next.first > now {
            return Err(Some(next.first));
        }
        spend(next, 1);
        self.reserved.pop_front_if(|next| next.count == 0);
        Ok(())
    }

    /// Returns how many times to reserve, for `n_wanted` submissions that could leave now. Returns `None` if none are needed, or none can
    /// be asked for at present. The answer must follow.
    pub fn ask(&mut self, now: Moment, n_wanted: usize) -> Option<u32> {
        self.drop_late(now);
        let n_reserved: usize = self.reserved.iter().map(|reserved| reserved.count as usize).sum();
        let is_possible = match self.request {
            Request::Possible => true,
            Request::Later(moment) => moment <= now,
            Request::Sent => false,
        };
        let is_soon = self.last().is_none_or(|last| last <= now + ASKED_BEFORE);
        let n_missing = n_wanted.saturating_sub(n_reserved).min(self.at_once());
        if !is_possible || !is_soon || n_missing == 0 {
            return None;
        }
        self.request = Request::Sent;
        u32::try_from(n_missing).ok()
    }

    /// Returns the moment at which the next request is possible; `None` if it is possible now, or an answer is awaited.
    pub const fn asks_at(&self) -> Option<Moment> {
        match self.request {
            Request::Later(moment) => Some(moment),
            Request::Possible | Request::Sent => None,
        }
    }

    /// Processes the answer to a request: times, or how long to wait before the next request.
    pub fn answered(&mut self, now: Moment, answer: Result<Reservation, Duration>) {
        self.request = match answer {
            Ok(reservation) => {
                self.reserved.push_back(reservation);
                Request::Possible
            }
            Err(wait) => Request::Later(now + wait.max(ASKED_AGAIN_MIN)),
        };
    }

    /// Returns the number of times to reserve at once.
    fn at_once(&self) -> usize {
        let n = RESERVED_AT_ONCE.as_nanos().div_ceil(self.rate.interval().as_nanos().max(1));
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
