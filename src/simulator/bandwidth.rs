//! Bandwidth limit that all images share, in turns of one chunk per image.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Longest chunk that is sent at once, in bytes.
const PIECE_BYTES_MAX: u64 = 16 << 10;

/// Smallest number of chunks per second.
const PIECES_PER_SECOND: u64 = 20;

/// Bandwidth limit that all images share.
#[derive(Debug)]
pub(super) struct BandwidthLimiter {
    bytes_per_second: u64,
    /// End of the last chunk that was admitted; `None` before the first chunk.
    free_at: Mutex<Option<Instant>>,
}

impl BandwidthLimiter {
    /// Creates a limit in bytes per second; 0 counts as 1.
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free_at: Mutex::default() }
    }

    /// Returns the longest chunk in bytes.
    pub(super) fn piece_bytes(&self) -> usize {
        let bytes = (self.bytes_per_second / PIECES_PER_SECOND).clamp(1, PIECE_BYTES_MAX);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Waits until these bytes have been sent, after those of all earlier calls.
    pub(super) async fn pass(&self, n_bytes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a piece and a rate are far below 2^52")]
        let span = Duration::from_secs_f64(n_bytes as f64 / self.bytes_per_second as f64);
        let now = Instant::now();
        let passed_at = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let passed_at = free_at.map_or(now, |moment| moment.max(now)) + span;
            *free_at = Some(passed_at);
            passed_at
        };
        sleep_until(passed_at).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    /// Goal: the total rate equals the limit, however many images share it. Method: paused time, and several images in chunks.
    #[tokio::test(start_paused = true)]
    async fn all_images_together_take_as_long_as_their_bytes() {
        let line = BandwidthLimiter::new(100_000);
        assert_eq!(line.piece_bytes(), 5000);
        let began = Instant::now();
        let image = async || {
            for _ in 0..10 {
                line.pass(5000).await;
            }
            began.elapsed()
        };
        let ended = join_all((0..4).map(|_| image())).await;
        let whole = Duration::from_secs(2);
        assert!(began.elapsed() >= whole && began.elapsed() < whole + Duration::from_millis(50), "{ended:?}");
        assert!(ended.iter().all(|span| *span > whole * 9 / 10), "they take turns: {ended:?}");
    }

    #[test]
    fn pieces_are_neither_empty_nor_long() {
        assert_eq!(
            [0, 1, 19, 400, u64::MAX].map(|rate| BandwidthLimiter::new(rate).piece_bytes()),
            [1, 1, 1, 20, 16 << 10]
        );
    }
}
