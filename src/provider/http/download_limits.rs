//! Limits and shared state of all downloads of one provider.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::provider::http::request_limiter::RequestLimiter;

/// Complete downloads whose rates are remembered.
const ENDS_MAX: usize = 32;

/// Limits and shared state of all downloads.
#[derive(Clone, Debug)]
pub(super) struct DownloadLimits {
    /// Longest time without a byte. The HTTP client enforces it.
    pub request_timeout: Duration,
    /// Longest announced length of an image, in bytes.
    pub bytes_max: u64,
    /// Rates of other downloads that are complete.
    pub others: Arc<DownloadRates>,
    /// Limiter of all requests in flight.
    pub sockets: Arc<RequestLimiter>,
}

impl DownloadLimits {
    /// Creates the limits from a timeout and a length in bytes, with no complete download so far.
    pub(super) fn new(request_timeout: Duration, bytes_max: u64, sockets: Arc<RequestLimiter>) -> Self {
        Self { request_timeout, bytes_max, others: Arc::default(), sockets }
    }
}

/// Rates of the last complete downloads, with their end times.
#[derive(Debug, Default)]
pub(super) struct DownloadRates(Mutex<VecDeque<(Instant, f64)>>);

impl DownloadRates {
    /// Records a complete download, at this rate in bytes per second.
    pub(super) fn ended(&self, at: Instant, rate: f64) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.truncate(ENDS_MAX - 1);
        ends.push_front((at, rate));
    }

    /// Returns the highest rate in bytes per second, of the downloads completed since `since` or of all remembered ones.
    pub(super) fn fastest(&self, since: Option<Instant>) -> Option<f64> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().filter(|(at, _)| since.is_none_or(|since| *at >= since)).map(|(_, rate)| *rate).reduce(f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_is_that_of_those_that_ended_meanwhile() {
        let others = DownloadRates::default();
        let began = Instant::now();
        assert_eq!(others.fastest(None), None);
        others.ended(began, 500.0);
        others.ended(began + Duration::from_secs(2), 100.0);
        let since = |secs| others.fastest(Some(began + Duration::from_secs(secs)));
        assert_eq!((others.fastest(None), since(0), since(1), since(3)), (Some(500.0), Some(500.0), Some(100.0), None));
    }

    #[test]
    fn only_the_last_ends_are_remembered() {
        let others = DownloadRates::default();
        let now = Instant::now();
        others.ended(now, 9000.0);
        (0..ENDS_MAX).for_each(|_| others.ended(now, 10.0));
        assert_eq!(others.fastest(None), Some(10.0));
        assert_eq!(others.0.lock().unwrap().len(), ENDS_MAX);
    }
}
