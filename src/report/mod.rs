//! Output of a run for people and scripts: reporters that read its events and cannot influence it.

pub mod ci;
pub(crate) mod dataset;
mod eta;
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the program shows more than the library"))]
pub(crate) mod facts;
#[cfg(test)]
mod fixtures;
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "the program shows more than the library"))]
pub(crate) mod format;
pub(crate) mod gallery;
#[cfg(feature = "cli")]
mod layout;
pub mod log_reporter;
#[cfg(feature = "cli")]
pub(crate) mod operation_reporter;
mod outage_notice;
pub mod progress_totals;
pub(crate) mod results;
pub mod stream;
#[cfg(feature = "cli")]
pub(crate) mod terminal;
#[cfg(feature = "cli")]
pub(crate) mod tty_reporter;
pub(crate) mod value;
#[cfg(feature = "cli")]
pub(crate) mod watch;

use crate::model::event::Event;
use crate::model::snapshot::RunSnapshot;
use crate::model::time::Moment;
pub use crate::report::gallery::GalleryWriteError;
pub use crate::report::results::file::ResultsError;

/// Displays or writes the progress of one run.
pub trait Reporter: Send {
    /// Receives the events recorded since the last call, and the present pace. The driver calls it on every turn, even
    /// without events.
    fn show(&mut self, now: Moment, events: &[Event], pace: &RunSnapshot);

    /// Receives a text for people about something that no event tells, such as an outage of the storage of the images.
    fn note(&mut self, _now: Moment, _text: &str) {}

    /// Ends the output: the run is over, finished or stopped early.
    fn end(&mut self);
}

/// Forwards every call to several reporters, or to none.
#[derive(Default)]
pub struct Reporters(pub Vec<Box<dyn Reporter>>);

impl Reporter for Reporters {
    fn show(&mut self, now: Moment, events: &[Event], pace: &RunSnapshot) {
        self.0.iter_mut().for_each(|reporter| reporter.show(now, events, pace));
    }

    fn note(&mut self, now: Moment, text: &str) {
        self.0.iter_mut().for_each(|reporter| reporter.note(now, text));
    }

    fn end(&mut self) {
        self.0.iter_mut().for_each(|reporter| reporter.end());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::report::fixtures::{at, in_flight, succeeded};

    #[test]
    fn every_reporter_is_shown_everything() {
        struct Count(Arc<Mutex<(usize, usize)>>);
        impl Reporter for Count {
            fn show(&mut self, _: Moment, events: &[Event], _: &RunSnapshot) {
                self.0.lock().unwrap().0 += events.len();
            }
            fn end(&mut self) {
                self.0.lock().unwrap().1 += 1;
            }
        }
        let counts = Arc::new(Mutex::new((0, 0)));
        let mut reporters = Reporters(vec![Box::new(Count(counts.clone())), Box::new(Count(counts.clone()))]);
        reporters.show(at(0.0), &[succeeded(1), succeeded(2)], &in_flight(0));
        reporters.end();
        assert_eq!(*counts.lock().unwrap(), (4, 2));
    }
}
