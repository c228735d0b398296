//! Requests for times, places and amounts, under limits that other processes of the run keep too.

use crate::engine::reserved_rate::Wish;
use crate::engine::state::EngineState;
use crate::engine::turn::{Action, StopReason};
use crate::model::job::JobId;
use crate::model::shared_rate::Reservation;
use crate::model::time::Moment;

impl EngineState {
    /// Reserves times for the submissions that are ready, if other processes keep the rate too. Returns the moment of the next request.
    pub(super) fn plan_reserve(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Moment> {
        let next = self.next_to_submit().filter(|_| self.stop.is_none() && !self.is_backed_up());
        let n_ready = if next.is_some() { self.to_submit.len().max(1) } else { 0 };
        let request_of = |id: JobId| &self.jobs[&id].job.request;
        let most =
            |n: usize| self.spending.most(next.iter().chain(&self.to_submit).take(n + 1).map(|id| request_of(*id)));
        let wish = Wish {
            n: n_ready,
            first: next.and_then(|id| self.spending.reservation(request_of(id))),
            most: &most,
            surplus: self.spending.surplus(),
        };
        if let Some(request) = self.lane.reserve(now, &wish) {
            actions.push(Action::Reserve(request));
        }
        self.lane.reserves_at().filter(|moment| next.is_some() && *moment > now)
    }

    /// Gives back what a process that has stopped does not need, while its tasks in flight are completed.
    pub(super) fn give_back(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.plan_reserve(now, actions);
    }

    /// Processes the answer to a request for times. If the limit on the cost leaves no room for the next submission, and none is under way, the
    /// run stops.
    pub(super) fn reserved(&mut self, now: Moment, answer: Option<Reservation>) {
        self.lane.reserved(now, answer);
        if let Some(Reservation { each, reached: Some(reached), .. }) = answer
            && self.stop.is_none()
            && self.lane.n_submits_out() == 0
            && let Some(next) = self.next_to_submit()
        {
            let request = &self.jobs[&next].job.request;
            // The answer may be for dearer jobs behind it.
            if self.spending.reservation(request).is_none_or(|next| each <= next) {
                let reached = self.spending.reached(reached, request);
                self.stop_with(now, StopReason::Cost(reached));
            }
        }
    }
}
