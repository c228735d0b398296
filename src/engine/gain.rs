//! How many tasks in flight are worth while where nothing is ever refused: a provider may take everything and let it wait.
//!
//! Beyond what nobody has to prove, more must bring more: tasks that end in a second are counted, and the window doubles as long as that
//! helps. When it no longer does, or tasks take so long that most of them must be waiting, the window shrinks to what is worked on and some.

use std::time::Duration;

use crate::model::time::Moment;

/// Tasks in flight that need no proof: none may end for a long time, and some hundreds waste nothing.
const UNPROVEN_MAX: usize = 512;

/// Twice as many in flight must make so many times as many end in a second.
const GAIN_MIN: f64 = 1.25;

/// The fewest that are tried.
const MIN: usize = 16;

/// So many times as many as are worked on, if all took as long as the shortest.
const SPARE: f64 = 4.0;

/// So many tasks end before one place less is used.
const SLOWNESS: usize = 4;

/// Tasks that end in one measurement, at least.
const ENDED_MIN: usize = 16;

/// More is tried again after this, doubled each time that it was in vain.
const REST: Duration = Duration::from_secs(300);
const REST_MAX: Duration = Duration::from_secs(3600);

/// How many tasks in flight are worth while.
#[derive(Debug)]
pub struct Gain {
    cap: usize,
    trial: Trial,
    /// The shortest time that a task took, in seconds.
    least: f64,
    /// Since when so many have been in flight.
    full_since: Option<Moment>,
    /// Tasks that have ended since it is measured.
    n_ended: usize,
    rest: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Trial {
    /// What is in flight now is measured, at first, and later.
    First,
    Again,
    /// Twice as many as those of which so many ended in a second.
    More {
        before: f64,
    },
    /// Nothing is tried until then, and no more are in flight than are worked on, and some.
    Rest {
        until: Moment,
        floor: usize,
    },
}

impl Gain {
    /// Nothing is known.
    pub const fn new() -> Self {
        Self { cap: UNPROVEN_MAX, trial: Trial::First, least: f64::INFINITY, full_since: None, n_ended: 0, rest: REST }
    }

    /// So many tasks of an earlier process are there.
    pub fn found(&mut self, n_in_flight: usize) {
        self.cap = self.cap.max(n_in_flight);
    }

    /// How many tasks in flight are worth while, as far as is known.
    pub const fn cap(&self) -> usize {
        self.cap
    }

    /// Takes note that one of so many tasks in flight has ended, and how long it took.
    pub fn ended(&mut self, now: Moment, n_in_flight: usize, took: Duration) {
        self.least = self.least.min(took.as_secs_f64().max(0.001));
        if let Trial::Rest { until, floor } = self.trial {
            if self.cap > floor {
                // Slowly, as what is learnt of how long tasks take is no longer true when fewer wait.
                self.n_ended += 1;
                self.cap -= usize::from(self.n_ended.is_multiple_of(SLOWNESS));
                return;
            }
            if now < until {
                return;
            }
            self.turn_to(Trial::Again);
        }
        // What is not used teaches nothing: not before it is full, nor when much of it is left unused later.
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

    /// After how many seconds, and for how many, ends are counted. In a trial, for two times round of all tasks in flight, after those have
    /// gone that left before; how long that takes follows from how many end in a second. At first nobody knows that.
    fn times(&self) -> (f64, f64) {
        match self.trial {
            Trial::First | Trial::Again | Trial::Rest { .. } => (2.0 * self.least, 4.0 * self.least),
            Trial::More { before } => {
                let round = float(self.cap) / 2.0 / before;
                (round, 2.0 * round)
            }
        }
    }

    /// Submissions were held back: what was counted does not say what the provider does with more.
    pub const fn disturbed(&mut self) {
        (self.full_since, self.n_ended) = (None, 0);
    }

    /// So many tasks end in a second.
    fn judge(&mut self, now: Moment, rate: f64) {
        let worth = whole(SPARE * rate * self.least).max(MIN);
        match self.trial {
            // Tasks that differ much look as if some waited. Then more is tried as soon as there are fewer, and helps.
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

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
const fn float(n: usize) -> f64 {
    n as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and too many are all")]
const fn whole(n: f64) -> usize {
    n as usize
}
