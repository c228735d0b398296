//! What the engine does about a fault: the verdict of the retry policy, turned into events and queues.

use std::time::Duration;

use crate::engine::retry::Verdict;
use crate::engine::{Engine, Tracked};
use crate::model::event::{EventKind, Stage};
use crate::model::job::JobId;
use crate::model::limits::InDoubt;
use crate::model::outcome::{Fault, FaultKind, Outcome};
use crate::model::phase::JobState;
use crate::model::time::Moment;

/// A task that was accepted so lately may still be unknown to the servers that are asked for it, and one that has been unknown for no
/// longer may be known again: servers are replaced while a run goes on.
const UNKNOWN_GRACE: Duration = Duration::from_secs(30);

/// Answers in a row that a task is unknown, before it counts as lost.
const UNKNOWN_MAX: u32 = 3;

impl Tracked {
    /// The API has told how its task stands.
    pub(super) const fn poll_answered(&mut self) {
        (self.n_poll_faults, self.n_unknown, self.unknown_since) = (0, 0, None);
    }
}

impl Engine {
    /// A fault befell a job at this stage: the job goes on, is held, or has failed.
    pub(super) fn set_back(&mut self, now: Moment, id: JobId, stage: Stage, fault: Fault) {
        self.stop_for(now, stage, &fault);
        let verdict = self.judge(stage, &fault, id);
        // A doubtful submission is recorded even if it ends the job: it may have cost money.
        let is_doubt = stage == Stage::Submit && fault.kind.leaves_doubt();
        let is_recorded = is_doubt || verdict != Verdict::Fail;
        if is_recorded {
            self.emit(now, id, EventKind::Setback(stage, fault.clone()));
        }
        if stage == Stage::Task {
            self.task_ended(id);
        }
        self.follow(now, id, stage, verdict, fault);
    }

    /// The retry policy's verdict, unless what is wrong is not the job's.
    fn judge(&mut self, stage: Stage, fault: &Fault, id: JobId) -> Verdict {
        let verdict = self.retry.judge(stage, fault, &self.jobs[&id].state);
        match (stage, verdict) {
            // Nobody's submission gets through: the job waits with all others, until the outage ends or the run stops.
            (Stage::Submit, Verdict::Fail) if fault.kind == FaultKind::Transient && self.lane.is_down() => {
                Verdict::Again { after: self.retry.longest() }
            }
            // Each more may be paid for, and while all answers are lost none will tell: the job stays in doubt.
            (Stage::Submit, Verdict::Fail)
                if fault.kind == FaultKind::InDoubt
                    && self.lane.is_down()
                    && self.limits.in_doubt == InDoubt::Resubmit =>
            {
                Verdict::Hold
            }
            // An image that cannot be had now may be had later, and is paid for.
            (Stage::Download, Verdict::Fail) if !self.limits.is_submitting => Verdict::Hold,
            // A task that is gone is left to be submitted by another run.
            (Stage::Task, Verdict::Fail) if !self.limits.is_submitting && fault.kind != FaultKind::Moderated => {
                Verdict::Again { after: Duration::ZERO }
            }
            (_, verdict) => verdict,
        }
    }

    /// A submission that chance refused is tried again when the provider says, if it says when, and no other job waits for that.
    ///
    /// As many as are loaded ahead may not all wait, or there would be nothing else to submit: then the job goes behind the others.
    pub(super) fn wait_alone(&mut self, now: Moment, id: JobId, wait: Option<Duration>) {
        let Some(wait) = wait.filter(|_| self.to_submit.front() == Some(&id)) else { return };
        self.to_submit.pop_front();
        if self.to_submit_later.len() < self.limits.look_ahead_max / 4 {
            self.to_submit_later.insert((now + wait.min(self.limits.wait_max), id));
        } else {
            self.to_submit.push_back(id);
        }
    }

    /// A submission that was in doubt when an earlier process ended, which has counted it already.
    pub(super) fn doubt_remembered(&mut self, now: Moment, id: JobId) {
        let state = &self.jobs[&id].state;
        let fault = state.last_fault.clone().expect("a counted doubt has its fault");
        // That setback was judged before: only its choice counts now, not one more wait or one retry less.
        let before = JobState { n_setbacks: 0, ..state.clone() };
        let verdict = match self.retry.judge(Stage::Submit, &fault, &before) {
            Verdict::Again { .. } => Verdict::Again { after: Duration::ZERO },
            verdict @ (Verdict::Hold | Verdict::Fail) => verdict,
        };
        self.follow(now, id, Stage::Submit, verdict, fault);
    }

    /// A poll that told nothing: ask again, unless the API's answers agree that the task is gone.
    ///
    /// That its time is up is no reason to give it up without a word of the API: it is paid for, and may well be done.
    pub(super) fn poll_failed(&mut self, now: Moment, id: JobId, fault: Fault) {
        let tracked = self.tracked(id);
        tracked.n_poll_faults += 1;
        let age = now - tracked.watch.accepted_at;
        if fault.kind == FaultKind::TaskLost {
            tracked.n_unknown += 1;
            let unknown_for = now - *tracked.unknown_since.get_or_insert(now);
            if tracked.n_unknown >= UNKNOWN_MAX && age >= UNKNOWN_GRACE && unknown_for >= UNKNOWN_GRACE {
                return self.set_back(now, id, Stage::Task, fault);
            }
        }
        // Whatever became of it, it is no longer at work: it must not keep others from theirs.
        if age >= self.limits.task_timeout {
            self.task_ended(id);
        }
        self.set_back(now, id, Stage::Poll, fault);
    }

    /// The API says that the task is not done: its next poll is planned, or it is given up when its time has passed and it is not in line.
    pub(super) fn still_running(&mut self, now: Moment, id: JobId, is_queued: bool) {
        self.queue(id, is_queued);
        let tracked = self.jobs.get_mut(&id).expect("answers come only for jobs in memory");
        self.schedule.still_running(now, &mut tracked.watch);
        let watch = tracked.watch;
        let task_timeout = self.limits.task_timeout;
        let is_late = now - watch.accepted_at >= task_timeout;
        if is_late && !self.line.has(now, watch.accepted_at, task_timeout) {
            let words = format!("no result within {} s of its acceptance (--task-timeout)", task_timeout.as_secs());
            return self.set_back(now, id, Stage::Task, Fault::new(FaultKind::TaskLost, words));
        }
        self.schedule.plan(now, id, watch);
    }

    fn poll_again(&mut self, now: Moment, id: JobId) {
        let Tracked { n_poll_faults, watch, .. } = self.jobs[&id];
        let wait = self.retry.poll_again_after(n_poll_faults);
        self.schedule.plan_at(now + wait, id, watch);
    }

    fn follow(&mut self, now: Moment, id: JobId, stage: Stage, verdict: Verdict, fault: Fault) {
        match (verdict, stage) {
            (Verdict::Fail, _) => self.finish(now, id, Outcome::Failed(fault)),
            (Verdict::Hold, _) => drop(self.jobs.remove(&id)),
            (Verdict::Again { .. }, Stage::Poll) => self.poll_again(now, id),
            (Verdict::Again { .. }, Stage::Submit | Stage::Task) if !self.limits.is_submitting => {
                drop(self.jobs.remove(&id));
            }
            (Verdict::Again { after }, Stage::Download) => {
                self.schedule.plan_at(now + after, id, self.jobs[&id].watch);
            }
            (Verdict::Again { after: Duration::ZERO }, Stage::Submit | Stage::Task) => self.to_submit.push_front(id),
            (Verdict::Again { after }, Stage::Submit | Stage::Task) => {
                self.to_submit_later.insert((now + after, id));
            }
        }
    }
}
