//! Dispatch: downloads, polls and submissions that may leave now within their budgets, and requests for further jobs.

use std::time::Duration;

use crate::engine::downloads::BACKLOG_MIN;
use crate::engine::lane::Blocked;
use crate::engine::loading::Loading;
use crate::engine::state::EngineState;
use crate::engine::turn::{Action, StopReason};
use crate::model::event::EventKind;
use crate::model::job::JobId;
use crate::model::phase::Phase;
use crate::model::provenance::Provenance;
use crate::model::time::Moment;

/// Divisor of the run's time so far that gives the maximum wait between two polls of one of its last tasks. The run then ends within
/// a twentieth of its time after the end of the last task.
const TAIL_PART: u32 = 20;

/// Minimum of that wait, and the minimum mean time between two polls of the last tasks together.
const TAIL_WAIT_MIN: Duration = Duration::from_millis(100);
const TAIL_POLL_GAP: Duration = Duration::from_millis(10);

impl EngineState {
    pub(super) fn plan_downloads(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Moment> {
        // The job is not at fault, and its next poll returns fresh links.
        while let Some(id) = self.images.pop_expired(now) {
            self.schedule.plan_at(now, id, self.jobs[&id].watch);
        }
        while let Some(id) = self.images.pop(now) {
            let tracked = &self.jobs[&id];
            let Phase::Downloading(urls) = &tracked.state.phase else {
                unreachable!("only jobs with links are queued")
            };
            actions.push(Action::Download(Provenance::new(&tracked.job, &tracked.state), urls.clone()));
        }
        self.images.planned();
        self.images.wake_at(now)
    }

    pub(super) fn plan_polls(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Moment> {
        while self.schedule.next().is_some_and(|moment| moment <= now) {
            match self.lane.take_poll(now) {
                Ok(()) => {
                    let due = std::iter::from_fn(|| self.schedule.take_due(now)).take(self.limits.poll_batch_max);
                    let jobs = &mut self.jobs;
                    let batch = due.filter_map(|id| Some((id, jobs.get_mut(&id)?.ask(now)?))).collect();
                    actions.push(Action::Poll(batch));
                }
                Err(Blocked::Busy) => return None,
                Err(Blocked::Until(moment)) => return Some(moment),
            }
        }
        self.schedule.next()
    }

    pub(super) fn plan_submits(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Moment> {
        while let Some((moment, id)) = self.to_submit_later.first().copied()
            && moment <= now
        {
            self.to_submit_later.pop_first();
            self.submit_again(id);
        }
        self.settle_last_refusals(now);
        while let Some(id) = self.brake.pop(now) {
            self.to_submit.push_front(id);
        }
        for id in self.model_quotas.release(now).into_iter().rev() {
            self.to_submit.push_front(id);
        }
        let are_all_known = self.loading == Loading::Done;
        self.lane.expect_jobs(are_all_known.then(|| self.n_unsubmitted()));
        self.lane.limit_submits(self.refusals.submits_max(self.has_accepted_here));
        let mut wake_at = self.to_submit_later.first().map(|(moment, _)| *moment);
        sooner(&mut wake_at, self.brake.wake_at(now));
        sooner(&mut wake_at, self.model_quotas.wake_at(now));
        if self.n_unsubmitted() > 0 {
            sooner(&mut wake_at, self.time_is_up_at(now));
        }
        if self.meet_spent(now) || self.meet_duration(now) {
            return None;
        }
        while let Some(next) = self.next_to_submit()
            && !self.is_backed_up()
        {
            if self.hold_for_quota(now, next) {
                continue;
            }
            if self.meet_cost(now, next) {
                break;
            }
            self.lane.expect_cost(self.spending.reservation(&self.jobs[&next].job.request));
            match self.lane.take_submit(now) {
                Ok(ticket) => {
                    let id = next;
                    if self.to_submit.front() == Some(&id) {
                        self.to_submit.pop_front();
                    }
                    self.refusals.probing(id);
                    let request = &self.jobs[&id].job.request;
                    let reserved = self.spending.reserve(request);
                    self.model_quotas.left(&request.model, id);
                    self.emit(now, id, EventKind::SubmitStarted);
                    let tracked = self.tracked(id);
                    (tracked.ticket, tracked.reserved) = (Some(ticket), reserved);
                    tracked.is_in_flight = true;
                    actions.push(Action::Submit(tracked.job.clone(), tracked.state.submission_number()));
                }
                Err(Blocked::Busy) => break,
                Err(Blocked::Until(moment)) => {
                    sooner(&mut wake_at, Some(moment));
                    break;
                }
            }
        }
        self.meet_model_stop(now);
        sooner(&mut wake_at, self.plan_reserve(now, actions));
        wake_at
    }

    /// Holds the next job back if the quota of its model is used up. A job that probes for all models is never held back.
    fn hold_for_quota(&mut self, now: Moment, next: JobId) -> bool {
        let model = &self.jobs[&next].job.request.model;
        let is_held = self.to_submit.front() == Some(&next) && self.model_quotas.is_closed(now, model);
        if is_held {
            self.to_submit.pop_front();
            self.model_quotas.hold(model, next);
        }
        is_held
    }

    /// Returns the job to submit next. While all jobs are refused for the same reason, it is the one that can show most about that.
    pub(super) fn next_to_submit(&self) -> Option<JobId> {
        let front = self.to_submit.front().copied();
        if self.refusals.is_blocking() { self.refusals.probe(front) } else { front }
    }

    /// Stops the run when its time is up and a job still waits for submission. Returns whether the run stops.
    fn meet_duration(&mut self, now: Moment) -> bool {
        let is_waiting = self.n_unsubmitted() > 0;
        if let Some(max) = self.limits.duration_max
            && is_waiting
            && self.ends_at.is_some_and(|ends_at| ends_at <= now)
        {
            self.stop_with(now, StopReason::Duration(max));
        }
        self.stop.is_some()
    }

    /// Returns whether the cost limit prevents the next submission. Answers to submissions under way may still free a part of the limit.
    /// After them, the run stops.
    fn meet_cost(&mut self, now: Moment, next: JobId) -> bool {
        match self.spending.check(&self.jobs[&next].job.request) {
            Ok(()) => return false,
            Err(_) if self.lane.n_submits_out() > 0 => (),
            Err(capped) => self.stop_with(now, StopReason::Cost(capped)),
        }
        true
    }

    /// Returns whether downloads lag so far behind that another task would only wait: in memory, while its links expire. The same holds
    /// while no image host can be reached.
    pub(super) fn is_backed_up(&self) -> bool {
        // A job that lost its task waits for no image, and only a new task can show that a host works again.
        if self.images.are_down() && self.jobs.len() > self.n_unsubmitted() {
            return true;
        }
        let n_elsewhere = self.lane.n_in_flight() + self.n_unsubmitted();
        self.jobs.len().saturating_sub(n_elsewhere) >= self.lane.cap().max(BACKLOG_MIN)
    }

    /// Returns the maximum wait between two polls of a task, if the run waits for its last tasks only. `None` means that jobs are left.
    pub(super) fn tail_wait(&self, now: Moment) -> Option<Duration> {
        let begun_at = self.begun_at.filter(|_| self.is_ending())?;
        let n_tasks = u32::try_from(self.lane.n_in_flight()).unwrap_or(u32::MAX);
        let wait = ((now - begun_at) / TAIL_PART).max(TAIL_POLL_GAP.saturating_mul(n_tasks));
        Some(wait.max(TAIL_WAIT_MIN))
    }

    /// Keeps the look-ahead filled. Jobs in backoff count against it, so that an outage loads no further jobs. Jobs of an earlier process
    /// are loaded in any case. Returns the moment of the next request, if it is to be later.
    pub(super) fn plan_load(&mut self, now: Moment, actions: &mut Vec<Action>) -> Option<Moment> {
        let n_held = if self.is_past_known {
            self.to_submit.len() + self.to_submit_later.len() + self.brake.n_waiting()
        } else {
            0
        };
        let is_idle = self.jobs.is_empty();
        if let Loading::Later { was_idle, .. } = &mut self.loading {
            *was_idle &= is_idle;
        }
        let (is_due, asks_at) = match self.loading {
            Loading::More => (true, None),
            // Without jobs, the last of them has just ended, and the run may be over.
            Loading::Later { at, was_idle } if at <= now || (is_idle && !was_idle) => (true, None),
            Loading::Later { at, .. } => (false, Some(at)),
            Loading::Asked { .. } | Loading::Done => (false, None),
        };
        if is_due && !self.model_quotas.is_full() && n_held * 2 <= self.limits.look_ahead_max {
            self.loading = Loading::Asked { is_idle };
            actions.push(Action::Load { max: self.part.ask(self.limits.look_ahead_max - n_held), is_idle });
        }
        asks_at
    }
}

/// Keeps the earlier of two moments; `None` means no moment.
pub(super) fn sooner(wake_at: &mut Option<Moment>, other: Option<Moment>) {
    *wake_at = match (*wake_at, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}
