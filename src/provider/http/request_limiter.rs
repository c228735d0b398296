//! Concurrency limit for requests, derived from the file descriptors of this process.
//! Each request in flight needs a descriptor. After a shortage, requests wait and the limit is lower.
//!
//! A shortage is a problem of this machine. It occurs before a request is sent, so no request is in doubt. Neither a host nor a job is to
//! blame.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// Error codes for too many open files: EMFILE in this process, and ENFILE on this machine.
const SHORTAGES: [i32; 2] = [24, 23];

/// Descriptors for uses other than requests and their images: the ledger, results, folders, idle connections.
const RESERVED: usize = 32;

/// First wait for a descriptor; each further wait is twice as long, up to `WAIT_MAX`.
const WAIT: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Longest total wait of a request for a descriptor.
const SHORT_MAX: Duration = Duration::from_secs(120);

/// Interval after a shortage at which the limit rises by one request.
const RECOVERY: Duration = Duration::from_secs(5);

/// Limiter of the requests in flight.
#[derive(Debug)]
pub(super) struct RequestLimiter {
    state: Mutex<RequestLimiterState>,
    freed: Notify,
}

#[derive(Debug)]
struct RequestLimiterState {
    n_out: usize,
    /// Upper bound of the limit; `None` if unknown.
    most: Option<usize>,
    /// Current limit; `None` if there is none.
    max: Option<usize>,
    /// Time of the last shortage, or of the last increase of the limit.
    changed_at: Instant,
}

/// Slot of a request in flight, held until its response has been read.
#[derive(Debug)]
pub(super) struct Slot(Arc<RequestLimiter>);

impl RequestLimiter {
    /// Creates a limiter for the descriptors of this process, with one file per image. A shortage lowers the limit.
    pub(super) fn new() -> Arc<Self> {
        Self::up_to(descriptors_max().map(|limit| (limit.saturating_sub(RESERVED) / 3).max(1)))
    }

    fn up_to(most: Option<usize>) -> Arc<Self> {
        let state = RequestLimiterState { n_out: 0, most, max: most, changed_at: Instant::now() };
        Arc::new(Self { state: Mutex::new(state), freed: Notify::new() })
    }

    /// Sends a request as soon as a descriptor is free.
    pub(super) async fn send(self: &Arc<Self>, request: RequestBuilder) -> Result<(Response, Slot), reqwest::Error> {
        let until = Instant::now() + SHORT_MAX;
        let mut wait = WAIT;
        loop {
            let slot = self.slot(until).await;
            // A body that cannot be sent twice allows one attempt only. No request here has such a body.
            let Some(attempt) = request.try_clone() else {
                return Ok((request.send().await?, slot));
            };
            match attempt.send().await {
                Ok(response) => return Ok((response, slot)),
                Err(error) if Instant::now() < until && is_short(&error) => {
                    drop(slot);
                    self.ran_out();
                    sleep(wait).await;
                    wait = (wait * 2).min(WAIT_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for a slot, but only until `until`. After that, the request is sent, and its error says what is wrong.
    async fn slot(self: &Arc<Self>, until: Instant) -> Slot {
        loop {
            let freed = self.freed.notified();
            if self.take(until <= Instant::now()) {
                return Slot(Arc::clone(self));
            }
            // The wait has a timeout, because the limit of requests also rises with time.
            let _ = timeout_at(until.min(Instant::now() + RECOVERY), freed).await;
        }
    }

    fn take(&self, in_any_case: bool) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        if let Some(max) = state.max.filter(|max| state.n_out >= *max && !in_any_case) {
            if state.most == state.max || now - state.changed_at < RECOVERY {
                return false;
            }
            (state.max, state.changed_at) = (Some(max + 1), now);
        }
        state.n_out += 1;
        true
    }

    /// Lowers the limit to the requests now in flight: there was no descriptor for one more.
    fn ran_out(&self) {
        let mut state = self.lock();
        let n_out = state.n_out.max(1);
        state.max = Some(state.max.map_or(n_out, |max| max.min(n_out)));
        state.changed_at = Instant::now();
    }

    fn lock(&self) -> MutexGuard<'_, RequestLimiterState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.lock().n_out -= 1;
        self.0.freed.notify_one();
    }
}

/// Returns true if a connection failed because no descriptor was left.
///
/// Some errors do not name this cause, for example that of a failed name lookup. The test is then to open a file that always exists.
fn is_short(error: &reqwest::Error) -> bool {
    if !error.is_connect() {
        return false;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_shortage) {
            return true;
        }
        cause = error.source();
    }
    File::open("/dev/null").is_err_and(|error| is_shortage(&error))
}

fn is_shortage(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| SHORTAGES.contains(&code))
}

/// Returns the descriptor limit of this process; `None` if it is unknown or there is none.
pub(super) fn descriptors_max() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_shortage_fewer_are_under_way_and_more_again_later() {
        let sockets = RequestLimiter::up_to(None);
        let until = Instant::now() + Duration::from_secs(3600);
        let mut slots = vec![];
        for _ in 0..10 {
            slots.push(sockets.slot(until).await);
        }
        sockets.ran_out();
        assert!(!sockets.take(false), "as many as there were descriptors for");
        slots.truncate(4);
        sockets.ran_out();
        assert_eq!(sockets.lock().max, Some(4));
        drop(slots.pop());
        slots.push(sockets.slot(until).await);
        let began = Instant::now();
        slots.push(sockets.slot(until).await);
        assert!(began.elapsed() >= RECOVERY, "one more is tried when some time has passed");
        drop(slots);
        sockets.ran_out();
        let state = sockets.lock();
        assert_eq!((state.n_out, state.max), (0, Some(1)), "one may always leave");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_does_not_wait_for_ever() {
        let sockets = RequestLimiter::up_to(None);
        let until = Instant::now() + Duration::from_secs(3);
        let held = sockets.slot(until).await;
        sockets.ran_out();
        let began = Instant::now();
        drop(sockets.slot(until).await);
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        drop(held);
        assert_eq!(sockets.lock().n_out, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_system_allows_is_never_passed() {
        let sockets = RequestLimiter::up_to(Some(2));
        let held = [sockets.take(false), sockets.take(false)];
        tokio::time::advance(RECOVERY * 10).await;
        assert_eq!((held, sockets.take(false)), ([true, true], false));
    }

    #[test]
    fn only_missing_descriptors_are_a_shortage() {
        for (code, expected) in [(23, true), (24, true), (2, false), (111, false), (28, false)] {
            assert_eq!(is_shortage(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
        assert!(!is_shortage(&io::ErrorKind::NotFound.into()));
    }
}
