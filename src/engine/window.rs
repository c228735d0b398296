//! How many tasks may be in flight at the provider.

use crate::model::limits::Concurrency;

/// Tasks in flight that `auto` begins with.
const WINDOW_FIRST: f64 = 4.0;

/// Tasks in flight that `auto` never exceeds.
const WINDOW_MAX: f64 = 1024.0;

/// How many tasks may be in flight: fixed, or learnt as TCP learns its congestion window.
///
/// `auto` doubles while nothing is refused, halves at the first refusal of a burst, and from then on grows by one for
/// every full window that was taken.
#[derive(Debug)]
pub enum Window {
    /// So many.
    Fixed(usize),
    /// As many as the provider was found to take.
    Auto {
        /// How many, by now.
        cap: f64,
        /// Whether nothing was refused yet.
        is_slow_start: bool,
    },
}

impl Window {
    /// The window that the user wants.
    pub fn new(concurrency: Concurrency) -> Self {
        match concurrency {
            Concurrency::Fixed(n) => Self::Fixed(n.get() as usize),
            Concurrency::Auto => Self::Auto { cap: WINDOW_FIRST, is_slow_start: true },
        }
    }

    /// How many it is now.
    pub fn cap(&self) -> usize {
        match self {
            Self::Fixed(cap) => *cap,
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and WINDOW_MAX")]
            Self::Auto { cap, .. } => *cap as usize,
        }
    }

    /// Takes note that a submission was taken, with so many tasks in flight.
    pub fn accepted(&mut self, n_in_flight: usize) {
        // A window that is not used says nothing about whether a larger one would be.
        let is_used = n_in_flight * 2 >= self.cap();
        if let Self::Auto { cap, is_slow_start } = self
            && is_used
        {
            let growth = if *is_slow_start { 1.0 } else { 1.0 / *cap };
            *cap = (*cap + growth).min(WINDOW_MAX);
        }
    }

    /// Takes note of the first refusal of a burst, with so many tasks in flight.
    pub fn refused(&mut self, n_in_flight: usize) {
        if let Self::Auto { cap, is_slow_start } = self {
            let n_in_flight = f64::from(u32::try_from(n_in_flight).unwrap_or(u32::MAX));
            *cap = (cap.min(n_in_flight + 1.0) / 2.0).max(1.0);
            *is_slow_start = false;
        }
    }
}
