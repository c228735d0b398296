//! Lost submissions: their answers never came, and the provider can be asked what became of them.
//!
//! Until it has answered, such a submission is neither accepted nor in doubt, and its job waits. An answer that says nothing leaves the
//! doubt to the policy for doubts.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::lost_submissions::Lost;
use crate::engine::schedule::PollState;
use crate::engine::spending::Settled;
use crate::engine::state::EngineState;
use crate::engine::turn::{Action, FindRequest};
use crate::model::event::{EventKind, Stage};
use crate::model::history::TaskKind;
use crate::model::job::JobId;
use crate::model::outcome::{Acceptance, Fault, FaultKind, Found};
use crate::model::time::Moment;

/// Maximum number of submissions in one question.
const BATCH_MAX: usize = 100;

impl EngineState {
    /// Handles a doubt about a submission of this process. Returns the fault if the provider cannot be asked.
    pub(super) fn ask_about(&mut self, now: Moment, id: JobId, fault: Fault) -> Option<Fault> {
        let Some(settles_after) = self.limits.settles_after.filter(|_| fault.kind.leaves_doubt()) else {
            return Some(fault);
        };
        self.occupy(id);
        self.lost.push(now + settles_after, id, Lost::new(fault, true));
        None
    }

    /// Handles a submission that an earlier process left without an answer. Returns whether the provider can be asked.
    pub(super) fn ask_about_earlier(&mut self, now: Moment, id: JobId) -> bool {
        let Some(settles_after) = self.limits.settles_after else { return false };
        let sent_at = self.jobs[&id].state.submitted_at.map_or(now, |wall| now.at_wall(wall)).min(now);
        let at = (sent_at + settles_after).max(now).min(now + settles_after);
        self.occupy(id);
        self.lost.push(at, id, Lost::new(Fault::unanswered(), false));
        true
    }

    /// Counts the submission as a task at the provider, which it may be.
    fn occupy(&mut self, id: JobId) {
        self.lane.task_found();
        self.tracked(id).is_in_flight = true;
    }

    /// Asks about the submissions that are due.
    pub(super) fn plan_finds(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Moment> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some(id) = self.lost.take_due(now)
        {
            let tracked = &self.jobs[&id];
            let sent_at = tracked.state.submitted_at.unwrap_or_else(|| now.wall());
            let number = tracked.state.submission_number();
            batch.push(FindRequest { job: Arc::clone(&tracked.job), number, sent_at });
        }
        if !batch.is_empty() {
            actions.push(Action::Find(batch));
        }
        self.lost.next()
    }

    /// Handles what the provider says about a lost submission.
    pub(super) fn found(&mut self, now: Moment, id: JobId, answer: Result<Found, Fault>) {
        let Some(mut lost) = self.lost.remove(id) else { return };
        match answer {
            Ok(Found::Accepted(acceptance)) => match self.other_owner(id, &acceptance.task) {
                None => self.found_accepted(now, id, &lost, *acceptance),
                Some(fault) => self.leave_in_doubt(now, id, &lost, fault),
            },
            Ok(Found::Absent) => {
                self.task_ended(id);
                self.clarify(id, &lost, Settled::Free);
                let words =
                    format!("the provider has no such submission, so that it is sent again; before, {}", lost.fault);
                self.set_back(now, id, Stage::Submit, Fault::new(FaultKind::Transient, words));
            }
            Ok(Found::Unknown) => self.leave_in_doubt(now, id, &lost, lost.fault.clone()),
            // An outage is no answer. The doubt is left to the policy after the longest outage that the user accepts.
            Err(_) if lost.unanswered_since.is_some_and(|since| now - since >= self.limits.outage_max) => {
                self.leave_in_doubt(now, id, &lost, lost.fault.clone());
            }
            Err(fault) => {
                lost.n_tries += 1;
                lost.unanswered_since.get_or_insert(now);
                let wait = self.retry.poll_again_after(lost.n_tries);
                self.lost.push(now + wait.max(fault.retry_after.unwrap_or(Duration::ZERO)), id, lost);
            }
        }
    }

    fn found_accepted(&mut self, now: Moment, id: JobId, lost: &Lost, acceptance: Acceptance) {
        self.clarify(id, lost, Settled::Paid);
        (self.has_accepted, self.has_accepted_here) = (true, true);
        self.owners.insert(acceptance.task.clone(), id);
        self.emit(now, id, EventKind::Accepted(acceptance.task));
        if let Some(money) = acceptance.cost {
            self.charge(now, id, money);
        }
        let (awake, order) = (self.awake.total(), self.fifo.accepted());
        let tracked = self.tracked(id);
        let accepted_at = tracked.state.submitted_at.map_or(now, |wall| now.at_wall(wall)).min(now);
        tracked.accepted(awake, order);
        let kind = TaskKind::of(&tracked.job.request);
        let watch = PollState::restored(self.schedule.kind(kind), accepted_at);
        self.tracked(id).watch = watch;
        match acceptance.images {
            images if images.is_empty() => self.schedule.plan_at(now, id, watch),
            images => self.images_came(now, id, images),
        }
    }

    /// Leaves a submission to the policy for doubts.
    fn leave_in_doubt(&mut self, now: Moment, id: JobId, lost: &Lost, fault: Fault) {
        self.task_ended(id);
        if lost.is_own {
            self.doubtful(now, id, fault);
        } else {
            self.set_back(now, id, Stage::Submit, fault);
        }
    }

    /// Handles a submission of this process that may have been accepted, and about which the provider cannot tell more.
    pub(super) fn doubtful(&mut self, now: Moment, id: JobId, fault: Fault) {
        self.settle(id, Settled::InDoubt);
        self.brake.failed(now, id);
        if fault.kind.is_refusal() {
            self.refused(now, id, fault);
        } else {
            self.set_back(now, id, Stage::Submit, fault);
        }
    }

    /// Settles the cost of a submission that was found, or surely was not accepted.
    fn clarify(&mut self, id: JobId, lost: &Lost, settled: Settled) {
        if lost.is_own {
            return self.settle(id, settled);
        }
        // The cost of earlier processes counts it as in doubt.
        self.spending.clarify(&self.jobs[&id].job.request, settled);
    }
}
