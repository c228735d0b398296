//! A job in memory, and what is known of it beyond its state.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::fifo::AcceptOrder;
use crate::engine::learner::Ticket;
use crate::engine::listening::ListeningTime;
use crate::engine::schedule::Watch;
use crate::model::job::Job;
use crate::model::outcome::TaskId;
use crate::model::phase::JobState;
use crate::model::time::Moment;

/// A job in memory.
#[derive(Debug)]
pub struct Tracked {
    /// The job.
    pub job: Arc<Job>,
    /// The fold of its events.
    pub state: JobState,
    /// What the polls of its task have said.
    pub watch: Watch,
    /// Its submission under way.
    pub ticket: Option<Ticket>,
    /// Whether its task counts as in flight at the provider.
    pub is_in_flight: bool,
    /// Whether it waits there for its turn.
    pub is_queued: bool,
    /// Failed polls in a row.
    pub n_poll_faults: u32,
    /// Answers in a row that its task is unknown.
    pub n_unknown: u32,
    /// The awake time at which the first of them came.
    pub unknown_since: Option<Duration>,
    /// The awake time at which its task was accepted, or loaded from the ledger.
    pub known_since: Duration,
    /// How long this process has been hearing that its task still runs.
    pub heard: ListeningTime,
    /// Its place in the order of acceptance.
    pub order: AcceptOrder,
    /// How often it was refused and submitted once more, as another job was accepted in between.
    pub n_refused: u32,
}

impl Tracked {
    /// Its task is asked for now, if it has one.
    pub fn ask(&mut self, now: Moment) -> Option<TaskId> {
        self.watch.asked(now);
        self.state.task.clone()
    }

    /// Its task is accepted, at this awake time.
    pub fn accepted(&mut self, awake: Duration, order: AcceptOrder) {
        (self.known_since, self.order, self.n_refused) = (awake, order, 0);
        self.heard = ListeningTime::default();
        self.poll_answered(awake);
    }

    /// The API has told how its task stands.
    pub fn poll_answered(&mut self, awake: Duration) {
        (self.n_poll_faults, self.n_unknown, self.unknown_since) = (0, 0, None);
        self.heard.answered(awake);
    }

    /// A poll told nothing of its task.
    pub const fn poll_failed(&mut self) {
        self.n_poll_faults += 1;
        self.heard.failed();
    }
}
