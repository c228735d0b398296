//! Budget of submissions that several processes of a run share: its rate, its tasks in flight, its cost, requests for them, and
//! pauses for all.

use super::{Lane, in_two_seconds};
use crate::engine::reserved_rate::{ReservedRate, Wish};
use crate::model::amount::Amount;
use crate::model::shared_rate::{Reservation, ReserveRequest, SharedRate};
use crate::model::time::Moment;

impl Lane {
    /// Sets the rate of all processes together.
    pub fn share_rate(&mut self, rate: SharedRate) {
        match &mut self.reserved {
            Some(reserved) => reserved.set_rate(rate),
            None => self.reserved = Some(ReservedRate::new(Some(rate), false)),
        }
        self.per_second = Some(rate.rate.per_second());
        self.submits_max = self.submits_max.max(in_two_seconds(Some(rate.rate)));
    }

    /// Takes note that the tasks in flight of all processes together are limited.
    pub fn share_places(&mut self) {
        self.reserved.get_or_insert_with(|| ReservedRate::new(None, true)).limit_places();
    }

    /// Takes note that the cost of all processes together is limited.
    pub(crate) fn share_cost(&mut self) {
        self.reserved.get_or_insert_with(|| ReservedRate::new(None, false)).limit_cost();
    }

    /// Sets what the next submission may cost, for a limit that other processes keep too; `None` if it is unknown.
    pub(crate) fn expect_cost(&mut self, cost: Option<Amount>) {
        if let Some(reserved) = &mut self.reserved {
            reserved.expect_cost(cost);
        }
    }

    /// Gives up what is reserved: the server may have forgotten it.
    pub(crate) fn forget_reserved(&mut self) {
        if let Some(reserved) = &mut self.reserved {
            reserved.forget();
        }
    }

    /// Returns the end of a pause of all submissions that the provider named; `None` without one.
    pub(crate) fn named_pause(&self, now: Moment) -> Option<Moment> {
        self.submits.named_pause(now)
    }

    /// Returns the request for times for the submissions that are ready; `None` if there is none at present.
    pub(in crate::engine) fn reserve(&mut self, now: Moment, wish: &Wish<'_>) -> Option<ReserveRequest> {
        let is_open = self.submits.hold(now).is_none();
        let room = self.check_submit(now).ok().filter(|_| is_open && wish.n > 0).unwrap_or(0);
        let reserved = self.reserved.as_mut()?;
        if !is_open {
            reserved.give_up();
        }
        reserved.ask(now, (wish.n.min(room), self.n_submits_out), wish)
    }

    /// Returns the moment at which further times can be asked for; `None` if it is not known, or has come.
    pub(crate) fn reserves_at(&self) -> Option<Moment> {
        self.reserved.as_ref()?.asks_at()
    }

    /// Processes the answer to a request for times.
    pub(crate) fn reserved(&mut self, now: Moment, answer: Option<Reservation>) {
        if let Some(reserved) = &mut self.reserved {
            reserved.answered(now, answer);
        }
    }
}
