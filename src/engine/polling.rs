//! Answers to polls: tasks that run, end, fail or seem lost, and polls that gave no information.

use std::time::Duration;

use crate::engine::resubmit_limiter::TrialEvidence;
use crate::engine::state::EngineState;
use crate::model::event::{EventKind, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind, Status};
use crate::model::time::Moment;

/// Grace period for unknown tasks. A task accepted more recently may still be unknown to the servers that are polled. A task that has been
/// unknown for less time may become known again, because servers are replaced during a run.
const UNKNOWN_GRACE: Duration = Duration::from_secs(30);

/// Consecutive answers that a task is unknown, after which it counts as lost.
const UNKNOWN_MAX: u32 = 3;

impl EngineState {
    /// Processes the answer to a poll of one task.
    pub(super) fn polled(&mut self, now: Moment, id: JobId, answer: Result<Status, Fault>) {
        match answer {
            Ok(status) => {
                self.lane.poll_succeeded(now);
                let n_unauthorized = self.n_polls_unauthorized;
                self.poll_answered(id);
                match self.charged_first(now, id, status) {
                    Status::Queued => self.still_running(now, id, true),
                    Status::Running => self.still_running(now, id, false),
                    Status::Done(urls) => {
                        self.brake.proved(id, TrialEvidence::Ended);
                        self.seen_ended(now, id);
                        self.images.push(now, id, &urls);
                        self.emit(now, id, EventKind::Ready(urls));
                    }
                    Status::Failed(fault) => {
                        if fault.kind == FaultKind::Unauthorized {
                            self.n_polls_unauthorized = n_unauthorized;
                        }
                        self.seen_ended(now, id);
                        self.set_back(now, id, Stage::Task, fault);
                    }
                    Status::Charged(_) => unreachable!("the charge was taken out of the status"),
                }
            }
            Err(mut fault) => {
                self.lane.poll_refused(now, &fault);
                self.listening.failed();
                if let Some(wait) = fault.retry_after.take() {
                    self.lane.pause_polls(now, wait);
                }
                self.poll_failed(now, id, fault);
            }
        }
    }

    /// Processes the end of a task, as reported by the API. A task polled again for fresh links has nothing new to teach.
    fn seen_ended(&mut self, now: Moment, id: JobId) {
        let tracked = &self.jobs[&id];
        if tracked.is_in_flight {
            self.schedule.ended(now, &tracked.watch);
            if !tracked.watch.is_restored() {
                self.lane.task_done(now, now - tracked.watch.accepted_at, tracked.watch.unheard(now));
            }
            self.fifo.ended(self.listening.total(), tracked.order);
        }
        self.task_ended(id);
    }

    /// Records an answer of the API about a task.
    pub(super) fn poll_answered(&mut self, id: JobId) {
        let awake = self.awake.total();
        self.listening.answered(awake);
        self.n_polls_unauthorized = 0;
        self.suspects.remove(&id);
        self.tracked(id).poll_answered(awake);
    }

    /// Handles a poll that gave no information. The task is polled again, unless the API's answers agree that it is gone.
    ///
    /// A passed deadline does not end the task without an answer of the API. The task is paid for, and may well be done.
    pub(super) fn poll_failed(&mut self, now: Moment, id: JobId, fault: Fault) {
        let awake = self.awake.total();
        let tracked = self.tracked(id);
        tracked.poll_failed();
        let known_for = awake.saturating_sub(tracked.known_since);
        if fault.kind == FaultKind::TaskLost {
            tracked.n_unknown += 1;
            let unknown_for = awake.saturating_sub(*tracked.unknown_since.get_or_insert(awake));
            let is_lost =
                tracked.n_unknown >= UNKNOWN_MAX && known_for >= UNKNOWN_GRACE && unknown_for >= UNKNOWN_GRACE;
            self.suspects.insert(id);
            if is_lost && self.given_up(now, id, fault.clone()) {
                return;
            }
        }
        // The task no longer runs, whatever became of it, and must not keep others from running.
        if known_for >= self.limits.task_timeout {
            self.task_ended(id);
        }
        self.set_back(now, id, Stage::Poll, fault);
    }

    /// Handles a task that seems lost, and returns whether its job is done with it. Another account does not know the task, and a run that
    /// stops submits nothing. In both cases the job stays with its task, for a later run to poll.
    fn given_up(&mut self, now: Moment, id: JobId, mut fault: Fault) -> bool {
        self.suspects.insert(id);
        if !self.limits.is_same_account {
            fault.message += "; the token belongs to a different account than the one that the batch was started with";
        } else if self.stop.is_none() {
            let may_give_up = self.may_give_up(now, id);
            if may_give_up {
                self.set_back(now, id, Stage::Task, fault);
            }
            return may_give_up;
        }
        self.emit(now, id, EventKind::Setback(Stage::Poll, fault));
        self.task_ended(id);
        self.forget(id);
        true
    }

    /// Handles a report that the task is not done. Its next poll is planned, or it is given up when its time is up and it is not queued.
    pub(super) fn still_running(&mut self, now: Moment, id: JobId, is_queued: bool) {
        self.queue(id, is_queued);
        let (listening, task_timeout) = (self.listening.total(), self.limits.task_timeout);
        let tracked = self.jobs.get_mut(&id).expect("answers come only for jobs in memory");
        self.schedule.still_running(now, &mut tracked.watch);
        let heard = tracked.heard.total();
        tracked.watch.not_counted = (now - tracked.watch.accepted_at).saturating_sub(heard);
        let (watch, order) = (tracked.watch, tracked.order);
        if heard >= task_timeout && !self.fifo.may_be_queued(listening, order, task_timeout) {
            let words = format!("no result within {} s of its acceptance (--task-timeout)", task_timeout.as_secs());
            if self.given_up(now, id, Fault::new(FaultKind::TaskLost, words)) {
                return;
            }
        }
        self.schedule.plan(now, id, watch);
    }

    /// Returns whether a task that seems lost may be given up now. While many tasks seem lost at once, one goes first.
    fn may_give_up(&mut self, now: Moment, id: JobId) -> bool {
        let is_repaid = self.limits.is_submitting && self.retry.may_repay(&self.jobs[&id].state);
        // A job on trial whose new task is lost as well shows that the trial has failed.
        self.brake.failed(now, id);
        !is_repaid || self.brake.admit(now, id, self.suspects.len())
    }

    pub(super) fn poll_again(&mut self, now: Moment, id: JobId) {
        let (n_poll_faults, watch) = (self.jobs[&id].n_poll_faults, self.jobs[&id].watch);
        let wait = self.retry.poll_again_after(n_poll_faults);
        let wait = self.probe_in_time(now, Stage::Poll, wait);
        self.schedule.plan_at(now + wait, id, watch);
    }
}
