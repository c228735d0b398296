//! How many tasks may be in flight at the provider: what the user says, or what the provider was found to take.

use std::time::Duration;

use crate::model::limits::Concurrency;
use crate::model::time::Moment;

/// Tasks in flight that `auto` begins with.
const FIRST: usize = 4;

/// Tasks in flight that `auto` never exceeds.
const MAX: usize = 16_384;

/// A trial of more follows the last refusal by at least so much, and by so many submissions that were taken: a refusal now and then
/// is the price of knowing.
const REST: Duration = Duration::from_secs(5);
const REST_ACCEPTED: usize = 30;

/// The first step of a trial is a place, or so much of the window.
const STEP_SHARE: usize = 16;

/// Submissions beyond the window that must be taken before it is believed to be larger. One may have found the place of a task that has
/// ended, and of whose end nobody has heard.
const BEYOND_MIN: usize = 4;

/// How many tasks may be in flight.
///
/// It grows by one for every submission that is taken, as long as it is used, until something is refused. A refusal cuts it to what was in flight then, and not to half of that: the rest is in use.
/// After a rest, a trial goes beyond it by a step, and by ever larger ones as long as all is taken.
#[derive(Clone, Debug)]
pub struct Window {
    /// Known to be taken.
    cap: usize,
    /// What it was when it began to be cut.
    top: usize,
    max: usize,
    growth: Growth,
}

#[derive(Clone, Debug)]
enum Growth {
    /// Nothing was refused yet.
    Start,
    /// It was refused, and then so many submissions were taken.
    Rest { since: Moment, n_accepted: usize },
    /// So many more may be in flight, and so many were taken that were beyond the window.
    Trial { step: usize, n_beyond: usize },
}

impl Window {
    /// The window that the user wants. A number is the most of it.
    pub fn new(concurrency: Concurrency) -> Self {
        let (cap, max) = match concurrency {
            Concurrency::Fixed(n) => (n.get() as usize, n.get() as usize),
            Concurrency::Auto => (FIRST, MAX),
        };
        Self { cap, top: cap, max, growth: Growth::Start }
    }

    /// So many tasks of an earlier process are there, so the provider takes as many.
    pub fn found(&mut self, n_in_flight: usize) {
        self.cap = self.cap.max(n_in_flight).min(self.max);
    }

    /// Whether more than it holds was ever refused.
    pub const fn is_found(&self) -> bool {
        match self.growth {
            Growth::Start => false,
            Growth::Rest { .. } | Growth::Trial { .. } => true,
        }
    }

    /// How many are known to be taken.
    pub const fn cap(&self) -> usize {
        self.cap
    }

    /// How many may be in flight now.
    pub fn room(&self, now: Moment) -> usize {
        let beyond = match self.growth {
            Growth::Start => 0,
            Growth::Rest { .. } => self.trial_at().filter(|at| *at <= now).map_or(0, |_| self.first_step()),
            Growth::Trial { step, .. } => step,
        };
        self.cap.saturating_add(beyond).min(self.max)
    }

    /// When there will be room for a trial, if only time has to pass.
    pub fn trial_at(&self) -> Option<Moment> {
        match self.growth {
            Growth::Rest { since, n_accepted } if self.cap < self.max && n_accepted >= self.rest_accepted() => {
                Some(since + REST)
            }
            Growth::Start | Growth::Rest { .. } | Growth::Trial { .. } => None,
        }
    }

    /// Takes note that a submission was taken, with so many others in flight.
    pub fn accepted(&mut self, now: Moment, n_others: usize) {
        if self.trial_at().is_some_and(|at| at <= now) {
            self.growth = Growth::Trial { step: self.first_step(), n_beyond: 0 };
        }
        match &mut self.growth {
            // A window that is not used says nothing about whether a larger one would be.
            Growth::Start if (n_others + 1) * 2 >= self.cap => self.cap += 1,
            Growth::Start => (),
            Growth::Rest { n_accepted, .. } => *n_accepted += 1,
            Growth::Trial { step, n_beyond } if n_others >= self.cap => {
                *n_beyond += 1;
                if *n_beyond >= BEYOND_MIN.max(*step) {
                    self.cap += *step;
                    (*step, *n_beyond) = (*step * 2, 0);
                }
            }
            Growth::Trial { .. } => (),
        }
        self.cap = self.cap.min(self.max);
    }

    /// Takes note that a submission was refused for want of a place, with so many others in flight. One that surprised is tried again
    /// sooner.
    pub fn refused(&mut self, now: Moment, n_others: usize, is_surprise: bool) {
        let is_first_cut = match self.growth {
            // Nothing was taken meanwhile: a limit that fell has nothing to do with what was known before.
            Growth::Rest { n_accepted, .. } => n_accepted == 0 || n_accepted >= self.rest_accepted(),
            Growth::Start | Growth::Trial { .. } => true,
        };
        if is_first_cut {
            self.top = self.cap.min(n_others + 1);
        }
        self.cap = match self.growth {
            // Bold steps come after all of a smaller one was taken: what was taken of this one is no accident either.
            Growth::Trial { step, .. } if step > self.first_step() => n_others.min(self.cap + step),
            Growth::Start | Growth::Rest { .. } | Growth::Trial { .. } => n_others.min(self.cap - self.cap / 32).max(1),
        };
        let n_accepted = if is_surprise { self.rest_accepted() - BEYOND_MIN } else { 0 };
        self.growth = Growth::Rest { since: now, n_accepted };
    }

    /// Forgets what was refused.
    pub const fn forget(&mut self) {
        self.growth = Growth::Start;
    }

    /// Whether that a submission was refused with so many others in flight is about what this window says: tasks whose end nobody has heard
    /// of make it seem larger than it is, but not by much.
    pub fn explains(&self, n_others: usize) -> bool {
        let was_taken = matches!(self.growth, Growth::Rest { n_accepted, .. } if n_accepted > 0);
        let known = if was_taken { self.top } else { self.cap };
        (n_others + 1) * 5 >= known * 4
    }

    fn rest_accepted(&self) -> usize {
        REST_ACCEPTED.max(2 * self.cap)
    }

    fn first_step(&self) -> usize {
        (self.cap / STEP_SHARE).max(1)
    }
}

#[cfg(test)]
mod tests;
