//! Submissions that were recorded and then not sent, because the lease of this process was no longer certain, or the time that was reserved for them
//! had passed.
//!
//! Nothing reached the provider: the attempt costs nothing, and says nothing about the provider.

use std::time::Duration;

use crate::engine::spending::Settled;
use crate::engine::state::EngineState;
use crate::model::event::{EventKind, Stage};
use crate::model::job::JobId;
use crate::model::outcome::{Fault, FaultKind};
use crate::model::time::Moment;

/// Wait before the next attempt. By then the lease is renewed, or the process knows that it has lost it.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl EngineState {
    /// Returns a job whose submission was not sent to those that wait.
    pub(super) fn unsent(&mut self, now: Moment, id: JobId) {
        let permit = self.ticket(id);
        self.lane.submit_unsent(now, permit);
        self.model_quotas.answered(&self.jobs[&id].job.request.model, id);
        self.tracked(id).is_in_flight = false;
        self.settle(id, Settled::Free);
        self.brake.withdraw(id);
        // A limit is not the fault of the job, and is not counted against it.
        let words = "not sent, because the server took too long to record it, and other workers go on meanwhile";
        let fault = Fault::new(FaultKind::Throttled { retry_after: None }, words);
        self.emit(now, id, EventKind::Setback(Stage::Submit, fault));
        self.submit_later(now + AGAIN_AFTER, id);
    }
}
