//! Budget of submissions that several processes of a run share: its rate, the requests for further times, and pauses for all.

use std::time::Duration;

use super::{Lane, in_two_seconds, per_second};
use crate::engine::reserved_rate::ReservedRate;
use crate::model::shared_rate::{Reservation, SharedRate};
use crate::model::time::Moment;

impl Lane {
    /// Sets the rate of all processes together.
    pub fn share_rate(&mut self, rate: SharedRate) {
        match &mut self.reserved {
            Some(reserved) => reserved.set_rate(rate),
            None => self.reserved = Some(ReservedRate::new(rate)),
        }
        self.per_second = Some(per_second(rate.rate));
        self.submits_max = self.submits_max.max(in_two_seconds(Some(rate.rate)));
    }

    /// Returns the end of a pause of all submissions that the provider named; `None` without one.
    pub fn named_pause(&self, now: Moment) -> Option<Moment> {
        self.submits.named_pause(now)
    }

    /// Returns how many times to reserve, if so many submissions are ready; `None` if none can be asked for at present.
    pub fn reserve(&mut self, now: Moment, n_ready: usize) -> Option<u32> {
        let is_open = n_ready > 0 && self.submits.hold(now).is_none();
        let room = self.check_submit(now).ok().filter(|_| is_open)?;
        self.reserved.as_mut()?.ask(now, n_ready.min(room))
    }

    /// Returns the moment at which further times can be asked for; `None` if it is not known, or has come.
    pub fn reserves_at(&self) -> Option<Moment> {
        self.reserved.as_ref()?.asks_at()
    }

    /// Processes the answer to a request for times.
    pub fn reserved(&mut self, now: Moment, answer: Result<Reservation, Duration>) {
        if let Some(reserved) = &mut self.reserved {
            reserved.answered(now, answer);
        }
    }
}
