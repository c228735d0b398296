//! How many downloads at a time are worth while, found by hill climbing on the bytes a second that all of them receive together.
//!
//! Where images come within a second, more at a time cost nothing: each that ends lets one more begin, up to the limit. Where they take
//! longer, twice as many must receive more together, or the number goes back: on a line that is full, more at a time only make each of
//! them slower, so that more is lost when something breaks. From time to time it is tried whether fewer receive as much. A transfer that
//! stalls halves the number; none that is under way is ever stopped for it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::turn::Received;
use crate::model::job::JobId;
use crate::model::time::Moment;

/// How many begin at once, while nothing is known of the line.
const FIRST: usize = 4;

/// The fewest at a time: while one connection is set up, another one receives.
const MIN: usize = 2;

/// An image that comes within this time needs no proof that more at a time are worth while.
const QUICK: Duration = Duration::from_secs(1);

/// An image that took longer than this may be one of too many.
const SLOW: Duration = Duration::from_secs(10);

/// Twice as many must receive so many times as much.
const GAIN_MIN: f64 = 1.25;

/// Half as many must receive this part of what all did.
const KEPT_MIN: f64 = 0.85;

/// After a change of the number, until the measurement begins: connections are set up, and earlier ones end.
const SETTLING: Duration = Duration::from_secs(1);

/// How long a measurement takes.
const SPAN: Duration = Duration::from_secs(3);

/// Nothing is tried for so long after a trial in vain, doubled each time.
const REST: Duration = Duration::from_secs(30);
const REST_MAX: Duration = Duration::from_secs(600);

/// How many downloads at a time are worth while.
#[derive(Debug)]
pub struct Parallel {
    max: usize,
    now_max: usize,
    /// Downloads under way, and when each began.
    under_way: BTreeMap<JobId, Moment>,
    trial: Trial,
    /// Whether as many as may be were under way when the last of them began.
    was_full: bool,
    measured: Measured,
    rest: Duration,
    /// Whether an image took long since fewer were last tried.
    was_slow: bool,
    /// When the number was last halved by a stall.
    halved_at: Option<Moment>,
    /// Whether the driver tells of bytes at all.
    has_received: bool,
}

/// The measurement that is going on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Measured {
    Not,
    /// It begins at this moment.
    From(Moment),
    /// It began at this moment, and so many bytes have come since.
    Since(Moment, u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trial {
    /// What so many receive is measured.
    Level,
    /// Twice as many as those `from`, which received so many bytes a second.
    More { from: usize, before: f64 },
    /// Half as many as those `from`.
    Less { from: usize, before: f64 },
    /// Nothing is tried until then, unless less than half of so many bytes a second arrives.
    Rest { until: Moment, before: f64 },
}

impl Parallel {
    /// Up to so many at a time.
    pub fn new(max: usize) -> Self {
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

    /// How many are under way.
    pub fn n_out(&self) -> usize {
        self.under_way.len()
    }

    /// Whether one more may begin.
    pub fn has_room(&self) -> bool {
        self.n_out() < self.now_max
    }

    /// A download begins.
    pub fn begin(&mut self, now: Moment, job: JobId) {
        self.under_way.insert(job, now);
    }

    /// A download has ended, with its images or without.
    pub fn end(&mut self, now: Moment, job: JobId, is_home: bool) {
        let Some(began_at) = self.under_way.remove(&job) else { return };
        let took = now - began_at;
        // Without a word about bytes there is nothing by which more at a time could be judged.
        let is_quick = took < QUICK || !self.has_received;
        if is_home && is_quick && self.was_full && self.now_max < self.max {
            self.turn_to(Trial::Level, self.now_max + 1);
        }
        self.was_slow |= is_home && took >= SLOW;
    }

    /// What the downloads under way have received since this was last told.
    pub fn received(&mut self, now: Moment, received: Received) {
        self.has_received |= received.n_bytes > 0;
        if received.n_stalled > 0 {
            self.halve(now);
        }
        self.measure(now, received.n_bytes);
    }

    /// All that may begin now has begun.
    pub fn planned(&mut self) {
        self.was_full = !self.has_room();
    }

    /// Adds to the measurement, which counts only while as many as may be are under way.
    fn measure(&mut self, now: Moment, n_bytes: u64) {
        self.measured = match self.measured {
            _ if !self.was_full => Measured::Not,
            Measured::Not => Measured::From(now + SETTLING),
            Measured::From(moment) if now < moment => return,
            // What has come up to now is of the time before.
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

    /// So many bytes a second arrive.
    fn judge(&mut self, now: Moment, rate: f64) {
        let is_over_full = self.n_out() > self.now_max;
        match self.trial {
            // What is under way, or the line, is not what it was: images that hardly come must not keep all others from coming.
            Trial::Rest { before, .. } | Trial::Less { before, .. } if rate * 2.0 < before => self.try_more(now, rate),
            // Those too many have to end first.
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
        // The next trial is one of more, unless images are slow then too.
        self.was_slow = false;
        let from = self.now_max;
        self.turn_to(Trial::Less { from, before: rate }, from.div_ceil(2).max(MIN));
    }

    /// A trial was in vain.
    fn back_off(&mut self, now: Moment, before: f64, now_max: usize) {
        self.rest_at(now, before, now_max);
        self.rest = (self.rest * 2).min(REST_MAX);
    }

    fn rest_at(&mut self, now: Moment, before: f64, now_max: usize) {
        self.turn_to(Trial::Rest { until: now + self.rest, before }, now_max);
    }

    /// Transfers fell silent: fewer at a time, once for all that were under way together.
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
