//! Accepted submissions: their tasks or images, and what they cost.

use std::time::Duration;

use crate::engine::resubmit_limiter::TrialEvidence;
use crate::engine::spending::Settled;
use crate::engine::state::EngineState;
use crate::engine::tracked::Tracked;
use crate::model::event::EventKind;
use crate::model::job::JobId;
use crate::model::money::{Charge, Money};
use crate::model::outcome::{Acceptance, Status, Url};
use crate::model::time::Moment;

impl EngineState {
    pub(super) fn accepted(&mut self, now: Moment, id: JobId, acceptance: Acceptance) {
        let ticket = self.ticket(id);
        self.lane.submit_accepted(now, ticket, acceptance.remaining);
        self.listening.answered(self.awake.total());
        (self.has_accepted, self.has_accepted_here, self.n_polls_unauthorized) = (true, true, 0);
        self.brake.proved(id, TrialEvidence::Accepted);
        self.owners.insert(acceptance.task.clone(), id);
        if let Some(pause) = acceptance.pause {
            self.lane.pause_submits(now, pause);
        }
        self.meet_model_quota(now, id, ticket.left_at(), &acceptance);
        self.spent = acceptance.spent.filter(|spent| !spent.is_model_quota);
        self.quota_left = acceptance.quota_left;
        self.last_accepted_at = Some(now);
        self.settle(id, Settled::Paid);
        self.emit(now, id, EventKind::Accepted(acceptance.task));
        if let Some(money) = acceptance.cost {
            self.charge(now, id, money);
        }
        let (awake, order) = (self.awake.total(), self.fifo.accepted());
        let tracked = self.tracked(id);
        tracked.watch = tracked.watch.again(now);
        tracked.accepted(awake, order);
        let watch = tracked.watch;
        if acceptance.images.is_empty() {
            self.schedule.plan(now, id, watch);
        } else {
            self.lane.task_done(now, now - ticket.left_at(), Duration::ZERO);
            self.images_came(now, id, acceptance.images);
        }
        self.settle_refusals(now, ticket.left_at());
    }

    /// Processes the images that came in the answer to a submission: there is no task to poll.
    pub(super) fn images_came(&mut self, now: Moment, id: JobId, urls: Vec<Url>) {
        self.brake.proved(id, TrialEvidence::Ended);
        self.task_ended(id);
        self.images.push(now, id, &urls);
        self.emit(now, id, EventKind::Ready(urls));
    }

    /// Settles the cost of a submission of this job that was answered.
    pub(super) fn settle(&mut self, id: JobId, settled: Settled) {
        let reserved = std::mem::take(&mut self.tracked(id).reserved);
        self.spending.settle(&self.jobs[&id].job.request, reserved, settled);
    }

    /// Records what an answer says that the last submission of this job cost.
    pub(super) fn charge(&mut self, now: Moment, id: JobId, money: Money) {
        let Tracked { job, state, .. } = &self.jobs[&id];
        // A task that is polled again says it again.
        if state.charge.as_ref() == Some(&money) {
            return;
        }
        self.spending.charge(&job.request, state.charge.as_ref(), &money);
        let charge = Charge { submission: state.n_submits, money };
        self.emit(now, id, EventKind::Charged(charge));
    }

    /// Records the cost that a status says, and returns the status without it.
    pub(super) fn charged_first(&mut self, now: Moment, id: JobId, mut status: Status) -> Status {
        while let Status::Charged(charged) = status {
            let (money, inner) = *charged;
            self.charge(now, id, money);
            status = inner;
        }
        status
    }
}
