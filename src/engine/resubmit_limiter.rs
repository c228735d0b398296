//! Brake on mass resubmission: many tasks that seem lost or in doubt at once are most likely not the cause.
//!
//! A few jobs may be resubmitted at any time. When more jobs wait, one goes first as a trial. Each successful trial doubles the number of
//! concurrent trials. A failed trial halves that number. If a single trial fails, the next one waits for a backoff.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::retry::Backoff;
use crate::model::job::JobId;
use crate::model::time::Moment;

/// Jobs that may be resubmitted at once without a trial.
const FREE: usize = 3;

/// Factor on the wait for the next trial, after a trial whose new task was lost too.
const LOST_TIMES: u32 = 30;

/// Evidence that a resubmission was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrialEvidence {
    /// Acceptance of the submission. It is enough for a job in doubt, whose earlier answer was lost.
    Accepted,
    /// End of the new task. It is required for a job whose earlier task was lost.
    Ended,
}

/// Decides which jobs may be resubmitted, and so be paid for again.
#[derive(Debug)]
pub(super) struct ResubmitLimiter {
    /// Jobs ready for resubmission, in order.
    waiting: VecDeque<(JobId, TrialEvidence)>,
    /// Jobs that become ready after their own backoff.
    coming: BTreeSet<JobId>,
    /// Resubmitted jobs that have not yet shown whether the resubmission was right.
    trials: BTreeMap<JobId, TrialEvidence>,
    /// Maximum number of concurrent trials.
    allowance: usize,
    /// Consecutive failed trials, while only one at a time is allowed.
    n_failed: u32,
    closed_until: Option<Moment>,
    backoff: Backoff,
}

impl ResubmitLimiter {
    /// Creates a brake whose waits repeat for the same seed of `backoff`.
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            waiting: VecDeque::new(),
            coming: BTreeSet::new(),
            trials: BTreeMap::new(),
            allowance: FREE,
            n_failed: 0,
            closed_until: None,
            backoff,
        }
    }

    /// Announces a job that becomes ready for resubmission after its own backoff.
    pub(super) fn announce(&mut self, job: JobId) {
        self.coming.insert(job);
    }

    /// Queues a job that is ready for resubmission.
    pub(super) fn push(&mut self, job: JobId, proof: TrialEvidence) {
        self.coming.remove(&job);
        self.waiting.push_back((job, proof));
    }

    /// Returns whether a job is on trial. It may then be submitted repeatedly until a submission is answered.
    pub(super) fn is_trial(&self, job: JobId) -> bool {
        self.trials.contains_key(&job)
    }

    /// Takes the next job that may be resubmitted now. The job is then on trial.
    pub(super) fn pop(&mut self, now: Moment) -> Option<JobId> {
        if self.waiting.is_empty() || !self.has_room(now, self.waiting.len()) {
            return None;
        }
        let (job, proof) = self.waiting.pop_front()?;
        self.trials.insert(job, proof);
        Some(job)
    }

    /// Returns whether a job whose task seems lost, one of `n_suspected`, may be resubmitted now. An admitted job is on trial.
    pub(super) fn admit(&mut self, now: Moment, job: JobId, n_suspected: usize) -> bool {
        let is_admitted = self.has_room(now, self.waiting.len() + n_suspected);
        if is_admitted {
            self.trials.insert(job, TrialEvidence::Ended);
        }
        is_admitted
    }

    /// Processes evidence: the submission of a job was answered, or its task has ended.
    pub(super) fn proved(&mut self, job: JobId, proof: TrialEvidence) {
        let is_proof = self.trials.get(&job).is_some_and(|wanted| *wanted == proof || proof == TrialEvidence::Ended);
        if is_proof {
            self.trials.remove(&job);
            self.allowance = self.allowance.saturating_mul(2);
            (self.n_failed, self.closed_until) = (0, None);
        }
    }

    /// Ends a failed trial: the job is in doubt again, or its new task is lost too.
    pub(super) fn failed(&mut self, now: Moment, job: JobId) {
        let Some(proof) = self.trials.remove(&job) else { return };
        let was_last = self.allowance == 1;
        self.allowance = (self.allowance / 2).max(1);
        if was_last {
            self.n_failed += 1;
            // A lost answer shows at once. A lost new task shows only after the duration of a task.
            let times = if proof == TrialEvidence::Ended { LOST_TIMES } else { 1 };
            self.closed_until = Some(now + self.backoff.after(self.n_failed) * times);
        }
    }

    /// Ends the trial of a job that was refused: a refusal proves nothing about the trial.
    pub(super) fn withdraw(&mut self, job: JobId) {
        self.trials.remove(&job);
    }

    /// Removes a job that leaves the engine without evidence.
    pub(super) fn forget(&mut self, job: JobId) {
        self.trials.remove(&job);
        self.coming.remove(&job);
        self.waiting.retain(|(waiting, _)| *waiting != job);
    }

    /// Returns the number of jobs that wait for resubmission.
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns when the next job may be resubmitted, if only time has to pass; otherwise `None`.
    pub(super) fn wake_at(&self, now: Moment) -> Option<Moment> {
        self.closed_until.filter(|until| *until > now && !self.waiting.is_empty())
    }

    fn has_room(&mut self, now: Moment, n_wanted: usize) -> bool {
        let n_crowd = n_wanted + self.coming.len() + self.trials.len();
        if self.allowance == FREE && self.n_failed == 0 && n_crowd > FREE {
            self.allowance = 1;
        }
        self.trials.len() < self.allowance && self.closed_until.is_none_or(|until| until <= now)
    }

    /// Resets the brake, unless a job is on trial, waiting or announced. Called when no task seems lost. Trial results apply to one
    /// accumulation of jobs; the next accumulation has its own cause.
    pub(super) fn rest(&mut self) {
        if self.trials.is_empty() && self.waiting.is_empty() && self.coming.is_empty() {
            (self.allowance, self.n_failed, self.closed_until) = (FREE, 0, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    fn at(secs: i64) -> Moment {
        Moment::new(secs * 1_000_000, Timestamp::from_millis(secs * 1000))
    }

    fn id(n: u8) -> JobId {
        JobId::from_bytes([n; 10])
    }

    fn brake(n_waiting: u8) -> ResubmitLimiter {
        let mut brake = ResubmitLimiter::new(Backoff::new(1));
        (0..n_waiting).for_each(|n| brake.push(id(n), TrialEvidence::Accepted));
        brake
    }

    fn popped(brake: &mut ResubmitLimiter, now: Moment) -> usize {
        std::iter::from_fn(|| brake.pop(now)).count()
    }

    #[test]
    fn a_few_go_at_once() {
        assert_eq!(popped(&mut brake(3), at(0)), 3);
    }

    #[test]
    fn of_many_one_goes_first_and_each_proof_lets_twice_as_many_go() {
        let mut brake = brake(20);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(0), TrialEvidence::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 2);
        brake.proved(id(1), TrialEvidence::Accepted);
        brake.proved(id(2), TrialEvidence::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 8);
    }

    #[test]
    fn a_trial_that_fails_makes_the_next_one_wait_longer_and_longer() {
        let mut brake = brake(20);
        let (mut now, mut waits) = (at(0), vec![]);
        for n in 0..5 {
            assert_eq!(popped(&mut brake, now), 1);
            brake.failed(now, id(n));
            let until = brake.wake_at(now).unwrap();
            assert_eq!(popped(&mut brake, now), 0);
            waits.push(until - now);
            now = until;
        }
        assert!(waits.windows(2).all(|pair| pair[1] > pair[0]), "{waits:?}");
    }

    #[test]
    fn of_many_lost_tasks_one_is_given_up_and_the_rest_only_when_its_new_task_ends() {
        let mut brake = brake(0);
        let mut n_admitted = 0;
        for n in 0..8 {
            n_admitted += usize::from(brake.admit(at(0), id(n), 8));
        }
        assert_eq!(n_admitted, 1);
        brake.proved(id(0), TrialEvidence::Accepted);
        assert!(!brake.admit(at(1), id(1), 7), "that it was accepted shows nothing");
        brake.proved(id(0), TrialEvidence::Ended);
        assert!(brake.admit(at(2), id(1), 7) && brake.admit(at(2), id(2), 6) && !brake.admit(at(2), id(3), 5));
    }

    #[test]
    fn what_was_learnt_is_forgotten_when_no_job_waits() {
        let mut brake = brake(4);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(0), TrialEvidence::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 2);
        brake.proved(id(1), TrialEvidence::Accepted);
        brake.proved(id(2), TrialEvidence::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(3), TrialEvidence::Accepted);
        brake.rest();
        (10..20).for_each(|n| brake.push(id(n), TrialEvidence::Accepted));
        assert_eq!(popped(&mut brake, at(0)), 1, "the next accumulation has a cause of its own");
    }

    #[test]
    fn a_job_that_was_announced_and_has_come_is_one_job() {
        let mut brake = brake(0);
        (0..3).for_each(|n| brake.announce(id(n)));
        (0..3).for_each(|n| brake.push(id(n), TrialEvidence::Accepted));
        assert_eq!(popped(&mut brake, at(0)), 3);
    }

    #[test]
    fn an_end_proves_more_than_an_acceptance() {
        let mut brake = brake(20);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(0), TrialEvidence::Ended);
        assert_eq!(popped(&mut brake, at(0)), 2);
    }

    #[test]
    fn a_failed_trial_halves_and_closes_only_if_it_was_the_only_one() {
        let mut brake = brake(40);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(0), TrialEvidence::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 2);
        brake.failed(at(1), id(1));
        assert_eq!(brake.wake_at(at(1)), None, "another one is under way");
        brake.withdraw(id(2));
        assert_eq!(popped(&mut brake, at(1)), 1, "half of two");
    }

    #[test]
    fn a_proof_ends_the_wait_and_its_growth() {
        let mut brake = brake(20);
        let first = brake.pop(at(0)).unwrap();
        let second = id(99);
        brake.trials.insert(second, TrialEvidence::Accepted);
        brake.failed(at(0), first);
        assert!(brake.wake_at(at(0)).is_some() && brake.n_failed == 1);
        brake.proved(second, TrialEvidence::Accepted);
        assert_eq!((brake.wake_at(at(0)), brake.n_failed), (None, 0));
    }

    #[test]
    fn a_job_that_is_forgotten_counts_nowhere() {
        let mut brake = brake(2);
        brake.announce(id(10));
        brake.announce(id(11));
        (10..12).for_each(|n| brake.forget(id(n)));
        assert_eq!(popped(&mut brake, at(0)), 2, "two are no crowd");
        (0..2).for_each(|n| brake.forget(id(n)));
        assert!(!brake.is_trial(id(0)));
        brake.push(id(20), TrialEvidence::Accepted);
        brake.forget(id(20));
        assert_eq!((brake.n_waiting(), brake.pop(at(0))), (0, None));
    }
}
