//! Attribution of a refusal where a rate is known: to that rate, or to the slots.
//!
//! A rate refuses what comes faster than it allows, and slots refuse at one number of tasks in flight, however slowly submissions come.
//! A refusal of a submission for which there certainly was a token, or at a pace that the rate was seen to accept, is therefore due to slots.

use crate::engine::concurrency_window::ConcurrencyWindow;
use crate::engine::estimated_rate::EstimatedRate;
use crate::engine::submit_permit::SubmitPermit;
use crate::model::time::Moment;

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

impl RefusalCause {
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
