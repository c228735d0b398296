//! When a run is over, and why it stops before its end. Nothing here loses a paid task: what is left stays in the ledger.

use std::time::Duration;

use crate::engine::turn::Stop;
use crate::engine::{Engine, Loading};
use crate::model::event::Stage;
use crate::model::limits::OnQuota;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Moment;

/// How long polls and downloads under way may take to come back after a stop: they cost nothing and are done again by the
/// next run. A submission is always waited for.
const ANSWERS_AWAITED: Duration = Duration::from_secs(5);

/// A provider that has not answered once is out of reach for this part of the limit: most likely its address is wrong.
const NEVER_ANSWERED_SHARE: u32 = 20;

/// Polls one after the other that are refused for the token, before the run stops.
const UNAUTHORIZED_MAX: u32 = 3;

impl Engine {
    /// Jobs in memory that wait to be submitted.
    pub(super) fn n_unsubmitted(&self) -> usize {
        self.to_submit.len() + self.to_submit_later.len() + self.brake.n_waiting() + self.refusals.n_waiting()
    }

    /// Over means: nothing is awaited, and nothing is left that this run would still do.
    pub(super) fn is_over(&self, now: Moment) -> bool {
        if self.loading == Loading::Asked || self.lane.n_submits_out() > 0 {
            return false;
        }
        let is_awaiting = self.lane.n_out() > 0;
        match &self.stop {
            None => !is_awaiting && self.loading == Loading::Done && self.jobs.is_empty(),
            // What only waits to be submitted stays in the ledger.
            Some(stop) if stop.drains() => !is_awaiting && self.jobs.len() == self.n_unsubmitted(),
            Some(_) => !is_awaiting || self.gives_up_at().is_some_and(|moment| moment <= now),
        }
    }

    /// When a stopped run no longer waits for polls and downloads.
    pub(super) fn gives_up_at(&self) -> Option<Moment> {
        self.stopped_at.map(|stopped_at| stopped_at + ANSWERS_AWAITED)
    }

    /// Stops before the end. The first reason stands, unless the tasks in flight cannot, or shall not, be seen through any more.
    pub(super) fn stop_with(&mut self, now: Moment, stop: Stop) {
        let is_new = match &self.stop {
            None => true,
            Some(before) => before.drains() && !stop.drains(),
        };
        if is_new {
            self.stopped_at = (!stop.drains()).then_some(now);
            self.stop = Some(stop);
        }
    }

    /// A job has ended. Too many that have failed stop the run.
    pub(super) fn ended(&mut self, now: Moment, is_failure: bool) {
        self.n_ended += 1;
        self.n_failures += u64::from(is_failure);
        // A part of the jobs is also reached by one that has not failed: by the last one of the first few.
        if self.limits.failures_max.is_some_and(|max| max.is_reached(self.n_failures, self.n_ended)) {
            self.stop_with(now, Stop::Failures(self.n_failures));
        }
    }

    /// Counts the time that the run may take from this moment on, which is the begin of this process.
    pub fn count_duration_from(&mut self, began: Moment) {
        self.ends_at = self.limits.duration_max.map(|max| began + max);
    }

    /// When the time is up after which nothing more is submitted; counted from the first look unless it was told since when.
    pub(super) fn time_is_up_at(&mut self, now: Moment) -> Option<Moment> {
        if self.ends_at.is_none() {
            self.count_duration_from(now);
        }
        self.ends_at
    }

    /// Some faults are not one job's: they stop the run, or hold it back.
    pub(super) fn stop_for(&mut self, now: Moment, stage: Stage, fault: &Fault) {
        match (fault.kind, stage) {
            (FaultKind::Unauthorized, Stage::Poll | Stage::Task) => {
                // One refusal among successes of the same token is not the token's.
                self.n_polls_unauthorized += 1;
                if self.n_polls_unauthorized >= UNAUTHORIZED_MAX {
                    self.stop_with(now, Stop::Unauthorized(fault.clone()));
                }
            }
            (FaultKind::QuotaExhausted { .. }, Stage::Submit | Stage::Task) => self.quota_spent(now, fault),
            (FaultKind::Transient | FaultKind::InDoubt, Stage::Submit)
            | (
                FaultKind::Transient
                | FaultKind::InDoubt
                | FaultKind::Rejected
                | FaultKind::QuotaExhausted { .. }
                | FaultKind::Moderated
                | FaultKind::InvalidRequest
                | FaultKind::BadOutput,
                Stage::Poll,
            ) => {
                if self.is_out_of_reach(now, stage) {
                    self.stop_with(now, Stop::Unreachable(stage, fault.clone()));
                }
            }
            // An image host's refusal concerns one link.
            (
                FaultKind::Throttled { .. }
                | FaultKind::QuotaExhausted { .. }
                | FaultKind::Unauthorized
                | FaultKind::Transient
                | FaultKind::InDoubt
                | FaultKind::Rejected
                | FaultKind::TaskLost
                | FaultKind::Moderated
                | FaultKind::InvalidRequest
                | FaultKind::BadOutput,
                _,
            ) => (),
        }
    }

    /// Acts on the provider's word that the allowance is used up, once there is a job that would need more of it. Says whether that
    /// keeps submissions from leaving.
    pub(super) fn meet_spent(&mut self, now: Moment) -> bool {
        if !self.to_submit.is_empty()
            && let Some(fault) = self.spent.take()
        {
            self.quota_spent(now, &fault);
        }
        self.stop.is_some()
    }

    fn quota_spent(&mut self, now: Moment, fault: &Fault) {
        match (self.limits.on_quota, fault.kind) {
            (OnQuota::Wait, FaultKind::QuotaExhausted { resets_at }) => {
                // By the provider's clock, where it is known: ours may be wrong.
                let resets_at = fault.resets_in.map(|wait| (now + wait).wall()).or(resets_at);
                self.lane.quota_spent(now, resets_at);
            }
            (OnQuota::Stop | OnQuota::Wait, _) => self.stop_with(now, Stop::Quota(fault.clone())),
        }
    }

    /// Whether requests of this kind have met nothing but transient faults for longer than the user waits.
    pub(super) fn is_out_of_reach(&self, now: Moment, stage: Stage) -> bool {
        let max = self.limits.outage_max;
        let max = if self.lane.has_answered() { max } else { max / NEVER_ANSWERED_SHARE };
        self.lane.down_for(now, stage).is_some_and(|down_for| down_for >= max)
    }
}
