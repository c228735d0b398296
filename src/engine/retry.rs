//! Retry policy: what follows a fault, which is another attempt after a wait, or the end of the job.
//!
//! Providers classify faults, and this policy decides.

use std::time::Duration;

use crate::model::event::Stage;
use crate::model::limits::{InDoubtPolicy, Limits, RepeatCost};
use crate::model::outcome::{Fault, FaultKind, IMAGES_MAX};
use crate::model::phase::JobState;

/// First wait of a backoff.
const BASE: Duration = Duration::from_secs(1);

/// Maximum wait of a backoff.
const CAP: Duration = Duration::from_secs(60);

/// Exponential backoff with equal jitter: half of the wait is fixed, the other half is random.
#[derive(Debug)]
pub(crate) struct Backoff(fastrand::Rng);

impl Backoff {
    /// Creates a backoff whose random waits repeat for the same seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Returns the wait after `n` consecutive setbacks (from 1): 0.5 to 1 s, doubled each time, up to a minute.
    pub(crate) fn after(&mut self, n: u32) -> Duration {
        let whole = BASE.saturating_mul(1 << n.saturating_sub(1).min(16)).min(CAP);
        whole.mul_f64(0.5 + 0.5 * self.0.f64())
    }

    /// Returns a random number from 0 to 1.
    pub(crate) fn draw(&mut self) -> f64 {
        self.0.f64()
    }
}

/// Consequence of a fault for its job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryVerdict {
    /// Another attempt, after this wait.
    Again {
        /// Time before the next attempt.
        after: Duration,
    },
    /// Hold: the job is left to the user in its present phase.
    Hold,
    /// Failure of the job.
    Fail,
}

/// Policy that decides what follows a fault.
#[derive(Debug)]
pub(crate) struct RetryPolicy {
    backoff: Backoff,
    retries_max: u32,
    resubmits_max: u32,
    in_doubt: InDoubtPolicy,
    repeats: RepeatCost,
}

impl RetryPolicy {
    /// Creates the policy that these limits describe.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            backoff: Backoff::new(limits.seed),
            retries_max: limits.retries_max,
            resubmits_max: limits.resubmits_max,
            in_doubt: limits.in_doubt,
            repeats: limits.repeats,
        }
    }

    /// Returns the verdict on a job with the state `past` that meets `fault` at `stage`.
    pub(crate) fn judge(&mut self, stage: Stage, fault: &Fault, past: &JobState) -> RetryVerdict {
        let at_once = RetryVerdict::Again { after: Duration::ZERO };
        let kind = fault.kind;
        match stage {
            // The lane's gate or the end of the run makes the job wait.
            Stage::Submit if kind.concerns_all_jobs() => at_once,
            // Another attempt may only cost money.
            Stage::Submit if kind.blames_job() => RetryVerdict::Fail,
            Stage::Submit if kind.leaves_doubt() => match self.in_doubt {
                // Past the limit, the job stays in doubt.
                InDoubtPolicy::Auto | InDoubtPolicy::Resubmit if self.may_repeat(past) => self.repeat(past),
                InDoubtPolicy::Auto | InDoubtPolicy::Resubmit => RetryVerdict::Hold,
                InDoubtPolicy::Hold => RetryVerdict::Hold,
                InDoubtPolicy::Fail => RetryVerdict::Fail,
            },
            Stage::Submit => self.retry(past.n_setbacks, self.retries_max),
            // The task is paid for: only an answer of the provider ends the polling.
            Stage::Poll => at_once,
            Stage::Download if kind.refuses_request() => RetryVerdict::Fail,
            // All images that are ever fetched of a task are stored.
            Stage::Download if fault.kept.len() >= IMAGES_MAX => RetryVerdict::Fail,
            Stage::Download => self.retry(past.n_setbacks, self.retries_max),
            Stage::Task if kind.refuses_request() || kind == FaultKind::BadOutput => RetryVerdict::Fail,
            // The task is paid for and may be found again. Past the limit, the job stays with it.
            Stage::Task if kind == FaultKind::TaskLost => self.repay(past, RetryVerdict::Hold),
            // The task was accepted, whatever ended it, and the next one is paid for again.
            Stage::Task => self.repay(past, RetryVerdict::Fail),
        }
    }

    /// Returns whether a job with the state `past` may be submitted once more, although that may be paid for again.
    pub(crate) fn may_repay(&self, past: &JobState) -> bool {
        past.n_repaid() < self.resubmits_max
    }

    /// Returns whether a job in doubt with the state `past` is submitted once more.
    pub(crate) fn may_repeat(&self, past: &JobState) -> bool {
        match (self.in_doubt, self.repeats) {
            (InDoubtPolicy::Hold | InDoubtPolicy::Fail, _) => false,
            (InDoubtPolicy::Auto, RepeatCost::Again) => past.n_repaid() == 0 && self.may_repay(past),
            (InDoubtPolicy::Auto, RepeatCost::Nothing | RepeatCost::Once) => past.n_setbacks < self.retries_max,
            // Each further submission may be paid for.
            (InDoubtPolicy::Resubmit, _) => self.may_repay(past),
        }
    }

    fn repeat(&mut self, past: &JobState) -> RetryVerdict {
        RetryVerdict::Again { after: self.backoff.after(past.n_repaid() + 1) }
    }

    fn repay(&mut self, past: &JobState, otherwise: RetryVerdict) -> RetryVerdict {
        if self.may_repay(past) {
            RetryVerdict::Again { after: self.backoff.after(past.n_repaid() + 1) }
        } else {
            otherwise
        }
    }

    /// Returns the longest wait of a backoff, for a job that has had all the shorter ones.
    pub(crate) fn longest(&mut self) -> Duration {
        self.backoff.after(u32::MAX)
    }

    /// Returns the wait before the next poll, after `n` consecutive failed polls.
    pub(crate) fn poll_again_after(&mut self, n: u32) -> Duration {
        self.backoff.after(n)
    }

    fn retry(&mut self, n_before: u32, max: u32) -> RetryVerdict {
        if n_before < max {
            RetryVerdict::Again { after: self.backoff.after(n_before + 1) }
        } else {
            RetryVerdict::Fail
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stage::{Download, Poll, Submit, Task};

    /// Verdicts in the order of `FaultKind::ALL`: `a` for another attempt, `f` for a failure, `h` for a hold.
    fn verdicts(limits: &Limits, stage: Stage, past: &JobState) -> String {
        let mut judge = RetryPolicy::new(limits);
        let letter = |kind| match judge.judge(stage, &Fault::new(kind, ""), past) {
            RetryVerdict::Again { .. } => 'a',
            RetryVerdict::Hold => 'h',
            RetryVerdict::Fail => 'f',
        };
        FaultKind::ALL.into_iter().map(letter).collect()
    }

    #[test]
    fn every_fault_at_every_stage_has_its_verdict() {
        let fresh = JobState::default();
        let worn = JobState { n_setbacks: 8, n_lost: 1, n_in_doubt: 1, ..JobState::default() };
        let limits = Limits::default();
        for (stage, at_first, in_the_end) in [
            (Submit, "aaaaffffaf", "aafhffffaf"),
            (Poll, "aaaaaaaaaa", "aaaaaaaaaa"),
            (Download, "aaaaaaffaa", "ffffffffff"),
            (Task, "aaaaaaffaf", "fffffhffff"),
        ] {
            assert_eq!(verdicts(&limits, stage, &fresh), at_first, "{stage:?} at first");
            assert_eq!(verdicts(&limits, stage, &worn), in_the_end, "{stage:?} in the end");
        }
    }

    #[test]
    fn a_submit_in_doubt_follows_the_users_choice() {
        for (in_doubt, letter) in
            [(InDoubtPolicy::Resubmit, 'a'), (InDoubtPolicy::Hold, 'h'), (InDoubtPolicy::Fail, 'f')]
        {
            let limits = Limits { in_doubt, ..Limits::default() };
            assert_eq!(verdicts(&limits, Submit, &JobState::default()).chars().nth(3), Some(letter));
        }
    }

    /// Goal: without a word of the user, a doubt costs at most one more payment, and none where nothing is paid twice.
    #[test]
    fn a_doubt_is_repeated_once_where_that_costs_and_often_where_it_does_not() {
        let in_doubt = |n_in_doubt| JobState { n_in_doubt, n_setbacks: n_in_doubt, ..JobState::default() };
        let letters = |repeats, resubmits_max| -> String {
            let limits = Limits { repeats, resubmits_max, retries_max: 4, ..Limits::default() };
            (0..6).map(|n| verdicts(&limits, Submit, &in_doubt(n)).chars().nth(3).unwrap()).collect()
        };
        assert_eq!(letters(RepeatCost::Again, 2), "ahhhhh");
        assert_eq!(letters(RepeatCost::Again, 0), "hhhhhh");
        assert_eq!(letters(RepeatCost::Once, 2), "aaaahh");
        assert_eq!(letters(RepeatCost::Nothing, 0), "aaaahh");
    }

    #[test]
    fn what_was_lost_before_a_job_was_reopened_no_longer_counts() {
        let reopened = JobState { n_lost: 3, n_lost_before_reopen: 3, ..JobState::default() };
        assert_eq!(verdicts(&Limits::default(), Task, &reopened), "aaaaaaffaf");
        let lost_again = JobState { n_lost: 5, ..reopened };
        assert_eq!(verdicts(&Limits::default(), Task, &lost_again), "fffffhffff");
    }

    #[test]
    fn without_retries_the_first_setback_fails() {
        let limits = Limits { retries_max: 0, resubmits_max: 0, ..Limits::default() };
        assert_eq!(verdicts(&limits, Submit, &JobState::default()), "aafhffffaf");
        assert_eq!(verdicts(&limits, Task, &JobState::default()), "fffffhffff");
    }

    #[test]
    fn waits_double_up_to_a_minute_and_are_never_the_same_for_all() {
        let mut backoff = Backoff::new(7);
        for n in 1..=40 {
            let whole = Duration::from_secs(1 << (n - 1).min(6)).min(CAP);
            let wait = backoff.after(n);
            assert!(wait >= whole / 2 && wait <= whole, "{n}: {wait:?}");
        }
        let draws: std::collections::BTreeSet<_> = (0..100).map(|_| backoff.after(3)).collect();
        assert!(draws.len() > 90);
    }

    #[test]
    fn the_same_seed_draws_the_same_waits() {
        let draw = |seed| -> Vec<_> {
            let mut backoff = Backoff::new(seed);
            (1..9).map(|n| backoff.after(n)).collect()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
