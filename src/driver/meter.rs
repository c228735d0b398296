//! Meter of all downloads together: counts received bytes and stalls for the engine.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::engine::turn::Received;
use crate::images::IncomingImage;
use crate::provider::Download;

/// Shortest silence before a break that counts as a stall. A transfer that breaks off at once was cut by its host.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// Counts since the last report.
#[derive(Debug, Default)]
pub(super) struct DownloadMeter {
    n_bytes: AtomicU64,
    n_stalled: AtomicUsize,
}

impl DownloadMeter {
    /// Returns the counts since the last call, and resets them; `None` if nothing was received and nothing stalled.
    pub(super) fn take(&self) -> Option<Received> {
        let (n_bytes, n_stalled) = (self.n_bytes.swap(0, Ordering::Relaxed), self.n_stalled.swap(0, Ordering::Relaxed));
        (n_bytes > 0 || n_stalled > 0).then_some(Received { n_bytes, n_stalled })
    }

    /// Passes a download to an image store, and counts its bytes as they arrive.
    pub(super) fn counted<'a>(&'a self, download: Download<'a>) -> IncomingImage<'a> {
        let Download { n_before, bytes_total, validator, body } = download;
        let mut last_at = Instant::now();
        let counted = body.inspect(move |piece| {
            match piece {
                Ok(piece) => drop(self.n_bytes.fetch_add(piece.len() as u64, Ordering::Relaxed)),
                Err(_) => self.broke_off(last_at),
            }
            last_at = Instant::now();
        });
        IncomingImage { n_before, bytes_total, validator, body: counted.boxed() }
    }

    /// Records that a transfer broke off, after a silence since `silent_since`.
    pub(super) fn broke_off(&self, silent_since: Instant) {
        let has_stalled = silent_since.elapsed() >= SILENCE_MIN;
        self.n_stalled.fetch_add(usize::from(has_stalled), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::stream;
    use tokio::time::sleep;

    use super::*;
    use crate::model::outcome::{Fault, FaultKind};

    #[tokio::test(start_paused = true)]
    async fn bytes_are_counted_and_only_a_break_after_a_silence_is_a_stall() {
        let meter = DownloadMeter::default();
        assert_eq!(meter.take(), None);
        for (silence, n_stalled) in [(0, 0), (999, 0), (1000, 1), (60_000, 1)] {
            let pieces = stream::iter([Ok(Bytes::from_static(b"abc")), Err(Fault::new(FaultKind::Transient, "cut"))]);
            let body = pieces.then(async |piece| {
                if piece.is_err() {
                    sleep(Duration::from_millis(silence)).await;
                }
                piece
            });
            let whole = Download::whole(body.boxed());
            assert_eq!(meter.counted(whole).body.count().await, 2);
            assert_eq!(meter.take(), Some(Received { n_bytes: 3, n_stalled }), "{silence} ms");
        }
        assert_eq!(meter.take(), None);
    }
}
