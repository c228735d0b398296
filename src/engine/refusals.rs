//! Detection of refusals that affect every job, as distinct from the refusal of one job.
//!
//! A wrong address, a misrouted gateway, a retired model and a revoked token refuse any job. A firewall that blocks one prompt refuses that
//! job and no other. One refusal alone does not show which it is. A later success of another job does. Jobs that were not refused yet are
//! therefore tried first. A clear refusal is free, so that any number of them may be tried, one after the other.

use std::time::Duration;

use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Moment;

/// Number of jobs with the same refusal, and no success in between, that proves the network path the cause.
const JOBS_MAX: usize = 5;

/// Number of jobs with a refused token that proves the token the cause. A token is tried less often.
const JOBS_MAX_UNAUTHORIZED: usize = 3;

/// Number of jobs that may be in doubt because all are refused by something that is not certainly the API. Jobs that are refused already
/// are tried again beyond it.
const DOUBTS_MAX: usize = 2 * JOBS_MAX;

/// Time for which all that is left is refused, and further attempts in that time, after which the refusals are the jobs' own.
const OWN_AFTER: Duration = Duration::from_secs(5);
const OWN_TRIES: u32 = 3;

/// Further jobs whose refusal, after a token was refused for several jobs among accepted ones, proves the token the cause.
const UNAUTHORIZED_PROBES: u32 = 2;

/// Maximum number of characters of a message that are compared.
const WORDS_CHARS_MAX: usize = 200;

/// Refusals since the last success.
#[derive(Debug, Default)]
pub(super) struct RefusalStreak {
    met: Vec<RefusedJob>,
    /// Submissions that were accepted since the first of these refusals came, whenever they left.
    n_accepted: usize,
    /// Block of submissions because of the refusals; `None` without one.
    block: Option<RefusalBlock>,
}

/// Block of all submissions but one at a time.
#[derive(Debug)]
struct RefusalBlock {
    since: Moment,
    /// Job that is tried meanwhile.
    probe: Option<JobId>,
    /// Attempts so far.
    n_probes: u32,
    /// Attempts that were refused, and how many of them were repeated ones.
    n_refused: u32,
    n_repeated: u32,
}

/// Job that was refused.
#[derive(Debug)]
struct RefusedJob {
    job: JobId,
    signature: String,
    fault: Fault,
    came_at: Moment,
    /// Says whether the job waits here. Otherwise it is being tried again, or it is held.
    is_waiting: bool,
    /// Says whether no submission has been accepted since this refusal.
    is_last: bool,
}

/// Conclusion from a success about a job that was refused before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SettledRefusal {
    /// Refused job.
    pub job: JobId,
    /// Most recent refusal of the job.
    pub fault: Fault,
    /// Says whether other jobs were refused for the same reason at that time.
    pub is_shared: bool,
}

impl RefusalStreak {
    /// Records a refused job. It waits here if it may be tried again. Returns whether enough jobs have met the same refusal.
    pub(super) fn push(&mut self, now: Moment, job: JobId, fault: &Fault, may_wait: bool) -> bool {
        let signature = signature(fault);
        if self.met.is_empty() {
            self.n_accepted = 0;
        }
        let n_before = self.met.len();
        self.met.retain(|met| met.job != job);
        if let Some(block) = self.block.as_mut().filter(|block| block.probe == Some(job)) {
            block.n_refused += 1;
            block.n_repeated += u32::from(self.met.len() < n_before);
            block.probe = None;
        }
        self.met.push(RefusedJob {
            job,
            signature,
            fault: fault.clone(),
            came_at: now,
            is_waiting: may_wait,
            is_last: true,
        });
        let max = if fault.kind == FaultKind::Unauthorized { JOBS_MAX_UNAUTHORIZED } else { JOBS_MAX };
        let signature = &self.met[self.met.len() - 1].signature;
        self.met.iter().filter(|met| met.is_last && met.signature == *signature).count() >= max
    }

    /// Holds submissions back from now on, except for one at a time.
    pub(super) fn block(&mut self, now: Moment) {
        let block = RefusalBlock { since: now, probe: None, n_probes: 0, n_refused: 0, n_repeated: 0 };
        self.block.get_or_insert(block);
    }

    /// Returns whether submissions are held back.
    pub(super) const fn is_blocking(&self) -> bool {
        self.block.is_some()
    }

    /// Returns whether every job that is refused at present was refused clearly, by the API itself.
    pub(super) fn are_clear(&self) -> bool {
        self.met.iter().filter(|met| met.is_last).all(|met| !met.fault.kind.leaves_doubt())
    }

    /// Returns whether the token is the cause, although submissions were accepted with it before: jobs that were tried since are refused too.
    pub(super) fn is_token_refused(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.n_refused - block.n_repeated >= UNAUTHORIZED_PROBES)
    }

    /// Returns whether the refusals are the jobs' own, given that no other job is left to try: the API, which has accepted other jobs, has
    /// refused them clearly and again.
    pub(super) fn are_own(&self, now: Moment) -> bool {
        let is_proved = |block: &RefusalBlock| block.n_repeated >= OWN_TRIES && now - block.since >= OWN_AFTER;
        self.are_clear() && self.block.as_ref().is_some_and(is_proved)
    }

    /// Returns whether as many submissions were accepted meanwhile as jobs were refused.
    pub(super) const fn are_among_accepted(&self) -> bool {
        self.n_accepted >= self.met.len()
    }

    /// Returns the jobs that meet the refusals at present.
    pub(super) fn jobs(&self) -> impl Iterator<Item = JobId> {
        self.met.iter().filter(|met| met.is_last).map(|met| met.job)
    }

    /// Returns how many submissions may be under way: as many as may still meet the same refusal. `None` means any number.
    pub(super) fn submits_max(&self, has_succeeded: bool) -> Option<usize> {
        match self.met.iter().filter(|met| met.is_last).count() {
            _ if self.is_blocking() => Some(1),
            0 if has_succeeded => None,
            n => Some(JOBS_MAX.saturating_sub(n).max(1)),
        }
    }

    /// Returns the job to try next while submissions are held back. `fresh` is the next job that was not refused.
    ///
    /// A fresh job shows most: if it is accepted, the refusals are those of the other jobs, or have passed. Where an attempt may leave a
    /// doubt, a fresh job and a refused one are tried in turn, and few fresh ones.
    pub(super) fn probe(&self, fresh: Option<JobId>) -> Option<JobId> {
        let n_probes = self.block.as_ref().map_or(0, |block| block.n_probes);
        let n_met = self.met.iter().filter(|met| met.is_last).count();
        let is_fresh = self.are_clear() || (n_met < DOUBTS_MAX && n_probes % 2 == 1);
        let refused = self.met.iter().find(|met| met.is_waiting).map(|met| met.job);
        if is_fresh { fresh.or(refused) } else { refused.or(fresh) }
    }

    /// Records that this job is tried while submissions are held back.
    pub(super) fn probing(&mut self, job: JobId) {
        let Some(block) = &mut self.block else { return };
        (block.probe, block.n_probes) = (Some(job), block.n_probes + 1);
        for met in self.met.iter_mut().filter(|met| met.job == job) {
            met.is_waiting = false;
        }
    }

    /// Processes the acceptance of a submission that left at `left_at`. A job that was refused before that moment was refused for reasons
    /// that have passed, or for its own content.
    pub(super) fn succeeded(&mut self, left_at: Moment) -> Vec<SettledRefusal> {
        self.n_accepted += 1;
        if self.met.is_empty() {
            return Vec::new();
        }
        let settled = |met: &RefusedJob| met.came_at <= left_at;
        if self.met.iter().any(settled) {
            self.block = None;
        }
        let counts: Vec<usize> = self.met.iter().map(|met| self.n_alike(&met.signature)).collect();
        let mut waiting = Vec::new();
        let mut rest = Vec::new();
        for (met, n_alike) in std::mem::take(&mut self.met).into_iter().zip(counts) {
            match (settled(&met), met.is_waiting) {
                (true, true) => waiting.push(SettledRefusal { job: met.job, fault: met.fault, is_shared: n_alike > 1 }),
                (true, false) => (),
                // The accepted submission left before this job was refused. It shows that not all jobs are refused, and nothing about this
                // job.
                (false, _) => rest.push(RefusedJob { is_last: false, ..met }),
            }
        }
        self.met = rest;
        waiting
    }

    /// Takes all waiting jobs, when no other submission is left that could show anything. Submissions are no longer held back.
    pub(super) fn take_all(&mut self) -> Vec<SettledRefusal> {
        self.block = None;
        let n_met = self.met.len();
        let met = std::mem::take(&mut self.met).into_iter().filter(|met| met.is_waiting);
        met.map(|met| SettledRefusal { job: met.job, fault: met.fault, is_shared: n_met > 1 }).collect()
    }

    /// Returns the number of jobs that wait here.
    pub(super) fn n_waiting(&self) -> usize {
        self.met.iter().filter(|met| met.is_waiting).count()
    }

    fn n_alike(&self, signature: &str) -> usize {
        self.met.iter().filter(|met| met.signature == signature).count()
    }
}

/// Returns what identical refusals have in common: their kind and the words of the message, without numbers and ids.
fn signature(fault: &Fault) -> String {
    let message = fault.message.to_lowercase();
    let words = message.split_whitespace().filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    let words: String = words.collect::<Vec<_>>().join(" ").chars().take(WORDS_CHARS_MAX).collect();
    format!("{} {words}", fault.kind.code())
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

    fn refused(words: &str) -> Fault {
        Fault::new(FaultKind::Rejected, words)
    }

    fn settled(n: u8, fault: &Fault, is_shared: bool) -> SettledRefusal {
        SettledRefusal { job: id(n), fault: fault.clone(), is_shared }
    }

    #[test]
    fn five_jobs_that_meet_the_same_are_enough_whatever_numbers_it_names() {
        let mut streak = RefusalStreak::default();
        for n in 0..5 {
            let fault = refused(&format!("status 404 with \"<html>\", request 7f{n}"));
            assert_eq!(streak.push(at(i64::from(n)), id(n), &fault, true), n == 4);
        }
    }

    #[test]
    fn one_job_that_is_refused_again_and_again_is_one_job() {
        let mut streak = RefusalStreak::default();
        assert!((0..20).all(|secs| !streak.push(at(secs), id(1), &refused("status 404"), true)));
    }

    #[test]
    fn refusals_of_other_words_are_not_alike() {
        let mut streak = RefusalStreak::default();
        let words = ["too long", "no such size", "bad seed", "bad lora", "bad steps", "bad guidance"];
        assert!((0..).zip(words).all(|(n, words)| !streak.push(at(0), id(n), &refused(words), true)));
    }

    #[test]
    fn a_token_is_tried_three_times() {
        let mut streak = RefusalStreak::default();
        let fault = Fault::new(FaultKind::Unauthorized, "no");
        assert_eq!([0, 1, 2].map(|n| streak.push(at(0), id(n), &fault, true)), [false, false, true]);
    }

    #[test]
    fn a_success_settles_what_was_refused_before_its_submission_left() {
        let (mut streak, fault) = (RefusalStreak::default(), refused("status 403"));
        streak.push(at(1), id(1), &fault, true);
        streak.push(at(5), id(2), &fault, true);
        assert_eq!(streak.succeeded(at(0)), [], "it left before the first refusal came");
        assert_eq!(streak.succeeded(at(2)), [settled(1, &fault, true)]);
        assert_eq!(streak.succeeded(at(6)), [settled(2, &fault, false)]);
        assert_eq!(streak.n_waiting(), 0);
    }

    /// Goal: random refusals, among many submissions that are answered at the same time, are attributed to their jobs alone.
    #[test]
    fn refusals_among_acceptances_are_not_the_ways_however_many_are_under_way() {
        let (mut streak, fault) = (RefusalStreak::default(), Fault::new(FaultKind::Unauthorized, "no"));
        for n in 0..20 {
            assert!(!streak.push(at(1), id(n), &fault, true), "{n}");
            streak.succeeded(at(0));
        }
        assert!(!streak.push(at(2), id(30), &fault, true) && !streak.push(at(2), id(31), &fault, true));
        assert!(streak.push(at(2), id(32), &fault, true), "three with nothing accepted in between");
    }

    #[test]
    fn while_all_is_refused_one_is_tried_at_a_time_and_a_success_ends_that() {
        let (mut streak, fault) = (RefusalStreak::default(), refused("status 404"));
        assert_eq!((streak.submits_max(false), streak.submits_max(true)), (Some(5), None));
        assert!((0..5).any(|n| streak.push(at(1), id(n), &fault, true)), "the fifth is enough");
        streak.block(at(1));
        assert_eq!((streak.submits_max(true), streak.probe(None)), (Some(1), Some(id(0))));
        assert_eq!(streak.succeeded(at(0)), [], "it left before all refusals");
        assert_eq!(streak.submits_max(true), Some(1), "and does not end the block");
        streak.probing(id(0));
        streak.probing(id(1));
        assert_eq!(streak.succeeded(at(2)).len(), 3, "those that wait; the others have been sent");
        assert!(!streak.is_blocking() && streak.submits_max(true).is_none());
    }

    /// Tries jobs while all are refused, and returns whether each was a fresh one.
    fn fresh_ones(kind: FaultKind, n: u8) -> Vec<bool> {
        let (mut streak, fault) = (RefusalStreak::default(), Fault::new(kind, "status 404"));
        assert!((0..5).any(|n| streak.push(at(1), id(n), &fault, true)));
        streak.block(at(1));
        let tried = (0..n).map(|n| {
            let fresh = id(100 + n);
            let probe = streak.probe(Some(fresh)).expect("jobs are there");
            streak.probing(probe);
            streak.push(at(2 + i64::from(n)), probe, &fault, true);
            probe == fresh
        });
        tried.collect()
    }

    /// Goal: a few jobs that are refused for their own content do not hide the good ones behind them, and a firewall that refuses all
    /// jobs puts few in doubt.
    #[test]
    fn jobs_that_were_not_refused_are_tried_first_where_that_leaves_no_doubt() {
        assert_eq!(fresh_ones(FaultKind::InvalidRequest, 20), [true; 20]);
        let doubtful = fresh_ones(FaultKind::Rejected, 40);
        assert_eq!(doubtful[..4], [false, true, false, true]);
        assert_eq!(doubtful.iter().filter(|is_fresh| **is_fresh).count(), DOUBTS_MAX - JOBS_MAX);
    }

    #[test]
    fn clear_refusals_that_are_repeated_are_the_jobs_own_and_others_are_not() {
        for kind in [FaultKind::InvalidRequest, FaultKind::Rejected] {
            let (mut streak, fault) = (RefusalStreak::default(), Fault::new(kind, "too long"));
            assert!((0..6).fold(false, |_, n| streak.push(at(1), id(n), &fault, true)));
            streak.block(at(1));
            let mut own = Vec::new();
            for secs in 2..8 {
                let probe = streak.probe(None).expect("jobs wait");
                streak.probing(probe);
                streak.push(at(secs), probe, &fault, true);
                own.push(streak.are_own(at(secs)));
            }
            let is_clear = kind == FaultKind::InvalidRequest;
            assert_eq!(own, [false, false, false, false, is_clear, is_clear], "{kind:?}");
        }
    }

    #[test]
    fn each_refusal_lets_one_submission_less_leave_at_a_time() {
        let mut streak = RefusalStreak::default();
        for n in 1..8 {
            streak.push(at(1), id(n), &refused("status 404"), true);
            let left = 5_usize.saturating_sub(n.into()).max(1);
            assert_eq!((streak.submits_max(true), streak.submits_max(false)), (Some(left), Some(left)), "{n}");
        }
    }

    #[test]
    fn letters_in_another_case_are_the_same_words() {
        let mut streak = RefusalStreak::default();
        let words = ["Not Found", "not found", "NOT FOUND", "Not found", "nOT fOUND"];
        let pushed = (0..).zip(words).map(|(n, words)| streak.push(at(1), id(n), &refused(words), true));
        assert!(pushed.last() == Some(true));
    }

    #[test]
    fn at_the_end_only_jobs_that_wait_are_given_back() {
        let (mut streak, fault) = (RefusalStreak::default(), refused("status 404"));
        streak.push(at(1), id(1), &fault, true);
        assert_eq!(streak.take_all(), [settled(1, &fault, false)], "one alone");
        for n in 1..4 {
            streak.push(at(1), id(n), &fault, n != 2);
        }
        streak.block(at(1));
        streak.probing(id(1));
        assert_eq!(streak.take_all(), [settled(3, &fault, true)], "one is sent, and one was never to wait");
        assert_eq!(streak.take_all(), []);
    }
}
