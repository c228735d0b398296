//! Reader of the body of an image response in chunks, which aborts silent and very slow downloads.
//! A download is slow if hardly any bytes arrive while other downloads progress.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::select;
use tokio::time::{Instant, sleep_until};

use crate::model::outcome::{Fault, FaultKind};
use crate::provider::http::download_limits::{DownloadLimits, DownloadRates};
use crate::provider::http::error::NoResponse;
use crate::provider::http::request_limiter::Slot;

/// Interval between two checks of a slow download, in request timeouts.
const TIMEOUTS_PER_LOOK: u32 = 10;

/// Longest interval between two checks.
const LOOK_SPAN_MAX: Duration = Duration::from_secs(24 * 3600);

/// How many times faster other downloads must be before a slow one is given up. Such a difference shows that the network path can carry
/// more.
const FASTER: f64 = 100.0;

/// Body of an image response.
pub(super) struct BodyReader {
    response: Response,
    /// Slot of the request, held until the body is read.
    _slot: Slot,
    /// Bytes of the image received so far, including those of earlier responses.
    n_bytes: u64,
    n_before: u64,
    bytes_total: Option<u64>,
    /// True if the received bytes are kept when this download is aborted.
    is_kept: bool,
    began: Instant,
    /// Time of the next check; `n_bytes_at_look` is the byte count at the last check.
    verify_job: Instant,
    n_bytes_at_look: u64,
    look_span: Duration,
    others: Arc<DownloadRates>,
}

impl BodyReader {
    /// Creates a reader of the bytes after the first `n_before`. `bytes_total` is the length of the image in bytes, `None` if unknown.
    pub(super) fn new(
        answer: (Response, Slot),
        n_before: u64,
        bytes_total: Option<u64>,
        is_kept: bool,
        bounds: &DownloadLimits,
    ) -> Self {
        let look_span = bounds.request_timeout.saturating_mul(TIMEOUTS_PER_LOOK).min(LOOK_SPAN_MAX);
        let began = Instant::now();
        let (response, slot) = answer;
        Self {
            response,
            _slot: slot,
            n_bytes: n_before,
            n_before,
            bytes_total,
            is_kept,
            began,
            verify_job: began + look_span,
            n_bytes_at_look: n_before,
            look_span,
            others: Arc::clone(&bounds.others),
        }
    }

    /// Returns the next chunk; `None` at the end of the image.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let piece = select! {
                biased;
                piece = self.response.chunk() => piece,
                () = sleep_until(self.verify_job) => {
                    self.look()?;
                    continue;
                }
            };
            return match piece {
                Ok(Some(piece)) => {
                    self.n_bytes += piece.len() as u64;
                    if self.bytes_total.is_some_and(|total| self.n_bytes > total) {
                        // The body is longer than announced, so none of its bytes can be trusted.
                        return Err(Fault::new(FaultKind::BadOutput, self.words("more came than was announced")));
                    }
                    // The select is biased: if a chunk were always ready, the timer branch would never run.
                    if Instant::now() >= self.verify_job {
                        self.look()?;
                    }
                    Ok(Some(piece))
                }
                Ok(None) if self.bytes_total.is_none_or(|total| self.n_bytes >= total) => {
                    self.others.ended(Instant::now(), rate(self.n_bytes - self.n_before, self.began.elapsed()));
                    Ok(None)
                }
                Ok(None) => Err(self.broken("it ended early")),
                Err(error) => Err(self.broken(&NoResponse::from(error).words)),
            };
        }
    }

    /// Aborts a download that is far slower than other downloads.
    ///
    /// If the received bytes are kept, a new connection loses nothing, and all remembered downloads are compared. Otherwise only downloads
    /// that were completed since the start of this one are compared.
    fn look(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        let came = rate(self.n_bytes - self.n_bytes_at_look, self.look_span);
        let since = if self.is_kept { None } else { Some(self.began) };
        (self.verify_job, self.n_bytes_at_look) = (now + self.look_span, self.n_bytes);
        match self.others.fastest(since) {
            Some(fastest) if fastest > came * FASTER => {
                let words = format!("it came at {came:.0} bytes/s while other images came at {fastest:.0}");
                Err(self.broken(&words))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn broken(&self, how: &str) -> Fault {
        Fault::new(FaultKind::Transient, self.words(how))
    }

    fn words(&self, how: &str) -> String {
        let of = self.bytes_total.map_or(String::new(), |total| format!(" of {total}"));
        format!("the download broke off after {}{of} bytes: {how}", self.n_bytes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "images are far shorter than 2^52 bytes")]
fn rate(n_bytes: u64, span: Duration) -> f64 {
    n_bytes as f64 / span.as_secs_f64().max(0.001)
}
