//! What the engine does about a fault: the verdict of the retry policy, turned into events and queues.

use std::time::Duration;

use crate::engine::retry::Verdict;
use crate::engine::turn::Stop;
use crate::engine::{Engine, Tracked};
use crate::model::event::{EventKind, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind, Outcome};
use crate::model::phase::JobState;
use crate::model::time::Moment;

/// A task that was accepted so lately may still be unknown to the servers that are asked for it.
const UNKNOWN_GRACE: Duration = Duration::from_secs(30);

/// Answers in a row that a task is unknown, before it counts as lost.
const UNKNOWN_MAX: u32 = 3;

impl Tracked {
    /// Whether the doubt about its submission is recorded already.
    pub(super) fn is_doubt_counted(&self) -> bool {
        self.state.last_fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::InDoubt)
    }
}

impl Engine {
    /// A fault befell a job at this stage: the job goes on, is held, or has failed.
    pub(super) fn set_back(&mut self, now: Moment, id: JobId, stage: Stage, fault: Fault) {
        self.stop_for(stage, &fault);
        let verdict = self.retry.judge(stage, &fault, &self.jobs[&id].state);
        // A doubtful submission is recorded even if it ends the job: it may have cost money.
        let is_doubt = stage == Stage::Submit && fault.kind == FaultKind::InDoubt;
        let is_recorded = is_doubt || verdict != Verdict::Fail;
        if is_recorded {
            self.emit(now, id, EventKind::Setback(stage, fault.clone()));
        }
        if stage == Stage::Task {
            self.task_ended(id);
        }
        self.follow(now, id, stage, verdict, fault);
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

    /// A poll that told nothing: ask again, unless too many answers agree that the task is gone, or its time is up.
    pub(super) fn poll_failed(&mut self, now: Moment, id: JobId, fault: Fault) {
        let tracked = self.tracked(id);
        tracked.n_poll_faults += 1;
        if fault.kind == FaultKind::TaskLost {
            tracked.n_unknown += 1;
            if tracked.n_unknown >= UNKNOWN_MAX && now - tracked.accepted_at >= UNKNOWN_GRACE {
                return self.set_back(now, id, Stage::Task, fault);
            }
        }
        self.set_back(now, id, Stage::Poll, fault);
    }

    /// Plans the next poll of a task that is not done, or gives it up when its time has passed.
    pub(super) fn poll_again(&mut self, now: Moment, id: JobId) {
        let task_timeout = self.limits.task_timeout;
        let tracked = self.tracked(id);
        let (accepted_at, n_poll_faults) = (tracked.accepted_at, tracked.n_poll_faults);
        if now - accepted_at >= task_timeout {
            let words = format!("no result within {} s of its acceptance (--task-timeout)", task_timeout.as_secs());
            return self.set_back(now, id, Stage::Task, Fault::new(FaultKind::TaskLost, words));
        }
        if n_poll_faults == 0 {
            self.schedule.plan(now, id, accepted_at);
        } else {
            let wait = self.retry.poll_again_after(n_poll_faults);
            self.schedule.plan_at(now + wait, id);
        }
    }

    fn follow(&mut self, now: Moment, id: JobId, stage: Stage, verdict: Verdict, fault: Fault) {
        match (verdict, stage) {
            (Verdict::Fail, _) => self.finish(now, id, Outcome::Failed(fault)),
            (Verdict::Hold, _) => drop(self.jobs.remove(&id)),
            (Verdict::Again { .. }, Stage::Poll) => self.poll_again(now, id),
            (Verdict::Again { after }, Stage::Download) => self.schedule.plan_at(now + after, id),
            (Verdict::Again { after: Duration::ZERO }, Stage::Submit | Stage::Task) => self.to_submit.push_front(id),
            (Verdict::Again { after }, Stage::Submit | Stage::Task) => {
                self.to_submit_later.insert((now + after, id));
            }
        }
    }

    /// Some faults are not one job's: they stop the run.
    fn stop_for(&mut self, stage: Stage, fault: &Fault) {
        if self.stop.is_some() {
            return;
        }
        match (fault.kind, stage) {
            (FaultKind::Unauthorized, Stage::Submit | Stage::Poll) => {
                self.stop = Some(Stop::Unauthorized(fault.clone()));
            }
            (FaultKind::QuotaExhausted { .. }, Stage::Submit | Stage::Task) => {
                self.stop = Some(Stop::Quota(fault.clone()));
            }
            // An image host's refusal concerns one link; a quota on polls passes like throttling.
            (FaultKind::Unauthorized | FaultKind::QuotaExhausted { .. }, _) => (),
            (
                FaultKind::Throttled { .. }
                | FaultKind::Transient
                | FaultKind::InDoubt
                | FaultKind::TaskLost
                | FaultKind::Moderated
                | FaultKind::InvalidRequest
                | FaultKind::BadOutput,
                _,
            ) => (),
        }
    }
}
