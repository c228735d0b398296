//! End of a run: when it is over, and why it stops before its end.
//!
//! No paid task is lost here: unfinished jobs stay in the ledger.

use std::time::Duration;

use crate::engine::loading::Loading;
use crate::engine::state::EngineState;
use crate::engine::turn::StopReason;
use crate::model::event::Stage;
use crate::model::job::JobId;
use crate::model::limits::QuotaPolicy;
use crate::model::outcome::{Acceptance, Fault, FaultKind};
use crate::model::time::Moment;

/// Maximum wait for the answers of polls and downloads after a stop. They cost nothing, and the next run repeats them. The answer to a
/// submission is always awaited.
const ANSWERS_AWAITED: Duration = Duration::from_secs(5);

/// Divisor of the outage limit for a provider that has never answered: most likely its address is wrong.
const NEVER_ANSWERED_SHARE: u32 = 20;

/// Consecutive polls refused for the token, after which the run stops.
const UNAUTHORIZED_MAX: u32 = 3;

impl EngineState {
    /// Returns the number of jobs in memory that wait for submission.
    pub(super) fn n_unsubmitted(&self) -> usize {
        self.to_submit.len()
            + self.to_submit_later.len()
            + self.brake.n_waiting()
            + self.refusals.n_waiting()
            + self.model_quotas.n_held()
    }

    /// Returns whether the run is over: no answer is awaited, and this run has nothing left to do.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        if matches!(self.loading, Loading::Asked { .. }) || self.lane.n_submits_out() > 0 {
            return false;
        }
        let is_awaiting = self.lane.n_out() + self.images.n_out() > 0;
        match &self.stop {
            None => !is_awaiting && self.loading == Loading::Done && self.jobs.is_empty(),
            // Jobs that only wait for submission stay in the ledger.
            Some(stop) if stop.drains() => !is_awaiting && self.jobs.len() == self.n_unsubmitted(),
            Some(_) => !is_awaiting || self.gives_up_at().is_some_and(|moment| moment <= now),
        }
    }

    /// Returns when a stopped run no longer waits for polls and downloads; `None` without such a stop.
    pub(super) fn gives_up_at(&self) -> Option<Moment> {
        self.stopped_at.map(|stopped_at| stopped_at + ANSWERS_AWAITED)
    }

    /// Stops the run before its end. The first reason is kept, unless the tasks in flight can or shall no longer be completed.
    pub(super) fn stop_with(&mut self, now: Moment, stop: StopReason) {
        let is_new = match &self.stop {
            None => true,
            Some(before) => before.drains() && !stop.drains(),
        };
        if is_new {
            self.stopped_at = (!stop.drains()).then_some(now);
            self.stop = Some(stop);
        }
    }

    /// Counts a job that has ended. Too many failed jobs stop the run.
    pub(super) fn ended(&mut self, now: Moment, is_failure: bool) {
        self.n_ended += 1;
        self.n_failures += u64::from(is_failure);
        let n_failures = self.n_failures + self.elsewhere.n_failures;
        let n_ended = self.n_ended + self.elsewhere.n_ended;
        // A job that succeeds may also reach a relative limit: as the last one of the first few jobs.
        if self.limits.failures_max.is_some_and(|max| max.is_reached(n_failures, n_ended)) {
            self.stop_with(now, StopReason::Failures(n_failures));
        }
    }

    /// Records at the end of the run that other jobs are outstanding, if there are any.
    pub(super) fn close_part(&mut self) {
        self.stop = self.stop.take().or_else(|| self.part.stop());
    }

    /// Starts the time limit of the run at `began`, which is the beginning of this process.
    pub(super) fn count_duration_from(&mut self, began: Moment) {
        self.ends_at = self.limits.duration_max.map(|max| began + max);
    }

    /// Returns the moment after which nothing more is submitted; `None` means no limit. The time counts from the first call, unless its
    /// beginning was set earlier.
    pub(super) fn time_is_up_at(&mut self, now: Moment) -> Option<Moment> {
        if self.ends_at.is_none() {
            self.count_duration_from(now);
        }
        self.ends_at
    }

    /// Stops the run, or holds it back, after a fault that is not the fault of one job.
    pub(super) fn stop_for(&mut self, now: Moment, stage: Stage, fault: &Fault) {
        let is_unreachable = match stage {
            Stage::Submit => fault.kind.is_outage(),
            Stage::Poll => fault.kind.hides_task(),
            // A refusal by an image host concerns one link.
            Stage::Download | Stage::Task => false,
        };
        match (fault.kind, stage) {
            (FaultKind::Unauthorized, Stage::Poll | Stage::Task) => {
                // A single refusal among successes of the same token is not caused by the token.
                self.n_polls_unauthorized += 1;
                if self.n_polls_unauthorized >= UNAUTHORIZED_MAX {
                    self.stop_with(now, StopReason::Unauthorized(fault.clone()));
                }
            }
            (FaultKind::QuotaExhausted { .. }, Stage::Submit | Stage::Task) => self.quota_spent(now, fault),
            _ if is_unreachable && self.is_out_of_reach(now, stage) => {
                self.stop_with(now, StopReason::Unreachable(stage, fault.clone()));
            }
            _ => (),
        }
    }

    /// Reacts to the provider's report of a used-up quota, once a job would need more of it. Returns whether submissions must not leave.
    pub(super) fn meet_spent(&mut self, now: Moment) -> bool {
        if !self.to_submit.is_empty()
            && let Some(fault) = self.spent.take()
        {
            self.quota_spent(now, &fault);
        }
        self.stop.is_some()
    }

    /// Records what an accepted submission says of the quota of its model.
    pub(super) fn meet_model_quota(&mut self, now: Moment, id: JobId, left_at: Moment, acceptance: &Acceptance) {
        let model = &self.jobs[&id].job.request.model;
        self.model_quotas.answered(model, id);
        self.model_quotas.accepted(now, model, left_at, acceptance.model_quota_left);
        if let Some(spent) = acceptance.spent.as_ref().filter(|spent| spent.is_model_quota) {
            self.model_quotas.spent(now, model, spent);
        }
    }

    /// Stops the run when only jobs are left whose model has no quota left.
    pub(super) fn meet_model_stop(&mut self, now: Moment) {
        let is_waited_for = self.n_unsubmitted() > self.model_quotas.n_held()
            || self.lane.n_submits_out() > 0
            || !(self.has_loaded_all() || self.model_quotas.is_full());
        if let Some(fault) = self.model_quotas.stop().filter(|_| !is_waited_for) {
            let stop = StopReason::Quota(fault.clone());
            self.stop_with(now, stop);
        }
    }

    fn quota_spent(&mut self, now: Moment, fault: &Fault) {
        match (self.limits.on_quota, fault.kind) {
            (QuotaPolicy::Wait, FaultKind::QuotaExhausted { resets_at }) => {
                // The provider's clock counts where it is known: the local clock may be wrong.
                let resets_at = fault.resets_in.map(|wait| (now + wait).wall()).or(resets_at);
                self.lane.quota_spent(now, resets_at);
            }
            (QuotaPolicy::Stop | QuotaPolicy::Wait, _) => self.stop_with(now, StopReason::Quota(fault.clone())),
        }
    }

    /// Returns whether requests of this kind have met only transient faults for longer than the outage limit.
    pub(super) fn is_out_of_reach(&self, now: Moment, stage: Stage) -> bool {
        self.lane.down_for(now, stage).is_some_and(|down_for| down_for >= self.outage_max())
    }

    fn outage_max(&self) -> Duration {
        let max = self.limits.outage_max;
        if self.lane.has_answered() { max } else { max / NEVER_ANSWERED_SHARE }
    }

    /// Returns the outage limit of an image host. It is shorter as long as no image has ever arrived.
    pub(super) fn image_outage_max(&self) -> Duration {
        let max = self.limits.outage_max;
        if self.images.has_delivered() { max } else { max / NEVER_ANSWERED_SHARE }
    }

    /// Shortens a wait in an outage, so that the last probe leaves when the outage limit is reached. The run then stops in time, and no
    /// probe later.
    pub(super) fn probe_in_time(&mut self, now: Moment, stage: Stage, wait: Duration) -> Duration {
        let Some(deadline) = self.lane.down_since(stage).map(|since| since + self.outage_max()) else { return wait };
        if deadline <= now {
            return wait;
        }
        self.lane.probe_by(stage, deadline);
        wait.min(deadline - now)
    }
}
