//! Selection of the jobs to reopen, and the events that reopen one or have it made again.

use crate::model::event::{Event, EventKind, Redo, ReopenTarget, Restored, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind, Outcome};
use crate::model::phase::{JobRecord, JobState, Phase};
use crate::model::time::Timestamp;

/// Selection of the jobs to reopen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetrySelection {
    /// Jobs of the present manifest that failed for one of these reasons (codes of [`FaultKind::code`]). Includes jobs that an
    /// earlier call reopened and that are not finished. With the code `in_doubt`, includes jobs held in doubt.
    Failed {
        /// Codes of the reasons.
        codes: Vec<String>,
        /// Forces a new submission even if the existing task might still deliver the paid image.
        force_resubmit: bool,
    },
    /// Jobs with these ids.
    Jobs(Vec<JobId>),
}

impl RetrySelection {
    /// Returns whether failures of this kind are selected.
    pub fn is_of(&self, kind: FaultKind) -> bool {
        match self {
            Self::Failed { codes, .. } => codes.iter().any(|code| code == kind.code()),
            Self::Jobs(_) => false,
        }
    }

    /// Returns whether the user gives up tasks whose images could not be fetched so far, for another submission.
    pub fn gives_up_tasks(&self) -> bool {
        self.is_of(FaultKind::BadOutput) && matches!(self, Self::Failed { force_resubmit: true, .. })
    }

    fn is_given_up(&self, state: &JobState) -> bool {
        self.gives_up_tasks() && state.last_fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::BadOutput)
    }

    /// Returns whether a job is selected. Stores may express this rule in their own language; the conformance suite compares.
    pub fn includes(&self, JobRecord { job, state }: &JobRecord) -> bool {
        let is_wanted = match self {
            Self::Jobs(ids) => ids.contains(&job.id),
            Self::Failed { .. } => match &state.phase {
                Phase::Finished(Outcome::Succeeded(_)) => false,
                Phase::Finished(Outcome::Failed(fault)) => self.is_of(fault.kind),
                Phase::Submitting if self.is_of(FaultKind::InDoubt) => true,
                Phase::Running(_) if is_held_lost(state) => self.is_of(FaultKind::TaskLost),
                Phase::Running(_) | Phase::Downloading(_) if self.is_given_up(state) => true,
                // Leaves a doubt to the user, and the next submission after a lost task to `run`.
                Phase::Submitting => state.n_reopened > 0 && !state.is_doubt_counted(),
                Phase::Pending => state.n_reopened > 0 && state.n_repaid() == 0,
                Phase::Running(_) | Phase::Downloading(_) => state.n_reopened > 0,
            },
        };
        let is_left_out = job.row.is_skipped && matches!(self, Self::Failed { .. });
        is_wanted && !is_left_out && job.index > 0
    }

    /// Returns whether a selected job is reopened: it has ended, or is held for the user.
    pub fn reopens(&self, state: &JobState) -> bool {
        match &state.phase {
            Phase::Finished(_) => true,
            Phase::Submitting => self.is_of(FaultKind::InDoubt),
            Phase::Running(_) => is_held_lost(state) || self.is_given_up(state),
            Phase::Downloading(_) => self.is_given_up(state),
            Phase::Pending => false,
        }
    }

    /// Returns the events that reopen a job. A doubt that is not counted yet is counted first.
    pub fn reopening(&self, at: Timestamp, JobRecord { job, state }: &JobRecord) -> Vec<Event> {
        let force_resubmit = matches!(self, Self::Failed { force_resubmit: true, .. });
        let event = |kind| Event { job: job.id, index: job.index, at, kind };
        let mut events = Vec::new();
        if state.phase == Phase::Submitting && !state.is_doubt_counted() {
            events.push(event(EventKind::Setback(Stage::Submit, Fault::unanswered())));
        }
        let target = match (&state.phase, force_resubmit) {
            (Phase::Running(_) | Phase::Downloading(_), true) => {
                let lost =
                    state.last_fault.clone().unwrap_or_else(|| Fault::new(FaultKind::TaskLost, "given up by the user"));
                events.push(event(EventKind::Setback(Stage::Task, lost)));
                ReopenTarget::Submit
            }
            // Polls a task that seems lost once more, before another one is paid for.
            (Phase::Running(_), false) => ReopenTarget::Fetch,
            (_, true) => ReopenTarget::Submit,
            (_, false) => state.reopen_target(),
        };
        events.push(event(EventKind::Reopened(target)));
        events
    }
}

/// Returns the event that has a job made again; `None` if it has not succeeded, or is not in the present manifest.
pub(crate) fn redoing(at: Timestamp, record: &JobRecord, redo: &Redo) -> Option<Event> {
    let JobRecord { job, state } = record;
    let is_done = job.index > 0 && matches!(state.phase, Phase::Finished(Outcome::Succeeded(_)));
    is_done.then(|| Event { job: job.id, index: job.index, at, kind: EventKind::Redone(redo.clone()) })
}

/// Returns the event that returns a job to the images that it had; `None` if it has not failed.
pub(crate) fn restoring(at: Timestamp, record: &JobRecord, restored: &Restored) -> Option<Event> {
    let JobRecord { job, state } = record;
    let has_failed = matches!(state.phase, Phase::Finished(Outcome::Failed(_)));
    has_failed.then(|| Event { job: job.id, index: job.index, at, kind: EventKind::Restored(restored.clone()) })
}

/// Returns whether a job is held with a task that seems lost. Another payment for it needs the user's request.
fn is_held_lost(state: &JobState) -> bool {
    let is_lost = state.last_fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::TaskLost);
    is_lost && matches!(state.phase, Phase::Running(_))
}
