//! Attribution of a refusal where a rate is known: to that rate, or to the slots.
//!
//! A rate refuses what comes faster than it allows, and slots refuse at one number of tasks in flight, however slowly submissions come.
//! A refusal of a submission for which there certainly was a token, or at a pace that the rate was seen to accept, is therefore due to slots.

use crate::engine::concurrency_window::ConcurrencyWindow;
use crate::engine::estimated_rate::EstimatedRate;
use crate::engine::random_refusals::LoadLevel;
use crate::engine::submit_permit::SubmitPermit;
use crate::model::time::Moment;

/// Consecutive refusals, at fewer and fewer tasks in flight, after which a missing slot is the cause. Also limits undecided refusals.
const PATIENCE: u32 = 4;

/// Limit that causes a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalCause {
    Rate,
    Window,
}

/// Limits as they were before cuts that may not help.
#[derive(Debug)]
pub(super) struct LimitsBeforeCut {
    /// Maximum recent acceptance rate at a refusal since then, in submissions per second.
    pub pace: f64,
    pub window: ConcurrencyWindow,
    pub rate: EstimatedRate,
}

/// Refusal whose cause is not known yet.
#[derive(Debug)]
pub(super) struct Hypothesis {
    pub n_others: usize,
    /// Moment from which one task beyond the window may be submitted as a test: a rate would allow one again.
    pub test_at: Moment,
    /// Maximum number of other tasks in flight at a later acceptance; `None` before one.
    pub n_others_max: Option<usize>,
    /// Refusals since the case was opened that did not decide it.
    pub n_undecided: u32,
    pub window_before: ConcurrencyWindow,
    pub rate_before: EstimatedRate,
}

impl Hypothesis {
    /// Returns the cause of a further refusal with `n_others` other tasks in flight, of which `doubt` may have ended undetected; `None` if it
    /// is not known. `n_refusals` have come in a row. The previous cause is `before`; `lasting` is the same, as long as nothing contradicts it.
    pub(super) fn judge(
        &self,
        n_others: usize,
        doubt: usize,
        n_refusals: u32,
        before: Option<RefusalCause>,
        lasting: Option<RefusalCause>,
    ) -> Option<RefusalCause> {
        match self.n_others_max {
            Some(max) if max >= n_others + doubt || n_others + doubt < self.n_others => Some(RefusalCause::Rate),
            Some(_) if doubt == 0 || self.n_undecided >= PATIENCE => Some(RefusalCause::Window),
            Some(_) => lasting.filter(|cause| *cause == RefusalCause::Rate),
            // Tasks ended and that did not help. Time may help, for some refusals.
            None if n_others < self.n_others && n_refusals < PATIENCE => None,
            // Without any comparable knowledge, the rate is a guess, and may have been tested too soon.
            None if n_refusals < PATIENCE - 1 && self.is_news(before) => None,
            None => Some(RefusalCause::Window),
        }
    }

    /// Returns whether nothing known so far predicted this case.
    const fn is_news(&self, before: Option<RefusalCause>) -> bool {
        before.is_none() || (self.n_others + 1) * 4 < self.window_before.cap()
    }
}

impl RefusalCause {
    /// Returns how the load at a refusal compares with the known limits, by the limit that refuses, if known. `rate` and `window` compare it
    /// with one of them.
    pub(super) fn load(reason: Option<Self>, rate: Option<LoadLevel>, window: Option<LoadLevel>) -> LoadLevel {
        match (reason, rate, window) {
            (_, Some(LoadLevel::Beyond), None) | (Some(Self::Rate) | None, Some(LoadLevel::Beyond), Some(_)) => {
                LoadLevel::Beyond
            }
            (_, _, Some(LoadLevel::Beyond)) => LoadLevel::Beyond,
            (Some(Self::Rate), Some(load), _) | (_, Some(load), None) => load,
            (Some(Self::Window), _, Some(load)) | (_, None, Some(load)) => load,
            (None, Some(LoadLevel::Within), Some(LoadLevel::Within)) => LoadLevel::Within,
            (None, Some(_), Some(_)) | (_, None, None) => LoadLevel::Unclear,
        }
    }

    /// Returns the cause of the refusal of a submission where a rate is known; `None` if neither limit explains it better. So many tasks in
    /// flight may have ended undetected.
    pub(super) fn beside_rate(
        now: Moment,
        permit: SubmitPermit,
        window: &ConcurrencyWindow,
        rate: &EstimatedRate,
        n_undetected: usize,
    ) -> Option<Self> {
        let n_others = permit.n_others();
        let is_found = window.is_found();
        let is_beyond = is_found && n_others >= window.cap();
        let is_near = is_beyond || (is_found && n_others + 1 + n_undetected >= window.known());
        let may_be_slots = is_near || !is_found;
        let (is_used, is_grown) = (rate.is_used(now), rate.is_grown(now));
        if permit.has_token() {
            return may_be_slots.then_some(Self::Window);
        }
        let is_rate = !may_be_slots || is_used || (is_grown && !is_beyond);
        if is_rate && !rate.is_unexplained() {
            return Some(Self::Rate);
        }
        (may_be_slots && !is_used && !is_grown).then_some(Self::Window)
    }
}

#[cfg(test)]
mod tests;
