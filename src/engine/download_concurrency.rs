//! Hill climbing on download concurrency, by the bytes per second that all downloads receive together.
//!
//! If images arrive within a second, more downloads at a time cost nothing. Each one that ends lets one more begin, up to the limit. If
//! images take longer, twice as many downloads must receive more together, or the number goes back. On a saturated line, more downloads
//! only slow each other down, and more is lost when something breaks. From time to time, fewer downloads are tried. A transfer that stalls
//! halves the number, but no transfer under way is ever stopped for that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::turn::Received;
use crate::model::job::JobId;
use crate::model::time::Moment;

/// Initial number of downloads, while nothing is known of the line.
const FIRST: usize = 4;

/// Minimum number of downloads: while one connection is set up, another one receives.
const MIN: usize = 2;

/// Duration of an image up to which more downloads at a time need no proof.
const QUICK: Duration = Duration::from_secs(1);

/// Duration of an image above which there may be too many downloads.
const SLOW: Duration = Duration::from_secs(10);

/// Minimum factor by which twice as many downloads must raise the throughput.
const GAIN_MIN: f64 = 1.25;

/// Minimum fraction of the throughput that half as many downloads must keep.
const KEPT_MIN: f64 = 0.85;

/// Time from a change of the number to the measurement: connections are set up, and earlier ones end.
const SETTLING: Duration = Duration::from_secs(1);

/// Duration of a measurement.
const SPAN: Duration = Duration::from_secs(3);

/// Pause after an unsuccessful trial, doubled each time, and its maximum.
const REST: Duration = Duration::from_secs(30);
const REST_MAX: Duration = Duration::from_secs(600);

/// Estimate of the useful number of concurrent downloads.
#[derive(Debug)]
pub(super) struct DownloadConcurrency {
    max: usize,
    now_max: usize,
    /// Downloads under way, and when each began.
    under_way: BTreeMap<JobId, Moment>,
    trial: Trial,
    /// Says whether the limit was reached when the last downloads began.
    was_full: bool,
    measured: Measured,
    rest: Duration,
    /// Says whether an image was slow since fewer downloads were last tried.
    was_slow: bool,
    /// Moment at which the number was last halved by a stall.
    halved_at: Option<Moment>,
    /// Says whether the driver has reported any bytes.
    has_received: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Measured {
    Not,
    /// Start at this moment.
    From(Moment),
    /// Start at this moment in the past, and the bytes received since.
    Since(Moment, u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trial {
    /// Measurement of the present number.
    Level,
    /// Trial of twice as many downloads as `from`, which received `before` bytes per second.
    More { from: usize, before: f64 },
    /// Trial of half as many downloads as `from`, which received `before` bytes per second.
    Less { from: usize, before: f64 },
    /// Pause until that moment, unless fewer than half of `before` bytes per second arrive.
    Rest { until: Moment, before: f64 },
}

impl DownloadConcurrency {
    /// Creates an estimate for at most `max` downloads at a time.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            now_max: FIRST.min(max),
            under_way: BTreeMap::new(),
            trial: Trial::Level,
            was_full: false,
            measured: Measured::Not,
            rest: REST,
            was_slow: false,
            halved_at: None,
            has_received: false,
        }
    }

    /// Returns the number of downloads under way.
    pub(super) fn n_out(&self) -> usize {
        self.under_way.len()
    }

    /// Returns whether one more download may begin.
    pub(super) fn has_room(&self) -> bool {
        self.n_out() < self.now_max
    }

    /// Records the beginning of a download.
    pub(super) fn begin(&mut self, now: Moment, job: JobId) {
        self.under_way.insert(job, now);
    }

    /// Records the end of a download; `is_home` says whether its images arrived.
    pub(super) fn end(&mut self, now: Moment, job: JobId, is_home: bool) {
        let Some(began_at) = self.under_way.remove(&job) else { return };
        let took = now - began_at;
        // Without reports of bytes, the effect of more downloads cannot be judged.
        let is_quick = took < QUICK || !self.has_received;
        if is_home && is_quick && self.was_full && self.now_max < self.max {
            self.turn_to(Trial::Level, self.now_max + 1);
        }
        self.was_slow |= is_home && took >= SLOW;
    }

    /// Processes a report of what the downloads under way have received.
    pub(super) fn received(&mut self, now: Moment, received: Received) {
        self.has_received |= received.n_bytes > 0;
        if received.n_stalled > 0 {
            self.halve(now);
        }
        self.measure(now, received.n_bytes);
    }

    /// Records a refusal for too many requests: fewer downloads are tried.
    pub(super) fn throttled(&mut self, now: Moment) {
        self.halve(now);
    }

    /// Records that all downloads that may begin now have begun.
    pub(super) fn planned(&mut self) {
        self.was_full = !self.has_room();
    }

    /// Adds to the measurement, which counts only while the limit is reached.
    fn measure(&mut self, now: Moment, n_bytes: u64) {
        self.measured = match self.measured {
            _ if !self.was_full => Measured::Not,
            Measured::Not => Measured::From(now + SETTLING),
            Measured::From(moment) if now < moment => return,
            // Bytes received up to now belong to the time before the measurement.
            Measured::From(_) => Measured::Since(now, 0),
            Measured::Since(began_at, so_far) => Measured::Since(began_at, so_far + n_bytes),
        };
        if let Measured::Since(began_at, so_far) = self.measured
            && now - began_at >= SPAN
        {
            self.measured = Measured::Since(now, 0);
            self.judge(now, per_second(so_far, now - began_at));
        }
    }

    /// Decides the next step from `rate`, in bytes per second.
    fn judge(&mut self, now: Moment, rate: f64) {
        let is_over_full = self.n_out() > self.now_max;
        match self.trial {
            // The images or the line have changed. Images that hardly arrive must not keep all others from arriving.
            Trial::Rest { before, .. } | Trial::Less { before, .. } if rate * 2.0 < before => self.try_more(now, rate),
            // Downloads above the limit have to end first.
            _ if is_over_full => (),
            Trial::Level => self.try_more(now, rate),
            Trial::More { before, .. } if rate >= GAIN_MIN * before => {
                self.rest = REST;
                self.try_more(now, rate);
            }
            Trial::More { from, before } => self.back_off(now, before, from),
            Trial::Less { before, .. } if rate >= KEPT_MIN * before => self.rest_at(now, rate, self.now_max),
            Trial::Less { from, before } => self.back_off(now, before, from),
            Trial::Rest { until, .. } if now < until => (),
            Trial::Rest { .. } if self.was_slow && self.now_max > MIN => self.try_less(rate),
            Trial::Rest { .. } => self.try_more(now, rate),
        }
    }

    fn try_more(&mut self, now: Moment, rate: f64) {
        let from = self.n_out().max(self.now_max).min(self.max);
        if from == self.max {
            return self.rest_at(now, rate, self.max);
        }
        self.turn_to(Trial::More { from, before: rate }, (from * 2).min(self.max));
    }

    fn try_less(&mut self, rate: f64) {
        // The next trial is one of more downloads, unless images are slow then too.
        self.was_slow = false;
        let from = self.now_max;
        self.turn_to(Trial::Less { from, before: rate }, from.div_ceil(2).max(MIN));
    }

    /// Ends an unsuccessful trial.
    fn back_off(&mut self, now: Moment, before: f64, now_max: usize) {
        self.rest_at(now, before, now_max);
        self.rest = (self.rest * 2).min(REST_MAX);
    }

    fn rest_at(&mut self, now: Moment, before: f64, now_max: usize) {
        self.turn_to(Trial::Rest { until: now + self.rest, before }, now_max);
    }

    /// Halves the number after stalled transfers, once for all that were under way together.
    fn halve(&mut self, now: Moment) {
        let oldest = self.under_way.values().min().copied();
        let is_counted = self.halved_at.is_some_and(|at| oldest.is_none_or(|oldest| oldest <= at));
        if !is_counted {
            self.halved_at = Some(now);
            self.rest_at(now, 0.0, (self.now_max / 2).max(MIN.min(self.max)));
        }
    }

    fn turn_to(&mut self, trial: Trial, now_max: usize) {
        (self.trial, self.now_max, self.measured) = (trial, now_max, Measured::Not);
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 bytes in some seconds")]
fn per_second(n_bytes: u64, span: Duration) -> f64 {
    n_bytes as f64 / span.as_secs_f64()
}

#[cfg(test)]
mod tests;
