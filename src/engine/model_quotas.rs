//! Quotas of single models: a used-up one holds back the jobs of its model, and no other job.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::pacer::Pacer;
use crate::engine::quota_hint::QuotaHint;
use crate::engine::retry::Backoff;
use crate::model::job::JobId;
use crate::model::limits::{Limits, QuotaPolicy};
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Moment;

/// Number of jobs held back at which no further jobs are loaded: a bound on memory.
const HELD_MAX: usize = 10_000;

/// Models whose quota is known to end.
#[derive(Debug)]
pub(super) struct ModelQuotas {
    models: BTreeMap<String, ModelQuota>,
    limits: Limits,
}

/// Quota of one model.
#[derive(Debug)]
struct ModelQuota {
    /// Gate that is closed until the quota resets.
    gate: Pacer,
    /// Last report that the quota is used up; `None` while it is not.
    spent: Option<Fault>,
    hint: QuotaHint,
    /// Jobs whose submission is under way.
    under_way: BTreeSet<JobId>,
    /// Jobs that are held back, in order.
    held: VecDeque<JobId>,
}

impl ModelQuota {
    /// Returns whether one more submission must wait. With `QuotaPolicy::Stop`, a used-up quota lasts for the rest of the run.
    fn is_closed(&self, now: Moment, policy: QuotaPolicy) -> bool {
        let is_spent = self.spent.is_some() && policy == QuotaPolicy::Stop;
        let is_probing = self.gate.is_probing() && !self.under_way.is_empty();
        is_spent || is_probing || self.gate.hold(now).is_some() || !self.hint.has_room(self.under_way.len())
    }
}

impl ModelQuotas {
    /// Creates the state in which no model has a known quota.
    pub(super) fn new(limits: &Limits) -> Self {
        Self { models: BTreeMap::new(), limits: limits.clone() }
    }

    /// Records that the quota of this model is used up.
    pub(super) fn spent(&mut self, now: Moment, model: &str, fault: &Fault) {
        if let FaultKind::QuotaExhausted { resets_at } = fault.kind {
            // The provider's clock counts where it is known: the local clock may be wrong.
            let resets_at = fault.resets_in.map(|wait| (now + wait).wall()).or(resets_at);
            let quota = self.quota(model);
            quota.gate.spent(now, resets_at);
            quota.spent = Some(fault.clone());
        }
    }

    /// Records an accepted submission that left at `left_at`, and the number of further ones that the model's quota allows, if reported.
    pub(super) fn accepted(&mut self, now: Moment, model: &str, left_at: Moment, remaining: Option<u64>) {
        if remaining.is_none() && !self.models.contains_key(model) {
            return;
        }
        let quota = self.quota(model);
        quota.hint.told(now, left_at, remaining);
        quota.gate.succeeded(now);
        quota.spent = quota.spent.take().filter(|_| quota.gate.is_probing());
    }

    /// Returns whether a submission to this model must wait for its quota.
    pub(super) fn is_closed(&self, now: Moment, model: &str) -> bool {
        self.models.get(model).is_some_and(|quota| quota.is_closed(now, self.limits.on_quota))
    }

    /// Holds a job back.
    pub(super) fn hold(&mut self, model: &str, job: JobId) {
        self.quota(model).held.push_back(job);
    }

    /// Takes the jobs that are held back no longer: one of a model whose quota may still be used up, or all.
    pub(super) fn release(&mut self, now: Moment) -> Vec<JobId> {
        let mut released = Vec::new();
        for quota in self.models.values_mut().filter(|quota| !quota.is_closed(now, self.limits.on_quota)) {
            let n_max = if quota.gate.is_probing() { 1 } else { quota.held.len() };
            let n_out = quota.under_way.len();
            let n = (0..n_max.min(quota.held.len())).take_while(|n| quota.hint.has_room(n_out + n)).count();
            released.extend(quota.held.drain(..n));
        }
        released
    }

    /// Records a submission that leaves.
    pub(super) fn left(&mut self, model: &str, job: JobId) {
        if let Some(quota) = self.models.get_mut(model) {
            quota.under_way.insert(job);
        }
    }

    /// Records a submission that was answered.
    pub(super) fn answered(&mut self, model: &str, job: JobId) {
        if let Some(quota) = self.models.get_mut(model) {
            quota.under_way.remove(&job);
        }
    }

    /// Returns the number of jobs that are held back.
    pub(super) fn n_held(&self) -> usize {
        self.models.values().map(|quota| quota.held.len()).sum()
    }

    /// Returns whether so many jobs are held back that no further ones can be loaded.
    pub(super) fn is_full(&self) -> bool {
        self.n_held() >= HELD_MAX
    }

    /// Returns when the first quota resets for which jobs wait; `None` if none does by itself.
    pub(super) fn wake_at(&self, now: Moment) -> Option<Moment> {
        let waiting = self.models.values().filter(|quota| !quota.held.is_empty());
        waiting
            .filter(|_| self.limits.on_quota == QuotaPolicy::Wait)
            .filter_map(|quota| quota.gate.hold(now))
            .map(|hold| hold.until)
            .min()
    }

    /// Returns the report on a quota for which jobs wait and which lasts for the rest of the run; `None` without one.
    pub(super) fn stop(&self) -> Option<&Fault> {
        let stopping = self.models.values().filter(|_| self.limits.on_quota == QuotaPolicy::Stop);
        stopping.filter(|quota| !quota.held.is_empty()).find_map(|quota| quota.spent.as_ref())
    }

    fn quota(&mut self, model: &str) -> &mut ModelQuota {
        let (seed, wait_max) = (self.limits.seed ^ 0x9d, self.limits.wait_max);
        self.models.entry(model.to_owned()).or_insert_with(|| ModelQuota {
            gate: Pacer::new(None, None, Backoff::new(seed), wait_max),
            spent: None,
            hint: QuotaHint::default(),
            under_way: BTreeSet::new(),
            held: VecDeque::new(),
        })
    }
}

#[cfg(test)]
mod tests;
