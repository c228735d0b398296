//! Selection of the jobs to reopen, and the events that reopen one.

use crate::model::event::{Event, EventKind, ReopenTarget, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::phase::{JobRecord, Phase};
use crate::model::time::Timestamp;

/// Selection of the jobs to reopen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetrySelection {
    /// Jobs of the present manifest that failed for one of these reasons (codes of [`FaultKind::code`]). Includes jobs that an
    /// earlier call reopened and that are not finished. With the code `in_doubt`, includes jobs held in doubt.
    Failed {
        /// Codes of the reasons.
        codes: Vec<String>,
        /// Forces a new submission even if a task may still give the image that is paid for.
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

    /// Returns whether a new submission is forced.
    pub const fn forces_resubmit(&self) -> bool {
        matches!(self, Self::Failed { force_resubmit: true, .. })
    }
}

/// Returns the events that reopen a job. A doubt that is not counted yet is counted first.
pub fn reopening(at: Timestamp, known: &JobRecord, force_resubmit: bool) -> Vec<Event> {
    let JobRecord { job, state } = known;
    let event = |kind| Event { job: job.id, index: job.index, at, kind };
    let mut events = Vec::new();
    if state.phase == Phase::Submitting && !state.is_doubt_counted() {
        events.push(event(EventKind::Setback(Stage::Submit, Fault::unanswered())));
    }
    let target = match (&state.phase, force_resubmit) {
        (Phase::Running(_), true) => {
            let lost =
                state.last_fault.clone().unwrap_or_else(|| Fault::new(FaultKind::TaskLost, "given up by the user"));
            events.push(event(EventKind::Setback(Stage::Task, lost)));
            ReopenTarget::Submit
        }
        // Polls a task that seems lost once more, before another one is paid for.
        (Phase::Running(_), false) => ReopenTarget::Fetch,
        (_, true) => ReopenTarget::Submit,
        (_, false) => state.way_back(),
    };
    events.push(event(EventKind::Reopened(target)));
    events
}
