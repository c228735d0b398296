//! Job in memory, and the knowledge about it beyond its recorded state.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::fifo::AcceptOrder;
use crate::engine::listening::EvidenceTime;
use crate::engine::schedule::PollState;
use crate::engine::submit_permit::SubmitPermit;
use crate::model::amount::Amount;
use crate::model::job::Job;
use crate::model::outcome::TaskId;
use crate::model::phase::JobState;
use crate::model::time::Moment;

/// Job in memory.
#[derive(Debug)]
pub(super) struct Tracked {
    /// Immutable part of the job.
    pub job: Arc<Job>,
    /// State folded from the job's events.
    pub state: JobState,
    /// Poll state of the job's task.
    pub watch: PollState,
    /// Permit of the submission under way; `None` if none is.
    pub ticket: Option<SubmitPermit>,
    /// Amount that is reserved for that submission.
    pub reserved: Amount,
    /// Says whether the job's task counts as in flight at the provider.
    pub is_in_flight: bool,
    /// Says whether the provider last reported the task as queued.
    pub is_queued: bool,
    /// Consecutive failed polls.
    pub n_poll_faults: u32,
    /// Consecutive answers that the task is unknown.
    pub n_unknown: u32,
    /// Awake time of the first of those answers about an unknown task; `None` if the task is known.
    pub unknown_since: Option<Duration>,
    /// Awake time at which the task was accepted, or loaded from the ledger.
    pub known_since: Duration,
    /// Time for which this process has received answers that the task still runs.
    pub heard: EvidenceTime,
    /// Position of the task in the order of acceptance.
    pub order: AcceptOrder,
    /// Number of refusals after which the job was submitted once more, as another job was accepted in between.
    pub n_refused: u32,
}

impl Tracked {
    /// Records a poll that leaves now, and returns the polled task; `None` if the job has no task.
    pub(super) fn ask(&mut self, now: Moment) -> Option<TaskId> {
        self.watch.asked(now);
        self.state.task.clone()
    }

    /// Records the acceptance of the job's task, at this awake time.
    pub(super) fn accepted(&mut self, awake: Duration, order: AcceptOrder) {
        (self.known_since, self.order, self.n_refused) = (awake, order, 0);
        self.heard = EvidenceTime::default();
        self.poll_answered(awake);
    }

    /// Records an answer of the API about the task.
    pub(super) fn poll_answered(&mut self, awake: Duration) {
        (self.n_poll_faults, self.n_unknown, self.unknown_since) = (0, 0, None);
        self.heard.answered(awake);
    }

    /// Records a poll without information about the task.
    pub(super) const fn poll_failed(&mut self) {
        self.n_poll_faults += 1;
        self.heard.failed();
    }
}
