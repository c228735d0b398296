//! Consequences of a fault: turns the verdict of the retry policy into events and queues.

use std::time::Duration;

use crate::engine::refusals::SettledRefusal;
use crate::engine::resubmit_limiter::TrialEvidence;
use crate::engine::retry::RetryVerdict;
use crate::engine::spending::Settled;
use crate::engine::state::EngineState;
use crate::engine::turn::StopReason;
use crate::model::event::{EventKind, Stage};
use crate::model::job::JobId;
use crate::model::limits::InDoubtPolicy;
use crate::model::link;
use crate::model::outcome::{Artifact, Fault, FaultKind, IMAGES_MAX, Outcome, Url};
use crate::model::phase::Phase;
use crate::model::time::Moment;

/// Wait of a refused job before its next attempt, when no other job can show whether the refusals have passed.
const LAST_TRY_AFTER: Duration = Duration::from_secs(5);

impl EngineState {
    /// Handles a submission that was not accepted, or may have been.
    pub(super) fn submit_failed(&mut self, now: Moment, id: JobId, mut fault: Fault) {
        let ticket = self.ticket(id);
        let alone = self.lane.submit_refused(now, ticket, &fault);
        if let Some(wait) = fault.retry_after.take() {
            self.lane.pause_submits(now, wait);
        }
        self.model_quotas.answered(&self.jobs[&id].job.request.model, id);
        self.tracked(id).is_in_flight = false;
        let Some(fault) = self.ask_about(now, id, fault) else { return };
        if fault.kind.leaves_doubt() {
            return self.doubtful(now, id, fault);
        }
        self.settle(id, Settled::Free);
        if fault.kind.is_refusal() {
            self.refused(now, id, fault);
        } else {
            self.set_back(now, id, Stage::Submit, fault);
            self.wait_alone(now, id, alone);
        }
    }

    /// Handles a refused submission. The refusal is a verdict on the job, or comes from something that refuses every job.
    pub(super) fn refused(&mut self, now: Moment, id: JobId, fault: Fault) {
        let may_wait = match fault.kind {
            FaultKind::Rejected => self.retry.may_repeat(&self.jobs[&id].state),
            _ => true,
        };
        self.emit(now, id, EventKind::Setback(Stage::Submit, fault.clone()));
        // A refusal says nothing about earlier losses and doubts, and others must not wait for this job.
        self.brake.withdraw(id);
        let is_shared = self.refusals.push(now, id, &fault, may_wait);
        if !may_wait {
            self.leave_rejected(now, id, fault.clone());
        }
        if is_shared {
            self.all_refused(now, fault);
        }
    }

    /// Handles a refusal that several jobs have met, with nothing accepted in between.
    fn all_refused(&mut self, now: Moment, fault: Fault) {
        match fault.kind {
            // A token with which this process had submissions accepted is tried with further jobs, if there are any: these may be refused
            // for their content.
            FaultKind::Unauthorized
                if !self.has_accepted_here
                    || self.refusals.is_token_refused()
                    || (self.is_last_refused() && self.may_be_token()) =>
            {
                return self.stop_with(now, StopReason::Unauthorized(fault));
            }
            _ if !self.has_accepted => return self.stop_refused(now, fault),
            _ => (),
        }
        self.refusals.block(now);
        self.lane.block_submits(now, fault.kind.leaves_doubt());
        // Clear refusals of all that is left are settled without an end of the run.
        let is_settled_soon = self.is_last_refused() && self.refusals.are_clear();
        if self.is_out_of_reach(now, Stage::Submit) && !is_settled_soon {
            self.stop_refused(now, fault);
        }
    }

    /// Stops the run because all jobs are refused for this reason, and names them.
    fn stop_refused(&mut self, now: Moment, fault: Fault) {
        let jobs = self.refused_jobs();
        self.stop_with(now, StopReason::Refused(fault, jobs));
    }

    /// Returns the indexes of the jobs that meet the refusals at present, in order.
    fn refused_jobs(&self) -> Vec<u64> {
        let known = self.refusals.jobs().filter_map(|id| self.jobs.get(&id));
        let mut jobs: Vec<u64> = known.map(|tracked| tracked.job.index).collect();
        jobs.sort_unstable();
        jobs
    }

    /// Returns whether the token may be the cause of the refusals, given that no other job is left: nothing was accepted meanwhile, and not all
    /// of the jobs have been tried once more after others were accepted.
    fn may_be_token(&self) -> bool {
        let is_new = |id| self.jobs.get(&id).is_some_and(|tracked| tracked.n_refused == 0);
        !self.refusals.are_among_accepted() && self.refusals.jobs().any(is_new)
    }

    /// Returns whether every job that is left to submit was refused, and waits for what becomes of the others.
    fn is_last_refused(&self) -> bool {
        self.has_loaded_all()
            && self.lane.n_submits_out() == 0
            && self.to_submit.is_empty()
            && self.to_submit_later.is_empty()
            && self.brake.n_waiting() == 0
            && self.refusals.n_waiting() > 0
    }

    /// Handles a job that was rejected and may not be submitted again.
    fn leave_rejected(&mut self, now: Moment, id: JobId, fault: Fault) {
        match self.limits.in_doubt {
            InDoubtPolicy::Fail => self.finish(now, id, Outcome::Failed(fault)),
            InDoubtPolicy::Auto | InDoubtPolicy::Hold | InDoubtPolicy::Resubmit => self.forget(id),
        }
    }

    /// Settles refusals after the acceptance of a submission that left at `left_at`. Jobs refused before that moment were refused for their
    /// own content, or the cause has passed.
    pub(super) fn settle_refusals(&mut self, now: Moment, left_at: Moment) {
        for settled in self.refusals.succeeded(left_at) {
            self.settle_refusal(now, settled);
        }
    }

    /// Fails a job that was refused alone or twice. A job that shared its refusal with other jobs is submitted once more.
    fn settle_refusal(&mut self, now: Moment, settled: SettledRefusal) {
        let SettledRefusal { job, mut fault, is_shared } = settled;
        if fault.kind == FaultKind::Unauthorized {
            fault.message =
                format!("other jobs were accepted, so the token is right, and this job was refused: {}", fault.message);
        }
        if !is_shared || self.jobs[&job].n_refused > 0 {
            return self.finish(now, job, Outcome::Failed(fault));
        }
        self.tracked(job).n_refused += 1;
        self.submit_again(job);
    }

    /// Decides about refused jobs when no other submission is left that could show whether the refusals are their own.
    pub(super) fn settle_last_refusals(&mut self, now: Moment) {
        let are_own = self.refusals.are_own(now);
        if !self.is_last_refused() || (self.refusals.is_blocking() && !are_own) {
            return;
        }
        let (may_be_token, jobs) = (are_own && self.may_be_token(), self.refused_jobs());
        for settled in self.refusals.take_all() {
            let SettledRefusal { job, fault, is_shared } = &settled;
            let is_first = self.jobs[job].n_refused == 0;
            let stop = match (fault.kind, self.has_accepted) {
                // Nothing was ever accepted, so that most likely the address, the model or the token is wrong.
                (FaultKind::Unauthorized, false) => StopReason::Unauthorized(fault.clone()),
                (FaultKind::Unauthorized, true) if may_be_token => StopReason::Unauthorized(fault.clone()),
                (FaultKind::Rejected, false) => StopReason::Refused(fault.clone(), jobs.clone()),
                (_, false) if *is_shared && is_first => StopReason::Refused(fault.clone(), jobs.clone()),
                (_, true) if *is_shared && is_first && !are_own => {
                    self.tracked(settled.job).n_refused += 1;
                    self.submit_later(now + LAST_TRY_AFTER, settled.job);
                    continue;
                }
                _ => {
                    let is_shared = *is_shared && !are_own;
                    self.settle_refusal(now, SettledRefusal { is_shared, ..settled });
                    continue;
                }
            };
            self.stop_with(now, stop);
            self.forget(settled.job);
        }
    }

    /// Records the end of a job, which then leaves memory.
    pub(super) fn finish(&mut self, now: Moment, id: JobId, outcome: Outcome) {
        let is_failure = matches!(outcome, Outcome::Failed(_));
        self.task_ended(id);
        self.emit(now, id, EventKind::Finished(outcome));
        self.brake.proved(id, TrialEvidence::Ended);
        self.forget(id);
        self.ended(now, is_failure);
    }

    /// Handles the end of a download.
    pub(super) fn downloaded(&mut self, now: Moment, id: JobId, urls: &[Url], result: Result<Vec<Artifact>, Fault>) {
        match result {
            Ok(artifacts) => {
                self.images.delivered(now, urls);
                self.finish(now, id, Outcome::Succeeded(artifacts));
            }
            Err(fault) => self.download_failed(now, id, urls, fault),
        }
    }

    fn download_failed(&mut self, now: Moment, id: JobId, urls: &[Url], mut fault: Fault) {
        if !urls.is_empty() && urls.iter().all(link::is_spooled) {
            return self.unspooled(now, id, fault);
        }
        match fault.kind {
            // Some of the images arrived, so the host works.
            _ if fault.kept.len() > self.jobs[&id].state.kept.len() => self.images.delivered(now, urls),
            FaultKind::Throttled { retry_after } => {
                self.images.throttled(now, id, urls, retry_after);
                self.meet_lost_host(now, urls, &fault);
                if !self.is_lost(now, urls) {
                    return self.images.push(now, id, urls);
                }
                // Other hosts deliver, and this one never has: the job does not wait for ever, so that the run can end.
                fault.kind = FaultKind::Transient;
            }
            _ => {
                self.images.failed(now, id, urls);
                self.meet_lost_host(now, urls, &fault);
            }
        }
        self.set_back(now, id, Stage::Download, fault);
    }

    /// Handles images that came in an answer, are on this disk, and could not be saved. No host is to blame, and they do not change.
    fn unspooled(&mut self, now: Moment, id: JobId, fault: Fault) {
        if fault.kind != FaultKind::BadOutput {
            return self.set_back(now, id, Stage::Download, fault);
        }
        self.emit(now, id, EventKind::Setback(Stage::Task, fault.clone()));
        self.finish(now, id, Outcome::Failed(fault));
    }

    /// Stops the run if the host of these links has delivered no image for longer than the outage limit.
    fn meet_lost_host(&mut self, now: Moment, urls: &[Url], fault: &Fault) {
        if self.is_lost(now, urls) && self.images.is_to_blame(urls, fault.kind) {
            self.stop_with(now, StopReason::Unreachable(Stage::Download, fault.clone()));
        }
    }

    /// Returns whether the host of these links has delivered no image, but faults, for longer than the outage limit.
    fn is_lost(&self, now: Moment, urls: &[Url]) -> bool {
        self.images.failing_for(now, urls).is_some_and(|span| span >= self.image_outage_max())
    }

    /// Returns the wait of a job for its image host. The last probe leaves when the outage limit is reached, so that the run stops in time.
    fn wait_for_host(&mut self, now: Moment, id: JobId) -> Duration {
        let urls = self.links(id).to_vec();
        let wait = self.retry.poll_again_after(self.images.n_faults(&urls));
        let deadline = self.images.failing_since(&urls).map(|since| since + self.image_outage_max());
        let Some(deadline) = deadline.filter(|deadline| *deadline > now) else { return wait };
        self.images.probe_by(deadline, &urls);
        wait.min(deadline - now)
    }

    /// Returns the links of a job whose images are being downloaded.
    pub(super) fn links(&self, id: JobId) -> &[Url] {
        match &self.jobs[&id].state.phase {
            Phase::Downloading(urls) => urls,
            Phase::Pending | Phase::Submitting | Phase::Running(_) | Phase::Finished(_) => &[],
        }
    }

    /// Handles a fault of a job at this stage: the job continues, is held, or fails.
    pub(super) fn set_back(&mut self, now: Moment, id: JobId, stage: Stage, mut fault: Fault) {
        if std::mem::take(&mut fault.is_model_quota) && matches!(stage, Stage::Submit | Stage::Task) {
            self.model_quotas.spent(now, &self.jobs[&id].job.request.model, &fault);
        } else {
            self.stop_for(now, stage, &fault);
        }
        fault.resets_in = None;
        let verdict = self.judge(now, stage, &fault, id);
        let is_doubt = stage == Stage::Submit && fault.kind.leaves_doubt();
        match (stage, verdict) {
            // The task is paid for and may become known again: the job stays with it.
            (Stage::Task, RetryVerdict::Hold) => self.emit(now, id, EventKind::Setback(Stage::Poll, fault.clone())),
            // A doubtful submission is recorded even if it ends the job: it may have cost money.
            (_, RetryVerdict::Fail) if !is_doubt => (),
            (_, RetryVerdict::Fail | RetryVerdict::Hold | RetryVerdict::Again { .. }) => {
                self.emit(now, id, EventKind::Setback(stage, fault.clone()));
            }
        }
        if stage == Stage::Task {
            // A lost task was judged before it was given up.
            if fault.kind != FaultKind::TaskLost && matches!(verdict, RetryVerdict::Again { .. }) {
                self.brake.failed(now, id);
            }
            self.task_ended(id);
            self.suspects.remove(&id);
        }
        self.follow(now, id, stage, verdict, fault);
    }

    /// Returns the verdict of the retry policy, unless the cause lies outside the job.
    fn judge(&mut self, now: Moment, stage: Stage, fault: &Fault, id: JobId) -> RetryVerdict {
        let verdict = self.retry.judge(stage, fault, &self.jobs[&id].state);
        match (stage, verdict) {
            // No submission succeeds: the job waits with all others, until the outage ends or the run stops.
            (Stage::Submit, RetryVerdict::Fail) if fault.kind == FaultKind::Transient && self.lane.is_down() => {
                RetryVerdict::Again { after: self.retry.longest() }
            }
            // The row was marked after its task was accepted, and another task would be paid for.
            (Stage::Task, RetryVerdict::Again { .. }) if self.jobs[&id].job.row.is_skipped => RetryVerdict::Fail,
            // An image that cannot be fetched now may be fetched later, and is paid for.
            (Stage::Download, RetryVerdict::Fail) if !self.limits.is_submitting => RetryVerdict::Hold,
            // The host gives no images at all: the job waits for it, until the outage ends or the run stops.
            (Stage::Download, RetryVerdict::Fail)
                if fault.kept.len() < IMAGES_MAX && self.images.is_to_blame(self.links(id), fault.kind) =>
            {
                RetryVerdict::Again { after: self.wait_for_host(now, id) }
            }
            // A task that is gone is left for another run to submit again.
            (Stage::Task, RetryVerdict::Fail) if !self.limits.is_submitting && fault.kind != FaultKind::Moderated => {
                RetryVerdict::Again { after: Duration::ZERO }
            }
            (_, verdict) => verdict,
        }
    }

    /// Delays a job that was refused at random until the time that the provider names, if any. No other job waits for that.
    ///
    /// Not all jobs of the look-ahead may wait, or nothing could be submitted. Beyond a quarter of it, the job goes behind the others
    /// instead.
    fn wait_alone(&mut self, now: Moment, id: JobId, wait: Option<Duration>) {
        let Some(wait) = wait.filter(|_| self.to_submit.front() == Some(&id)) else { return };
        self.to_submit.pop_front();
        if self.to_submit_later.len() < self.limits.look_ahead_max / 4 {
            self.to_submit_later.insert((now + wait.min(self.limits.wait_max), id));
        } else {
            self.to_submit.push_back(id);
        }
    }

    pub(super) fn follow(&mut self, now: Moment, id: JobId, stage: Stage, verdict: RetryVerdict, fault: Fault) {
        match (verdict, stage) {
            (RetryVerdict::Fail, _) => self.finish(now, id, Outcome::Failed(fault)),
            (RetryVerdict::Hold, _) => self.forget(id),
            (RetryVerdict::Again { .. }, Stage::Poll) => self.poll_again(now, id),
            (RetryVerdict::Again { .. }, Stage::Submit | Stage::Task) if !self.limits.is_submitting => self.forget(id),
            (RetryVerdict::Again { after }, Stage::Download) => {
                self.schedule.plan_at(now + after, id, self.jobs[&id].watch);
            }
            (RetryVerdict::Again { after: Duration::ZERO }, Stage::Submit | Stage::Task) => self.submit_again(id),
            (RetryVerdict::Again { after }, Stage::Submit | Stage::Task) => {
                let after = self.probe_in_time(now, Stage::Submit, after);
                self.submit_later(now + after, id);
            }
        }
    }

    pub(super) fn submit_later(&mut self, moment: Moment, id: JobId) {
        self.to_submit_later.insert((moment, id));
        if self.jobs[&id].state.n_repaid() > 0 && !self.brake.is_trial(id) {
            self.brake.announce(id);
        }
    }

    /// Queues a job for another submission. If that may be paid for once more, the brake decides when.
    pub(super) fn submit_again(&mut self, id: JobId) {
        let state = &self.jobs[&id].state;
        if state.n_repaid() == 0 || self.brake.is_trial(id) {
            self.to_submit.push_front(id);
        } else {
            self.brake.push(id, if state.is_in_doubt() { TrialEvidence::Accepted } else { TrialEvidence::Ended });
        }
    }
}
