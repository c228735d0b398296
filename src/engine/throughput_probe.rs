//! Throughput probe: finds how many tasks in flight are useful at a provider that accepts everything and lets it wait.
//!
//! A fixed number of tasks needs no proof. Beyond it, more tasks in flight must raise the throughput, measured as task ends per second. The
//! window doubles as long as that helps. The window shrinks when that no longer helps, or when long durations show that most tasks must be
//! waiting. It then holds the tasks being worked on, and some more.

use std::time::Duration;

use crate::model::time::Moment;

/// Number of tasks in flight that needs no proof. None may end for a long time, and some hundreds waste nothing.
const UNPROVEN_MAX: usize = 512;

/// Minimum factor by which twice as many tasks in flight must raise the task ends per second.
const GAIN_MIN: f64 = 1.25;

/// Minimum window of a trial.
const MIN: usize = 16;

/// Window as a multiple of the tasks being worked on, if all tasks took as long as the shortest.
const SPARE: f64 = 4.0;

/// Number of task ends after which the window shrinks by one slot.
const SLOWNESS: usize = 4;

/// Minimum number of task ends in one measurement.
const ENDED_MIN: usize = 16;

/// Time until a larger window is tried again, doubled after each unsuccessful trial, and its maximum.
const REST: Duration = Duration::from_secs(300);
const REST_MAX: Duration = Duration::from_secs(3600);

/// Estimate of the useful number of tasks in flight.
#[derive(Debug)]
pub(super) struct ThroughputProbe {
    cap: usize,
    trial: Trial,
    /// Shortest duration of a task so far, in seconds.
    least: f64,
    /// Moment since which the window has been full; `None` if it is not.
    full_since: Option<Moment>,
    /// Task ends since the measurement began.
    n_ended: usize,
    rest: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Trial {
    /// Measurement of the present window, at first and later.
    First,
    Again,
    /// Trial of a doubled window; `before` is the number of task ends per second with half of it.
    More {
        before: f64,
    },
    /// Pause without trials until that moment. The window shrinks to `floor`: the tasks being worked on, and some more.
    Rest {
        until: Moment,
        floor: usize,
    },
}

impl ThroughputProbe {
    /// Creates an estimate without any knowledge.
    pub(super) const fn new() -> Self {
        Self { cap: UNPROVEN_MAX, trial: Trial::First, least: f64::INFINITY, full_since: None, n_ended: 0, rest: REST }
    }

    /// Records that `n_in_flight` tasks of an earlier process are at the provider.
    pub(super) fn found(&mut self, n_in_flight: usize) {
        self.cap = self.cap.max(n_in_flight);
    }

    /// Returns how many tasks in flight are useful, as far as is known.
    pub(super) const fn cap(&self) -> usize {
        self.cap
    }

    /// Records the end of one of `n_in_flight` tasks, and its duration.
    pub(super) fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration) {
        self.least = self.least.min(took.as_secs_f64().max(0.001));
        if let Trial::Rest { until, floor } = self.trial {
            if self.cap > floor {
                // The window shrinks slowly, because measured durations no longer apply when fewer tasks wait.
                self.n_ended += 1;
                self.cap -= usize::from(self.n_ended.is_multiple_of(SLOWNESS));
                return;
            }
            if now < until {
                return;
            }
            self.turn_to(Trial::Again);
        }
        // An unused window teaches nothing: neither before it is full, nor later when much of it is left unused.
        let is_full = n_in_flight * 10 >= self.cap * 9 && n_in_flight <= self.cap;
        if n_in_flight * 2 < self.cap || (self.full_since.is_none() && !is_full) {
            (self.full_since, self.n_ended) = (None, 0);
            return;
        }
        let full_since = *self.full_since.get_or_insert(now);
        let (settling, span) = self.times();
        let seconds = (now - full_since).as_secs_f64() - settling;
        if seconds < 0.0 {
            return;
        }
        self.n_ended += 1;
        if seconds >= span && self.n_ended >= ENDED_MIN {
            self.judge(now, float(self.n_ended) / seconds);
        }
    }

    /// Returns the number of seconds before task ends are counted, and the number of seconds for which they are. A trial counts two rounds
    /// of all tasks in flight, after the tasks that left earlier have ended. The length of a round follows from the task ends per second,
    /// which are unknown at first.
    fn times(&self) -> (f64, f64) {
        match self.trial {
            Trial::First | Trial::Again | Trial::Rest { .. } => (2.0 * self.least, 4.0 * self.least),
            Trial::More { before } => {
                let round = float(self.cap) / 2.0 / before;
                (round, 2.0 * round)
            }
        }
    }

    /// Discards the measurement, because submissions were held back. It would not show how the provider reacts to more tasks.
    pub(super) const fn disturbed(&mut self) {
        (self.full_since, self.n_ended) = (None, 0);
    }

    /// Decides the next step from `rate`, the number of task ends per second.
    fn judge(&mut self, now: Moment, rate: f64) {
        let worth = whole(SPARE * rate * self.least).max(MIN);
        match self.trial {
            // Tasks of very different durations look as if some waited. A larger window is then tried as soon as there are fewer tasks, and
            // helps.
            Trial::First if worth * 2 <= self.cap => self.turn_to(Trial::Rest { until: now, floor: worth }),
            Trial::First | Trial::Again | Trial::Rest { .. } => self.double(rate),
            Trial::More { before } if rate >= GAIN_MIN * before => {
                self.rest = REST;
                self.double(rate);
            }
            Trial::More { .. } => {
                let floor = worth.min(self.cap / 2);
                self.turn_to(Trial::Rest { until: now + self.rest, floor });
                self.rest = (self.rest * 2).min(REST_MAX);
            }
        }
    }

    fn double(&mut self, rate: f64) {
        self.cap = self.cap.saturating_mul(2);
        self.turn_to(Trial::More { before: rate });
    }

    const fn turn_to(&mut self, trial: Trial) {
        (self.trial, self.full_since, self.n_ended) = (trial, None, 0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
const fn float(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; large values saturate")]
const fn whole(n: f64) -> usize {
    n as usize
}
