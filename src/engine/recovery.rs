//! Intake of jobs from the ledger, in any phase in which an earlier process left them, and removal of jobs from memory.

use std::time::Duration;

use crate::engine::fifo::AcceptOrder;
use crate::engine::listening::EvidenceTime;
use crate::engine::loading::Loading;
use crate::engine::retry::RetryVerdict;
use crate::engine::schedule::PollState;
use crate::engine::state::EngineState;
use crate::engine::tracked::Tracked;
use crate::model::amount::Amount;
use crate::model::event::Stage;
use crate::model::history::TaskKind;
use crate::model::job::JobId;
use crate::model::limits::InDoubtPolicy;
use crate::model::outcome::{Fault, FaultKind, TaskId};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::time::Moment;

/// Maximum assumed age of a task of an earlier process: the wall clock may have jumped by years since.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl EngineState {
    /// Adds a job from the ledger, or notes that it is outstanding.
    pub(super) fn take_in(&mut self, now: Moment, known: JobRecord) {
        if self.part.is_full() {
            // Submissions do not wait for any other job.
            self.is_past_known = true;
            if !self.is_held(&known) {
                self.part.note_others();
                self.loading = Loading::Done;
            }
            return;
        }
        let (id, n_ended) = (known.job.id, self.n_ended);
        self.loaded(now, known);
        if self.jobs.contains_key(&id) || self.n_ended > n_ended {
            self.part.take();
        }
    }

    /// Returns whether an earlier process left this job to the user, and this process does too.
    pub(super) fn is_held(&self, known: &JobRecord) -> bool {
        match known.state.phase {
            Phase::Pending => !self.limits.is_submitting,
            Phase::Submitting if !self.limits.is_submitting => true,
            Phase::Submitting => known.state.is_doubt_counted() && self.limits.in_doubt == InDoubtPolicy::Hold,
            Phase::Running(_) | Phase::Downloading(_) => false,
            Phase::Finished(_) => true,
        }
    }

    /// Loads a job from the ledger: a new one, or one that an earlier process left unfinished.
    pub(super) fn loaded(&mut self, now: Moment, known: JobRecord) {
        let JobRecord { job, state } = known;
        let id = job.id;
        let past = state.submitted_at.map_or(now, |wall| now.at_wall(wall));
        let accepted_at = if now - past > AGE_MAX { now } else { past.min(now) };
        let watch = PollState::restored(self.schedule.kind(TaskKind::of(&job.request)), accepted_at);
        let phase = state.phase.clone();
        let is_counted = state.is_doubt_counted();
        if let Some(task) = &state.task {
            self.has_accepted = true;
            self.owners.insert(task.clone(), id);
        }
        let tracked = Tracked {
            job,
            state,
            watch,
            ticket: None,
            reserved: Amount::ZERO,
            is_in_flight: false,
            is_queued: false,
            n_poll_faults: 0,
            n_unknown: 0,
            unknown_since: None,
            known_since: self.awake.total(),
            heard: EvidenceTime::default(),
            order: AcceptOrder::default(),
            n_refused: 0,
        };
        let before = self.jobs.insert(id, tracked);
        assert!(before.is_none(), "the ledger hands out each job once");
        match phase {
            Phase::Pending | Phase::Submitting if !self.limits.is_submitting => self.forget(id),
            Phase::Pending if self.jobs[&id].state.n_repaid() > 0 => self.submit_again(id),
            Phase::Pending => self.to_submit.push_back(id),
            Phase::Submitting if is_counted => self.recover_in_doubt(now, id),
            Phase::Submitting if self.ask_about_earlier(now, id) => (),
            Phase::Submitting => self.set_back(now, id, Stage::Submit, Fault::unanswered()),
            Phase::Running(_) => {
                self.lane.task_found();
                self.tracked(id).is_in_flight = true;
                self.last_accepted_at = self.last_accepted_at.max(Some(accepted_at));
                self.schedule.plan_at(now, id, watch);
            }
            Phase::Downloading(urls) => self.images.push(now, id, &urls),
            Phase::Finished(_) => self.forget(id),
        }
    }

    /// Resumes a job whose submission was in doubt when an earlier process ended. That process has counted the doubt already.
    fn recover_in_doubt(&mut self, now: Moment, id: JobId) {
        let state = &self.jobs[&id].state;
        let fault = state.last_fault.clone().expect("a counted doubt has its fault");
        // The doubt was judged before. Only the policy's choice counts now, without one more wait or one more payment.
        let before = JobState { n_setbacks: 0, n_in_doubt: state.n_in_doubt.saturating_sub(1), ..state.clone() };
        // A rejection may have met every job alike: at a wrong address, or by a firewall. This process finds out again.
        let doubt = Fault { kind: FaultKind::InDoubt, ..fault.clone() };
        let verdict = match self.retry.judge(Stage::Submit, &doubt, &before) {
            RetryVerdict::Again { .. } => RetryVerdict::Again { after: Duration::ZERO },
            verdict @ (RetryVerdict::Hold | RetryVerdict::Fail) => verdict,
        };
        self.follow(now, id, Stage::Submit, verdict, fault);
    }

    /// Returns the doubt about an acceptance that names the task of another job; `None` without such a doubt. A cache may have answered,
    /// and the submission may have been accepted too.
    pub(super) fn other_owner(&self, id: JobId, task: &TaskId) -> Option<Fault> {
        // A provider that recognises a repeated submission by its content may answer with the task that this job already has.
        let owner = self.owners.get(task).filter(|owner| **owner != id)?;
        let index = self.jobs.get(owner)?.job.index;
        let words = format!(
            "the response names task {task}, which belongs to job {index}: a cache in front of the API may have answered, and the \
             submission may have been accepted"
        );
        Some(Fault::new(FaultKind::InDoubt, words))
    }

    /// Removes a job from memory: it is finished, or it stays in the ledger as it is.
    pub(super) fn forget(&mut self, id: JobId) {
        if let Some(tracked) = self.jobs.remove(&id)
            && let Some(task) = tracked.state.task
        {
            self.owners.remove(&task);
        }
        self.suspects.remove(&id);
        self.brake.forget(id);
        self.lost.forget(id);
        self.images.forget(id);
    }
}
