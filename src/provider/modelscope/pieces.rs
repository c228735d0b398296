//! The body of an image's answer, piece by piece, and when it is left: when it is silent, or when it hardly comes while others do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::select;
use tokio::time::{Instant, sleep_until};

use crate::model::outcome::{Fault, FaultKind};
use crate::provider::modelscope::download::Bounds;
use crate::provider::modelscope::http::Lost;
use crate::provider::modelscope::sockets::Slot;

/// How often a slow download is looked at, in request timeouts.
const TIMEOUTS_PER_LOOK: u32 = 10;

/// The longest time between two looks.
const LOOK_SPAN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Other images that came so many times as fast show that the line carries more.
const FASTER: f64 = 100.0;

/// Ends of other downloads that are remembered.
const ENDS_MAX: usize = 32;

/// The body of an answer.
pub struct Pieces {
    response: Response,
    /// Held until all has come.
    _slot: Slot,
    /// Bytes of the image so far, those of earlier answers included.
    n_bytes: u64,
    n_before: u64,
    bytes_total: Option<u64>,
    /// Whether what has come is kept when this answer is left.
    is_kept: bool,
    began: Instant,
    /// When the download is looked at next, and its bytes at the last look.
    look_at: Instant,
    n_bytes_at_look: u64,
    look_span: Duration,
    others: Arc<Others>,
}

impl Pieces {
    /// The bytes behind the first `n_before` of an image of `bytes_total`, if that is known.
    pub fn new(
        answer: (Response, Slot),
        n_before: u64,
        bytes_total: Option<u64>,
        is_kept: bool,
        bounds: &Bounds,
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
            look_at: began + look_span,
            n_bytes_at_look: n_before,
            look_span,
            others: Arc::clone(&bounds.others),
        }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let piece = select! {
                biased;
                piece = self.response.chunk() => piece,
                () = sleep_until(self.look_at) => {
                    self.look()?;
                    continue;
                }
            };
            return match piece {
                Ok(Some(piece)) => {
                    self.n_bytes += piece.len() as u64;
                    if self.bytes_total.is_some_and(|total| self.n_bytes > total) {
                        // What came is not what was announced: nothing of it can be trusted.
                        return Err(Fault::new(FaultKind::BadOutput, self.words("more came than was announced")));
                    }
                    // A piece always at hand would keep the other branch from ever being looked at.
                    if Instant::now() >= self.look_at {
                        self.look()?;
                    }
                    Ok(Some(piece))
                }
                Ok(None) if self.bytes_total.is_none_or(|total| self.n_bytes >= total) => {
                    self.others.ended(Instant::now(), rate(self.n_bytes - self.n_before, self.began.elapsed()));
                    Ok(None)
                }
                Ok(None) => Err(self.broken("it ended early")),
                Err(error) => Err(self.broken(&Lost::from(error).words)),
            };
        }
    }

    /// Leaves a download that hardly comes. One that is kept loses nothing by another connection; one that is not has to be far slower
    /// than others that came meanwhile.
    fn look(&mut self) -> Result<(), Fault> {
        let now = Instant::now();
        let came = rate(self.n_bytes - self.n_bytes_at_look, self.look_span);
        let since = if self.is_kept { None } else { Some(self.began) };
        (self.look_at, self.n_bytes_at_look) = (now + self.look_span, self.n_bytes);
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

/// How fast the last images came that came whole.
#[derive(Debug, Default)]
pub struct Others(Mutex<VecDeque<(Instant, f64)>>);

impl Others {
    fn ended(&self, at: Instant, rate: f64) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.truncate(ENDS_MAX - 1);
        ends.push_front((at, rate));
    }

    /// The highest rate of those that ended since then, or of all that are remembered, in bytes a second.
    fn fastest(&self, since: Option<Instant>) -> Option<f64> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().filter(|(at, _)| since.is_none_or(|since| *at >= since)).map(|(_, rate)| *rate).reduce(f64::max)
    }
}

#[expect(clippy::cast_precision_loss, reason = "images are far shorter than 2^52 bytes")]
fn rate(n_bytes: u64, span: Duration) -> f64 {
    n_bytes as f64 / span.as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_is_that_of_those_that_ended_meanwhile() {
        let others = Others::default();
        let began = Instant::now();
        assert_eq!(others.fastest(None), None);
        others.ended(began, 500.0);
        others.ended(began + Duration::from_secs(2), 100.0);
        let since = |secs| others.fastest(Some(began + Duration::from_secs(secs)));
        assert_eq!((others.fastest(None), since(0), since(1), since(3)), (Some(500.0), Some(500.0), Some(100.0), None));
    }

    #[test]
    fn only_the_last_ends_are_remembered() {
        let others = Others::default();
        let now = Instant::now();
        others.ended(now, 9000.0);
        (0..ENDS_MAX).for_each(|_| others.ended(now, 10.0));
        assert_eq!(others.fastest(None), Some(10.0));
        assert_eq!(others.0.lock().unwrap().len(), ENDS_MAX);
    }
}
