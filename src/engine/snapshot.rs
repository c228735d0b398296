//! Progress snapshot of the engine: what is under way, what limits it, and how long tasks take.

use std::time::Duration;

use crate::engine::loading::Loading;
use crate::engine::state::EngineState;
use crate::engine::turn::StopReason;
use crate::model::event::Stage;
use crate::model::snapshot::{Bottleneck, Latency, PauseReason, RunSnapshot, StopCode, SubmitPause};
use crate::model::time::Moment;

impl EngineState {
    /// Returns what is under way, for the progress display.
    pub(super) fn pace(&self, now: Moment) -> RunSnapshot {
        let n_submitting = self.lane.n_submits_out();
        RunSnapshot {
            n_submitting,
            n_queued: self.n_queued,
            n_running: self.lane.n_in_flight() - n_submitting - self.n_queued,
            n_downloading: self.images.n_waiting() + self.images.n_out(),
            n_waiting: self.to_submit_later.len(),
            allowed: self.lane.allowed(now),
            places: self.lane.places(),
            latency: self.latency(now),
            quota_left: self.quota_left,
            cost: self.spending.cost(),
            hold: self.lane_hold(now).or_else(|| self.image_hold(now)).or_else(|| self.model_hold(now)),
            down_for: self.down_for(now),
            slow: self.slow(),
            // A job limit that was reached is not shown as a stop of the run.
            stopping: self.stop.as_ref().filter(|stop| !matches!(stop, StopReason::Limit(_))).map(StopCode::from),
        }
    }

    /// Returns the pause of submissions that answers of the API, or their absence, have caused.
    fn lane_hold(&self, now: Moment) -> Option<SubmitPause> {
        let hold = self.lane.hold(now)?;
        let is_refused = hold.why == PauseReason::Down && self.refusals.is_blocking();
        Some(if is_refused { SubmitPause { why: PauseReason::Refused, ..hold } } else { hold })
    }

    /// Returns the pause of submissions while only jobs are left that wait for the quota of their model.
    fn model_hold(&self, now: Moment) -> Option<SubmitPause> {
        let until = self.model_quotas.wake_at(now).filter(|_| self.n_unsubmitted() == self.model_quotas.n_held())?;
        Some(SubmitPause { why: PauseReason::Quota, until })
    }

    /// Returns the pause of submissions while no image host can be reached.
    fn image_hold(&self, now: Moment) -> Option<SubmitPause> {
        let until = self.images.wake_at(now).filter(|_| self.images.are_down())?;
        Some(SubmitPause { why: PauseReason::ImagesDown, until })
    }

    /// Returns for how long requests of one kind have met only faults; `None` if there is no outage.
    fn down_for(&self, now: Moment) -> Option<Duration> {
        let api = self.lane.down_for(now, Stage::Submit).or_else(|| self.lane.down_for(now, Stage::Poll));
        api.or_else(|| self.images.down_for(now))
    }

    fn slow(&self) -> Option<Bottleneck> {
        if self.to_submit.is_empty() || self.stop.is_some() {
            return None;
        }
        if self.is_backed_up() { Some(Bottleneck::Downloads) } else { self.lane.slow() }
    }

    /// Returns whether nothing is left to submit.
    pub(super) fn is_ending(&self) -> bool {
        self.has_loaded_all()
            && self.to_submit.is_empty()
            && self.to_submit_later.is_empty()
            && self.model_quotas.n_held() == 0
    }

    /// Returns whether the ledger has no job for this process now. Those of other processes may still come back.
    pub(super) const fn has_loaded_all(&self) -> bool {
        matches!(self.loading, Loading::Later { .. } | Loading::Done)
    }

    fn latency(&self, now: Moment) -> Option<Latency> {
        let is_ending = self.is_ending();
        let youngest = self.last_accepted_at.filter(|_| is_ending);
        self.schedule.latency(youngest.map_or(now, |at| at.min(now)), now, self.lane.n_in_flight())
    }
}

impl From<&StopReason> for StopCode {
    fn from(stop: &StopReason) -> Self {
        match stop {
            StopReason::Interrupted(_) => Self::Asked,
            StopReason::Unauthorized(_) => Self::Unauthorized,
            StopReason::Refused(..) => Self::Refused,
            StopReason::Quota(_) => Self::Quota,
            StopReason::Failures(_) => Self::Failures,
            StopReason::Unreachable(..) => Self::Unreachable,
            StopReason::Disk => Self::Disk,
            StopReason::Cost(_) => Self::Cost,
            StopReason::Duration(_) => Self::Duration,
            StopReason::Elsewhere(_) => Self::Elsewhere,
            StopReason::Limit(_) => Self::Limit,
        }
    }
}
