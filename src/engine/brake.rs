//! Holds back mass resubmission: when many tasks seem lost or in doubt at once, the cause is most likely not the tasks.
//!
//! A few jobs may be submitted again at any time. When more want to, one goes first as a trial. Each trial that comes out well doubles how
//! many may be on trial at once; one that fails halves it, and a single one that fails makes the next one wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::retry::Backoff;
use crate::model::job::JobId;
use crate::model::time::Moment;

/// Jobs that may be submitted again at once without a trial.
const FREE: usize = 3;

/// How many times longer the next trial waits where a new task was lost too.
const LOST_TIMES: u32 = 30;

/// What shows that submitting a job again was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its submission is answered: it was in doubt because an answer was lost.
    Accepted,
    /// Its new task ends: the one before was lost.
    Ended,
}

/// Decides which jobs may be submitted again, and so be paid for again.
#[derive(Debug)]
pub struct ResubmitBrake {
    /// Jobs that are ready to be submitted again, in their order.
    waiting: VecDeque<(JobId, Proof)>,
    /// Jobs that will be ready after a wait of their own.
    coming: BTreeSet<JobId>,
    /// Jobs that were submitted again and have not shown whether that was right.
    trials: BTreeMap<JobId, Proof>,
    /// How many may be on trial at once.
    allowance: usize,
    /// Trials one after the other that failed.
    n_failed: u32,
    closed_until: Option<Moment>,
    backoff: Backoff,
}

impl ResubmitBrake {
    /// A brake whose waits repeat for the same seed.
    pub fn new(backoff: Backoff) -> Self {
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

    /// A job will be ready to be submitted again after a wait of its own.
    pub fn announce(&mut self, job: JobId) {
        self.coming.insert(job);
    }

    /// A job is ready to be submitted again.
    pub fn push(&mut self, job: JobId, proof: Proof) {
        self.coming.remove(&job);
        self.waiting.push_back((job, proof));
    }

    /// Whether a job may be submitted as often as it takes until its submission is answered, as it is on trial.
    pub fn is_trial(&self, job: JobId) -> bool {
        self.trials.contains_key(&job)
    }

    /// The next job that may be submitted again now.
    pub fn pop(&mut self, now: Moment) -> Option<JobId> {
        if self.waiting.is_empty() || !self.has_room(now, self.waiting.len()) {
            return None;
        }
        let (job, proof) = self.waiting.pop_front()?;
        self.trials.insert(job, proof);
        Some(job)
    }

    /// Whether a job whose task seems lost, one of `n_suspected`, may be submitted again now. It is then on trial.
    pub fn admit(&mut self, now: Moment, job: JobId, n_suspected: usize) -> bool {
        let is_admitted = self.has_room(now, self.waiting.len() + n_suspected);
        if is_admitted {
            self.trials.insert(job, Proof::Ended);
        }
        is_admitted
    }

    /// A job's submission was answered, or its task has ended.
    pub fn proved(&mut self, job: JobId, proof: Proof) {
        let is_proof = self.trials.get(&job).is_some_and(|wanted| *wanted == proof || proof == Proof::Ended);
        if is_proof {
            self.trials.remove(&job);
            self.allowance = self.allowance.saturating_mul(2);
            (self.n_failed, self.closed_until) = (0, None);
        }
    }

    /// A job is in doubt again, or its new task is lost too.
    pub fn failed(&mut self, now: Moment, job: JobId) {
        let Some(proof) = self.trials.remove(&job) else { return };
        let was_last = self.allowance == 1;
        self.allowance = (self.allowance / 2).max(1);
        if was_last {
            self.n_failed += 1;
            // An answer that is lost shows at once; that a new task is lost as well takes as long as the task.
            let times = if proof == Proof::Ended { LOST_TIMES } else { 1 };
            self.closed_until = Some(now + self.backoff.after(self.n_failed) * times);
        }
    }

    /// A job on trial was refused, which shows nothing: it is on trial no longer.
    pub fn withdraw(&mut self, job: JobId) {
        self.trials.remove(&job);
    }

    /// A job leaves the engine without an answer that says anything.
    pub fn forget(&mut self, job: JobId) {
        self.trials.remove(&job);
        self.coming.remove(&job);
        self.waiting.retain(|(waiting, _)| *waiting != job);
    }

    /// Jobs that wait to be submitted again.
    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// When the next job may go, if only time has to pass.
    pub fn wake_at(&self, now: Moment) -> Option<Moment> {
        self.closed_until.filter(|until| *until > now && !self.waiting.is_empty())
    }

    fn has_room(&mut self, now: Moment, n_wanted: usize) -> bool {
        let n_crowd = n_wanted + self.coming.len() + self.trials.len();
        if self.allowance == FREE && self.n_failed == 0 && n_crowd > FREE {
            self.allowance = 1;
        }
        self.trials.len() < self.allowance && self.closed_until.is_none_or(|until| until <= now)
    }

    /// No task seems lost at present. What was learnt holds for one accumulation of jobs, and the next one has a cause of its own.
    pub fn rest(&mut self) {
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

    fn brake(n_waiting: u8) -> ResubmitBrake {
        let mut brake = ResubmitBrake::new(Backoff::new(1));
        (0..n_waiting).for_each(|n| brake.push(id(n), Proof::Accepted));
        brake
    }

    fn popped(brake: &mut ResubmitBrake, now: Moment) -> usize {
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
        brake.proved(id(0), Proof::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 2);
        brake.proved(id(1), Proof::Accepted);
        brake.proved(id(2), Proof::Accepted);
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
        brake.proved(id(0), Proof::Accepted);
        assert!(!brake.admit(at(1), id(1), 7), "that it was accepted shows nothing");
        brake.proved(id(0), Proof::Ended);
        assert!(brake.admit(at(2), id(1), 7) && brake.admit(at(2), id(2), 6) && !brake.admit(at(2), id(3), 5));
    }

    #[test]
    fn what_was_learnt_is_forgotten_when_no_job_waits() {
        let mut brake = brake(4);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(0), Proof::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 2);
        brake.proved(id(1), Proof::Accepted);
        brake.proved(id(2), Proof::Accepted);
        assert_eq!(popped(&mut brake, at(0)), 1);
        brake.proved(id(3), Proof::Accepted);
        brake.rest();
        (10..20).for_each(|n| brake.push(id(n), Proof::Accepted));
        assert_eq!(popped(&mut brake, at(0)), 1, "the next accumulation has a cause of its own");
    }
}
