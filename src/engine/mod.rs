//! Deterministic state machine that decides what a run does next: no tokio, no clock, no files, no requests.
//!
//! The driver passes results in ([`Engine::handle`]) and requests the next work ([`Engine::turn`]). Both calls receive the time. The
//! engine holds the jobs in flight and a small look-ahead. All others stay in the ledger until they are loaded.
//!
//! [`Engine`] has all methods that others call. Behind it is one `state`, and each concern has its file:
//!
//! - [`lane`], [`pacer`] and `dispatch`: budgets of one provider's API, the pacer of one kind of request, and what leaves now.
//! - [`configured_rate`] and `reserved_rate`: configured limits, of one process and of several together. `limit_learner`: hidden ones, at
//!   the start ([`limit_search`], [`limit_posterior`], [`submission_order`]) and later ([`adaptive_limiter`], `concurrency_window`,
//!   `estimated_rate`, `detection_lag`, `refusal_cause`, `random_refusals`, `recent_answers`,
//!   `throughput_probe`).
//! - `quota_hint`, `model_quotas`, [`spending`] and `job_limit`: quotas of the account and of single models, the user's cost limit and job
//!   limit.
//! - `image_hosts`, `downloads` and `download_concurrency`: hosts that images come from, the order of downloads, and how many at a time.
//! - `polling`, [`schedule`], `fifo` and `listening`: answers to polls, poll times and task durations, queues at the provider, and time
//!   that counts as evidence.
//! - [`retry`], `failures`, `refusals` and `resubmit_limiter`: verdicts on faults, their consequences, shared refusals, and mass resubmission.
//! - [`fleet`] and `elsewhere`: the engines of several providers as one, and what they share.
//! - `acceptance`: accepted submissions, and what they cost.
//! - `loading` and `reserving`: requests to the ledger for further jobs, and for times, places and amounts.
//! - `recovery`, `lost`, `lost_submissions`, `unsent`, `shutdown` and `snapshot`: jobs of an earlier process, submissions whose answer is
//!   lost or that were not sent, the end of a run, and the progress snapshot.

mod acceptance;
pub(crate) mod adaptive_limiter;
mod concurrency_window;
pub(crate) mod configured_rate;
mod detection_lag;
mod dispatch;
mod download_concurrency;
mod downloads;
mod elsewhere;
mod estimated_rate;
mod failures;
mod fifo;
pub(crate) mod fleet;
mod image_hosts;
mod job_limit;
pub(crate) mod lane;
mod limit_learner;
pub(crate) mod limit_posterior;
pub(crate) mod limit_search;
mod listening;
mod loading;
mod lost;
mod lost_submissions;
mod model_quotas;
pub(crate) mod pacer;
mod polling;
mod quota_hint;
mod random_refusals;
mod recent_answers;
mod recovery;
mod refusal_cause;
mod refusals;
mod reserved_rate;
mod reserving;
mod resubmit_limiter;
pub(crate) mod retry;
pub(crate) mod schedule;
mod shutdown;
mod snapshot;
pub(crate) mod spending;
mod state;
pub(crate) mod submission_order;
pub(crate) mod submit_permit;
mod throughput_probe;
mod tracked;
pub(crate) mod turn;
mod unsent;

use crate::engine::dispatch::sooner;
use crate::engine::elsewhere::Elsewhere;
use crate::engine::loading::Loading;
use crate::engine::state::EngineState;
use crate::engine::turn::{Input, StopReason, Turn};
use crate::model::cost::Cost;
use crate::model::history::History;
use crate::model::limits::Limits;
use crate::model::more::More;
use crate::model::phase::{JobRecord, Phase};
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;

/// Decides what a run does next.
///
/// All that others call is here, and the files of the concerns have methods of the state.
#[derive(Debug)]
pub struct Engine(EngineState);

impl Engine {
    /// Creates an engine without jobs; its first turn requests some from the ledger.
    pub fn new(limits: Limits) -> Self {
        Self(EngineState::new(limits))
    }

    /// Applies the experience of earlier processes of the run. Call this before the first turn.
    pub fn remember(&mut self, now: Moment, history: &History) {
        let state = &mut self.0;
        state.has_accepted |= !history.tasks.is_empty();
        state.lane.remember(now, history);
        state.schedule.remember(now, history);
    }

    /// Sets the cost of earlier processes, so that all submissions are counted; `None` if a price is unknown.
    pub const fn remember_cost(&mut self, cost: Option<Cost>) {
        self.0.spending.remember(cost);
    }

    /// Starts the time limit of the run at `began`, which is the beginning of this process.
    pub(crate) fn count_duration_from(&mut self, began: Moment) {
        self.0.count_duration_from(began);
    }

    /// Processes a result or a request from the driver.
    pub fn handle(&mut self, now: Moment, input: Input) {
        let state = &mut self.0;
        state.awake.look(now);
        match input {
            Input::Loaded { jobs, more } => {
                state.loading = match more {
                    More::Now => Loading::More,
                    More::Later(wait) => Loading::Later { at: now + wait, was_idle: state.loading.was_idle() },
                    More::Done => Loading::Done,
                };
                // Jobs that an earlier process left come first, and pending jobs follow.
                state.is_past_known |=
                    more != More::Now || jobs.iter().any(|known| known.state.phase == Phase::Pending);
                for known in jobs {
                    state.take_in(now, known);
                }
            }
            Input::Submitted(id, Ok(acceptance)) => match state.other_owner(id, &acceptance.task) {
                None => state.accepted(now, id, acceptance),
                Some(fault) => state.submit_failed(now, id, fault),
            },
            Input::Submitted(id, Err(fault)) => state.submit_failed(now, id, fault),
            Input::Unsent(id) => state.unsent(now, id),
            Input::Found(answers) => {
                for (id, answer) in answers {
                    state.found(now, id, answer);
                }
            }
            Input::Polled(answers) => {
                state.lane.poll_answered();
                for (id, answer) in answers {
                    state.polled(now, id, answer);
                }
            }
            Input::Downloaded(id, result) => {
                let urls = state.links(id).to_vec();
                state.images.ended(now, id, &urls, result.is_ok());
                state.downloaded(now, id, &urls, result);
            }
            // The job keeps its phase, for a run with a working disk.
            Input::Unsaved(id) => {
                let urls = state.links(id).to_vec();
                state.images.ended(now, id, &urls, false);
                state.stop_with(now, StopReason::Disk);
            }
            Input::Received(received) => state.images.received(now, received),
            Input::Hold(span) => state.lane.hold_submits(now, span),
            Input::Rate(rate) => state.lane.share_rate(rate),
            Input::Places(_) => state.lane.share_places(),
            Input::CostMax(max) => {
                state.spending.share(max);
                state.lane.share_cost();
            }
            Input::Forgotten => state.lane.forget_reserved(),
            Input::Reserved(answer) => state.reserved(now, answer),
            Input::Stop(stop) => state.stop_with(now, stop),
        }
    }

    /// Returns what the driver has to record and to do now.
    pub fn turn(&mut self, now: Moment) -> Turn {
        let state = &mut self.0;
        state.awake.look(now);
        state.begun_at.get_or_insert(now);
        let mut actions = Vec::new();
        let mut wake_at = None;
        if state.stop.as_ref().is_none_or(StopReason::drains) {
            sooner(&mut wake_at, state.plan_downloads(now, &mut actions));
            sooner(&mut wake_at, state.plan_polls(now, &mut actions));
            sooner(&mut wake_at, state.plan_finds(now, &mut actions));
        }
        if state.stop.is_none() {
            // A slot at the provider is known to be free only after every task there has been counted.
            if state.is_past_known {
                sooner(&mut wake_at, state.plan_submits(now, &mut actions));
            }
        } else {
            state.give_back(now, &mut actions);
        }
        if state.stop.is_none() {
            sooner(&mut wake_at, state.plan_load(now, &mut actions));
        }
        if state.suspects.is_empty() {
            state.brake.rest();
        }
        state.schedule.hurry(!state.to_submit.is_empty() && state.lane.is_full(now));
        sooner(&mut wake_at, state.schedule.end_soon(now, state.tail_wait(now)));
        // After this moment, only the answer to a submission is awaited.
        sooner(&mut wake_at, state.gives_up_at().filter(|moment| *moment > now));
        let is_last = state.is_over(now);
        if is_last {
            state.close_part();
        }
        Turn { events: std::mem::take(&mut state.events), actions, wake_at, is_last }
    }

    /// Returns what is under way, for the progress display.
    pub fn pace(&self, now: Moment) -> RunSnapshot {
        self.0.pace(now)
    }

    /// Returns why the run stops before its end; `None` if it does not.
    pub const fn stop(&self) -> Option<&StopReason> {
        self.0.stop.as_ref()
    }

    /// Returns the counts of this engine alone, for the limits of the other engines of its fleet.
    fn own_share(&self) -> Elsewhere {
        let state = &self.0;
        Elsewhere { cost: state.spending.committed(), n_failures: state.n_failures, n_ended: state.n_ended }
    }

    /// Takes the counts of the other engines, which count against the limits of the run.
    const fn look_elsewhere(&mut self, elsewhere: Elsewhere) {
        self.0.spending.look_elsewhere(elsewhere.cost);
        self.0.elsewhere = elsewhere;
    }

    /// Returns the end of a pause of all submissions that the provider named; `None` without one.
    fn named_pause(&self, now: Moment) -> Option<Moment> {
        self.0.lane.named_pause(now)
    }

    /// Returns whether no job is in memory.
    fn is_idle(&self) -> bool {
        self.0.jobs.is_empty()
    }

    /// Returns the number of jobs in memory that wait for submission.
    fn n_unsubmitted(&self) -> usize {
        self.0.n_unsubmitted()
    }

    /// Returns whether an earlier process left this job to the user, and this process does too.
    fn is_held(&self, known: &JobRecord) -> bool {
        self.0.is_held(known)
    }

    /// Takes note that every job that an earlier process left unfinished is loaded.
    const fn know_past(&mut self) {
        self.0.is_past_known = true;
    }
}

#[cfg(test)]
mod tests;
