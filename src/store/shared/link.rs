//! Link of one worker to the server: what it has heard, its lease, and repetition of calls that had no answer.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::sleep;

use crate::model::amount::Amount;
use crate::model::shared_rate::SharedRate;
use crate::model::time::Moment;
use crate::store::RunRequest;
use crate::store::error::LedgerError;
use crate::store::lease::Lease;
use crate::store::shared::backend::{BackendError, BackendResult, SharedBackend, SharedFlags, WorkerId, WorkerProfile};
use crate::store::shared::options::{ReadClock, SharedOptions};
use crate::store::shared::server_clock::ServerClock;

/// First and longest wait between two attempts of a call.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Difference of two holds that is not worth telling.
const HOLD_SLACK: Duration = Duration::from_secs(1);

/// Longest time from the reserved time of a submission until it leaves: its record may have no answer for a while.
const RECORDED_WITHIN: Duration = Duration::from_secs(2);

/// Link of a worker to the server.
pub(super) struct Link<B: ?Sized> {
    pub(super) worker: WorkerId,
    pub(super) profile: WorkerProfile,
    pub(super) options: SharedOptions,
    pub(super) lease: Lease,
    pub(super) clock: ReadClock,
    heard: Mutex<Heard>,
    server_clock: Mutex<ServerClock>,
    pub(super) backend: Arc<B>,
}

/// What a worker has heard from the server.
#[derive(Default)]
struct Heard {
    /// Requests that the driver has not taken.
    requests: Vec<RunRequest>,
    /// End of the hold that was passed on last.
    held_until: Option<Moment>,
    is_stopped: bool,
    rate: Option<SharedRate>,
    places: Option<NonZeroU32>,
    cost_max: Option<Amount>,
    /// Moment at which the driver last took the news that the server may have forgotten what was reserved.
    forgotten_at: Option<Moment>,
    /// Number of the last request for times.
    n_requests: u64,
    is_fenced: bool,
    generation: Option<u64>,
    /// Moment at which the generation was seen to change.
    changed_at: Option<Moment>,
    /// Moment at which the last acknowledged write was sent.
    written_at: Option<Moment>,
}

impl<B: SharedBackend + ?Sized> Link<B> {
    pub(super) fn new(
        backend: Arc<B>,
        (worker, profile): (WorkerId, WorkerProfile),
        options: SharedOptions,
        clock: ReadClock,
    ) -> Self {
        let (lease, heard, server_clock) = (Lease::lapsed(), Mutex::default(), Mutex::default());
        Self { worker, profile, options, lease, clock, heard, server_clock, backend }
    }

    pub(super) fn now(&self) -> Moment {
        (self.clock)()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that a write that was sent at `sent_at` is acknowledged.
    pub(super) fn written(&self, sent_at: Moment) {
        self.lease.extend(sent_at + self.options.lease_term());
        let mut heard = self.heard();
        heard.written_at = heard.written_at.max(Some(sent_at));
    }

    /// Takes the flags of an answer.
    pub(super) fn hear(&self, flags: SharedFlags) {
        let now = self.now();
        let mut heard = self.heard();
        if let Some(span) = flags.hold_for {
            let until = now + span;
            if heard.held_until.is_none_or(|before| until > before + HOLD_SLACK) {
                heard.held_until = Some(until);
                heard.requests.push(RunRequest::Hold(span));
            }
        }
        if let Some(why) = flags.stop
            && !std::mem::replace(&mut heard.is_stopped, true)
        {
            heard.requests.push(RunRequest::Stop(why));
        }
        if let Some(rate) = flags.rate.filter(|rate| heard.rate != Some(*rate)) {
            heard.rate = Some(rate);
            heard.requests.push(RunRequest::Rate(rate));
        }
        if let Some(max) = flags.places.filter(|max| heard.places != Some(*max)) {
            heard.places = Some(max);
            heard.requests.push(RunRequest::Places(max));
        }
        if let Some(max) = flags.cost_max.filter(|max| heard.cost_max != Some(*max)) {
            heard.cost_max = Some(max);
            heard.requests.push(RunRequest::CostMax(max));
        }
        if heard.generation.replace(flags.generation).is_some_and(|before| before != flags.generation) {
            heard.changed_at = Some(now);
            if heard.cost_max.is_some() {
                heard.requests.push(RunRequest::Forgotten);
            }
        }
    }

    /// Returns the moment of a time of the server, or a little later, with what an answer to a call between two moments shows of its clock.
    /// `None` if it is too uncertain.
    pub(super) fn server_moment(&self, call: (Moment, Moment), server_now: i64, time: i64) -> Option<Moment> {
        let mut clock = self.server_clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.look(call, server_now);
        clock.moment(call.1, time)
    }

    /// Returns the number of the next request for times.
    pub(super) fn next_request(&self) -> u64 {
        let mut heard = self.heard();
        heard.n_requests += 1;
        heard.n_requests
    }

    /// Returns the lease under which a submission may leave that was decided at this moment. Under a common rate it must be recorded soon.
    /// It does not leave if the server may have forgotten the amount that was reserved for it.
    pub(super) fn lease_from(&self, decided_at: Moment) -> Lease {
        if self.heard().forgotten_at.is_some_and(|at| at >= decided_at) {
            return Lease::lapsed();
        }
        let lease = self.lease.clone();
        if self.heard().rate.is_some() { lease.until(decided_at + RECORDED_WITHIN) } else { lease }
    }

    /// Ends the session of this worker: others have its jobs, or will have them.
    pub(super) fn fence(&self) -> LedgerError {
        self.lease.lose();
        self.heard().is_fenced = true;
        self.fenced()
    }

    pub(super) fn fenced(&self) -> LedgerError {
        LedgerError::Fenced { path: self.options.location.clone() }
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.heard().is_fenced
    }

    /// Returns the requests that were not taken before.
    pub(super) fn take_requests(&self) -> Vec<RunRequest> {
        let now = self.now();
        let mut heard = self.heard();
        let requests = std::mem::take(&mut heard.requests);
        if requests.contains(&RunRequest::Forgotten) {
            heard.forgotten_at = Some(now);
        }
        requests
    }

    /// Returns whether a write was acknowledged that was sent within this time.
    pub(super) fn has_written_within(&self, span: Duration) -> bool {
        let now = self.now();
        self.heard().written_at.is_some_and(|at| now - at < span)
    }

    /// Returns how long to wait until every living worker has sent again what the server has forgotten.
    pub(super) fn settles_in(&self) -> Duration {
        let now = self.now();
        let settled_at = self.heard().changed_at.map(|at| at + self.options.renewed_every() * 2);
        settled_at.map_or(Duration::ZERO, |at| at - now)
    }

    /// Calls the server until it answers, for as long as an outage may last.
    pub(super) async fn call<'a, T>(
        &'a self,
        mut call: impl FnMut(&'a B) -> BoxFuture<'a, BackendResult<T>>,
    ) -> Result<T, LedgerError> {
        let mut outage = Outage::new(self.now());
        loop {
            match call(&self.backend).await {
                Ok(answer) => return Ok(answer),
                Err(error) => outage.wait(self, error).await?,
            }
        }
    }
}

/// Consecutive calls without an answer.
pub(super) struct Outage {
    began: Moment,
    wait: Duration,
}

impl Outage {
    pub(super) const fn new(now: Moment) -> Self {
        Self { began: now, wait: WAIT_FIRST }
    }

    /// Waits before the next attempt. Returns the error if no attempt can succeed, or the outage lasts too long.
    pub(super) async fn wait<B: SharedBackend + ?Sized>(
        &mut self,
        link: &Link<B>,
        error: BackendError,
    ) -> Result<(), LedgerError> {
        let what = match error {
            BackendError::Ledger(error) => return Err(error),
            BackendError::Unavailable(what) => what,
        };
        let lasts = link.now() - self.began;
        if lasts >= link.options.outage_max {
            let (path, minutes) = (link.options.location.clone(), lasts.as_secs() / 60);
            return Err(LedgerError::Unreachable { path, minutes, what });
        }
        sleep(self.wait).await;
        self.wait = (self.wait * 2).min(WAIT_MAX);
        Ok(())
    }
}
